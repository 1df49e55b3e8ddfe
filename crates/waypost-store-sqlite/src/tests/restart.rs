use waypost_core::{CommitError, Revision, Store};
use waypost_testkit::{batch, document, put};

use super::{Home, commit, commit_one, load, objects};
use crate::state::RESERVED_MIN;

fn one(value: u8) -> waypost_core::Batch {
    batch([], [put(document("one", &[value], None))])
}

#[test]
fn after_an_orderly_end_the_history_goes_on_without_a_gap() {
    let home = Home::new();
    for expected in 1..=3 {
        let store = home.open();
        assert_eq!(load(&store).revision, Revision(expected - 1));
        assert_eq!(commit_one(&store, one(1)), Revision(expected));
        store.close().unwrap();
    }
}

#[test]
fn an_orderly_end_leaves_everything_in_the_file() {
    let home = Home::new();
    let store = home.open();
    commit_one(&store, one(1));
    store.close().unwrap();
    let log = home.file("registry.sqlite-wal");
    assert_eq!(log.metadata().map_or(0, |log| log.len()), 0);
    std::fs::remove_file(log).unwrap_or_default();
    drop(store);
    assert_eq!(objects(&home.open()), [document("one", &[1], None)]);
}

#[test]
fn after_a_crash_no_revision_comes_again_that_may_have_been_shown() {
    let home = Home::new();
    let store = home.open();
    let last = commit_one(&store, one(1));
    let mut crashed = home.crash();
    let mut before = last;
    for _ in 0..3 {
        let after = crashed.open();
        let revision = load(&after).revision;
        assert!(
            revision.0 >= before.0 + RESERVED_MIN,
            "{revision} after {before}"
        );
        before = commit_one(&after, one(2));
        assert_eq!(before, Revision(revision.0 + 1));
        crashed = crashed.crash();
    }
}

#[test]
fn the_reserved_end_stays_ahead_of_the_last_revision() {
    let home = Home::new();
    let store = home.open();
    let mut last = Revision::ZERO;
    for _ in 0..6 {
        let nothing = vec![batch([], []); 30_000];
        last = commit(&store, nothing).pop().unwrap().unwrap();
        let revision = load(&home.crash().open()).revision;
        assert!(
            revision.0 >= last.0 + RESERVED_MIN,
            "{revision} after {last}"
        );
    }
    assert_eq!(last, Revision(180_000));
}

#[test]
fn a_closed_store_refuses_and_says_so() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.read_only(), None);
    store.close().unwrap();
    store.close().unwrap();
    let refused = commit(&store, vec![one(1)]);
    assert_eq!(
        refused,
        [Err(CommitError::Unavailable(
            "the store is closed".to_owned()
        ))]
    );
    assert_eq!(store.read_only().as_deref(), Some("the store is closed"));
    assert!(super::run(store.load()).is_err());
}

#[test]
fn a_second_load_sees_what_was_committed_since_the_first() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(objects(&store), []);
    commit_one(&store, one(1));
    assert_eq!(objects(&store), [document("one", &[1], None)]);
    let second = commit_one(&store, one(2));
    let loaded = load(&store);
    assert_eq!(loaded.objects, [(document("one", &[2], None), second)]);
    // The index that the load made is the one that commits go by.
    let removed = batch([], [waypost_testkit::remove(&document("one", &[2], None))]);
    commit_one(&store, removed);
    assert_eq!(objects(&store), []);
}
