//! The disk refuses: SQLite's own limit on pages stands for a full disk, a limit on file sizes for a failed write.

use std::process::Command;

use waypost_core::{Batch, CommitError, Health, Revision, Store};
use waypost_testkit::{batch, document, put, registration, verdict};

use super::{Home, commit, commit_one, load, objects, run};
use crate::state::RESERVED_MIN;
use crate::{SqliteConfig, SqliteStore};

fn large(key: &str) -> Batch {
    batch([], [put(document(key, &[7; 60_000], None))])
}

fn judged(health: Health) -> Batch {
    batch([], [put(verdict("web", "a", health))])
}

/// A store with one instance, whose disk then fills up during the commit of `during`.
fn full(home: &Home, during: Vec<Batch>) -> (SqliteStore, Vec<Result<Revision, CommitError>>) {
    let store = home.open();
    let all = [
        put(registration("web", "a", 1)),
        put(verdict("web", "a", Health::Healthy)),
    ];
    commit_one(&store, batch([], all));
    store.with_connection(|connection| {
        connection
            .query_row("PRAGMA max_page_count = 8", [], |_| Ok(()))
            .unwrap();
    });
    let results = commit(&store, during);
    (store, results)
}

#[test]
fn the_first_failed_write_leaves_its_outcome_unknown_and_ends_writing() {
    let home = Home::new();
    let (store, results) = full(&home, vec![large("a"), large("b")]);
    for result in results {
        assert!(matches!(result, Err(CommitError::Unknown(_))), "{result:?}");
    }
    let why = store.read_only().unwrap();
    assert!(
        why.contains("the disk is full; make room and restart Waypost"),
        "{why}"
    );
    assert!(why.contains("registry.sqlite"), "{why}");
    // For good: room alone does not open it again.
    store.with_connection(|connection| {
        connection
            .query_row("PRAGMA max_page_count = 100000", [], |_| Ok(()))
            .unwrap();
    });
    let later = commit(&store, vec![batch([], [put(document("small", b"", None))])]);
    assert_eq!(later, [Err(CommitError::Unavailable(why))]);
}

#[test]
fn what_was_acknowledged_before_is_there_after_a_restart() {
    let home = Home::new();
    let (store, _) = full(&home, vec![large("a")]);
    let shown = load(&store).revision;
    drop(store);
    let store = home.open();
    assert_eq!(store.read_only(), None);
    let found = objects(&store);
    assert!(found.contains(&registration("web", "a", 1)), "{found:?}");
    assert!(load(&store).revision > shown);
    commit_one(&store, large("a"));
}

#[test]
fn verdicts_go_on_while_nothing_can_be_written() {
    let home = Home::new();
    // One in the failing commit itself, one after it.
    let (store, results) = full(&home, vec![large("a"), judged(Health::Warning)]);
    let [Err(CommitError::Unknown(_)), Ok(first)] = results[..] else {
        panic!("{results:?}");
    };
    let mut stream = run(store.changes(Revision(1))).unwrap();
    let second = commit_one(&store, judged(Health::Unhealthy));
    assert!(second > first && first > Revision(2), "{first}, {second}");
    let seen: Vec<Revision> = run(stream.next())
        .unwrap()
        .iter()
        .map(|committed| committed.revision)
        .collect();
    assert_eq!(seen, [first, second]);
    let loaded = load(&store);
    assert_eq!(loaded.revision, second);
    let verdict_of = verdict("web", "a", Health::Unhealthy);
    assert!(loaded.objects.contains(&(verdict_of, second)), "{loaded:?}");
    // Facts are checked as ever.
    let stale = waypost_core::Precondition::At(verdict("web", "a", Health::Healthy).key(), first);
    let refused = batch([stale], [put(verdict("web", "a", Health::Healthy))]);
    let refused = commit(&store, vec![refused]);
    assert!(
        matches!(refused[..], [Err(CommitError::Conflict(_))]),
        "{refused:?}"
    );
    let gone = batch(
        [],
        [waypost_testkit::remove(&verdict(
            "web",
            "a",
            Health::Healthy,
        ))],
    );
    commit_one(&store, gone);
    assert_eq!(objects(&store), [registration("web", "a", 1)]);
}

#[test]
fn revisions_shown_without_being_written_never_come_again() {
    let home = Home::new();
    let (store, _) = full(&home, vec![large("a")]);
    let before = load(&store).revision;
    let results = commit(&store, vec![judged(Health::Warning); 3 * 65_536]);
    let accepted = results.iter().filter(|result| result.is_ok()).count() as u64;
    assert!(accepted >= RESERVED_MIN, "only {accepted} are reserved");
    let last = results
        .iter()
        .rev()
        .find_map(|result| result.clone().ok())
        .unwrap();
    assert_eq!(last, Revision(before.0 + accepted));
    assert!(
        matches!(results.last(), Some(Err(CommitError::Unavailable(_)))),
        "when the block is used up, verdicts are refused too"
    );
    drop(store);
    let store = home.open();
    assert!(commit_one(&store, judged(Health::Healthy)) > last);
}

/// The process of the next test: it may not make files larger than its parent says.
#[test]
#[ignore = "run by a_write_that_the_kernel_refuses_ends_writing"]
fn a_process_writes_until_the_kernel_refuses() {
    if !std::path::Path::new("limited-by-the-test").exists() {
        return;
    }
    let config = SqliteConfig {
        data_dir: "data".into(),
        ..SqliteConfig::default()
    };
    let store = SqliteStore::open(&config, super::clock()).unwrap();
    let mut written = 0;
    let failed = loop {
        match commit(&store, vec![large(&format!("document-{written}"))]).remove(0) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the limit is not there");
    };
    assert!(matches!(failed, CommitError::Unknown(_)), "{failed:?}");
    let why = store.read_only().unwrap();
    assert!(
        why.contains("the disk failed; look after it and restart Waypost"),
        "{why}"
    );
    let later = commit(&store, vec![large("later")]).remove(0);
    assert!(
        matches!(later, Err(CommitError::Unavailable(_))),
        "{later:?}"
    );
    std::fs::write("written", written.to_string()).unwrap();
    drop(store);
}

#[test]
fn a_write_that_the_kernel_refuses_ends_writing() {
    let home = Home::new();
    std::fs::write(home.root().join("limited-by-the-test"), b"").unwrap();
    // Without the signal that comes with the limit, a write beyond it fails with EFBIG.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "tests::disk::a_process_writes_until_the_kernel_refuses",
        ])
        .current_dir(home.root())
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    let written = std::fs::read_to_string(home.root().join("written")).unwrap();
    let written: usize = written.parse().unwrap();
    assert!(written > 0);
    let found = objects(&home.open());
    for number in 0..written {
        let document = document(&format!("document-{number}"), &[7; 60_000], None);
        assert!(
            found.contains(&document),
            "document {number} was acknowledged and is lost"
        );
    }
}
