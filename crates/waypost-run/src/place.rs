//! Where a replica listens and what it is called.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};

use crate::plan::{AddressChoice, Plan, PortChoice};

/// Longest host name in an id: with a port and random digits it stays a DNS label.
const HOST_BYTES_MAX: usize = 40;

/// A replica's address, port and id; they stay over restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) id: String,
}

impl Place {
    /// Chooses the place of replica `number`, counted from zero; `registry` is the registry's URL.
    pub(crate) fn choose(plan: &Plan, number: u32, registry: &str) -> io::Result<Self> {
        let address = match &plan.addresses {
            AddressChoice::Auto => facing(registry)?.to_string(),
            AddressChoice::Listed(list) => {
                let number = usize::try_from(number).unwrap_or(0);
                let turn = number.checked_rem(list.len()).unwrap_or(0);
                list.get(turn).cloned().unwrap_or_default()
            }
        };
        let port = match plan.port {
            PortChoice::Fixed(port) => port,
            PortChoice::Auto => free_port(&address)?,
        };
        let id = plan.id.clone().unwrap_or_else(|| id(&host(), port));
        Ok(Self { address, port, id })
    }

    /// Puts the place into an argument of the command.
    pub(crate) fn fill(&self, argument: &str, replica: u32) -> String {
        argument
            .replace("{port}", &self.port.to_string())
            .replace("{address}", &self.address)
            .replace("{id}", &self.id)
            .replace("{replica}", &replica.to_string())
    }
}

/// Finds a port that nobody listens on at the address. Somebody may take it until the command does.
fn free_port(address: &str) -> io::Result<u16> {
    let ip: IpAddr = address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let listener = TcpListener::bind((ip, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Returns the address that this machine would send to the registry from. Nothing is sent.
fn facing(registry: &str) -> io::Result<IpAddr> {
    let authority = registry
        .split_once("://")
        .map_or(registry, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let mut addresses = authority.to_socket_addrs()?;
    let to = addresses
        .next()
        .ok_or_else(|| io::Error::other(format!("{authority} has no address")))?;
    let any: SocketAddr = if to.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// Makes an id that can be a DNS label: the host, the port and six random digits.
fn id(host: &str, port: u16) -> String {
    let first = host.split('.').next().unwrap_or_default();
    let label: String = first
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(HOST_BYTES_MAX)
        .collect();
    let label = label.trim_matches('-');
    let label = if label.is_empty() { "host" } else { label };
    // Without randomness ids of one host and port are the same, and the registry says so.
    let random = getrandom::u32().unwrap_or_default() & 0x00ff_ffff;
    format!("{label}-{port}-{random:06x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_dns_label_whatever_the_host_is_called() {
        for host in ["Web_1.example.org", "", "---", &"x".repeat(100), "ü"] {
            let id = id(host, 65_535);
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(
                id.len() <= 63 && id.chars().all(legal) && !id.starts_with('-'),
                "{id}"
            );
        }
        assert_ne!(id("a", 1), id("a", 1));
    }

    #[test]
    fn arguments_are_filled_with_the_place() {
        let place = Place {
            address: "127.0.0.2".to_owned(),
            port: 8_080,
            id: "a".to_owned(),
        };
        let filled = place.fill("http://{address}:{port}/{id}/{replica}/{other}", 2);
        assert_eq!(filled, "http://127.0.0.2:8080/a/2/{other}");
    }

    #[test]
    fn the_address_that_faces_a_registry_on_loopback_is_loopback() {
        assert_eq!(
            facing("http://127.0.0.1:3004").unwrap(),
            Ipv4Addr::LOCALHOST
        );
    }
}
