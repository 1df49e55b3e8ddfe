//! The server: sockets that are bound early and served late, and what its threads and tasks share.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use waypost_datagram::{Options, Protocol, Socket, who_holds};

use crate::answer::Transport;
use crate::chance::Chance;
use crate::metrics::{Counts, DnsMetrics};
use crate::places::Places;
use crate::query_log::{self, QueryLog};
use crate::settings::{DnsConfig, InvalidSetting};
use crate::table::Table;
use crate::tcp;
use crate::udp::Worker;

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
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => write!(f, "dns.{}: {error}", error.field),
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

/// A part of the server that ended though nobody asked it to.
#[derive(Debug)]
pub struct Died;

/// Bound sockets that nobody is served on yet.
#[derive(Debug)]
pub struct DnsServer {
    bound: Vec<Bound>,
    addresses: Vec<SocketAddr>,
    config: DnsConfig,
}

#[derive(Debug)]
struct Bound {
    tcp: std::net::TcpListener,
    udp: Vec<Socket>,
}

/// What threads and tasks share.
pub(crate) struct Serving {
    pub(crate) table: Arc<Table>,
    pub(crate) config: DnsConfig,
    pub(crate) places: Arc<Places>,
    /// Of everything over TCP.
    pub(crate) counts: Arc<Counts>,
    randoms: AtomicU64,
    tcp_log: Option<Mutex<QueryLog>>,
    /// The same for threads and for tasks.
    is_stopping: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Serving {
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub(crate) fn next_random(&self) -> u64 {
        let seed = self
            .randoms
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        Chance::new(seed).next()
    }

    pub(crate) fn log(&self, peer: SocketAddr, transport: Transport, answer: &[u8]) {
        if let Some(log) = &self.tcp_log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.take(peer, transport, answer);
        }
    }
}

impl DnsServer {
    /// Binds every address of the settings, over TCP and UDP.
    ///
    /// # Errors
    /// A setting outside of what it may be, or an address that the system refuses, with who holds it.
    pub fn bind(config: &DnsConfig) -> Result<Self, BindError> {
        config.validate().map_err(BindError::Setting)?;
        let addresses = config.addresses().map_err(BindError::Setting)?;
        let mut bound = Vec::new();
        for address in addresses {
            bound.push(bind(address, workers(config.workers))?);
        }
        let addresses = bound.iter().map(|(address, _)| *address).collect();
        Ok(Self {
            bound: bound.into_iter().map(|(_, bound)| bound).collect(),
            addresses,
            config: config.clone(),
        })
    }

    /// Returns the addresses it answers on, with the ports that the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers until `ended` completes, then finishes what is under way. Call it in a runtime, once the table is full.
    ///
    /// # Errors
    /// A thread or task that ended by itself.
    pub async fn serve(
        self,
        table: Arc<Table>,
        metrics: &DnsMetrics,
        seed: u64,
        ended: impl Future<Output = ()>,
    ) -> Result<(), Died> {
        let (stop, _) = watch::channel(false);
        let log = QueryLog::new(self.config.query_log_every, metrics);
        let (log, lines) = log.map_or((None, None), |(log, lines)| (Some(log), Some(lines)));
        let serving = Arc::new(Serving {
            places: Arc::new(Places::new(
                self.config.tcp_connections_max,
                self.config.tcp_connections_per_client_max,
                metrics.clone(),
            )),
            counts: metrics.writer(Transport::Tcp),
            table,
            config: self.config,
            randoms: AtomicU64::new(seed),
            tcp_log: log.clone().map(Mutex::new),
            is_stopping: AtomicBool::new(false),
            stop,
        });
        // Dropped by whoever ends: a thread that panics drops its own too.
        let (alive, mut death) = mpsc::channel::<()>(1);
        let mut crew = Crew {
            serving: Arc::clone(&serving),
            threads: Vec::new(),
            tasks: TaskTracker::new(),
            alive,
            failed: false,
        };
        let mut chance = Chance::new(seed);
        for bound in self.bound {
            for socket in bound.udp {
                if let Some(inode) = socket.inode() {
                    metrics.watch_socket(inode);
                }
                crew.work(Worker {
                    socket,
                    serving: Arc::clone(&serving),
                    counts: metrics.writer(Transport::Udp),
                    log: log.clone(),
                    chance: Chance::new(chance.next()),
                });
            }
            crew.accept(bound.tcp);
        }
        if let Some(lines) = lines {
            let writing = move || query_log::write(&lines);
            let name = "waypost-dns-log".to_owned();
            crew.failed |= std::thread::Builder::new()
                .name(name)
                .spawn(writing)
                .is_err();
        }
        drop(log);
        let died = crew.failed
            || tokio::select! {
                () = ended => false,
                dead = death.recv() => dead.is_some(),
            };
        serving.is_stopping.store(true, Ordering::Relaxed);
        serving.stop.send_replace(true);
        crew.tasks.close();
        crew.tasks.wait().await;
        let threads = crew.threads;
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().all(|thread| thread.join().is_ok())
        });
        let all_well = joined.await.unwrap_or(false);
        if died || !all_well { Err(Died) } else { Ok(()) }
    }
}

/// Who answers.
struct Crew {
    serving: Arc<Serving>,
    threads: Vec<JoinHandle<()>>,
    tasks: TaskTracker,
    alive: mpsc::Sender<()>,
    failed: bool,
}

impl Crew {
    fn work(&mut self, worker: Worker) {
        let name = format!("waypost-dns-{}", self.threads.len());
        let mark = Mark(self.alive.clone());
        let work = move || {
            let _mark = mark;
            worker.run();
        };
        match std::thread::Builder::new().name(name).spawn(work) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                tracing::error!(%error, "a DNS worker cannot be started");
                self.failed = true;
            }
        }
    }

    fn accept(&mut self, tcp: std::net::TcpListener) {
        match TcpListener::from_std(tcp) {
            Ok(listener) => {
                let mark = Mark(self.alive.clone());
                let serving = Arc::clone(&self.serving);
                let accepting = tcp::accept(listener, serving, self.tasks.clone());
                self.tasks.spawn(async move {
                    let _mark = mark;
                    accepting.await;
                });
            }
            Err(error) => {
                tracing::error!(%error, "DNS connections cannot be accepted");
                self.failed = true;
            }
        }
    }
}

/// Says, when it is dropped, that its thread or task has ended.
struct Mark(mpsc::Sender<()>);

impl Drop for Mark {
    fn drop(&mut self) {
        // Full means that somebody said so already.
        let _ = self.0.try_send(());
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

fn bind(address: SocketAddr, workers: usize) -> Result<(SocketAddr, Bound), BindError> {
    for last in (0..PORT_TRIES).rev() {
        let tcp = listen(address).map_err(|cause| refusal(address, "TCP", cause))?;
        let bound = tcp
            .local_addr()
            .map_err(|cause| refusal(address, "TCP", cause))?;
        match bind_udp(bound, workers) {
            Ok(udp) => return Ok((bound, Bound { tcp, udp })),
            Err(_) if address.port() == 0 && last > 0 => {}
            Err(cause) => return Err(refusal(bound, "UDP", cause)),
        }
    }
    Err(refusal(address, "UDP", io::ErrorKind::AddrInUse.into()))
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
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
