//! What operators say: overrides and blocks that outlive registrations and restarts, and end when they should.

use std::sync::Arc;
use std::time::Duration;

use waypost_core::{
    CheckId, CheckState, Clock, Command, Epoch, ErrorKind, Health, HealthOverride, ManualClock,
    MemoryStore, Mode, ModeChange, ModeSetting, Note, Outcome, Owner, Report, Revision, Tier, text,
};

use crate::harness::{
    Harness, START, deregister, key, leased, register, reported, run, said, service, spec,
};

async fn harness() -> Harness {
    let store = Arc::new(MemoryStore::new(Epoch(1)));
    Harness::over(store, Arc::new(ManualClock::new(START)), 1).await
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn note(harness: &Harness, until_seconds: Option<u64>) -> Note {
    let since = harness.clock.wall();
    Note {
        reason: text("leaks memory"),
        author: text("ann"),
        since,
        until: until_seconds.map(|until| since.after(seconds(until))),
    }
}

fn change(change: ModeChange) -> Command {
    Command::ChangeMode {
        key: key("a"),
        change: Box::new(change),
        expected: None,
    }
}

fn says(health: Health, note: Note) -> Command {
    change(ModeChange {
        health: Some(Some(HealthOverride { health, note })),
        ..ModeChange::default()
    })
}

fn weighs(weight: u32, note: Note) -> Command {
    change(ModeChange {
        weight: Some(Some((weight, note))),
        ..ModeChange::default()
    })
}

fn drain(note: Note) -> Command {
    change(ModeChange {
        mode: Some((Mode::Draining, note)),
        ..ModeChange::default()
    })
}

fn block(note: Note) -> Command {
    Command::Block {
        service: service(),
        id: key("a").id,
        owner: None,
        note,
    }
}

fn tells(state: CheckState, note: &str, for_seconds: Option<u32>) -> Command {
    Command::ReportNamed {
        report: Report {
            key: key("a"),
            registration: None,
            check: CheckId::new("said").unwrap(),
            state,
            reason: text(note),
            body: None,
            resolved: None,
        },
        for_seconds,
    }
}

#[test]
fn an_operators_word_on_health_counts_everywhere_and_hides_nothing_of_the_checks() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", reported(1))).await.unwrap();
        harness
            .apply(says(Health::Healthy, note(&harness, Some(60))))
            .await
            .unwrap();
        harness
            .apply(said(key("a"), CheckState::Failing))
            .await
            .unwrap();
        let instance = harness.instance("a").unwrap();
        assert_eq!(
            (instance.health(), instance.tier()),
            (Health::Healthy, Tier::Fit)
        );
        assert_eq!(instance.verdict().health, Health::Unhealthy);
        assert_eq!(&*instance.health_reason(), "ann says Healthy: leaks memory");
        assert_eq!(
            &*instance.edges().last().unwrap().reason,
            "ann says Healthy: leaks memory"
        );
        assert_eq!(harness.rotation(), ["a"]);
        harness.pass(seconds(61)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unhealthy);
        assert_eq!(harness.rotation(), [""; 0]);
    });
}

#[test]
fn no_word_of_an_operator_keeps_an_instance_alive_whose_lease_ended() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(1, 5))).await.unwrap();
        harness
            .apply(says(Health::Healthy, note(&harness, None)))
            .await
            .unwrap();
        harness.pass(seconds(6)).await;
        let instance = harness.instance("a").unwrap();
        assert_eq!(
            (instance.health(), instance.tier()),
            (Health::Unhealthy, Tier::FailOpen)
        );
        harness.beat("a").await.unwrap();
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
    });
}

#[test]
fn only_healthy_and_unhealthy_can_be_said() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        for health in [Health::Warning, Health::Unknown] {
            let refused = harness.apply(says(health, note(&harness, None))).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
        }
    });
}

#[test]
fn overrides_survive_an_update_a_new_registration_and_a_restart_and_end_on_time() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let harness = Harness::over(store.clone(), clock.clone(), 1).await;
        harness.apply(register("a", spec(1))).await.unwrap();
        harness
            .apply(drain(note(&harness, Some(30))))
            .await
            .unwrap();
        harness
            .apply(weighs(9, note(&harness, Some(60))))
            .await
            .unwrap();
        harness
            .apply(says(Health::Unhealthy, note(&harness, Some(90))))
            .await
            .unwrap();
        harness.apply(register("a", spec(2))).await.unwrap();
        harness.apply(deregister("a")).await.unwrap();
        harness.apply(register("a", spec(3))).await.unwrap();
        harness.kill().await;
        let mut harness = Harness::over(store, clock, 2).await;
        let shown = |harness: &Harness| {
            let instance = harness.instance("a").unwrap();
            (instance.mode(), instance.weight(), instance.health())
        };
        assert_eq!(shown(&harness), (Mode::Draining, 9, Health::Unhealthy));
        assert!(
            harness.instance("a").unwrap().edges().is_empty(),
            "what is read is no change"
        );
        harness.pass(seconds(31)).await;
        assert_eq!(shown(&harness), (Mode::Maintenance, 9, Health::Unhealthy));
        harness.pass(seconds(30)).await;
        assert_eq!(shown(&harness), (Mode::Maintenance, 1, Health::Unhealthy));
        harness.pass(seconds(30)).await;
        assert_eq!(shown(&harness), (Mode::Maintenance, 1, Health::Healthy));
        harness
            .apply(change(ModeChange::to_plain(START)))
            .await
            .unwrap();
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn a_process_drains_itself_beside_an_override_and_takes_only_its_own_back() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        harness
            .apply(weighs(9, note(&harness, None)))
            .await
            .unwrap();
        let id = harness.instance("a").unwrap().registration_id();
        let process = |mode| {
            let setting = ModeSetting {
                process: Some(id),
                ..ModeSetting::new(mode, note(&harness, None))
            };
            Command::SetMode {
                key: key("a"),
                setting: Some(Arc::new(setting)),
            }
        };
        let shown = || {
            let instance = harness.instance("a").unwrap();
            (instance.mode(), instance.weight())
        };
        harness.apply(process(Mode::Draining)).await.unwrap();
        assert_eq!(shown(), (Mode::Draining, 9));
        harness.apply(process(Mode::Active)).await.unwrap();
        assert_eq!(shown(), (Mode::Active, 9));
        harness.apply(process(Mode::Draining)).await.unwrap();
        harness.apply(register("a", spec(2))).await.unwrap();
        assert_eq!(
            shown(),
            (Mode::Active, 9),
            "a drain of the process ends with its registration"
        );
    });
}

#[test]
fn of_two_operators_the_last_one_wins_unless_the_first_one_is_named() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        let at = |expected| Command::ChangeMode {
            key: key("a"),
            change: Box::new(ModeChange {
                mode: Some((Mode::Draining, note(&harness, Some(expected)))),
                ..ModeChange::default()
            }),
            expected: Some(Revision(expected)),
        };
        harness.apply(at(0)).await.unwrap();
        let refused = harness.apply(at(0)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let (_, written) = harness
            .snapshots
            .latest()
            .mode(&key("a"))
            .map(|(setting, at)| (setting.clone(), at))
            .unwrap();
        assert!(
            refused
                .to_string()
                .contains(&format!("its revision is {written}")),
            "{refused}"
        );
        harness.apply(at(written.0)).await.unwrap();
        harness.apply(drain(note(&harness, None))).await.unwrap();
    });
}

#[test]
fn nothing_is_set_for_what_is_gone_but_what_was_kept_can_be_taken_back() {
    run(async {
        let harness = harness().await;
        assert_eq!(
            harness
                .apply(drain(note(&harness, None)))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::NotFound
        );
        harness.apply(register("a", spec(1))).await.unwrap();
        harness.apply(drain(note(&harness, None))).await.unwrap();
        harness.apply(deregister("a")).await.unwrap();
        assert_eq!(
            harness
                .apply(weighs(3, note(&harness, None)))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::NotFound
        );
        harness
            .apply(change(ModeChange::to_plain(START)))
            .await
            .unwrap();
        harness.apply(register("a", spec(1))).await.unwrap();
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn a_blocked_id_cannot_be_registered_until_the_block_ends() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let harness = Harness::over(store.clone(), clock.clone(), 1).await;
        harness.apply(register("a", spec(1))).await.unwrap();
        let done = harness
            .apply(block(note(&harness, Some(600))))
            .await
            .unwrap();
        assert_eq!(done.outcome, Outcome::Removed);
        harness.kill().await;
        let mut harness = Harness::over(store, clock, 2).await;
        let refused = harness.apply(register("a", spec(1))).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(
            refused.to_string(),
            "instance web.svc.internal/a is blocked until 2023-11-14T22:23:20Z by ann: leaks memory"
        );
        harness.apply(register("b", spec(1))).await.unwrap();
        harness.pass(seconds(599)).await;
        assert!(harness.apply(register("a", spec(1))).await.is_err());
        harness.pass(seconds(2)).await;
        harness.apply(register("a", spec(1))).await.unwrap();
    });
}

#[test]
fn a_block_is_lifted_by_an_operator_and_brings_back_the_mode_of_before() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", spec(1))).await.unwrap();
        harness
            .apply(weighs(9, note(&harness, None)))
            .await
            .unwrap();
        harness
            .apply(block(note(&harness, Some(10))))
            .await
            .unwrap();
        harness
            .apply(block(note(&harness, Some(600))))
            .await
            .unwrap();
        harness.pass(seconds(20)).await;
        assert!(harness.apply(register("a", spec(1))).await.is_err());
        let lift = ModeChange {
            lifts_block: true,
            ..ModeChange::default()
        };
        harness.apply(change(lift)).await.unwrap();
        harness.apply(register("a", spec(1))).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().weight(), 9);
    });
}

#[test]
fn a_block_has_an_end_and_needs_something_to_block() {
    run(async {
        let harness = harness().await;
        assert_eq!(
            harness
                .apply(block(note(&harness, Some(1))))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::NotFound
        );
        harness.apply(register("a", spec(1))).await.unwrap();
        for until in [None, Some(0)] {
            let refused = harness
                .apply(block(note(&harness, until)))
                .await
                .unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid);
        }
        assert!(harness.instance("a").is_some());
    });
}

#[test]
fn a_block_is_of_one_owner_and_who_names_none_is_not_taken_for_another() {
    run(async {
        let harness = harness().await;
        let owned = |owner: &str| match register("a", spec(1)) {
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
        harness.apply(register("a", spec(1))).await.unwrap();
        harness
            .apply(block(note(&harness, Some(60))))
            .await
            .unwrap();
        harness.apply(owned("node/x")).await.unwrap();
        assert_eq!(
            harness
                .apply(register("a", spec(2)))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Conflict
        );
        harness.apply(owned("node/x")).await.unwrap();
    });
}

#[test]
fn a_report_that_is_not_repeated_in_time_fails_the_check() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", reported(1))).await.unwrap();
        harness
            .apply(tells(CheckState::Passing, "all is well", Some(10)))
            .await
            .unwrap();
        assert_eq!(harness.rotation(), ["a"]);
        for _ in 0..4 {
            harness.pass(seconds(6)).await;
            let before = harness.snapshots.revision();
            let again = harness
                .apply(tells(CheckState::Passing, "all is well", Some(10)))
                .await
                .unwrap();
            assert_eq!(
                (again.outcome, harness.snapshots.revision()),
                (Outcome::Unchanged, before)
            );
        }
        harness.pass(seconds(11)).await;
        let instance = harness.instance("a").unwrap();
        assert_eq!(instance.health(), Health::Unhealthy);
        assert_eq!(
            &*instance.verdict().checks[0].reason,
            "nobody reported within 10 s; the last report said passing: all is well"
        );
        harness
            .apply(tells(CheckState::Warning, "", None))
            .await
            .unwrap();
        harness.pass(seconds(60)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Warning);
    });
}

#[test]
fn a_shorter_promise_counts_at_once_and_a_restart_gives_it_anew() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let mut harness = Harness::over(store.clone(), clock.clone(), 1).await;
        harness.apply(register("a", reported(1))).await.unwrap();
        harness
            .apply(tells(CheckState::Passing, "", Some(3_600)))
            .await
            .unwrap();
        harness.pass(seconds(5)).await;
        harness
            .apply(tells(CheckState::Passing, "", Some(10)))
            .await
            .unwrap();
        harness.pass(seconds(8)).await;
        harness.kill().await;
        let mut harness = Harness::over(store, clock, 2).await;
        harness.pass(seconds(9)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
        harness.pass(seconds(2)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unhealthy);
    });
}

#[test]
fn a_report_counts_on_over_a_new_registration_that_keeps_the_verdict() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", reported(1))).await.unwrap();
        harness
            .apply(tells(CheckState::Passing, "", Some(10)))
            .await
            .unwrap();
        let heavier = waypost_core::RegistrationSpec {
            weight: 5,
            ..reported(1)
        };
        harness.apply(register("a", heavier)).await.unwrap();
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
        harness.pass(seconds(11)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unhealthy);
        // The verdict goes with the place, and so does what was promised of it.
        harness.apply(register("a", reported(2))).await.unwrap();
        harness.pass(seconds(11)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unknown);
    });
}

#[test]
fn silence_while_the_process_did_not_run_fails_nothing() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", reported(1))).await.unwrap();
        harness
            .apply(tells(CheckState::Passing, "", Some(10)))
            .await
            .unwrap();
        harness.pass(seconds(1)).await;
        harness.freeze(seconds(60)).await;
        harness.pass(seconds(9)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Healthy);
        harness.pass(seconds(2)).await;
        assert_eq!(harness.instance("a").unwrap().health(), Health::Unhealthy);
    });
}

#[test]
fn a_report_on_what_is_not_reported_is_refused() {
    run(async {
        let harness = harness().await;
        let probed = waypost_core::RegistrationSpec {
            checks: Arc::from([waypost_core::Check::new(
                CheckId::new("said").unwrap(),
                waypost_core::CheckKind::Probe(waypost_core::ProbeSpec::new(
                    waypost_core::ProbeProtocol::Tcp,
                )),
            )]),
            ..spec(1)
        };
        harness.apply(register("a", probed)).await.unwrap();
        let refused = harness
            .apply(tells(CheckState::Passing, "", None))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.to_string().contains("of the kind tcp"), "{refused}");
        harness.apply(register("a", spec(1))).await.unwrap();
        let refused = harness
            .apply(tells(CheckState::Passing, "", None))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    });
}
