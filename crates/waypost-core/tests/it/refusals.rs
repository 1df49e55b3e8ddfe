//! A store that refuses: nothing is acknowledged, nothing is lost, and leases go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use waypost_core::{
    Batch, BoxFuture, ChangeStream, CommitError, Compacted, Epoch, ErrorKind, Health, LeaseCell,
    Loaded, ManualClock, MemoryStore, Revision, Store, StoreError,
};

use crate::harness::{Harness, START, leased, register, run, spec};

/// A store whose disk can be full for a while.
struct Moody {
    inner: MemoryStore,
    refuses: AtomicBool,
}

impl Store for Moody {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.inner.load()
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>> {
        if self.refuses.load(Ordering::SeqCst) {
            let refusal = || Err(CommitError::Unavailable("the disk is full".to_owned()));
            let refusals = batches.iter().map(|_| refusal()).collect();
            return Box::pin(async move { refusals });
        }
        self.inner.commit(batches)
    }

    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>> {
        self.inner.changes(after)
    }
}

async fn moody() -> (Arc<Moody>, Harness) {
    let inner = MemoryStore::new(Epoch(1));
    let store = Arc::new(Moody {
        inner,
        refuses: AtomicBool::new(false),
    });
    let harness = Harness::over(store.clone(), Arc::new(ManualClock::new(START)), 1).await;
    (store, harness)
}

#[test]
fn what_the_store_refuses_is_unavailable_and_not_shown() {
    run(async {
        let (store, harness) = moody().await;
        store.refuses.store(true, Ordering::SeqCst);
        let refused = harness.apply(register("a", spec(80))).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(harness.instance("a").is_none());
        store.refuses.store(false, Ordering::SeqCst);
        harness.apply(register("a", spec(80))).await.unwrap();
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn an_expiry_that_the_store_refuses_gives_the_lease_back_and_a_beat_renews_it() {
    run(async {
        let (store, mut harness) = moody().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        store.refuses.store(true, Ordering::SeqCst);
        harness.pass(Duration::from_secs(10)).await;
        let instance = harness.instance("a").unwrap();
        assert_eq!(
            instance.health(),
            Health::Healthy,
            "an end that is not durable is not shown"
        );
        assert!(
            matches!(instance.vitals().lease(), LeaseCell::Running(_)),
            "{instance:?}"
        );
        harness.beat("a").await.unwrap();
        store.refuses.store(false, Ordering::SeqCst);
        harness.pass(Duration::from_secs(9)).await;
        assert_eq!(harness.rotation(), ["a"]);
        harness.pass(Duration::from_secs(2)).await;
        assert_eq!(harness.rotation(), [""; 0]);
    });
}

#[test]
fn an_expiry_that_the_store_refuses_is_tried_again_until_it_takes_it() {
    run(async {
        let (store, mut harness) = moody().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        store.refuses.store(true, Ordering::SeqCst);
        harness.pass(Duration::from_secs(20)).await;
        assert_eq!(harness.rotation(), ["a"]);
        store.refuses.store(false, Ordering::SeqCst);
        harness.pass(Duration::from_secs(2)).await;
        assert_eq!(harness.rotation(), [""; 0]);
    });
}

#[test]
fn a_beat_that_meets_an_expiry_under_way_waits_for_its_outcome() {
    run(async {
        let (store, mut harness) = moody().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.clock.advance(Duration::from_millis(1_500));
        harness.timekeeper.sweep();
        // In steps, so that the timekeeper does not take it for a pause of the process.
        for _ in 0..6 {
            harness.clock.advance(Duration::from_millis(1_500));
            harness.timekeeper.sweep();
        }
        assert_eq!(
            harness.instance("a").unwrap().vitals().lease(),
            LeaseCell::Ending
        );
        // The writer has not run yet: the beat must wait, and then bring the instance back.
        harness.beat("a").await.unwrap();
        assert_eq!(harness.rotation(), ["a"]);
        let revisions = store.inner.load().await.unwrap().revision;
        assert!(
            revisions >= Revision(3),
            "the end and the return are both in the history: {revisions}"
        );
    });
}

#[test]
fn a_verdict_without_its_registration_does_not_keep_the_name_taken() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let harness = Harness::over(store.clone(), clock.clone(), 1).await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        let verdict = harness.instance("a").unwrap().verdict().clone();
        harness
            .apply(crate::harness::deregister("a"))
            .await
            .unwrap();
        harness.stop().await;
        let author = waypost_core::Author {
            subject: waypost_core::text("test"),
            address: None,
            dialect: waypost_core::Dialect::Internal,
        };
        let orphan = waypost_core::Object::Verdict(crate::harness::key("a"), verdict);
        let batch = Batch {
            at: START,
            author,
            preconditions: Vec::new(),
            changes: vec![waypost_core::Change::Put(orphan)],
            evidence: None,
            cause: "test",
        };
        store.commit(vec![batch]).await.pop().unwrap().unwrap();
        let harness = Harness::over(store.clone(), clock.clone(), 2).await;
        harness.apply(register("a", spec(80))).await.unwrap();
        assert_eq!(harness.rotation(), ["a"]);
        harness.stop().await;
        let objects = store.load().await.unwrap().objects;
        let orphans = objects
            .iter()
            .filter(|(object, _)| matches!(object, waypost_core::Object::Verdict(..)));
        assert_eq!(orphans.count(), 0);
    });
}
