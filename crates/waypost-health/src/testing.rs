//! What the tests share: targets on real sockets that behave as told, and a registry with a checker in this process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use waypost_core::{
    Access, Addresses, Check, CheckId, CheckKind, Command, Dialect, Epoch, HttpProbe, Instance,
    InstanceId, InstanceKey, ManualClock, MemoryJournal, MemoryStore, Ownership, Policy,
    ProbeProtocol, ProbeSpec, RegistrationSpec, Registry, ServiceChange, ServiceKey, ServiceSpec,
    Snapshots, SoleOwner, Store, Timestamp, random_seeds,
};
use waypost_dial::{AddressPolicy, DialConfig, Dialer, Limits, Resolver};

use crate::{Checker, HealthConfig, Parts, Probes, Tls};

pub(crate) mod tls;

/// Longer than any test waits for something that does happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a target does with a connection.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Reads the request, sends these bytes and closes.
    Says(Vec<u8>),
    /// Sends the request's head back as the body of its answer.
    Echoes,
    /// Sends these bytes and then nothing, holding the connection.
    Stalls(Vec<u8>),
}

pub(crate) fn answer(status: u16, body: &str) -> Manner {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
    Manner::Says(head.into_bytes())
}

pub(crate) fn hangs() -> Manner {
    Manner::Stalls(Vec::new())
}

/// A target; its connections end with it.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    /// How many connections came, and how many of those that stalled the other side closed.
    counts: watch::Receiver<(usize, usize)>,
    _tasks: JoinSet<()>,
}

impl Target {
    pub(crate) async fn new(manner: Manner) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), manner).await
    }

    pub(crate) async fn at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let manner = Arc::new(Mutex::new(manner));
        let (count, counts) = watch::channel((0, 0));
        let mut tasks = JoinSet::new();
        let told = Arc::clone(&manner);
        tasks.spawn(async move {
            let count = Arc::new(count);
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.send_modify(|counts| counts.0 += 1);
                let manner = told.lock().unwrap().clone();
                let count = Arc::clone(&count);
                connections.spawn(async move {
                    if serve(stream, manner).await {
                        count.send_modify(|counts| counts.1 += 1);
                    }
                });
            }
        });
        Self {
            address,
            manner,
            counts,
            _tasks: tasks,
        }
    }

    pub(crate) fn turns_to(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.borrow().0
    }

    pub(crate) async fn has_connections(&mut self, count: usize) {
        let enough = self.counts.wait_for(|counts| counts.0 >= count);
        tokio::time::timeout(PATIENCE, enough)
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until the other side has closed a connection that this one held.
    pub(crate) async fn was_left(&mut self) {
        let left = self.counts.wait_for(|counts| counts.1 > 0);
        tokio::time::timeout(PATIENCE, left).await.unwrap().unwrap();
    }
}

/// Serves one connection; says whether it was held until the other side closed it.
async fn serve(mut stream: TcpStream, manner: Manner) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            // A TCP probe opens and closes.
            Err(_) => return false,
        }
    }
    let manner = match manner {
        Manner::Echoes => answer(200, &String::from_utf8(head).unwrap()),
        other => other,
    };
    match manner {
        Manner::Echoes => false,
        Manner::Says(bytes) => {
            // The probe may have read enough and closed, which is what one of the tests is about.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Manner::Stalls(bytes) => {
            stream.write_all(&bytes).await.unwrap();
            let _ = stream.read(&mut [0; 16]).await;
            true
        }
    }
}

/// An address at which nothing listens: no other test uses that part of loopback, so that it stays so.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.3:0").await.unwrap();
    listener.local_addr().unwrap()
}

pub(crate) fn dial() -> DialConfig {
    DialConfig {
        allow_loopback: true,
        ..DialConfig::default()
    }
}

pub(crate) fn no_profiles() -> Tls {
    Tls::load(&HealthConfig::default()).unwrap()
}

pub(crate) fn service() -> ServiceKey {
    ServiceKey::new("svc.internal", "web").unwrap()
}

pub(crate) fn key(id: &str) -> InstanceKey {
    InstanceKey::new("svc.internal", "web", id).unwrap()
}

pub(crate) fn check_of(id: &str, protocol: ProbeProtocol) -> Check {
    let probe = ProbeSpec::new(protocol);
    Check::new(CheckId::new(id).unwrap(), CheckKind::Probe(probe))
}

pub(crate) fn http() -> Check {
    check_of("http", ProbeProtocol::Http(HttpProbe::default()))
}

pub(crate) fn http_within(milliseconds: u32) -> Check {
    let mut check = http();
    if let CheckKind::Probe(probe) = &mut check.kind {
        probe.timeout_milliseconds = milliseconds;
    }
    check
}

pub(crate) fn at(address: SocketAddr) -> RegistrationSpec {
    let addresses = Addresses::parse("address", &address.ip().to_string()).unwrap();
    RegistrationSpec::new(addresses, address.port(), Dialect::Rest)
}

pub(crate) fn at_host(host: &str, port: u16) -> RegistrationSpec {
    let addresses = Addresses::parse("address", host).unwrap();
    RegistrationSpec::new(addresses, port, Dialect::Rest)
}

/// How a world is made.
pub(crate) struct Setup {
    pub(crate) dial: DialConfig,
    pub(crate) config: HealthConfig,
    pub(crate) ownership: Arc<dyn Ownership>,
    pub(crate) probes: Option<Probes>,
    pub(crate) store: Arc<dyn Store>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            dial: dial(),
            // Without jitter, so that a test knows when a probe is due.
            config: HealthConfig {
                jitter_percent: 0,
                ..HealthConfig::default()
            },
            ownership: Arc::new(SoleOwner),
            probes: None,
            store: Arc::new(MemoryStore::new(Epoch(1))),
        }
    }
}

/// A registry with a running checker, at a clock that a test moves.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) snapshots: Snapshots,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) access: Access,
    metrics: prometheus_client::registry::Registry,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl World {
    pub(crate) async fn new(checks: &[Check]) -> Self {
        Self::with(Setup::default(), checks).await
    }

    pub(crate) async fn with(setup: Setup, checks: &[Check]) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let opened = Registry::open(waypost_core::Parts {
            store: setup.store,
            journal: Arc::new(MemoryJournal::new(1_000)),
            clock: Arc::clone(&clock) as Arc<dyn waypost_core::Clock>,
            ownership: Arc::new(SoleOwner),
            projections: Vec::new(),
            policy: Policy::default(),
            seeds: random_seeds(),
        })
        .await
        .unwrap();
        let mut metrics = prometheus_client::registry::Registry::default();
        let dialer = Dialer::new(&setup.dial);
        let policy = AddressPolicy::new(&setup.dial, false);
        let checker = Checker::new(
            Parts {
                registry: opened.registry.clone(),
                snapshots: opened.snapshots.clone(),
                ownership: setup.ownership,
                resolver: Resolver::new(&setup.dial, policy),
                limits: Limits::new(&setup.dial),
                probes: setup
                    .probes
                    .unwrap_or_else(|| Probes::new(&dialer, &no_profiles())),
                config: setup.config,
            },
            &mut metrics,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(opened.writer.run(std::future::pending()));
        let (stop, stopped) = oneshot::channel();
        tasks.spawn(checker.run(async move {
            let _ = stopped.await;
        }));
        let world = Self {
            registry: opened.registry,
            snapshots: opened.snapshots,
            clock,
            access: Access::internal("test"),
            metrics,
            stop,
            tasks,
        };
        let change = ServiceChange {
            checks: Some(Arc::from(checks)),
            ..ServiceChange::default()
        };
        world
            .apply(Command::CreateService(ServiceSpec {
                key: service(),
                change,
                request_id: None,
            }))
            .await;
        world
    }

    pub(crate) async fn apply(&self, command: Command) {
        self.registry.apply(&self.access, command).await.unwrap();
    }

    pub(crate) async fn configure(&self, checks: &[Check]) {
        let change = ServiceChange {
            checks: Some(Arc::from(checks)),
            ..ServiceChange::default()
        };
        self.apply(Command::UpdateService {
            key: service(),
            change,
            expected: None,
        })
        .await;
    }

    pub(crate) async fn register(&self, id: &str, spec: RegistrationSpec) {
        self.apply(Command::Register {
            service: service(),
            id: InstanceId::new(id).unwrap(),
            owner: None,
            spec: Arc::new(spec),
            defaults: ServiceChange::default(),
        })
        .await;
    }

    pub(crate) async fn deregister(&self, id: &str) {
        self.apply(Command::Deregister {
            service: service(),
            id: InstanceId::new(id).unwrap(),
            owner: None,
        })
        .await;
    }

    /// Stops the checker and waits for it.
    pub(crate) async fn stop(mut self) {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_next());
        ended.await.unwrap().unwrap().unwrap();
    }

    pub(crate) fn instance(&self, id: &str) -> Arc<Instance> {
        Arc::clone(self.snapshots.latest().instance(&key(id)).unwrap())
    }

    /// Lets everything else run until the condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let holds = async {
            while !condition(self) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, holds).await;
        assert!(waited.is_ok(), "waited in vain: {what}\n{}", self.scrape());
    }

    /// Waits until a probe of the instance has ended at this moment of the clock.
    pub(crate) async fn was_probed(&self, id: &str) {
        let now = waypost_core::Clock::wall(&*self.clock);
        self.until(&format!("a probe of {id}"), |world| {
            world.instance(id).vitals().last_probe() == Some(now)
        })
        .await;
    }

    pub(crate) async fn has_reason(&self, id: &str, reason: &str) {
        self.until(&format!("{id} to say {reason:?}"), |world| {
            &*world.instance(id).verdict().reason == reason
        })
        .await;
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Waits until the checker has seen every change up to here and taken every turn that is due: an instance that is
    /// registered after all of that has been probed.
    pub(crate) async fn settled(&self) {
        let target = Target::new(answer(200, "")).await;
        let mut spec = at(target.address);
        spec.checks = Arc::from([check_of("barrier", ProbeProtocol::Tcp)]);
        let id = format!("barrier-{}", target.address.port());
        self.register(&id, spec).await;
        self.until("the barrier", |world| {
            world
                .instance(&id)
                .verdict()
                .checks
                .iter()
                .any(|check| check.id.as_str() == "barrier")
        })
        .await;
        self.deregister(&id).await;
    }

    pub(crate) fn scrape(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.metrics).unwrap();
        text
    }

    /// Returns the value of a sample, 0 when there is none.
    pub(crate) fn metric(&self, sample: &str) -> u64 {
        let text = self.scrape();
        let value = text.lines().find_map(|line| line.strip_prefix(sample));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }
}
