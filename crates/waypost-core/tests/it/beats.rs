//! Beats against expiries, on many threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waypost_core::{
    Access, Clock, Dialect, Epoch, Health, InstanceKey, JournalFilter, JournalRecord, ManualClock,
    MemoryStore, Revision,
};

use crate::harness::{Harness, START, deregister, everything, leased, register, register_in, run};

const LEASE: Duration = Duration::from_secs(4);

/// Each in a service of its own, so that protection does not hold what should end.
fn instance(id: usize) -> InstanceKey {
    InstanceKey::new("svc.internal", &format!("s{id}"), "i").unwrap()
}

struct Acknowledged {
    sent: waypost_core::Timestamp,
    seen: Revision,
    key: InstanceKey,
}

async fn beat_now_and_then(
    registry: waypost_core::Registry,
    clock: Arc<ManualClock>,
    id: usize,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> Vec<Acknowledged> {
    let access = Access::everything("beater", Dialect::Rest, None);
    let instance = instance(id);
    let mut acknowledged = Vec::new();
    let mut random = id as u64 + 1;
    while !*stop.borrow_and_update() {
        let sent = clock.wall();
        if registry
            .heartbeat(&access, &instance, None, None)
            .await
            .is_ok()
        {
            let seen = registry.view(&access).position().revision;
            acknowledged.push(Acknowledged {
                sent,
                seen,
                key: instance.clone(),
            });
        }
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Sometimes right at the end of the lease, where beat and expiry meet.
        let pause = u64::try_from(LEASE.as_millis()).unwrap() - 300 + (random >> 33) % 600;
        tokio::select! {
            () = clock.sleep(Duration::from_millis(pause)) => {}
            _ = stop.changed() => {}
        }
    }
    acknowledged
}

#[test]
fn a_beat_that_is_acknowledged_is_never_followed_by_the_expiry_it_should_have_prevented() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let (ends, beats) = runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(START));
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let mut harness = Harness::over(store, Arc::clone(&clock), 7).await;
        for id in 0..16 {
            let service = instance(id).service;
            harness
                .apply(register_in(service, "i", leased(80, 4)))
                .await
                .unwrap();
        }
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut beaters = JoinSet::new();
        for id in 0..16 {
            let beater = beat_now_and_then(
                harness.registry.clone(),
                Arc::clone(&clock),
                id,
                stopped.clone(),
            );
            beaters.spawn(beater);
        }
        for _ in 0..1_200 {
            clock.advance(Duration::from_millis(50));
            harness.timekeeper.sweep();
            harness.settle().await;
        }
        stop.send(true).unwrap();
        let mut acknowledged = Vec::new();
        while let Some(beater) = beaters.join_next().await {
            acknowledged.extend(beater.unwrap());
        }
        harness.settle().await;
        check(&harness, &acknowledged).await
    });
    assert!(
        ends > 10 && beats > 100,
        "the test saw {ends} expiries and {beats} beats: too few to say anything"
    );
}

/// Returns how many expiries and beats were compared.
async fn check(harness: &Harness, acknowledged: &[Acknowledged]) -> (usize, usize) {
    let filter = JournalFilter::default();
    let page = harness
        .registry
        .journal(&everything(), filter, 10_000)
        .await
        .unwrap();
    assert_eq!(page.next, None, "not every line is looked at");
    let mut ends = 0;
    for (_, entry) in page.lines {
        let JournalRecord::Edge {
            instance,
            to: Health::Unhealthy,
            ..
        } = entry.record
        else {
            continue;
        };
        ends += 1;
        let prevented = acknowledged.iter().find(|beat| {
            let before = beat.key == instance && beat.seen < entry.revision;
            before && beat.sent.after(LEASE) > entry.at && beat.sent <= entry.at
        });
        if let Some(beat) = prevented {
            panic!(
                "{instance}: a beat of {} did not prevent the end at {}",
                beat.sent, entry.at
            );
        }
    }
    (ends, acknowledged.len())
}

#[test]
fn registrations_that_are_gone_wait_for_no_lease_and_those_that_are_there_end_on_time() {
    run(async {
        let clock = Arc::new(ManualClock::new(START));
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let mut harness = Harness::over(store, clock, 7).await;
        for id in ["a", "b"] {
            harness.apply(register(id, leased(80, 4))).await.unwrap();
        }
        for _ in 0..20_000 {
            let gone = register("gone", leased(80, 86_400));
            harness.apply(gone).await.unwrap();
            harness.apply(deregister("gone")).await.unwrap();
        }
        harness.timekeeper.sweep();
        let tasks = harness.timekeeper.tasks();
        assert!(tasks < 10, "{tasks}");
        harness.pass(Duration::from_secs(3)).await;
        harness.beat("a").await.unwrap();
        harness.pass(Duration::from_secs(2)).await;
        assert_eq!(harness.rotation(), ["a"]);
    });
}
