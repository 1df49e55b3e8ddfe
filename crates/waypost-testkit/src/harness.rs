//! A registry in the test's own process, whose time stands still until the test moves it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use waypost_core::{
    Applied, Clock, Command, Epoch, InstanceKey, Journal, ManualClock, MemoryJournal, MemoryStore,
    Opened, Ownership, Parts, Policy, Projection, Registry, RegistryError, SWEEP_INTERVAL, Seed,
    Snapshot, Snapshots, SoleOwner, Store, Timekeeper, Timestamp,
};

use crate::model::{access, instance_key};

/// Most rounds of waiting for what is queued.
const SETTLE_ROUNDS_MAX: usize = 100_000;

/// What a harness is made of. The default is a memory store and a single node.
pub struct Setup {
    /// Where the history is kept.
    pub store: Arc<dyn Store>,
    /// Where journal lines are kept.
    pub journal: Arc<dyn Journal>,
    /// The time; it starts in 2026.
    pub clock: Arc<ManualClock>,
    /// Which instances this process keeps time for.
    pub ownership: Arc<dyn Ownership>,
    /// Tables that are brought up to date before a change is acknowledged.
    pub projections: Vec<Arc<dyn Projection>>,
    /// Settings that decisions depend on.
    pub policy: Policy,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::new(Epoch(1))),
            journal: Arc::new(MemoryJournal::new(10_000)),
            clock: Arc::new(ManualClock::new(Timestamp(1_790_000_000_000))),
            ownership: Arc::new(SoleOwner),
            projections: Vec::new(),
            policy: Policy::default(),
        }
    }
}

/// Opens a registry over a store with a clock that stands still.
pub async fn manual_registry(store: Arc<dyn Store>) -> Harness {
    let setup = Setup {
        store,
        ..Setup::default()
    };
    Harness::open(setup).await
}

/// A running registry. It lives on the test's own runtime; dropping it ends it as a crash would.
pub struct Harness {
    /// The handle.
    pub registry: Registry,
    /// The time.
    pub clock: Arc<ManualClock>,
    /// The store under it.
    pub store: Arc<dyn Store>,
    /// Whole snapshots.
    pub snapshots: Snapshots,
    /// What the store set aside as damaged.
    pub quarantined: Vec<String>,
    timekeeper: Timekeeper,
    writer: JoinSet<()>,
    shutdown: Option<oneshot::Sender<()>>,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl Harness {
    /// Opens a registry and runs its writer as a task of the test's runtime.
    pub async fn open(setup: Setup) -> Self {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&setup.clock);
        let parts = Parts {
            store: Arc::clone(&setup.store),
            journal: setup.journal,
            clock,
            ownership: setup.ownership,
            projections: setup.projections,
            policy: setup.policy,
            seeds: repeatable_seeds(),
        };
        let Opened {
            registry,
            writer,
            timekeeper,
            snapshots,
            quarantined,
        } = Registry::open(parts).await.expect("the store opens");
        let (shutdown, asked) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(async move {
            // Asked to stop, or the harness is gone.
            drop(asked.await);
        }));
        Self {
            registry,
            clock: setup.clock,
            store: setup.store,
            snapshots,
            quarantined,
            timekeeper,
            writer: tasks,
            shutdown: Some(shutdown),
        }
    }

    /// Does what the command asks with an access that may do everything.
    ///
    /// # Errors
    /// As the registry answers.
    pub async fn apply(&self, command: Command) -> Result<Applied, RegistryError> {
        self.registry.apply(&access(), command).await
    }

    /// Returns the latest published snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.latest()
    }

    /// Renews the lease of an instance that keeps itself registered.
    ///
    /// # Errors
    /// As the registry answers.
    pub async fn heartbeat(&self, key: &InstanceKey) -> Result<(), RegistryError> {
        let beat = self.registry.heartbeat(&access(), key, None, None).await;
        beat.map(drop)
    }

    /// Lets time pass in the timekeeper's own steps; what it finds due is done when this returns.
    pub async fn advance(&mut self, duration: Duration) {
        let mut left = duration;
        while !left.is_zero() {
            let step = left.min(SWEEP_INTERVAL);
            left -= step;
            self.clock.advance(step);
            self.timekeeper.sweep();
            self.settle().await;
        }
    }

    /// Lets time pass in one leap, as if the process had not run meanwhile, and looks once.
    pub async fn leap(&mut self, duration: Duration) {
        self.clock.advance(duration);
        self.timekeeper.sweep();
        self.settle().await;
    }

    /// Looks at what is due now.
    pub async fn sweep(&mut self) {
        self.timekeeper.sweep();
        self.settle().await;
    }

    /// Waits until everything that was queued is committed and published.
    pub async fn settle(&self) {
        for _ in 0..SETTLE_ROUNDS_MAX {
            let before = self.snapshot().revision();
            // The writer answers these after everything that was queued before them. Twice, since the second one
            // also comes after the group of the first.
            for _ in 0..2 {
                let nobody = instance_key("nobody-waits-for-this", "x");
                let barrier = Command::Deregister {
                    service: nobody.service,
                    id: nobody.id,
                    owner: None,
                };
                let answer = self.apply(barrier).await;
                assert!(answer.is_err(), "nobody registered the barrier's instance");
                if self
                    .registry
                    .read_only()
                    .is_some_and(|why| why.contains("has stopped"))
                {
                    return;
                }
            }
            if self.registry.queued() == (0, 0) && self.snapshot().revision() == before {
                return;
            }
        }
        assert_eq!(self.registry.queued(), (0, 0), "the registry never settles");
    }

    /// Stops in order: everything queued is answered when this returns.
    pub async fn stop(&mut self) {
        drop(self.shutdown.take());
        while let Some(ended) = self.writer.join_next().await {
            ended.expect("the writer ends without a panic");
        }
    }

    /// Stops in order and opens again over the same store and clock, as a restart of the process would.
    pub async fn restart(mut self) -> Self {
        self.stop().await;
        Self::open(Setup {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            ..Setup::default()
        })
        .await
    }
}

/// The same ids in every run of a test.
fn repeatable_seeds() -> Box<dyn FnMut() -> Seed + Send> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u128;
    Box::new(move || {
        // A linear congruential step (Knuth, MMIX), spread over both halves.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Seed(state ^ (state << 64))
    })
}
