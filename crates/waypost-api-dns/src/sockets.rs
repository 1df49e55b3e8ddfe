//! The sockets of the server: bound here, or handed over by whoever holds them while the server is away.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use waypost_datagram::{Options, Protocol, Socket, who_holds};

use crate::settings::{DnsConfig, InvalidSetting};

/// Connections that the kernel keeps ready until they are accepted.
const BACKLOG: i32 = 1_024;
/// How often a port that the system chose for TCP may turn out to be taken for UDP.
const PORT_TRIES: usize = 16;

/// Why the server cannot listen.
#[derive(Debug)]
pub enum BindError {
    /// A setting is outside of what it may be.
    Setting(InvalidSetting),
    /// The system refused.
    Listen {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// What the system said.
        cause: io::Error,
        /// Who holds the port and what to do.
        advice: String,
    },
    /// What was handed over cannot be used; the text says why and what to do.
    Given(String),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => write!(f, "dns.{}: {error}", error.field),
            Self::Given(why) => write!(f, "cannot answer DNS on what was handed over: {why}"),
            Self::Listen {
                address,
                transport,
                cause,
                advice,
            } => write!(
                f,
                "cannot answer DNS on {address} ({transport}): {cause}; {advice}"
            ),
        }
    }
}

impl std::error::Error for BindError {}

/// Sockets that were bound by somebody else, for example by the service manager.
#[derive(Debug, Default)]
pub struct Given {
    /// Those for datagrams.
    pub udp: Vec<UdpSocket>,
    /// Those that listen for streams.
    pub tcp: Vec<TcpListener>,
}

impl Given {
    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }
}

/// The sockets of one address.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    pub(crate) tcp: TcpListener,
    pub(crate) udp: Vec<Socket>,
}

/// Binds every address of the settings.
pub(crate) fn bind_all(config: &DnsConfig) -> Result<Vec<Bound>, BindError> {
    let addresses = config.addresses().map_err(BindError::Setting)?;
    let workers = workers(config.workers);
    let each = addresses.into_iter();
    each.map(|address| bind(address, workers)).collect()
}

/// Puts sockets together that were handed over: UDP and TCP of one address.
pub(crate) fn take(config: &DnsConfig, given: Given) -> Result<Vec<Bound>, BindError> {
    if config.addresses().map_err(BindError::Setting)?.is_empty() {
        return Err(BindError::Given(
            "dns.listen is off: choose an address, or hand over no socket for DNS".to_owned(),
        ));
    }
    let unusable = |error: io::Error| BindError::Given(error.to_string());
    let mut listeners = BTreeMap::new();
    for tcp in given.tcp {
        tcp.set_nonblocking(true).map_err(unusable)?;
        listeners.insert(tcp.local_addr().map_err(unusable)?, tcp);
    }
    let mut bound = Vec::new();
    for udp in given.udp {
        let first = Socket::given(udp, &Options::default()).map_err(unusable)?;
        let address = first.local_addr();
        let tcp = listeners
            .remove(&address)
            .ok_or_else(|| alone(address, "TCP"))?;
        // The address is shared by one socket's handles: others would be gone while the server is away.
        let more = (1..workers(config.workers)).map(|_| first.try_clone());
        let mut udp = more.collect::<io::Result<Vec<_>>>().map_err(unusable)?;
        udp.push(first);
        bound.push(Bound { address, tcp, udp });
    }
    match listeners.keys().next() {
        Some(address) => Err(alone(*address, "UDP")),
        None => Ok(bound),
    }
}

/// Returns how many threads answer datagrams on an address.
fn workers(wanted: usize) -> usize {
    if wanted > 0 {
        return wanted;
    }
    // One fills a core; up to two the rest of the process needs the other.
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0..=2 => 1,
        cores => cores.min(4),
    }
}

fn bind(address: SocketAddr, workers: usize) -> Result<Bound, BindError> {
    for last in (0..PORT_TRIES).rev() {
        let tcp = listen(address).map_err(|cause| refusal(address, "TCP", cause))?;
        let bound = tcp
            .local_addr()
            .map_err(|cause| refusal(address, "TCP", cause))?;
        match bind_udp(bound, workers) {
            Ok(udp) => {
                return Ok(Bound {
                    address: bound,
                    tcp,
                    udp,
                });
            }
            Err(_) if address.port() == 0 && last > 0 => {}
            Err(cause) => return Err(refusal(bound, "UDP", cause)),
        }
    }
    Err(refusal(address, "UDP", io::ErrorKind::AddrInUse.into()))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of its predecessor to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Binds as many sockets as there are workers. The first is bound alone, so that nobody else shares the port by chance.
fn bind_udp(address: SocketAddr, workers: usize) -> io::Result<Vec<Socket>> {
    let alone = Socket::bind(address, &Options::default())?;
    if workers == 1 {
        return Ok(vec![alone]);
    }
    drop(alone);
    let shared = Options {
        shared: true,
        ..Options::default()
    };
    (0..workers)
        .map(|_| Socket::bind(address, &shared))
        .collect()
}

fn alone(address: SocketAddr, missing: &str) -> BindError {
    BindError::Given(format!(
        "{address} has no socket over {missing}: DNS needs UDP and TCP on each address"
    ))
}

fn refusal(address: SocketAddr, transport: &'static str, cause: io::Error) -> BindError {
    let protocol = if transport == "UDP" {
        Protocol::Udp
    } else {
        Protocol::Tcp
    };
    let port = address.port();
    let advice = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = who_holds(port, protocol).map_or_else(
                || "another process holds the port".to_owned(),
                |holder| format!("{holder} holds the port"),
            );
            format!(
                "{holder}: stop it, or choose another with --dns ADDRESS:PORT (`--dns off` for none)"
            )
        }
        io::ErrorKind::PermissionDenied if port < 1_024 => format!(
            "port {port} needs root or CAP_NET_BIND_SERVICE, or choose one above 1023 with --dns ADDRESS:PORT"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "it is no address of this machine: choose one with --dns ADDRESS:PORT".to_owned()
        }
        _ => "choose another with --dns ADDRESS:PORT, or `--dns off`".to_owned(),
    };
    BindError::Listen {
        address,
        transport,
        cause,
        advice,
    }
}
