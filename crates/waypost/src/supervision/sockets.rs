//! Sockets that the service manager holds and hands over: connections wait in them while the server is away.

use std::net::{TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::SockRef;
use waypost_api_dns::Given;
use waypost_config::Environment;

/// The descriptor of the first one.
const FIRST: usize = 3;
const RULE: &str = "must be http, dns, dns-udp or dns-tcp: say it with FileDescriptorName= in the socket unit, \
    or with --fdname of systemd-socket-activate";

/// The sockets that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// In place of `http.listen`.
    pub(crate) http: Option<TcpListener>,
    /// In place of `dns.listen`, if there are any.
    pub(crate) dns: Given,
}

impl Inherited {
    /// Takes what `LISTEN_FDS` announces to this process, and takes the announcement back. Call it once, before there is
    /// another thread, since the environment belongs to all of them.
    ///
    /// # Errors
    /// A socket whose name or kind is not known, or a second one for HTTP, with what to do.
    pub(crate) fn take(environment: &Environment) -> Result<Self, String> {
        let names = environment.get("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut handed = ListenFd::from_env();
        let mut taken = Self::default();
        for index in 0..handed.len() {
            let name = names.get(index).copied().unwrap_or_default();
            // One alone needs no name.
            let name = match name {
                "" | "unknown" if handed.len() == 1 => "http",
                name => name,
            };
            taken.add(&mut handed, index, name).map_err(|why| {
                format!(
                    "socket {} was handed over as {name:?}: {why}",
                    FIRST + index
                )
            })?;
        }
        Ok(taken)
    }

    fn add(&mut self, handed: &mut ListenFd, index: usize, name: &str) -> Result<(), String> {
        match name {
            "http" if self.http.is_some() => {
                return Err("there is one for HTTP already, and one is served".to_owned());
            }
            "http" => self.http = Some(stream(handed, index)?),
            "dns-tcp" => self.dns.tcp.push(stream(handed, index)?),
            "dns-udp" => self.dns.udp.push(datagram(handed, index)?),
            "dns" => match datagram(handed, index) {
                Ok(udp) => self.dns.udp.push(udp),
                Err(_) => self.dns.tcp.push(stream(handed, index)?),
            },
            _ => return Err(format!("the name {RULE}")),
        }
        Ok(())
    }
}

fn stream(handed: &mut ListenFd, index: usize) -> Result<TcpListener, String> {
    let needed = "it must be a TCP socket that listens (ListenStream=, Accept=no)";
    let taken = handed.take_tcp_listener(index);
    let taken = taken.map_err(|error| format!("{error}; {needed}"))?;
    taken
        .filter(|tcp| SockRef::from(tcp).is_listener().unwrap_or(false))
        .ok_or_else(|| needed.to_owned())
}

fn datagram(handed: &mut ListenFd, index: usize) -> Result<UdpSocket, String> {
    let needed = "it must be a UDP socket (ListenDatagram=)";
    let taken = handed.take_udp_socket(index);
    let taken = taken.map_err(|error| format!("{error}; {needed}"))?;
    taken.ok_or_else(|| needed.to_owned())
}
