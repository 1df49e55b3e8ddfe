use std::sync::Arc;
use std::time::Duration;

use waypost_core::{Epoch, Health, Lease, LeaseStart, MemoryStore};

use crate::conformance::run;
use crate::{Fault, FaultyStore, Harness, Setup, instance_key, manual_registry, register, spec};

fn leased(seconds: u32) -> waypost_core::RegistrationSpec {
    waypost_core::RegistrationSpec {
        lease: Some(Lease {
            seconds,
            start: LeaseStart::Registration,
            renewed_by_checks: false,
        }),
        ..spec("192.0.2.1", 80)
    }
}

fn health(harness: &Harness) -> Health {
    let snapshot = harness.snapshot();
    snapshot
        .instance(&instance_key("web", "a"))
        .unwrap()
        .health()
}

#[test]
fn a_lease_ends_when_the_time_passes_without_heartbeats() {
    run(async {
        let mut harness = Harness::open(Setup::default()).await;
        harness
            .apply(register("web", "a", leased(10)))
            .await
            .unwrap();
        for _ in 0..3 {
            harness.advance(Duration::from_secs(9)).await;
            harness.heartbeat(&instance_key("web", "a")).await.unwrap();
        }
        assert_eq!(health(&harness), Health::Healthy);
        harness.advance(Duration::from_secs(11)).await;
        assert_eq!(health(&harness), Health::Unhealthy);
    });
}

#[test]
fn a_restart_keeps_what_was_registered() {
    run(async {
        let harness = Harness::open(Setup::default()).await;
        harness
            .apply(register("web", "a", leased(10)))
            .await
            .unwrap();
        let before = harness.snapshot().position();
        let harness = harness.restart().await;
        assert_eq!(harness.snapshot().position(), before);
        assert_eq!(health(&harness), Health::Healthy);
    });
}

#[test]
fn a_fault_of_the_store_reaches_the_caller() {
    run(async {
        let store = Arc::new(FaultyStore::new(MemoryStore::new(Epoch(1))));
        let harness = manual_registry(Arc::<FaultyStore<MemoryStore>>::clone(&store)).await;
        store.fail(0, Fault::Unavailable);
        let refused = harness
            .apply(register("web", "a", leased(10)))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), waypost_core::ErrorKind::Unavailable);
        harness
            .apply(register("web", "a", leased(10)))
            .await
            .unwrap();
        harness.settle().await;
        assert_eq!(harness.snapshot().instances_len(), 1);
    });
}
