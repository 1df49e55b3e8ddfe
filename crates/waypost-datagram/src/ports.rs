//! Who holds a port, and what the kernel dropped: from the tables under /proc.

use std::fmt;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;

/// The protocols whose ports are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Streams: only listeners hold a port.
    Tcp,
}

impl Protocol {
    fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Udp => ["/proc/net/udp", "/proc/net/udp6"],
            Self::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        }
    }
}

/// A process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// The program's name.
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.program, self.pid)
    }
}

/// Finds the process that holds `port`; nothing if there is none, or if the system does not show it to this user.
#[must_use]
pub fn who_holds(port: u16, protocol: Protocol) -> Option<Holder> {
    let inodes: Vec<u64> = protocol
        .tables()
        .iter()
        .flat_map(|table| rows(table))
        .filter(|row| row.port == port && (protocol == Protocol::Udp || row.listens))
        .map(|row| row.inode)
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(entry.path().join("fd"))
            .ok()?
            .flatten()
            .filter_map(|descriptor| inode_at(&descriptor.path()))
            .any(|inode| inodes.contains(&inode));
        let name = || fs::read_to_string(entry.path().join("comm")).ok();
        holds.then(|| Holder {
            pid,
            program: name().map_or_else(|| "?".to_owned(), |name| name.trim().to_owned()),
        })
    })
}

/// Sums up the datagrams that the kernel dropped for the sockets with these inodes, since a reader was late or a
/// checksum wrong.
#[must_use]
pub fn kernel_drops(inodes: &[u64]) -> u64 {
    Protocol::Udp
        .tables()
        .iter()
        .flat_map(|table| rows(table))
        .filter(|row| inodes.contains(&row.inode))
        .map(|row| row.drops)
        .sum()
}

/// One row of a table under /proc/net.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    port: u16,
    listens: bool,
    inode: u64,
    drops: u64,
}

fn rows(table: &str) -> Vec<Row> {
    let text = fs::read_to_string(table).unwrap_or_default();
    text.lines().skip(1).filter_map(row).collect()
}

/// Reads `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ref pointer drops`.
fn row(line: &str) -> Option<Row> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (_, port) = columns.next()?.rsplit_once(':')?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?.parse().ok()?;
    let drops = columns.nth(2).and_then(|drops| drops.parse().ok());
    Some(Row {
        port: u16::from_str_radix(port, 16).ok()?,
        listens: state == "0A",
        inode,
        drops: drops.unwrap_or(0),
    })
}

#[cfg(unix)]
pub(crate) fn inode_of(socket: &UdpSocket) -> Option<u64> {
    use std::os::fd::AsRawFd;

    let descriptor = format!("/proc/self/fd/{}", socket.as_raw_fd());
    inode_at(Path::new(&descriptor))
}

#[cfg(not(unix))]
pub(crate) fn inode_of(_socket: &UdpSocket) -> Option<u64> {
    None
}

/// The inode of the socket that a link `socket:[inode]` leads to.
fn inode_at(link: &Path) -> Option<u64> {
    let target = fs::read_link(link).ok()?;
    let inode = target.to_str()?.strip_prefix("socket:[")?;
    inode.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Row, row};

    #[test]
    fn a_row_of_the_kernels_table_is_read() {
        let line = "  512: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 81234 2 0000000000000000 17";
        let expected = Row {
            port: 5_300,
            listens: false,
            inode: 81_234,
            drops: 17,
        };
        assert_eq!(row(line), Some(expected));
        assert_eq!(row("nonsense"), None);
    }
}
