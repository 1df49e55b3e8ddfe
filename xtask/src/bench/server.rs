//! A server under measurement: started, found by its socket, read out of `/proc`, stopped.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::program::{Failure, Stopwatch};

/// Long, since a server under callgrind starts fifty times slower.
const START_SECONDS: f64 = 120.0;

/// What `/proc/PID/stat` counts in: USER_HZ, which Linux fixes at 100 for every program.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Server {
    /// Starts a Waypost whose output goes to `log`, and waits until it answers HTTP.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self, Failure> {
        Self::start_other(command, log, "/livez")
    }

    /// The same of any server that answers 200 to a GET of a path.
    pub(super) fn start_other(
        command: &mut Command,
        log: &Path,
        path: &str,
    ) -> Result<Self, Failure> {
        let log_file = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file)
            .spawn()?;
        let mut server = Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        let since = Stopwatch::start();
        while since.seconds() < START_SECONDS {
            if let Some(status) = server.child.try_wait()? {
                return Err(Failure::new(format!(
                    "a server ended with {status}:\n{}",
                    fs::read_to_string(log)?
                )));
            }
            for port in server.listening_ports()? {
                server.address.set_port(port);
                let probe = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                if server
                    .ask(probe.as_bytes())
                    .is_ok_and(|answer| answer.status == 200)
                {
                    return Ok(server);
                }
            }
            pause(Duration::from_millis(20));
        }
        Err(Failure::new(format!("a server does not answer {path}")))
    }

    /// Sends one request on a connection of its own.
    pub(super) fn ask(&self, request: &[u8]) -> Result<Answer, Failure> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request)?;
        let mut bytes = Vec::new();
        let mut part = [0; 16 * 1024];
        loop {
            let read = stream.read(&mut part)?;
            bytes.extend_from_slice(part.get(..read).unwrap_or_default());
            match parse_answer(&bytes) {
                Some(answer) => return Ok(answer),
                None if read == 0 => return Err(Failure::new("an answer has no end")),
                None => {}
            }
        }
    }

    /// Gives the CPU seconds that the server has used, user and system together.
    pub(super) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the name in parentheses, which may hold anything; utime is field 14, stime 15.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: Vec<f64> = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        if ticks.len() == 2 {
            Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
        } else {
            Err(Failure::new("/proc/PID/stat is not understood"))
        }
    }

    /// Gives the resident memory in MiB.
    pub(super) fn resident_mebibytes(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<f64>().ok());
        kibibytes
            .map(|kibibytes| kibibytes / 1024.0)
            .ok_or_else(|| Failure::new("/proc/PID/status is not understood"))
    }

    /// Gives the process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop and waits until it has.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        self.child.wait()?;
        Ok(())
    }

    /// Finds the TCP ports on which the process listens, whatever it prints.
    fn listening_ports(&self) -> Result<Vec<u16>, Failure> {
        let process = format!("/proc/{}", self.child.id());
        let mut sockets = Vec::new();
        for entry in fs::read_dir(format!("{process}/fd"))? {
            // A file that was closed meanwhile is none that listens.
            let Ok(link) = entry.and_then(|entry| fs::read_link(entry.path())) else {
                continue;
            };
            let link = link.to_string_lossy().into_owned();
            if let Some(inode) = link.strip_prefix("socket:[") {
                sockets.push(inode.trim_end_matches(']').to_owned());
            }
        }
        let table = fs::read_to_string(format!("{process}/net/tcp"))?;
        Ok(ports_in(&table, &sockets))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Gives the CPU seconds that all threads of a process, and of its children, have run: to the nanosecond, unlike
/// `/proc/PID/stat`. A thread that ended is not counted; servers under load keep theirs.
pub(super) fn run_seconds(pid: u32) -> Result<f64, Failure> {
    run_seconds_of(pid, "")
}

/// The same of the threads whose names begin with a word.
pub(super) fn run_seconds_of(pid: u32, word: &str) -> Result<f64, Failure> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = task?.path();
        if !fs::read_to_string(folder.join("comm"))?.starts_with(word) {
            continue;
        }
        let text = fs::read_to_string(folder.join("schedstat"))?;
        nanoseconds += text
            .split_whitespace()
            .next()
            .and_then(|first| first.parse::<f64>().ok())
            .ok_or_else(|| Failure::new("schedstat is not understood"))?;
        let children = fs::read_to_string(folder.join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            if let Ok(child) = child.parse() {
                nanoseconds += run_seconds_of(child, word)? * 1e9;
            }
        }
    }
    Ok(nanoseconds / 1e9)
}

/// Reads `/proc/net/tcp`: the ports of those listening sockets whose inode is in the list.
pub(super) fn ports_in(table: &str, inodes: &[String]) -> Vec<u16> {
    const LISTENING: &str = "0A";
    let ports = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let ours = *state == LISTENING && inodes.iter().any(|known| known == inode);
        let (_, port) = local.split_once(':')?;
        ours.then(|| u16::from_str_radix(port, 16).ok()).flatten()
    });
    ports.collect()
}

/// Gives the answer once it is complete; its end is where `Content-Length` says.
pub(super) fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<String> = lines.map(str::to_owned).collect();
    let length = headers
        .iter()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer {
        status,
        headers,
        body,
    })
}

/// Waits. The servers are other programs, whose only events are what `/proc` shows.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when another process begins to listen or comes to rest"
)]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}
