//! Commands under a condition, several commands at once, and what an instance's own revision covers.

use std::sync::Arc;

use proptest::prelude::*;
use waypost_core::{
    Beat, CheckState, Command, Epoch, ErrorKind, Expected, Fact, InstanceId, ManualClock,
    MemoryStore, Mode, ModeSetting, Outcome, RegistrationId, RegistrationSpec, RegistryError,
    Revision, ServiceChange, Sign, text,
};

use crate::harness::{
    Harness, START, deregister, everything, key, leased, register, reported, run, said, service,
    spec,
};

async fn harness() -> Harness {
    over(Arc::new(MemoryStore::new(Epoch(1)))).await
}

async fn over(store: Arc<MemoryStore>) -> Harness {
    Harness::over(store, Arc::new(ManualClock::new(START)), 1).await
}

fn when(id: &str, expected: Expected, command: Command) -> Command {
    let fact = Fact::Instance {
        service: service(),
        id: InstanceId::new(id).unwrap(),
        owner: None,
        expected,
    };
    Command::When {
        facts: vec![fact],
        command: Box::new(command),
    }
}

fn weighted(weight: u32) -> RegistrationSpec {
    RegistrationSpec { weight, ..spec(80) }
}

fn mode(id: &str, mode: Option<Mode>) -> Command {
    let setting = |mode| {
        Arc::new(ModeSetting {
            mode,
            reason: text(""),
            author: text("ann"),
            since: START,
            until: None,
            weight: None,
            weight_note: None,
            health: None,
            block: None,
            process: None,
            extra: waypost_core::Extra::default(),
        })
    };
    Command::SetMode {
        key: key(id),
        setting: mode.map(setting),
    }
}

fn fail_open(fail_open: bool) -> Command {
    Command::UpdateService {
        key: service(),
        change: ServiceChange {
            fail_open: Some(fail_open),
            ..ServiceChange::default()
        },
        expected: None,
    }
}

#[test]
fn of_writers_that_saw_the_same_state_one_wins_and_the_others_are_told_the_revision() {
    run(async {
        let harness = harness().await;
        let seen = harness.apply(register("a", spec(80))).await.unwrap();
        harness.apply(register("b", spec(81))).await.unwrap();
        let since = Expected::UnchangedSince(seen.revision);
        let rivals = (1..=20).map(|port| when("a", since, register("a", spec(port))));
        let answers = harness
            .registry
            .apply_each(&everything(), rivals.collect())
            .await;
        let won: Vec<Revision> = answers
            .iter()
            .filter_map(|answer| Some(answer.as_ref().ok()?.revision))
            .collect();
        assert_eq!(won.len(), 1);
        for answer in &answers {
            if let Err(error) = answer {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(
                    matches!(error, RegistryError::Changed { revision: Some(is), .. } if *is == won[0])
                );
            }
        }
    });
}

#[test]
fn a_condition_holds_through_changes_of_others_and_falls_with_ones_own() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", reported(80))).await.unwrap();
        let seen = harness.snapshots.latest().revision();
        harness.apply(register("b", spec(81))).await.unwrap();
        let since = Expected::UnchangedSince(seen);
        let again = when("a", since, register("a", reported(80)));
        let applied = harness.apply(again.clone()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::Unchanged);
        harness
            .apply(said(key("a"), CheckState::Passing))
            .await
            .unwrap();
        let error = harness.apply(again.clone()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("instance web.svc.internal/a is not as expected")
        );
        harness.apply(deregister("a")).await.unwrap();
        let error = harness.apply(again).await.unwrap_err();
        assert!(matches!(
            error,
            RegistryError::Changed { revision: None, .. }
        ));
        harness.apply(register("a", reported(80))).await.unwrap();
        let removal = when("a", since, deregister("a"));
        assert!(harness.apply(removal).await.is_err());
        let future = Expected::UnchangedSince(Revision(1_000_000));
        let removal = when("a", future, deregister("a"));
        assert!(harness.apply(removal).await.is_err());
    });
}

#[test]
fn what_must_be_absent_is_made_once() {
    run(async {
        let harness = harness().await;
        let make = |port| when("a", Expected::Absent, register("a", spec(port)));
        let answers = harness
            .registry
            .apply_each(&everything(), vec![make(1), make(2), make(3)])
            .await;
        let outcomes: Vec<Result<Outcome, ErrorKind>> = answers
            .into_iter()
            .map(|answer| answer.map(|applied| applied.outcome).map_err(|e| e.kind()))
            .collect();
        let exists = Err(ErrorKind::AlreadyExists);
        assert_eq!(outcomes, [Ok(Outcome::Created), exists, exists]);
    });
}

#[test]
fn services_and_namespaces_are_compared_by_themselves_and_not_by_what_lies_in_them() {
    run(async {
        let harness = harness().await;
        harness.apply(register("a", spec(80))).await.unwrap();
        let seen = Expected::UnchangedSince(harness.snapshots.latest().revision());
        harness.apply(register("b", spec(80))).await.unwrap();
        let of_service = |command| Command::When {
            facts: vec![
                Fact::Namespace(service().namespace, seen),
                Fact::Service(service(), seen),
            ],
            command: Box::new(command),
        };
        harness.apply(of_service(fail_open(true))).await.unwrap();
        let error = harness
            .apply(of_service(fail_open(false)))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("service web.svc.internal"));
    });
}

#[test]
fn a_condition_from_before_a_restart_does_not_overlook_a_mode_that_was_removed() {
    run(async {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let harness = over(store.clone()).await;
        harness.apply(register("a", spec(80))).await.unwrap();
        harness
            .apply(mode("a", Some(Mode::Maintenance)))
            .await
            .unwrap();
        let seen = Expected::UnchangedSince(harness.snapshots.latest().revision());
        harness.apply(mode("a", None)).await.unwrap();
        let fresh = over(store).await;
        assert!(
            fresh
                .apply(when("a", seen, register("a", spec(1))))
                .await
                .is_err()
        );
        let instance = fresh.instance("a").unwrap();
        let seen = Expected::UnchangedSince(instance.modified());
        fresh
            .apply(when("a", seen, register("a", spec(1))))
            .await
            .unwrap();
    });
}

#[test]
fn commands_at_once_are_answered_each_alone_and_share_durable_steps() {
    run(async {
        let harness = harness().await;
        let mut commands: Vec<Command> = (0..500)
            .map(|at| register(&format!("i-{at}"), spec(80)))
            .collect();
        commands.insert(250, deregister("nobody"));
        let answers = harness.registry.apply_each(&everything(), commands).await;
        assert_eq!(answers.len(), 501);
        let failed: Vec<usize> = (0..answers.len())
            .filter(|at| answers[*at].is_err())
            .collect();
        assert_eq!(failed, [250]);
        assert_eq!(harness.snapshots.latest().instances_len(), 500);
    });
}

#[test]
fn an_atomic_step_says_what_each_did_or_which_one_failed() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        let all = Command::All(vec![
            register("a", leased(80, 10)),
            register("b", spec(80)),
            register("b", spec(81)),
            deregister("b"),
        ]);
        harness.pass(std::time::Duration::from_secs(8)).await;
        let applied = harness.apply(all).await.unwrap();
        assert_eq!(
            *applied.each,
            [
                Outcome::Unchanged,
                Outcome::Created,
                Outcome::Updated,
                Outcome::Removed
            ]
        );
        harness.pass(std::time::Duration::from_secs(8)).await;
        assert_eq!(harness.rotation(), ["a"], "it was renewed");
        let all = Command::All(vec![register("c", spec(1)), deregister("d")]);
        let error = harness.apply(all).await.unwrap_err();
        assert!(matches!(error, RegistryError::Item { at: 1, .. }));
        assert_eq!(
            error.to_string(),
            "instance web.svc.internal/d is not registered"
        );
    });
}

#[test]
fn heartbeats_of_several_instances_renew_each_and_bring_back_what_was_over() {
    run(async {
        let mut harness = harness().await;
        for at in 0..10 {
            let id = format!("i-{at}");
            harness.apply(register(&id, leased(80, 10))).await.unwrap();
        }
        harness.pass(std::time::Duration::from_secs(12)).await;
        harness.pass(std::time::Duration::from_secs(12)).await;
        assert!(harness.rotation().is_empty());
        let mut signs: Vec<Sign> = (0..10)
            .map(|at| Sign {
                key: key(&format!("i-{at}")),
                registration: None,
                load: Some(0.5),
            })
            .collect();
        signs.push(Sign {
            key: key("nobody"),
            registration: None,
            load: None,
        });
        let answers = harness.registry.heartbeats(&everything(), &signs).await;
        assert!(answers.iter().take(10).all(Result::is_ok));
        assert_eq!(
            answers[10].as_ref().unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(harness.rotation().len(), 10);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, u32),
    Remove(u8),
    Say(u8, bool),
    Mode(u8, bool),
    FailOpen(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, 0..2u32).prop_map(|(id, weight)| Step::Register(id, weight)),
        (0..4u8).prop_map(Step::Remove),
        (0..4u8, any::<bool>()).prop_map(|(id, passes)| Step::Say(id, passes)),
        (0..4u8, any::<bool>()).prop_map(|(id, out)| Step::Mode(id, out)),
        any::<bool>().prop_map(Step::FailOpen),
    ]
}

/// What a document about an instance shows of it and of others.
fn shown(harness: &Harness) -> Vec<(String, Revision, String)> {
    let snapshot = harness.snapshots.latest();
    let Some(state) = snapshot.service(&service()) else {
        return Vec::new();
    };
    let instances = state.instances().iter();
    let of = |instance: &Arc<waypost_core::Instance>| {
        let shows = format!(
            "{:?} {:?} {:?} {}",
            instance.registration_id(),
            instance.verdict(),
            instance.mode(),
            state.rotation().contains(instance.key())
        );
        let id = instance.key().id.as_str().to_owned();
        (id, state.shown(instance), shows)
    };
    instances.map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_instance_with_the_same_revision_shows_the_same(steps in proptest::collection::vec(step(), 1..40)) {
        run(async {
            let harness = harness().await;
            let mut seen = std::collections::HashMap::new();
            for step in steps {
                let id = |id: u8| format!("i-{id}");
                let command = match step {
                    Step::Register(at, 0) => register(&id(at), reported(80)),
                    Step::Register(at, weight) => register(&id(at), weighted(weight)),
                    Step::Remove(at) => deregister(&id(at)),
                    Step::Say(at, true) => said(key(&id(at)), CheckState::Passing),
                    Step::Say(at, false) => said(key(&id(at)), CheckState::Failing),
                    Step::Mode(at, out) => mode(&id(at), out.then_some(Mode::Draining)),
                    Step::FailOpen(on) => fail_open(on),
                };
                // What is not there is refused, and that is no news.
                let _ = harness.apply(command).await;
                for (id, revision, shows) in shown(&harness) {
                    let known = seen.entry((id, revision)).or_insert_with(|| shows.clone());
                    assert_eq!(*known, shows);
                }
            }
        });
    }
}

fn amend(harness: &Harness, id: &str, spec: RegistrationSpec) -> Command {
    Command::Amend {
        key: key(id),
        written: harness.instance(id).unwrap().registered(),
        spec: Arc::new(spec),
    }
}

async fn beat(harness: &Harness, registration: Option<RegistrationId>) -> Beat {
    let (access, key) = (everything(), key("a"));
    let beat = harness
        .registry
        .heartbeat(&access, &key, registration, None);
    beat.await.unwrap()
}

fn seconds(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count)
}

#[test]
fn an_amendment_is_no_sign_of_life_and_no_other_registration() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        let before = harness.instance("a").unwrap();
        harness.pass(seconds(8)).await;
        let spec = RegistrationSpec {
            weight: 7,
            ..leased(80, 10)
        };
        let stale = amend(&harness, "a", leased(80, 20));
        let command = amend(&harness, "a", spec.clone());
        let applied = harness.apply(command).await.unwrap();
        assert_eq!(applied.outcome, Outcome::Updated);
        assert!(matches!(
            harness.apply(stale).await.unwrap_err(),
            RegistryError::Changed { revision: Some(is), .. } if is == applied.revision
        ));
        let after = harness.instance("a").unwrap();
        assert_eq!(after.weight(), 7);
        assert_eq!(after.registration_id(), before.registration_id());
        harness.pass(seconds(4)).await;
        assert!(harness.rotation().is_empty(), "the lease ran on as before");
        let command = amend(&harness, "a", leased(81, 10));
        harness.apply(command).await.unwrap();
        assert!(harness.rotation().is_empty(), "another port revives nobody");
        let moved = harness.instance("a").unwrap();
        assert_ne!(moved.registration_id(), before.registration_id());
        let command = amend(&harness, "a", leased(81, 10));
        let same = harness.apply(command).await.unwrap();
        assert_eq!(same.outcome, Outcome::Unchanged);
        beat(&harness, None).await;
        assert_eq!(harness.rotation(), ["a"]);
    });
}

#[test]
fn a_lease_that_is_amended_runs_for_its_new_length() {
    run(async {
        let mut harness = harness().await;
        harness.apply(register("a", leased(80, 10))).await.unwrap();
        let id = harness.instance("a").unwrap().registration_id();
        let command = amend(&harness, "a", leased(80, 60));
        harness.apply(command).await.unwrap();
        harness.pass(seconds(30)).await;
        assert_eq!(harness.rotation(), ["a"]);
        let beat = beat(&harness, Some(id)).await;
        assert_eq!(beat.lease, Some(seconds(60)));
        let command = amend(&harness, "a", spec(80));
        harness.apply(command).await.unwrap();
        harness.pass(seconds(90)).await;
        assert_eq!(harness.rotation(), ["a"], "there is no lease any more");
        let command = amend(&harness, "a", leased(80, 5));
        harness.apply(command).await.unwrap();
        harness.pass(seconds(7)).await;
        assert!(harness.rotation().is_empty());
    });
}
