//! Commands that meet in one group of the writer: what one wrote, another must not have decided without.

use std::sync::Arc;

use waypost_core::{
    Check, CheckId, CheckKind, CheckState, Command, Epoch, Health, InstanceId, Lease, LeaseStart,
    ManualClock, MemoryStore, Mode, ModeSetting, RegistrationSpec, ServiceChange, ServiceKey, Tier,
    text,
};

use crate::harness::{
    Harness, START, deregister, key, register, register_in, reported, run, said, service, spec,
};

async fn harness() -> (Arc<MemoryStore>, Harness) {
    let store = Arc::new(MemoryStore::new(Epoch(1)));
    let harness = Harness::over(store.clone(), Arc::new(ManualClock::new(START)), 1).await;
    (store, harness)
}

/// What is shown must be what a restart would show.
async fn is_as_after_a_restart(store: Arc<MemoryStore>, harness: &Harness) {
    let fresh = Harness::over(store, Arc::new(ManualClock::new(START)), 9).await;
    let shown = |harness: &Harness| -> Vec<String> {
        let snapshot = harness.snapshots.latest();
        let of = |state: &Arc<waypost_core::ServiceState>| -> Vec<String> {
            let instances = state.instances().iter();
            instances
                .map(|i| format!("{} {:?} {:?}", i.key(), i.health(), i.tier()))
                .collect()
        };
        snapshot.services().flat_map(of).collect()
    };
    assert_eq!(shown(harness), shown(&fresh));
}

fn with_checks(ids: &[&str]) -> Command {
    let checks = ids
        .iter()
        .map(|id| Check::new(CheckId::new(id).unwrap(), CheckKind::Reported));
    let change = ServiceChange {
        checks: Some(checks.collect()),
        ..ServiceChange::default()
    };
    Command::UpdateService {
        key: service(),
        change,
        expected: None,
    }
}

#[test]
fn a_first_beat_and_a_removal_at_once_leave_nothing_that_keeps_the_name_taken() {
    run(async {
        let (store, harness) = harness().await;
        let lease = Lease {
            seconds: 300,
            start: LeaseStart::FirstHeartbeat,
            renewed_by_checks: false,
        };
        for _ in 0..3 {
            let late = RegistrationSpec {
                lease: Some(lease),
                ..spec(80)
            };
            harness.apply(register("a", late)).await.unwrap();
            let (beat, removal) = tokio::join!(harness.beat("a"), harness.apply(deregister("a")));
            removal.unwrap();
            drop(beat);
            assert!(harness.instance("a").is_none());
        }
        harness.apply(register("a", spec(80))).await.unwrap();
        is_as_after_a_restart(store, &harness).await;
    });
}

#[test]
fn a_report_and_a_removal_at_once_leave_nothing_that_keeps_the_name_taken() {
    run(async {
        let (store, harness) = harness().await;
        harness.apply(register("a", reported(80))).await.unwrap();
        let report = harness.apply(said(key("a"), CheckState::Passing));
        let (report, removal) = tokio::join!(report, harness.apply(deregister("a")));
        report.unwrap();
        removal.unwrap();
        harness.apply(register("a", reported(80))).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unknown);
        is_as_after_a_restart(store, &harness).await;
    });
}

#[test]
fn a_registration_beside_a_change_of_checks_is_judged_by_the_new_checks() {
    run(async {
        let (store, harness) = harness().await;
        harness.apply(register("first", spec(79))).await.unwrap();
        let (one, two) = tokio::join!(
            harness.apply(register("a", spec(80))),
            harness.apply(with_checks(&["said"]))
        );
        one.unwrap();
        two.unwrap();
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unknown);
        assert_eq!(harness.instance("a").unwrap().tier(), Tier::Out);
        is_as_after_a_restart(store, &harness).await;
    });
}

#[test]
fn a_report_beside_a_change_of_checks_is_judged_by_the_new_checks() {
    run(async {
        let (store, harness) = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        harness
            .apply(with_checks(&["other", "said"]))
            .await
            .unwrap();
        let (one, two) = tokio::join!(
            harness.apply(with_checks(&["said"])),
            harness.apply(said(key("a"), CheckState::Passing))
        );
        one.unwrap();
        two.unwrap();
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
        is_as_after_a_restart(store, &harness).await;
    });
}

#[test]
fn a_new_service_beside_the_collection_of_the_last_one_keeps_its_namespace() {
    run(async {
        let (store, harness) = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        harness.apply(deregister("a")).await.unwrap();
        let other = ServiceKey::new("svc.internal", "db").unwrap();
        let (one, two) = tokio::join!(
            harness.apply(register_in(other.clone(), "d", spec(81))),
            harness.apply(Command::CollectService(service()))
        );
        one.unwrap();
        two.unwrap();
        assert_eq!(
            harness
                .snapshots
                .latest()
                .service(&other)
                .unwrap()
                .instances()
                .len(),
            1
        );
        is_as_after_a_restart(store, &harness).await;
    });
}

#[test]
fn a_drain_of_the_process_beside_its_removal_does_not_outlive_it() {
    run(async {
        let (_, harness) = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        let setting = ModeSetting {
            mode: Mode::Draining,
            reason: text("stopping"),
            author: text("itself"),
            since: START,
            until: None,
            weight: None,
            weight_note: None,
            health: None,
            block: None,
            process: Some(harness.instance("a").unwrap().registration_id()),
            extra: waypost_core::Extra::default(),
        };
        let drain = Command::SetMode {
            key: key("a"),
            setting: Some(Arc::new(setting)),
        };
        let (removal, _) = tokio::join!(harness.apply(deregister("a")), harness.apply(drain));
        removal.unwrap();
        harness.apply(register("a", spec(80))).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().mode(), Mode::Active);
    });
}

#[test]
fn of_sixteen_removals_at_once_exactly_one_succeeds() {
    run(async {
        let (_, harness) = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        let id = InstanceId::new("a").unwrap();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (registry, id) = (harness.registry.clone(), id.clone());
            all.spawn(async move {
                let removal = Command::Deregister {
                    service: service(),
                    id,
                    owner: None,
                };
                registry
                    .apply(&crate::harness::everything(), removal)
                    .await
                    .is_ok()
            });
        }
        let succeeded = all
            .join_all()
            .await
            .into_iter()
            .filter(|done| *done)
            .count();
        assert_eq!(succeeded, 1);
    });
}
