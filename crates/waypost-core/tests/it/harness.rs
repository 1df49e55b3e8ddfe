//! A registry in one thread with a manual clock, and short ways to speak to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waypost_core::{
    Access, Addresses, Applied, Check, CheckId, CheckKind, CheckState, Clock, Command, Dialect,
    Instance, InstanceId, InstanceKey, Lease, LeaseStart, ManualClock, MemoryJournal, Opened,
    Parts, Policy, Projection, RegistrationSpec, Registry, RegistryError, Report, SWEEP_INTERVAL,
    Seed, ServiceChange, ServiceKey, Snapshots, SoleOwner, Store, Timekeeper, Timestamp, text,
};

pub const START: Timestamp = Timestamp(1_700_000_000_000);

pub fn everything() -> Access {
    Access::everything("test", Dialect::Rest, None)
}

pub fn service() -> ServiceKey {
    ServiceKey::new("svc.internal", "web").unwrap()
}

pub fn key(id: &str) -> InstanceKey {
    InstanceKey::new("svc.internal", "web", id).unwrap()
}

pub fn spec(port: u16) -> RegistrationSpec {
    RegistrationSpec::new(
        Addresses::parse("host", "10.0.0.1").unwrap(),
        port,
        Dialect::Rest,
    )
}

pub fn leased(port: u16, seconds: u32) -> RegistrationSpec {
    let lease = Lease {
        seconds,
        start: LeaseStart::Registration,
        renewed_by_checks: false,
    };
    RegistrationSpec {
        lease: Some(lease),
        ..spec(port)
    }
}

pub fn reported(port: u16) -> RegistrationSpec {
    let check = Check::new(CheckId::new("said").unwrap(), CheckKind::Reported);
    RegistrationSpec {
        checks: Arc::from([check]),
        ..spec(port)
    }
}

pub fn register_in(service: ServiceKey, id: &str, spec: RegistrationSpec) -> Command {
    Command::Register {
        service,
        id: InstanceId::new(id).unwrap(),
        owner: None,
        spec: Arc::new(spec),
        defaults: ServiceChange::default(),
    }
}

pub fn register(id: &str, spec: RegistrationSpec) -> Command {
    register_in(service(), id, spec)
}

pub fn deregister(id: &str) -> Command {
    Command::Deregister {
        service: service(),
        id: InstanceId::new(id).unwrap(),
        owner: None,
    }
}

pub fn said(key: InstanceKey, state: CheckState) -> Command {
    Command::Report(Report {
        key,
        registration: None,
        check: CheckId::new("said").unwrap(),
        state,
        reason: text("somebody said so"),
        body: None,
        resolved: None,
    })
}

/// Seeds that repeat themselves, unlike those of any other registry of the test.
pub fn seeds(of: u64) -> Box<dyn FnMut() -> Seed + Send> {
    let mut state = of.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Box::new(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Seed((u128::from(state) << 64) | u128::from(state.rotate_left(17)))
    })
}

pub struct Harness {
    pub registry: Registry,
    pub snapshots: Snapshots,
    pub clock: Arc<ManualClock>,
    pub timekeeper: Timekeeper,
    tasks: JoinSet<()>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Harness {
    pub async fn over(store: Arc<dyn Store>, clock: Arc<ManualClock>, seed: u64) -> Self {
        Self::with(store, clock, seed, Vec::new()).await
    }

    pub async fn with(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        seed: u64,
        projections: Vec<Arc<dyn Projection>>,
    ) -> Self {
        let parts = Parts {
            store,
            journal: Arc::new(MemoryJournal::new(10_000)),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ownership: Arc::new(SoleOwner),
            projections,
            policy: Policy::default(),
            seeds: seeds(seed),
        };
        let Opened {
            registry,
            writer,
            timekeeper,
            snapshots,
            ..
        } = Registry::open(parts).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(async move {
            drop(stopped.await);
        }));
        Self {
            registry,
            snapshots,
            clock,
            timekeeper,
            tasks,
            stop: Some(stop),
        }
    }

    pub async fn apply(&self, command: Command) -> Result<Applied, RegistryError> {
        self.registry.apply(&everything(), command).await
    }

    pub async fn beat(&self, id: &str) -> Result<waypost_core::Beat, RegistryError> {
        self.registry
            .heartbeat(&everything(), &key(id), None, None)
            .await
    }

    /// Returns when everything found so far is committed and published.
    pub async fn settle(&self) {
        for _ in 0..3 {
            let nobody = InstanceId::new("nobody").unwrap();
            let barrier = Command::Deregister {
                service: service(),
                id: nobody,
                owner: None,
            };
            drop(self.apply(barrier).await);
        }
    }

    /// Lets time pass as it does: with a sweep every quarter of a second.
    pub async fn pass(&mut self, duration: Duration) {
        let mut left = duration;
        while left > Duration::ZERO {
            let step = left.min(SWEEP_INTERVAL);
            self.clock.advance(step);
            self.timekeeper.sweep();
            self.settle().await;
            left -= step;
        }
    }

    /// Lets time pass without the process running, then sweeps once.
    pub async fn freeze(&mut self, duration: Duration) {
        self.clock.advance(duration);
        self.timekeeper.sweep();
        self.settle().await;
    }

    pub fn instance(&self, id: &str) -> Option<Arc<Instance>> {
        self.snapshots.latest().instance(&key(id)).cloned()
    }

    pub fn rotation(&self) -> Vec<String> {
        let snapshot = self.snapshots.latest();
        let Some(state) = snapshot.service(&service()) else {
            return Vec::new();
        };
        state
            .rotation()
            .instances()
            .iter()
            .map(|i| i.key().id.to_string())
            .collect()
    }

    /// Stops the writer in order.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap();
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Lets the writer vanish where it stands, as a killed process does.
    pub async fn kill(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}
