//! The life of an instance, rule by rule.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use waypost_core::{
    Attributes, CheckState, Command, Epoch, ErrorKind, Health, LeaseState, ManualClock,
    MemoryStore, Mode, ModeSetting, Outcome, Owner, RESOLVED_MAX, RegistrationSpec, Report,
    ServiceChange, Tier, text,
};

use crate::harness::{
    Harness, START, deregister, everything, key, leased, register, reported, run, said, service,
    spec,
};

async fn harness() -> Harness {
    let store = Arc::new(MemoryStore::new(Epoch(1)));
    Harness::over(store, Arc::new(ManualClock::new(START)), 1).await
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn setting(mode: Mode, until_seconds: Option<u64>) -> Option<Arc<ModeSetting>> {
    Some(Arc::new(ModeSetting {
        mode,
        reason: text("deploy"),
        author: text("ann"),
        since: START,
        until: until_seconds.map(|count| START.after(seconds(count))),
        weight: None,
        weight_note: None,
        health: None,
        block: None,
        process: None,
        extra: waypost_core::Extra::default(),
    }))
}

#[test]
fn an_instance_without_checks_is_in_rotation_at_once_and_says_why() {
    run(async {
        let harness = harness().await;
        let applied = harness.apply(register("a", spec(80))).await.unwrap();
        assert_eq!(applied.outcome, Outcome::Created);
        let instance = harness.instance("a").unwrap();
        assert_eq!(instance.health(), Health::Healthy);
        assert_eq!(&*instance.verdict().reason, "no check configured");
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn registering_the_same_again_moves_no_revision_and_renews_the_lease() {
    run(async {
        let mut harness = harness().await;
        let first = harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.pass(seconds(8)).await;
        let again = harness.apply(register("a", leased(80, 10))).await.unwrap();
        assert_eq!(
            (again.outcome, again.revision),
            (Outcome::Unchanged, first.revision)
        );
        harness.pass(seconds(8)).await;
        assert_eq!(harness.rotation(), ["a"]);
        harness.pass(seconds(3)).await;
        assert_eq!(harness.rotation(), [""; 0]);
    });
}

#[test]
fn a_lease_that_ends_takes_the_instance_out_within_a_second_and_removes_it_later() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.pass(Duration::from_millis(9_750)).await;
        assert_eq!(harness.rotation(), ["a"]);
        harness.pass(Duration::from_millis(1_250)).await;
        let instance = harness.instance("a").unwrap();
        assert_eq!(instance.health(), Health::Unhealthy);
        assert_eq!(&*instance.verdict().reason, "lease ended");
        assert_eq!(instance.tier(), Tier::FailOpen);
        harness.pass(seconds(298)).await;
        assert!(harness.instance("a").is_some());
        harness.pass(seconds(2)).await;
        assert!(harness.instance("a").is_none());
        let refused = harness.beat("a").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_beat_brings_an_instance_back_whose_lease_ended() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.pass(seconds(12)).await;
        assert_eq!(harness.rotation(), [""; 0]);
        harness.beat("a").await.unwrap();
        assert_eq!(harness.rotation(), ["a"]);
        harness.pass(seconds(400)).await;
        assert!(harness.instance("a").is_none());
    });
}

#[test]
fn a_beat_of_an_earlier_registration_keeps_nothing_alive() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        let old = harness.instance("a").unwrap().registration_id();
        harness.apply(register("a", leased(81, 10))).await.unwrap();
        harness.pass(seconds(8)).await;
        let refused = harness
            .registry
            .heartbeat(&everything(), &key("a"), Some(old), None)
            .await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
        harness.pass(seconds(3)).await;
        assert_eq!(harness.rotation(), [""; 0]);
    });
}

#[test]
fn changed_tags_keep_the_verdict_and_a_changed_port_drops_it() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", reported(80))).await.unwrap();
        harness
            .apply(said(key("a"), CheckState::Passing))
            .await
            .unwrap();
        let tagged = RegistrationSpec {
            attributes: Attributes::new([("version", "2")]).unwrap(),
            ..reported(80)
        };
        harness.apply(register("a", tagged)).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
        harness.apply(register("a", reported(81))).await.unwrap();
        let instance = harness.instance("a").unwrap();
        assert_eq!(instance.health(), Health::Unknown);
        assert_eq!(instance.tier(), Tier::Out);
    });
}

#[test]
fn a_removal_sticks_against_a_report_of_before() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", reported(80))).await.unwrap();
        harness.apply(deregister("a")).await.unwrap();
        let late = harness.apply(said(key("a"), CheckState::Passing)).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
        let twice = harness.apply(deregister("a")).await;
        assert_eq!(twice.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(harness.instance("a").is_none());
    });
}

#[test]
fn the_addresses_of_a_host_name_follow_every_report_and_change_nothing_else() {
    let resolved = |ends: &[u8]| -> Box<[IpAddr]> {
        let address = |end: &u8| IpAddr::from([192, 0, 2, *end]);
        ends.iter().map(address).collect()
    };
    let report = |state, addresses: Option<&[u8]>| {
        let Command::Report(report) = said(key("a"), state) else {
            unreachable!("it is a report")
        };
        Command::Report(Report {
            resolved: addresses.map(resolved),
            ..report
        })
    };
    run(async {
        let harness = harness().await;
        harness.apply(register("a", reported(80))).await.unwrap();
        let tell = async |state, addresses| {
            harness.apply(report(state, addresses)).await.unwrap();
            harness.instance("a").unwrap()
        };
        let first = tell(CheckState::Passing, Some(&[1, 2])).await;
        assert_eq!(first.verdict().resolved, resolved(&[1, 2]));
        let moved = tell(CheckState::Passing, Some(&[3])).await;
        assert_eq!(moved.verdict().resolved, resolved(&[3]));
        assert_eq!(moved.verdict().since, first.verdict().since);
        assert_eq!(moved.verdict().reason, first.verdict().reason);
        let silent = tell(CheckState::Failing, None).await;
        assert_eq!(silent.verdict().resolved, resolved(&[3]));
        let many: Vec<u8> = (1..=40).collect();
        let bounded = tell(CheckState::Failing, Some(&many)).await;
        assert_eq!(bounded.verdict().resolved.len(), RESOLVED_MAX);
    });
}

#[test]
fn an_operators_mode_survives_registering_again_and_a_removal() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        let mode = Command::SetMode {
            key: key("a"),
            setting: setting(Mode::Maintenance, None),
        };
        harness.apply(mode).await.unwrap();
        assert_eq!(harness.rotation(), [""; 0]);
        harness.apply(register("a", spec(81))).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().mode(), Mode::Maintenance);
        harness.apply(deregister("a")).await.unwrap();
        harness.apply(register("a", spec(80))).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().mode(), Mode::Maintenance);
    });
}

#[test]
fn an_operators_drain_becomes_maintenance_at_its_deadline_and_a_process_drain_ends_with_its_registration()
 {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        let drain = setting(Mode::Draining, Some(5));
        harness
            .apply(Command::SetMode {
                key: key("a"),
                setting: drain,
            })
            .await
            .unwrap();
        harness.pass(seconds(7)).await;
        assert_eq!(harness.instance("a").unwrap().mode(), Mode::Maintenance);
        harness
            .apply(Command::SetMode {
                key: key("a"),
                setting: None,
            })
            .await
            .unwrap();
        let own = harness.instance("a").unwrap().registration_id();
        let process = ModeSetting {
            process: Some(own),
            ..ModeSetting::clone(&setting(Mode::Draining, None).unwrap())
        };
        let process = Some(Arc::new(process));
        harness
            .apply(Command::SetMode {
                key: key("a"),
                setting: process,
            })
            .await
            .unwrap();
        assert_eq!(harness.rotation(), [""; 0]);
        harness.apply(register("a", spec(81))).await.unwrap();
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn a_failed_instance_is_served_only_when_none_is_left_and_the_service_says_fail_open() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", reported(80))).await.unwrap();
        harness.apply(register("b", reported(81))).await.unwrap();
        for id in ["a", "b"] {
            harness
                .apply(said(key(id), CheckState::Passing))
                .await
                .unwrap();
        }
        harness
            .apply(said(key("a"), CheckState::Failing))
            .await
            .unwrap();
        assert_eq!(harness.rotation(), ["b"]);
        harness
            .apply(said(key("b"), CheckState::Failing))
            .await
            .unwrap();
        assert_eq!(harness.rotation(), [""; 0]);
        let change = ServiceChange {
            fail_open: Some(true),
            ..ServiceChange::default()
        };
        let open = Command::UpdateService {
            key: service(),
            change,
            expected: None,
        };
        harness.apply(open).await.unwrap();
        assert_eq!(harness.rotation(), ["a", "b"]);
        let mode = setting(Mode::Maintenance, None);
        harness
            .apply(Command::SetMode {
                key: key("a"),
                setting: mode,
            })
            .await
            .unwrap();
        assert_eq!(
            harness.rotation(),
            ["b"],
            "maintenance is out, never by fail-open"
        );
    });
}

#[test]
fn when_many_leases_end_at_once_they_are_held_as_suspect_for_one_lease_and_served_last() {
    run(async {
        let mut harness = harness().await;
        for port in 1..=8u16 {
            harness
                .apply(register(&format!("i{port}"), leased(port, 10)))
                .await
                .unwrap();
        }
        harness.pass(seconds(9)).await;
        harness.beat("i1").await.unwrap();
        harness.pass(seconds(3)).await;
        let suspect = harness.instance("i2").unwrap();
        assert!(
            matches!(suspect.verdict().lease, LeaseState::Suspect { .. }),
            "{suspect:?}"
        );
        assert_eq!(suspect.tier(), Tier::Suspect);
        assert_eq!(harness.rotation(), ["i1"]);
        harness.beat("i2").await.unwrap();
        assert_eq!(harness.rotation(), ["i1", "i2"]);
        harness.pass(seconds(8)).await;
        assert_eq!(harness.instance("i3").unwrap().health(), Health::Unhealthy);
    });
}

#[test]
fn nothing_ends_because_the_process_did_not_run() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.pass(seconds(1)).await;
        harness.freeze(seconds(3_600)).await;
        let instance = harness.instance("a").unwrap();
        assert!(matches!(
            instance.verdict().lease,
            LeaseState::Suspect { .. }
        ));
        assert_eq!(harness.rotation(), ["a"]);
        harness.beat("a").await.unwrap();
        assert_eq!(harness.instance("a").unwrap().tier(), Tier::Fit);
    });
}

#[test]
fn a_wall_clock_that_jumps_a_day_either_way_ends_no_lease() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 60))).await.unwrap();
        harness.clock.set_wall(START.after(seconds(86_400)));
        harness.pass(seconds(5)).await;
        harness
            .clock
            .set_wall(waypost_core::Timestamp(START.0 - 86_400_000));
        harness.pass(seconds(5)).await;
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn after_a_restart_everything_keeps_its_verdict_and_gets_a_whole_lease() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let mut harness = Harness::over(store.clone(), clock.clone(), 1).await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.apply(register("b", reported(81))).await.unwrap();
        harness
            .apply(said(key("b"), CheckState::Failing))
            .await
            .unwrap();
        harness.pass(seconds(9)).await;
        let before = harness.instance("b").unwrap();
        harness.kill().await;
        clock.advance(seconds(7_200));
        let mut harness = Harness::over(store, clock, 2).await;
        harness.pass(seconds(9)).await;
        assert_eq!(harness.rotation(), ["a"]);
        let after = harness.instance("b").unwrap();
        assert_eq!(after.verdict(), before.verdict());
        harness.pass(seconds(2)).await;
        assert_eq!(harness.rotation(), [""; 0]);
    });
}

#[test]
fn without_an_owner_the_empty_one_is_meant_else_the_only_one_else_a_conflict_lists_them() {
    run(async {
        let harness = harness().await;
        let owned = |owner: &str, port| match register("a", spec(port)) {
            Command::Register {
                service,
                id,
                spec,
                defaults,
                ..
            } => {
                let owner = Some(Owner::new(owner).unwrap());
                Command::Register {
                    service,
                    id,
                    owner,
                    spec,
                    defaults,
                }
            }
            other => other,
        };
        harness.apply(owned("node/x", 80)).await.unwrap();
        let updated = harness.apply(register("a", spec(81))).await.unwrap();
        assert_eq!(updated.outcome, Outcome::Updated);
        harness.apply(owned("node/y", 80)).await.unwrap();
        let refused = harness.apply(deregister("a")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.to_string().contains("node/x, node/y"), "{refused}");
        harness.apply(owned("", 82)).await.unwrap();
        harness.apply(deregister("a")).await.unwrap();
        let snapshot = harness.snapshots.latest();
        assert_eq!(snapshot.service(&service()).unwrap().instances().len(), 2);
    });
}

#[test]
fn names_compare_in_lower_case_and_are_kept_as_written() {
    run(async {
        let harness = harness().await;
        harness.apply(register("Web-1", spec(80))).await.unwrap();
        let again = harness.apply(register("WEB-1", spec(80))).await.unwrap();
        assert_eq!(again.outcome, Outcome::Unchanged);
        assert_eq!(harness.rotation(), ["Web-1"]);
    });
}

#[test]
fn an_atomic_step_that_fails_in_its_last_part_changes_nothing() {
    run(async {
        let harness = harness().await;
        let before = harness.snapshots.latest().revision();
        let all = Command::All(vec![
            register("a", spec(80)),
            register("b", spec(81)),
            deregister("c"),
        ]);
        assert_eq!(
            harness.apply(all).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(harness.snapshots.latest().revision(), before);
        let all = Command::All(vec![
            register("a", spec(80)),
            register("b", spec(81)),
            deregister("a"),
        ]);
        harness.apply(all).await.unwrap();
        assert_eq!(harness.rotation(), ["b"]);
    });
}

#[test]
fn an_implied_service_goes_after_a_day_of_emptiness_and_an_explicit_one_stays() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        harness.apply(deregister("a")).await.unwrap();
        harness.freeze(seconds(86_399)).await;
        assert!(harness.snapshots.latest().service(&service()).is_some());
        harness.freeze(seconds(120)).await;
        assert!(harness.snapshots.latest().service(&service()).is_none());
        harness.freeze(seconds(86_460)).await;
        assert_eq!(harness.snapshots.latest().namespaces_len(), 0);
    });
}

#[test]
fn what_an_access_may_not_change_is_denied_whether_it_may_see_it_or_not() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        let grant = |verbs: &[waypost_core::Verb], services: &str| waypost_core::Grant {
            verbs: verbs.to_vec(),
            namespaces: waypost_core::Pattern::any(),
            services: waypost_core::Pattern::new(services).unwrap(),
        };
        let access = |grants: Vec<waypost_core::Grant>| {
            waypost_core::Access::granted(
                "narrow",
                waypost_core::Dialect::Rest,
                None,
                grants.into(),
            )
        };
        use waypost_core::Verb::{Read, Register};
        let reader = access(vec![grant(&[Read], "*"), grant(&[Register], "db")]);
        let refused = harness
            .registry
            .apply(&reader, deregister("a"))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        let other = access(vec![grant(&[Read, Register], "db*")]);
        // The same for whatever name, so that it tells nothing.
        let hidden = harness
            .registry
            .apply(&other, deregister("a"))
            .await
            .unwrap_err();
        assert_eq!(hidden.kind(), ErrorKind::Denied);
        let view = harness.registry.view(&other);
        assert!(view.service(&service()).is_err());
        assert_eq!(view.services().count(), 0);
        let beat = harness
            .registry
            .heartbeat(&other, &key("a"), None, None)
            .await
            .unwrap_err();
        assert_eq!(beat.kind(), ErrorKind::Denied);
    });
}

#[test]
fn whoever_may_register_and_not_read_renews_by_registering_again() {
    run(async {
        let mut harness = harness().await;
        let grant = waypost_core::Grant {
            verbs: vec![waypost_core::Verb::Register],
            namespaces: waypost_core::Pattern::any(),
            services: waypost_core::Pattern::any(),
        };
        let access = waypost_core::Access::granted(
            "agent",
            waypost_core::Dialect::Rest,
            None,
            Arc::from([grant]),
        );
        harness
            .registry
            .apply(&access, register("a", leased(80, 10)))
            .await
            .unwrap();
        harness.pass(seconds(8)).await;
        let again = harness
            .registry
            .apply(&access, register("a", leased(80, 10)))
            .await
            .unwrap();
        assert_eq!(again.outcome, Outcome::Unchanged);
        harness.pass(seconds(8)).await;
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn an_answer_from_before_a_removal_does_not_pass_for_the_latest_after_a_restart() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let harness = Harness::over(store.clone(), clock.clone(), 1).await;
        harness.apply(register("a", spec(80))).await.unwrap();
        harness.apply(register("b", reported(81))).await.unwrap();
        harness
            .apply(said(key("b"), CheckState::Passing))
            .await
            .unwrap();
        let before = harness
            .snapshots
            .latest()
            .service(&service())
            .unwrap()
            .modified();
        harness.apply(deregister("a")).await.unwrap();
        harness.stop().await;
        let harness = Harness::over(store, clock, 2).await;
        let snapshot = harness.snapshots.latest();
        let state = snapshot.service(&service()).unwrap();
        assert!(state.modified() > before && state.membership() > before);
        assert_eq!(
            harness.instance("b").unwrap().edges().len(),
            0,
            "reading is no change of health"
        );
    });
}

#[test]
fn registering_the_same_twice_starts_no_lease_that_begins_with_the_first_heartbeat() {
    run(async {
        let harness = harness().await;
        let lease = waypost_core::Lease {
            seconds: 10,
            start: waypost_core::LeaseStart::FirstHeartbeat,
            renewed_by_checks: false,
        };
        let late = || RegistrationSpec {
            lease: Some(lease),
            ..spec(80)
        };
        let first = harness.apply(register("a", late())).await.unwrap();
        let again = harness.apply(register("a", late())).await.unwrap();
        assert_eq!(
            (again.outcome, again.revision),
            (Outcome::Unchanged, first.revision)
        );
        assert_eq!(
            harness.instance("a").unwrap().verdict().lease,
            LeaseState::NotStarted
        );
        harness.beat("a").await.unwrap();
        assert_eq!(
            harness.instance("a").unwrap().verdict().lease,
            LeaseState::Running
        );
    });
}

#[test]
fn a_process_that_stops_again_and_again_ends_nothing() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        harness.apply(register("b", leased(81, 10))).await.unwrap();
        harness.pass(seconds(8)).await;
        harness.beat("b").await.unwrap();
        for _ in 0..5 {
            harness.freeze(seconds(15)).await;
            assert!(matches!(
                harness.instance("a").unwrap().verdict().lease,
                LeaseState::Suspect { .. }
            ));
        }
        // Due a moment after the last stop, when no beat can have been read yet.
        harness.pass(seconds(3)).await;
        assert!(matches!(
            harness.instance("b").unwrap().verdict().lease,
            LeaseState::Suspect { .. }
        ));
        harness.pass(seconds(12)).await;
        assert_eq!(
            harness.instance("a").unwrap().health(),
            Health::Unhealthy,
            "silence while listening is death"
        );
    });
}

#[test]
fn a_lease_that_was_held_and_renewed_counts_once_when_it_ends() {
    run(async {
        let mut harness = harness().await;
        for port in 1..=10u16 {
            harness
                .apply(register(&format!("i{port}"), leased(port, 10)))
                .await
                .unwrap();
        }
        for _ in 0..3 {
            // All at once are held, then all come back.
            harness.pass(seconds(11)).await;
            for port in 1..=10u16 {
                harness.beat(&format!("i{port}")).await.unwrap();
            }
        }
        harness.pass(seconds(6)).await;
        for port in 3..=10u16 {
            harness.beat(&format!("i{port}")).await.unwrap();
        }
        harness.pass(seconds(5)).await;
        for id in ["i1", "i2"] {
            assert_eq!(
                harness.instance(id).unwrap().health(),
                Health::Unhealthy,
                "{id} is one of two of ten"
            );
        }
    });
}

fn beating(port: u16, within_seconds: u32) -> RegistrationSpec {
    let id = waypost_core::CheckId::new("beats").unwrap();
    let check = waypost_core::Check::new(id, waypost_core::CheckKind::Heartbeat { within_seconds });
    RegistrationSpec {
        checks: Arc::from([check]),
        ..spec(port)
    }
}

#[test]
fn a_heartbeat_check_passes_with_beats_fails_with_silence_and_listens_anew_to_a_new_registration() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", beating(80, 30))).await.unwrap();
        harness.pass(seconds(20)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unknown);
        harness.beat("a").await.unwrap();
        harness.pass(seconds(2)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
        harness.pass(seconds(31)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unhealthy);
        harness.apply(deregister("a")).await.unwrap();
        harness.apply(register("a", beating(80, 30))).await.unwrap();
        harness.pass(seconds(20)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unknown);
        harness.beat("a").await.unwrap();
        harness.pass(seconds(2)).await;
        harness.freeze(seconds(3_600)).await;
        assert_eq!(
            harness.instance("a").unwrap().health(),
            Health::Healthy,
            "nobody could be heard"
        );
        harness.pass(seconds(31)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unhealthy);
    });
}
