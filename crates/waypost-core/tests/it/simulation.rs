//! A seeded simulation: crashes at every step between decide and acknowledge, and two writers over one store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use waypost_core::{
    Batch, BoxFuture, ChangeStream, CommitError, Compacted, Epoch, Loaded, ManualClock,
    MemoryStore, Projection, RegistryError, Revision, Scope, Snapshot, Store, StoreError, Touched,
};

use crate::harness::{Harness, START, deregister, everything, register, run, service, spec};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Where the process dies, counted in steps of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    BeforeCommit,
    AfterCommitBeforePublish,
    AfterPublishBeforeAnswer,
}

/// A store whose process dies at a chosen commit: from then on nothing completes any more.
struct Mortal {
    inner: MemoryStore,
    commits_left: AtomicU64,
    crash: Crash,
}

impl Store for Mortal {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.inner.load()
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>> {
        Box::pin(async move {
            let left = self.commits_left.load(Ordering::SeqCst);
            if left > 1 {
                self.commits_left.store(left - 1, Ordering::SeqCst);
                return self.inner.commit(batches).await;
            }
            if left == 1 && self.crash == Crash::AfterPublishBeforeAnswer {
                self.commits_left.store(0, Ordering::SeqCst);
                return self.inner.commit(batches).await;
            }
            if left == 1 && self.crash == Crash::AfterCommitBeforePublish {
                drop(self.inner.commit(batches).await);
            }
            self.commits_left.store(0, Ordering::SeqCst);
            std::future::pending().await
        })
    }

    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>> {
        self.inner.changes(after)
    }
}

/// What stands between a published change and its answer; it dies with the store.
struct Deathbed(Arc<Mortal>);

impl Projection for Deathbed {
    fn name(&self) -> &'static str {
        "deathbed"
    }

    fn project<'a>(
        &'a self,
        _: &'a Arc<Snapshot>,
        touched: Option<&'a [Touched]>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if touched.is_some() && self.0.commits_left.load(Ordering::SeqCst) == 0 {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// What may be true of each instance: after an unanswered command both what was and what was asked.
#[derive(Default)]
struct Possible(BTreeMap<String, BTreeSet<Option<u16>>>);

impl Possible {
    fn of(&mut self, id: &str) -> &mut BTreeSet<Option<u16>> {
        self.0
            .entry(id.to_owned())
            .or_insert_with(|| BTreeSet::from([None]))
    }

    fn check(&mut self, snapshot: &Snapshot, context: &str) {
        for (id, possible) in &mut self.0 {
            let instance = snapshot.instance(&crate::harness::key(id));
            let port = instance.map(|instance| instance.registration().spec.port().unwrap().number);
            assert!(
                possible.contains(&port),
                "{context}: {id} is at {port:?}, possible were {possible:?}"
            );
            *possible = BTreeSet::from([port]);
        }
    }
}

/// Runs commands until the process dies; returns what may be true then.
async fn live_and_die(
    random: &mut Random,
    store: &MemoryStore,
    clock: &Arc<ManualClock>,
    seed: u64,
    possible: &mut Possible,
) {
    let crash = match random.below(3) {
        0 => Crash::BeforeCommit,
        1 => Crash::AfterCommitBeforePublish,
        _ => Crash::AfterPublishBeforeAnswer,
    };
    let commits_left = AtomicU64::new(1 + random.below(12));
    let mortal = Arc::new(Mortal {
        inner: store.clone(),
        commits_left,
        crash,
    });
    let deathbed: Arc<dyn Projection> = Arc::new(Deathbed(Arc::clone(&mortal)));
    let harness = Harness::with(mortal.clone(), Arc::clone(clock), seed, vec![deathbed]).await;
    possible.check(&harness.snapshots.latest(), "after the restart");
    for _ in 0..40 {
        let id = format!("i{}", random.below(3));
        let wanted = (random.below(4) > 0).then(|| u16::try_from(1 + random.below(3)).unwrap());
        let command = match wanted {
            Some(port) => register(&id, spec(port)),
            None => deregister(&id),
        };
        let answer = tokio::select! {
            biased;
            answer = harness.apply(command) => Some(answer),
            () = dead(&mortal) => None,
        };
        match answer {
            Some(Ok(_)) => *possible.of(&id) = BTreeSet::from([wanted]),
            Some(Err(RegistryError::NotFound { .. })) => {
                assert!(
                    possible.of(&id).contains(&None),
                    "{id} was not found, but it was acknowledged"
                );
            }
            Some(Err(error)) => panic!("{error}"),
            None => {
                possible.of(&id).insert(wanted);
                break;
            }
        }
        possible.check(&harness.snapshots.latest(), "after an acknowledgement");
    }
    harness.kill().await;
}

async fn dead(mortal: &Mortal) {
    while mortal.commits_left.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash_at_any_step() {
    for seed in 0..150 {
        run(async {
            let mut random = Random(seed);
            let store = MemoryStore::new(Epoch(1));
            let clock = Arc::new(ManualClock::new(START));
            let mut possible = Possible::default();
            for life in 0..6 {
                live_and_die(&mut random, &store, &clock, seed * 10 + life, &mut possible).await;
            }
        });
    }
}

fn shown(snapshot: &Snapshot) -> Vec<String> {
    let mut all = vec![format!("revision {}", snapshot.revision())];
    for state in snapshot.services() {
        all.push(format!("{} {}", state.service().key, state.revision()));
        for instance in state.instances() {
            all.push(format!(
                "{:?} {:?}",
                instance.registration(),
                instance.verdict()
            ));
        }
    }
    all
}

#[test]
fn two_writers_over_one_store_end_equal_and_lose_no_acknowledged_write() {
    for seed in 0..60 {
        run(async {
            let mut random = Random(seed);
            let store = Arc::new(MemoryStore::new(Epoch(1)));
            let clock = Arc::new(ManualClock::new(START));
            let one = Harness::over(store.clone(), Arc::clone(&clock), seed * 2).await;
            let two = Harness::over(store.clone(), Arc::clone(&clock), seed * 2 + 1).await;
            let mut acknowledged = 0u64;
            for _ in 0..60 {
                let id = format!("i{}", random.below(4));
                let (left, right) = (random.below(3), random.below(3));
                let command = |kind: u64, port: u16| match kind {
                    0 => deregister(&id),
                    _ => register(&id, spec(port)),
                };
                let ports = (1 + random.below(5), 6 + random.below(5));
                let left = one.apply(command(left, u16::try_from(ports.0).unwrap()));
                let right = two.apply(command(right, u16::try_from(ports.1).unwrap()));
                let (left, right) = tokio::join!(left, right);
                for answer in [left, right] {
                    match answer {
                        Ok(applied) if applied.outcome != waypost_core::Outcome::Unchanged => {
                            acknowledged += 1
                        }
                        Ok(_) | Err(RegistryError::NotFound { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            let latest = store.load().await.unwrap().revision;
            for harness in [&one, &two] {
                let mut watch = harness
                    .registry
                    .watch(&everything(), Scope::All, Revision::ZERO);
                while watch.next().await.unwrap().position().revision < latest {}
            }
            assert_eq!(
                shown(&one.snapshots.latest()),
                shown(&two.snapshots.latest()),
                "seed {seed}"
            );
            // Every acknowledged change has a revision of its own, and there are no others.
            assert_eq!(latest.0, acknowledged, "seed {seed}");
            one.stop().await;
            let fresh = Harness::over(store, clock, 99).await;
            assert_eq!(
                shown(&fresh.snapshots.latest()),
                shown(&two.snapshots.latest())
            );
            assert!(fresh.snapshots.latest().service(&service()).is_some());
        });
    }
}
