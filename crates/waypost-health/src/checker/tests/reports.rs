//! What the registry is told, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use waypost_core::{
    Batch, BoxFuture, ChangeStream, CheckState, CommitError, Compacted, Epoch, Health, Lease,
    LeaseCell, LeaseStart, LeaseState, Loaded, MemoryStore, ProbeSpec, Revision, Store, StoreError,
};
use waypost_dial::{Dialer, Pinned};

use super::{PASSES, healthy};
use crate::testing::{Setup, Target, World, answer, at, dial, http, no_profiles};
use crate::{Probe, ProbeReport, Probes};

/// A memory store that refuses writes for a while.
struct Refusing {
    inner: MemoryStore,
    refuses: AtomicBool,
    refused: AtomicUsize,
}

impl Store for Refusing {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.inner.load()
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>> {
        if self.refuses.load(Ordering::SeqCst) {
            self.refused.fetch_add(batches.len(), Ordering::SeqCst);
            let full = CommitError::Unavailable("the disk is full".to_owned());
            return Box::pin(std::future::ready(vec![Err(full); batches.len()]));
        }
        self.inner.commit(batches)
    }

    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>> {
        self.inner.changes(after)
    }
}

#[tokio::test]
async fn a_report_that_the_store_did_not_take_is_made_again_after_the_next_probe() {
    let store = Arc::new(Refusing {
        inner: MemoryStore::new(Epoch(1)),
        refuses: AtomicBool::new(false),
        refused: AtomicUsize::new(0),
    });
    let setup = Setup {
        store: Arc::clone(&store) as Arc<dyn Store>,
        ..Setup::default()
    };
    let world = World::with(setup, &[http()]).await;
    let target = Target::new(answer(503, "")).await;
    world.register("a", at(target.address)).await;
    world.was_probed("a").await;
    world.settled().await;
    store.refuses.store(true, Ordering::SeqCst);
    target.turns_to(answer(200, ""));
    world.pass(1);
    world
        .until("a refused write", |_| {
            store.refused.load(Ordering::SeqCst) > 0
        })
        .await;
    assert_eq!(world.instance("a").health(), Health::Unknown);
    store.refuses.store(false, Ordering::SeqCst);
    world.pass(30);
    world.has_reason("a", PASSES).await;
}

#[tokio::test]
async fn reports_that_say_the_same_write_nothing() {
    let (world, _target) = healthy().await;
    let before = world.snapshots.latest().revision();
    for _ in 0..3 {
        world.pass(30);
        world.was_probed("a").await;
    }
    assert_eq!(world.snapshots.latest().revision(), before);
    assert_eq!(world.registry.queued(), (0, 0));
}

async fn leased(renewed_by_checks: bool, start: LeaseStart) -> (World, Target) {
    let world = World::new(&[http()]).await;
    let target = Target::new(answer(200, "")).await;
    let mut spec = at(target.address);
    spec.lease = Some(Lease {
        seconds: 60,
        start,
        renewed_by_checks,
    });
    world.register("a", spec).await;
    world.has_reason("a", PASSES).await;
    (world, target)
}

fn ends_after(world: &World, seconds: u64) -> LeaseCell {
    let now = world.registry.clock().monotonic();
    LeaseCell::Running(now.after(Duration::from_secs(seconds)))
}

#[tokio::test]
async fn a_passing_probe_begins_and_renews_a_lease_that_checks_renew() {
    let (world, target) = leased(true, LeaseStart::FirstHeartbeat).await;
    world
        .until("the lease to begin", |world| {
            world.instance("a").verdict().lease == LeaseState::Running
        })
        .await;
    world.pass(30);
    world.was_probed("a").await;
    assert_eq!(world.instance("a").vitals().lease(), ends_after(&world, 60));
    target.turns_to(answer(503, ""));
    world.pass(30);
    world.was_probed("a").await;
    assert_eq!(
        world.instance("a").vitals().lease(),
        ends_after(&world, 30),
        "a failed probe renewed the lease"
    );
}

#[tokio::test]
async fn a_lease_that_only_heartbeats_renew_is_left_alone() {
    let (world, _target) = leased(false, LeaseStart::Registration).await;
    world.pass(30);
    world.was_probed("a").await;
    world.settled().await;
    assert_eq!(world.instance("a").vitals().lease(), ends_after(&world, 30));
}

/// A probe with a fault.
#[derive(Debug)]
struct Panics;

impl Probe for Panics {
    fn probe<'a>(
        &'a self,
        _: &'a ProbeSpec,
        _: &'a Pinned,
        _: Duration,
    ) -> BoxFuture<'a, ProbeReport> {
        panic!("a fault in a probe")
    }
}

#[tokio::test]
async fn a_probe_that_panics_is_counted_and_harms_nobody_else() {
    let setup = Setup {
        probes: Some(Probes {
            http: Arc::new(Panics),
            ..Probes::new(&Dialer::new(&dial()), &no_profiles())
        }),
        ..Setup::default()
    };
    let world = World::with(setup, &[http()]).await;
    let target = Target::new(answer(200, "")).await;
    world.register("a", at(target.address)).await;
    let sample = r#"health_checks_total{type="http",result="panicked"}"#;
    world
        .until("the panic", |world| world.metric(sample) == 1)
        .await;
    world.settled().await;
    assert_eq!(world.instance("a").health(), Health::Unknown);
    assert!(world.instance("a").verdict().checks.is_empty());
    let before = world.metric(sample);
    world.pass(60);
    world
        .until("its next turn", |world| world.metric(sample) > before)
        .await;
}

#[tokio::test]
async fn a_failure_below_the_threshold_never_becomes_the_reason_of_a_passing_check() {
    let mut check = http();
    check.initial = CheckState::Passing;
    let world = World::new(&[check]).await;
    let target = Target::new(answer(503, "")).await;
    world.register("a", at(target.address)).await;
    world.was_probed("a").await;
    world.settled().await;
    assert!(world.instance("a").verdict().checks.is_empty());
    assert_eq!(world.instance("a").health(), Health::Healthy);
    for _ in 0..2 {
        world.pass(1);
        world.was_probed("a").await;
    }
    world.has_reason("a", super::FAILS).await;
}

#[tokio::test]
async fn the_metrics_have_the_names_that_the_documentation_gives_them() {
    let (world, _target) = healthy().await;
    let text = world.scrape();
    for sample in [
        r#"health_checks_total{type="http",result="passing"} 1"#,
        r#"health_check_duration_seconds_count{type="http"} 1"#,
        "health_checks_scheduled 1",
        "health_checks_in_flight 0",
    ] {
        assert!(text.contains(sample), "{sample} is missing in\n{text}");
    }
}
