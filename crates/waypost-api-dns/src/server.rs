//! The server: sockets that are bound early and served late, and what its threads and tasks share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::answer::Transport;
use crate::chance::Chance;
use crate::metrics::{Counts, DnsMetrics};
use crate::places::Places;
use crate::query_log::{self, QueryLog};
use crate::settings::DnsConfig;
use crate::sockets::{self, BindError, Bound, Given};
use crate::table::Table;
use crate::tcp;
use crate::udp::Worker;

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
        let bound = sockets::bind_all(config)?;
        Ok(Self::new(bound, config.clone()))
    }

    /// Takes sockets that are bound already, in place of the addresses of the settings.
    ///
    /// # Errors
    /// DNS that the settings turn off, a setting outside of what it may be, a socket over UDP without one over TCP on the
    /// same address or the other way round, or a socket that the system does not let be used.
    pub fn over(config: &DnsConfig, given: Given) -> Result<Self, BindError> {
        let bound = sockets::take(config, given)?;
        let config = DnsConfig {
            listen: bound.iter().map(|it| it.address.to_string()).collect(),
            ..config.clone()
        };
        config.validate().map_err(BindError::Setting)?;
        Ok(Self::new(bound, config))
    }

    fn new(bound: Vec<Bound>, config: DnsConfig) -> Self {
        Self {
            addresses: bound.iter().map(|bound| bound.address).collect(),
            bound,
            config,
        }
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
