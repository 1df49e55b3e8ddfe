//! Watches: the latest state, never a step back, nothing missed, nothing held for the slow.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waypost_core::{Changed, Epoch, ManualClock, MemoryStore, Revision, Scope, Touched};

use crate::harness::{Harness, START, deregister, everything, key, register, run, service, spec};

async fn harness() -> Harness {
    let store = Arc::new(MemoryStore::new(Epoch(1)));
    Harness::over(store, Arc::new(ManualClock::new(START)), 1).await
}

#[test]
fn a_watcher_that_slept_through_ten_changes_is_woken_once_with_the_latest_state() {
    run(async {
        let harness = harness().await;
        let mut watch =
            harness
                .registry
                .watch(&everything(), Scope::Service(service()), Revision::ZERO);
        for port in 1..=10 {
            harness.apply(register("a", spec(port))).await.unwrap();
        }
        let view = watch.next().await.unwrap();
        let instance = view.instance(&service(), &key("a").id, None).unwrap();
        assert_eq!(instance.registration().spec.port().unwrap().number, 10);
        let more = tokio::time::timeout(Duration::from_millis(20), watch.next()).await;
        assert!(more.is_err(), "woken without a change");
    });
}

#[test]
fn a_watcher_of_one_service_sleeps_through_the_changes_of_another() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        let seen = harness.snapshots.latest().revision();
        let mut watch = harness
            .registry
            .watch(&everything(), Scope::Service(service()), seen);
        let other = waypost_core::ServiceKey::new("svc.internal", "db").unwrap();
        harness
            .apply(crate::harness::register_in(other, "d", spec(1)))
            .await
            .unwrap();
        let woken = tokio::time::timeout(Duration::from_millis(20), watch.next()).await;
        assert!(woken.is_err());
    });
}

#[test]
fn a_watcher_of_a_service_that_goes_is_told_and_one_that_is_not_there_yet_can_be_awaited() {
    run(async {
        let harness = harness().await;
        let mut watch =
            harness
                .registry
                .watch(&everything(), Scope::Service(service()), Revision::ZERO);
        harness.apply(register("a", spec(1))).await.unwrap();
        assert!(watch.next().await.unwrap().service(&service()).is_ok());
        harness.apply(deregister("a")).await.unwrap();
        assert!(watch.next().await.unwrap().service(&service()).is_ok());
        harness
            .apply(waypost_core::Command::DeleteService(service()))
            .await
            .unwrap();
        assert!(watch.next().await.unwrap().service(&service()).is_err());
    });
}

#[test]
fn every_watcher_ends_at_the_latest_state_and_none_steps_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let harness = harness().await;
        let mut watchers = JoinSet::new();
        for _ in 0..200 {
            let registry = harness.registry.clone();
            watchers.spawn(async move {
                let mut watch =
                    registry.watch(&everything(), Scope::Service(service()), Revision::ZERO);
                let mut last = 0;
                while last < 500 {
                    let view = watch.next().await.unwrap();
                    let instance = view.instance(&service(), &key("a").id, None).unwrap();
                    let now = instance.registration().spec.port().unwrap().number;
                    assert!(now >= last, "stepped back from {last} to {now}");
                    last = now;
                }
            });
        }
        for port in 1..=500 {
            harness.apply(register("a", spec(port))).await.unwrap();
        }
        while let Some(watcher) = watchers.join_next().await {
            watcher.unwrap();
        }
    });
}

#[test]
fn changed_since_names_each_thing_once_and_what_is_gone_as_removed() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        let since = harness.snapshots.latest().revision();
        harness.apply(register("a", spec(2))).await.unwrap();
        harness.apply(register("b", spec(3))).await.unwrap();
        harness.apply(register("c", spec(4))).await.unwrap();
        harness.apply(deregister("c")).await.unwrap();
        let changed = harness
            .snapshots
            .latest()
            .changed_since(&Scope::Service(service()), since);
        let expected = Changed::Since {
            services: vec![],
            instances: vec![key("a"), key("b")],
            removed: vec![Touched::Instance(key("c"))],
        };
        assert_eq!(changed, expected);
    });
}

#[test]
fn a_revision_from_before_the_tombstones_is_answered_with_resync() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        let since = harness.snapshots.latest().revision();
        harness.clock.advance(Duration::from_secs(601));
        harness.apply(register("a", spec(2))).await.unwrap();
        let floor = harness.snapshots.latest().revision();
        harness.clock.advance(Duration::from_secs(601));
        harness.apply(register("a", spec(3))).await.unwrap();
        let snapshot = harness.snapshots.latest();
        assert_eq!(
            snapshot.changed_since(&Scope::All, Revision::ZERO),
            Changed::Resync
        );
        assert!(matches!(
            snapshot.changed_since(&Scope::All, floor),
            Changed::Since { .. }
        ));
        assert!(since < floor);
    });
}
