//! SQLite and memory answer the same to anything.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use waypost_core::{
    Batch, Change, CommitError, Epoch, Health, MemoryStore, Mode, NamespaceName, Object, ObjectKey,
    Precondition, Prefix, Revision, Store,
};
use waypost_testkit::{
    batch, document, mode, namespace, registration, service, service_key, verdict,
};

use super::{Home, run};
use crate::{SqliteStore, Synchronous};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Batch>),
    Reopen,
}

fn object() -> impl Strategy<Value = Object> {
    let service_name = prop::sample::select(vec!["web", "Web", "db"]);
    let id = prop::sample::select(vec!["a", "A", "b"]);
    (0..6u8, service_name, id, 0..4u64).prop_map(|(kind, name, id, number)| match kind {
        0 => namespace("svc.internal"),
        1 => service(name),
        2 => registration(name, id, number),
        3 => verdict(name, id, Health::Healthy),
        4 => mode(name, id, Mode::Maintenance),
        _ => document(id, &number.to_le_bytes(), None),
    })
}

fn precondition() -> impl Strategy<Value = Precondition> {
    let name = NamespaceName::new("svc.internal").unwrap();
    prop_oneof![
        (object(), 0..30u64).prop_map(|(object, at)| Precondition::At(object.key(), Revision(at))),
        object().prop_map(|object| Precondition::Absent(object.key())),
        prop::sample::select(vec!["web", "db"])
            .prop_map(|name| Precondition::Empty(Prefix::Instances(service_key(name)))),
        Just(Precondition::Empty(Prefix::Services(name))),
    ]
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let change = (object(), any::<bool>()).prop_map(|(object, keep)| {
        if keep {
            Change::Put(object)
        } else {
            Change::Remove(object.key())
        }
    });
    let preconditions = prop::collection::vec(precondition(), 0..2);
    (preconditions, prop::collection::vec(change, 0..5))
        .prop_map(|(preconditions, changes)| batch(preconditions, changes))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(a_batch(), 1..5).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

/// The answer without the words: a revision, or that there was a conflict.
fn plain(results: Vec<Result<Revision, CommitError>>) -> Vec<Option<Revision>> {
    results
        .into_iter()
        .map(|result| match result {
            Ok(revision) => Some(revision),
            Err(CommitError::Conflict(_)) => None,
            Err(error) => panic!("{error}"),
        })
        .collect()
}

fn contents(store: &dyn Store) -> (Revision, Vec<(ObjectKey, Object, Revision)>) {
    let loaded = run(store.load()).unwrap();
    assert_eq!(loaded.quarantined, Vec::<String>::new());
    let mut objects: Vec<_> = loaded
        .objects
        .into_iter()
        .map(|(object, at)| (object.key(), object, at))
        .collect();
    objects.sort_by(|left, right| left.0.cmp(&right.0));
    (loaded.revision, objects)
}

proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn sqlite_and_memory_answer_the_same_to_random_batches(
        steps in prop::collection::vec(step(), 1..20)
    ) {
        let mut home = Home::new();
        // Nothing is lost here by the machine, and syncing would take most of the time.
        home.config.synchronous = Synchronous::Off;
        let memory = MemoryStore::new(Epoch(1));
        let mut sqlite: SqliteStore = home.open();
        for step in steps {
            match step {
                Step::Commit(batches) => {
                    let expected = plain(run(memory.commit(batches.clone())));
                    prop_assert_eq!(plain(run(sqlite.commit(batches))), expected);
                }
                Step::Reopen => {
                    drop(sqlite);
                    sqlite = home.open();
                    prop_assert!(sqlite.read_only().is_none());
                }
            }
            prop_assert_eq!(contents(&sqlite), contents(&memory));
        }
    }
}
