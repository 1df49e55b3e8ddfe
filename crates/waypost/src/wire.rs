//! The composition root: the only place that knows every crate.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use waypost_access::{Authenticator, ServerKey};
use waypost_api_cloudmap::{CloudMapContext, CloudMapMetrics, Delayed};
use waypost_api_dns::{DnsMetrics, DnsServer, Table};
use waypost_api_rest::{DnsFacts, DnsTtls, RestContext, RestMetrics};
use waypost_config::Loaded;
use waypost_core::{
    Author, Clock, Dialect, Epoch, Journal, MemoryJournal, MemoryStore, Opened, Parts, Policy,
    Registry, Snapshots, SoleOwner, Store, SystemClock, random_seeds, text,
};
use waypost_datagram::{Protocol, who_holds};
use waypost_dial::{AddressPolicy, Dialer, Limits, Resolver};
use waypost_health::{Checker, Probes, Tls};
use waypost_http::{
    BindError, Condition, Gate, HttpMetrics, Ops, ReadyReport, RequestHead, Router, Server,
    Service, ops_routes,
};
use waypost_store_sqlite::{SqliteJournal, SqliteStore};
use waypost_telemetry::BuildLabels;

use crate::config::{Config, StoreKind};
use crate::pulse::{Answering, Pulse, pulse};
use crate::reload::Reload;
use crate::supervision::Inherited;

mod credentials;
mod damage;
mod keepers;
mod rules;
#[cfg(test)]
mod tests;

use credentials::{authenticator, follow, may_listen, may_read_metrics};
use damage::damage;
use keepers::{Keepers, certificate};
use rules::may_have_issued;
pub(crate) use rules::{Secrets, check};

/// Lines that a journal in memory keeps.
const MEMORY_JOURNAL_LINES: usize = 100_000;

/// Why the server does not start.
#[derive(Debug)]
pub(crate) enum ServeError {
    /// The configuration asks for what cannot be.
    Usage(String),
    /// The system refuses.
    Failed(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

fn failed(error: impl fmt::Display) -> ServeError {
    ServeError::Failed(error.to_string())
}

/// A server that is put together and not yet serving.
pub(crate) struct Waypost {
    server: Server,
    service: Service,
    dns: Dns,
    writer: JoinHandle<()>,
    checker: Checker,
    delayed: Option<Delayed>,
    timekeeper: waypost_core::Timekeeper,
    engine: Engine,
    keepers: Keepers,
    draining: watch::Sender<bool>,
    stop_writer: watch::Sender<bool>,
    needs_credentials: bool,
    pulse: Pulse,
    /// Parts that can follow the configuration while they run.
    pub(crate) reloads: Vec<Reload>,
}

/// The DNS server with what it answers from.
struct Dns {
    server: DnsServer,
    table: Arc<Table>,
    metrics: DnsMetrics,
}

/// The engine, kept apart from the registry so that it can be closed after the last commit.
#[derive(Clone)]
enum Engine {
    Sqlite(Arc<SqliteStore>),
    Memory,
}

impl Engine {
    /// Says how the disk of the store is.
    fn disk(&self) -> Condition {
        let warning = match self {
            Self::Sqlite(store) => store.disk_warning(),
            Self::Memory => None,
        };
        match warning {
            None => Condition::ok("store-disk"),
            // What is there is served: readiness stays, the name says what was found.
            Some(warning) => Condition::ok(format!("store-disk with a warning ({warning})")),
        }
    }
}

struct Storage {
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    engine: Engine,
    server_key: ServerKey,
}

/// Puts the server together: sockets are bound early and served late.
pub(crate) async fn open(
    loaded: &Loaded<Config>,
    sockets: Inherited,
) -> Result<Waypost, ServeError> {
    let config = &loaded.value;
    let Secrets {
        checks: tls,
        listener,
    } = check(loaded)?;
    let (server, dns) = listen(config, sockets)?;
    let server = server.secured(listener.clone());
    let table = Arc::new(table(config));
    let on_loopback = server.local_addr().ip().is_loopback();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let storage = open_storage(config, &clock)?;
    let authenticator = authenticator(config, storage.server_key, on_loopback)?;
    let mut parts = parts(config, storage.store, storage.journal, Arc::clone(&clock));
    parts.policy.probe_rules = Some(Arc::new(tls.clone()));
    // Without a listener nobody asks: then no change pays for it.
    if !dns.local_addrs().is_empty() {
        parts.projections.push(Arc::clone(&table) as _);
    }
    let Opened {
        registry,
        writer,
        timekeeper,
        snapshots,
        quarantined,
    } = Registry::open(parts).await.map_err(failed)?;
    let quarantined = damage(quarantined, &storage.engine, &registry).await;
    let mut metrics = waypost_telemetry::new_registry(build_labels());
    registry
        .metrics()
        .register(&mut metrics, &registry, &snapshots);
    if let Some(tls) = &listener {
        tls.register(&mut metrics);
    }
    let data = (&registry, &snapshots);
    let keepers = Keepers::new(&authenticator, data, listener.clone());
    let keepers = keepers.of_the_store(&storage.engine, config, (&snapshots, &clock), &mut metrics);
    let dns = Dns {
        server: dns,
        table,
        metrics: DnsMetrics::register(&mut metrics),
    };
    let checker = checker(config, &tls, on_loopback, data, &mut metrics);
    let address = server.local_addr().ip();
    follow(&authenticator, (config, address), (&snapshots, &clock))?;
    let (draining, stopping) = watch::channel(false);
    let served = (&dns, &stopping);
    let kept = (storage.engine.clone(), quarantined.len());
    let (service, delayed) = service(config, data, &authenticator, served, kept, metrics)?;
    let reloads = listener.into_iter().map(certificate);
    let (stop_writer, stopped) = watch::channel(false);
    let (pulse, answering) = pulse();
    let writer = spawn_writer(writer, answering, stopped)?;
    Ok(Waypost {
        server,
        service,
        dns,
        writer,
        checker,
        delayed,
        timekeeper,
        engine: storage.engine,
        keepers,
        draining,
        stop_writer,
        needs_credentials: authenticator.needs_credentials(),
        pulse,
        reloads: reloads.collect(),
    })
}

/// Makes the routes of every protocol over HTTP, with what bounds them.
fn service(
    config: &Config,
    data: (&Registry, &Snapshots),
    authenticator: &Arc<Authenticator>,
    (dns, stopping): (&Dns, &watch::Receiver<bool>),
    store: (Engine, usize),
    mut metrics: prometheus_client::registry::Registry,
) -> Result<(Service, Option<Delayed>), ServeError> {
    let http_metrics = HttpMetrics::register(&mut metrics);
    let served = (dns, stopping);
    let rest = rest_context(config, data, authenticator, served, &mut metrics);
    let (cloud_map, delayed) = cloud_map(config, data, authenticator, &mut metrics);
    let (registry, _) = data;
    let ops = ops(registry, authenticator, stopping.clone(), store, metrics);
    let router = waypost_api_rest::router(rest).merge(ops).map_err(failed)?;
    let router = router.merge(cloud_map).map_err(failed)?;
    let service = Service::new(router, &http_metrics, &config.http).map_err(failed)?;
    Ok((service.guarded_by(gate(registry, authenticator)), delayed))
}

/// Takes the sockets that were handed over, and binds what was not.
fn listen(config: &Config, sockets: Inherited) -> Result<(Server, DnsServer), ServeError> {
    let server = match sockets.http {
        Some(listener) => Server::over(&config.http, listener),
        None => Server::bind(&config.http),
    };
    let server = server.map_err(|error| refused(&error))?;
    // The rules saw the address of the settings, in whose place a socket may have come.
    if !may_have_issued(config) {
        may_listen(config, server.local_addr().ip())?;
    }
    let dns = if sockets.dns.is_empty() {
        DnsServer::bind(&config.dns)
    } else {
        DnsServer::over(&config.dns, sockets.dns)
    };
    Ok((server, dns.map_err(failed)?))
}

/// Says who holds a port that is taken, and what to do.
fn refused(error: &BindError) -> ServeError {
    let BindError::Listen { address, cause } = error else {
        return failed(error);
    };
    if cause.kind() != std::io::ErrorKind::AddrInUse {
        return failed(error);
    }
    let holder = who_holds(address.port(), Protocol::Tcp).map_or_else(
        || "another process holds the port".to_owned(),
        |holder| format!("{holder} holds the port"),
    );
    failed(format!(
        "{error}; {holder}: stop it, or choose another with --http ADDRESS:PORT"
    ))
}

fn table(config: &Config) -> Table {
    let table = Table::new(&config.dns);
    match &config.cloudmap.api_name {
        Some(name) => table
            .with_own_name(name)
            .with_own_name(&format!("data-{name}")),
        None => table,
    }
}

/// Makes the routes of the Cloud Map API; none when it is off.
fn cloud_map(
    config: &Config,
    (registry, snapshots): (&Registry, &Snapshots),
    authenticator: &Arc<Authenticator>,
    metrics: &mut prometheus_client::registry::Registry,
) -> (Router, Option<Delayed>) {
    if !config.cloudmap.enabled {
        return (Router::new(), None);
    }
    let (router, delayed) = waypost_api_cloudmap::open(CloudMapContext {
        registry: registry.clone(),
        snapshots: snapshots.clone(),
        authenticator: Arc::clone(authenticator),
        config: config.cloudmap.clone(),
        metrics: CloudMapMetrics::register(metrics),
    });
    (router, Some(delayed))
}

fn rest_context(
    config: &Config,
    (registry, snapshots): (&Registry, &Snapshots),
    authenticator: &Arc<Authenticator>,
    (dns, stopping): (&Dns, &watch::Receiver<bool>),
    metrics: &mut prometheus_client::registry::Registry,
) -> RestContext {
    RestContext {
        registry: registry.clone(),
        authenticator: Arc::clone(authenticator),
        config: config.rest.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        metrics: RestMetrics::register(metrics),
        snapshots: snapshots.clone(),
        dns: DnsFacts {
            listen: dns.server.local_addrs().to_vec(),
            ttls: DnsTtls {
                seconds: config.dns.ttl_seconds,
                seconds_max: config.dns.ttl_seconds_max,
            },
            reverse_zones: dns.table.reverse_zones(),
        },
        stopping: stopping.clone(),
    }
}

fn parts(
    config: &Config,
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
) -> Parts {
    Parts {
        store,
        journal,
        clock,
        ownership: Arc::new(SoleOwner),
        projections: Vec::new(),
        policy: Policy {
            implied: config.core.implied,
            instances_per_service_max: config.core.instances_per_service_max,
            queued_changes_max: config.core.queued_changes_max,
            probe_rules: None,
        },
        seeds: random_seeds(),
    }
}

fn build_labels() -> BuildLabels {
    BuildLabels {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("WAYPOST_COMMIT")
            .unwrap_or("unknown")
            .to_owned(),
    }
}

/// Lets in who does not ask too often; whoever does is noted.
fn gate(registry: &Registry, authenticator: &Arc<Authenticator>) -> Gate {
    let registry = registry.clone();
    let authenticator = Arc::clone(authenticator);
    Arc::new(move |peer| {
        authenticator.admit(peer).inspect_err(|_| {
            let author = Author {
                subject: text("unknown"),
                address: Some(peer),
                dialect: Dialect::Rest,
            };
            let why = "the address sends more requests than its rate allows";
            registry.note_refusal(&author, "any request", "throttled", why);
        })
    })
}

fn open_storage(config: &Config, clock: &Arc<dyn Clock>) -> Result<Storage, ServeError> {
    match config.core.store {
        StoreKind::Memory => Ok(Storage {
            store: Arc::new(MemoryStore::new(Epoch(random_u64()))),
            journal: Arc::new(MemoryJournal::new(MEMORY_JOURNAL_LINES)),
            engine: Engine::Memory,
            server_key: ServerKey::ephemeral().map_err(failed)?,
        }),
        StoreKind::Sqlite => {
            let settings = &config.store_sqlite;
            let store = Arc::new(SqliteStore::open(settings, Arc::clone(clock)).map_err(failed)?);
            let journal =
                SqliteJournal::open(&store, settings, Arc::clone(clock)).map_err(failed)?;
            // The store has made and locked the directory.
            let server_key =
                ServerKey::load_or_create(&settings.data_dir.join("server.key")).map_err(failed)?;
            Ok(Storage {
                store: Arc::clone(&store) as Arc<dyn Store>,
                journal: Arc::new(journal),
                engine: Engine::Sqlite(store),
                server_key,
            })
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "half of the random bits are wanted"
)]
fn random_u64() -> u64 {
    random_seeds()().0 as u64
}

fn checker(
    config: &Config,
    tls: &Tls,
    on_loopback: bool,
    (registry, snapshots): (&Registry, &Snapshots),
    metrics: &mut prometheus_client::registry::Registry,
) -> Checker {
    let policy = AddressPolicy::new(&config.dial, on_loopback);
    let parts = waypost_health::Parts {
        registry: registry.clone(),
        snapshots: snapshots.clone(),
        ownership: Arc::new(SoleOwner),
        resolver: Resolver::new(&config.dial, policy),
        limits: Limits::new(&config.dial),
        probes: Probes::new(&Dialer::new(&config.dial), tls),
        config: config.health.clone(),
    };
    Checker::new(parts, metrics)
}

fn ops(
    registry: &Registry,
    authenticator: &Arc<Authenticator>,
    draining: watch::Receiver<bool>,
    (engine, quarantined): (Engine, usize),
    metrics: prometheus_client::registry::Registry,
) -> Router {
    let (asked, authenticator) = (registry.clone(), Arc::clone(authenticator));
    let registry = registry.clone();
    let ready = move || {
        let writes = match registry.read_only() {
            None => Condition::ok("store-writes"),
            Some(why) => Condition::failed("store-writes", why),
        };
        let serving = if *draining.borrow() {
            Condition::failed("serving", "the server is stopping")
        } else {
            Condition::ok("serving")
        };
        let damaged = match quarantined {
            0 => Condition::ok("store-intact"),
            // Everything else is served: readiness stays, the name says what was found.
            count => Condition::ok(format!(
                "store-intact except {count} damaged objects, see the log"
            )),
        };
        ReadyReport {
            conditions: vec![serving, writes, engine.disk(), damaged],
        }
    };
    let may_read = move |head: &RequestHead| may_read_metrics(&asked, &authenticator, head);
    ops_routes(Ops {
        ready: Arc::new(ready),
        metrics: Arc::new(move || waypost_telemetry::encode(&metrics)),
        may_read: Arc::new(may_read),
    })
}

/// The writer has a thread of its own, since a commit blocks for as long as the disk takes.
fn spawn_writer(
    writer: waypost_core::Writer,
    answering: Answering,
    mut stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(failed)?;
    let work = move || {
        let stopped = async move {
            drop(stopped.wait_for(|stop| *stop).await);
        };
        runtime.block_on(async {
            tokio::select! {
                () = writer.run(stopped) => {}
                () = answering.run() => {}
            }
        });
    };
    std::thread::Builder::new()
        .name("waypost-writer".to_owned())
        .spawn(work)
        .map_err(failed)
}

impl Waypost {
    /// Returns the address that HTTP is served on.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Returns the addresses that DNS is answered on.
    pub(crate) fn dns_addrs(&self) -> &[SocketAddr] {
        self.dns.server.local_addrs()
    }

    /// Returns what tells whether the writer still turns.
    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Says whether requests need a token.
    pub(crate) fn needs_credentials(&self) -> bool {
        self.needs_credentials
    }

    /// Serves until `ended` completes or a part dies, then stops in order. A death is an error: whoever supervises the
    /// process must start it again.
    pub(crate) async fn run(
        self,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let tasks = TaskTracker::new();
        let (stop, stopping) = watch::channel(false);
        let until = |mut stopping: watch::Receiver<bool>| async move {
            drop(stopping.wait_for(|stop| *stop).await);
        };
        let checker = tasks.spawn(self.checker.run(until(stopping.clone())));
        let timekeeper = tasks.spawn(self.timekeeper.run(until(stopping.clone())));
        let keepers = tasks.spawn(self.keepers.run(stopping.clone()));
        let delayed = self.delayed;
        let ends = until(stopping.clone());
        let delayed = tasks.spawn(async move {
            match delayed {
                Some(delayed) => delayed.run(ends).await,
                None => ends.await,
            }
        });
        let dns = self.dns;
        let dns = tasks.spawn(async move {
            let Dns {
                server,
                table,
                metrics,
            } = dns;
            server
                .serve(table, &metrics, random_u64(), until(stopping))
                .await
        });
        let draining = self.draining;
        let stop_writer = self.stop_writer.clone();
        let connections = TaskTracker::new();
        let died = Arc::new(OnceLock::new());
        let death = Arc::clone(&died);
        let ended = async move {
            // A part that dies ends the process: a registry that no longer checks or expires must not look alive.
            let dead = tokio::select! {
                () = ended => None,
                _ = checker => Some("the checker"),
                _ = timekeeper => Some("the timekeeper"),
                _ = dns => Some("the DNS server"),
                _ = delayed => Some("the keeper of delayed health"),
                _ = keepers => Some("a keeper"),
                () = stop_writer.closed() => Some("the writer"),
            };
            if let Some(part) = dead {
                tracing::error!(part, "a part of the server has died: stopping");
                death.get_or_init(|| part);
            }
            draining.send_replace(true);
        };
        self.server.serve(self.service, ended, &connections).await;
        stop.send_replace(true);
        tasks.close();
        tasks.wait().await;
        self.stop_writer.send_replace(true);
        let joined = tokio::task::spawn_blocking(move || self.writer.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            died.get_or_init(|| "the writer");
        }
        if let Engine::Sqlite(store) = self.engine
            && let Err(error) = store.close()
        {
            tracing::error!(error = %error, "the store was not closed in order: the next start reads its log");
        }
        match died.get() {
            None => Ok(()),
            Some(part) => Err(ServeError::Failed(format!("{part} has died"))),
        }
    }
}
