//! The disk fills up, by a figure in the test's hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use waypost_core::{CommitError, Health, Journal, JournalFilter, Revision, Store};
use waypost_testkit::{batch, document, put, registration, remove, verdict};

use super::journal::{changed, long};
use super::{Home, clock, commit, commit_one, load, objects, run};
use crate::space::Space;
use crate::{SqliteJournal, SqliteStore};

const AMPLE: u64 = 10_000_000_000;
const LOW: u64 = 300_000_000;
const OUT: u64 = 50_000_000;
/// Above the mark, and not far enough.
const ALMOST: u64 = 70_000_000;

/// Below half of the mark.
const SCARCE: u64 = 33_000_000;
/// Above half of the mark, and not far enough.
const ALMOST_SCARCE: u64 = 40_000_000;

struct Disk(Arc<AtomicU64>);

impl Disk {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(AMPLE)))
    }

    fn has(&self, free: u64) {
        self.0.store(free, Ordering::Relaxed);
    }

    fn open(&self, home: &Home) -> SqliteStore {
        let free = Arc::clone(&self.0);
        let probe = move |_: &std::path::Path| Ok(free.load(Ordering::Relaxed));
        let space = Space::with_probe(&home.config, Box::new(probe));
        SqliteStore::open_in(&home.config, clock(), space).unwrap()
    }
}

/// A store with two instances, one of which was judged.
fn filled(home: &Home, disk: &Disk) -> SqliteStore {
    let store = disk.open(home);
    let all = [
        put(registration("web", "a", 1)),
        put(registration("web", "b", 2)),
        put(registration("web", "c", 3)),
        put(verdict("web", "a", Health::Healthy)),
        put(verdict("web", "c", Health::Healthy)),
    ];
    commit_one(&store, batch([], all));
    store
}

fn register(store: &SqliteStore, id: &str) -> Result<Revision, CommitError> {
    commit(store, vec![batch([], [put(registration("web", id, 9))])]).remove(0)
}

fn judge(store: &SqliteStore, id: &str, health: Health) -> Revision {
    commit_one(store, batch([], [put(verdict("web", id, health))]))
}

/// Says three things that the file does not hold: a verdict changed, one is new, one is gone.
fn say_three(store: &SqliteStore) -> [Revision; 3] {
    let gone = batch([], [remove(&verdict("web", "c", Health::Healthy))]);
    [
        judge(store, "a", Health::Unhealthy),
        judge(store, "b", Health::Warning),
        commit_one(store, gone),
    ]
}

fn holds_three(store: &SqliteStore, at: [Revision; 3]) {
    let loaded = load(store);
    let verdicts: Vec<_> = loaded
        .objects
        .iter()
        .filter(|(object, _)| object.key().kind() == "verdict")
        .collect();
    assert_eq!(verdicts.len(), 2, "{verdicts:?}");
    for expected in [
        (verdict("web", "a", Health::Unhealthy), at[0]),
        (verdict("web", "b", Health::Warning), at[1]),
    ] {
        assert!(
            verdicts.contains(&&expected),
            "{expected:?} is not in {verdicts:?}"
        );
    }
}

#[test]
fn below_the_mark_changes_are_refused_and_nothing_is_written() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let log = home.file("registry.sqlite-wal");
    let before = log.metadata().unwrap().len();
    let Err(CommitError::Unavailable(why)) = register(&store, "later") else {
        panic!("it was taken");
    };
    for words in [
        "50000000 bytes free",
        "store_sqlite.disk_read_only_bytes (67108864)",
        home.config.data_dir.to_str().unwrap(),
        "make room; from 83886080 bytes on they go on by themselves",
    ] {
        assert!(why.contains(words), "{words:?} is not in: {why}");
    }
    assert_eq!(store.read_only(), Some(why));
    let said = say_three(&store);
    assert!(said[0] < said[1] && said[1] < said[2], "{said:?}");
    holds_three(&store, said);
    assert_eq!(
        log.metadata().unwrap().len(),
        before,
        "something was written"
    );
}

#[test]
fn when_there_is_room_again_what_was_said_is_written_and_changes_are_taken() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let said = say_three(&store);
    disk.has(ALMOST);
    assert!(register(&store, "later").is_err(), "it must not flap");
    assert_eq!(store.look_at_disk(), Some(ALMOST));
    assert!(store.read_only().is_some());
    disk.has(AMPLE);
    assert_eq!(store.look_at_disk(), Some(AMPLE));
    assert_eq!(store.read_only(), None);
    // As a process that is killed now leaves it.
    holds_three(&home.crash().open(), said);
    let taken = register(&store, "later").unwrap();
    assert!(taken > said[2]);
    // Rows are where the index says, for the verdict that was made meanwhile too.
    judge(&store, "b", Health::Healthy);
    judge(&store, "a", Health::Healthy);
    commit_one(
        &store,
        batch([], [remove(&verdict("web", "b", Health::Healthy))]),
    );
    drop(store);
    let found = objects(&home.open());
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.contains(&verdict("web", "a", Health::Healthy)));
}

#[test]
fn a_change_finds_the_room_itself() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let said = say_three(&store);
    disk.has(AMPLE);
    register(&store, "later").unwrap();
    drop(store);
    holds_three(&home.open(), said);
}

#[test]
fn a_stop_in_order_below_the_mark_keeps_what_was_said() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let said = say_three(&store);
    drop(store);
    holds_three(&home.open(), said);
}

#[test]
fn a_kill_below_the_mark_loses_nothing_acknowledged_and_repeats_no_number() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let said = say_three(&store);
    let after = home.crash();
    let store = after.open();
    assert_eq!(objects(&store).len(), 5);
    assert!(load(&store).revision > said[2]);
}

#[test]
fn a_store_that_begins_below_the_mark_waits_for_room() {
    let home = Home::new();
    let disk = Disk::new();
    drop(filled(&home, &disk));
    disk.has(OUT);
    let store = disk.open(&home);
    assert!(store.read_only().is_some());
    let said = say_three(&store);
    holds_three(&store, said);
    disk.has(AMPLE);
    register(&store, "later").unwrap();
}

#[test]
fn health_moves_on_however_long_there_is_no_room() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let mut last = Revision(0);
    for _ in 0..6 {
        let many = vec![batch([], [put(verdict("web", "a", Health::Warning))]); 50_000];
        for result in commit(&store, many) {
            last = result.expect("a verdict is taken");
        }
        store.look_at_disk();
    }
    // None of these numbers comes again.
    assert!(load(&home.crash().open()).revision >= last);
    // Not a byte is written when there is hardly one left.
    disk.has(1_000);
    let log = home.file("registry.sqlite-wal");
    let before = log.metadata().unwrap().len();
    let many = vec![batch([], [put(verdict("web", "a", Health::Warning))]); 131_072];
    commit(&store, many);
    store.look_at_disk();
    assert_eq!(log.metadata().unwrap().len(), before);
    assert_eq!(
        store.disk_warning().map(|said| said.contains("1000 bytes")),
        Some(true)
    );
}

#[test]
fn a_failure_while_what_was_said_is_written_ends_writing() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(OUT);
    let first = say_three(&store);
    store.with_connection(|connection| {
        connection.execute_batch("PRAGMA query_only = ON").unwrap();
    });
    disk.has(AMPLE);
    store.look_at_disk();
    let why = store.read_only().unwrap();
    assert!(why.contains("restart Waypost"), "{why}");
    // It is still said, and goes on being.
    holds_three(&store, first);
    assert!(judge(&store, "a", Health::Healthy) > first[2]);
    assert!(register(&store, "later").is_err());
}

#[test]
fn a_disk_that_fills_up_is_warned_of_first() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    assert_eq!(store.disk_warning(), None);
    disk.has(LOW);
    store.look_at_disk();
    let said = store.disk_warning().unwrap();
    assert!(said.contains("300000000 bytes are free"), "{said}");
    assert!(
        said.contains("store_sqlite.disk_warn_bytes (536870912)"),
        "{said}"
    );
    assert_eq!(store.read_only(), None);
    register(&store, "later").unwrap();
    disk.has(AMPLE);
    store.look_at_disk();
    assert_eq!(store.disk_warning(), None);
}

#[test]
fn marks_of_zero_are_none() {
    let mut home = Home::new();
    (
        home.config.disk_warn_bytes,
        home.config.disk_read_only_bytes,
    ) = (0, 0);
    let disk = Disk::new();
    disk.has(0);
    let store = filled(&home, &disk);
    store.look_at_disk();
    assert_eq!((store.read_only(), store.disk_warning()), (None, None));
}

#[test]
fn a_large_document_is_taken_above_the_mark() {
    let home = Home::new();
    let disk = Disk::new();
    let store = filled(&home, &disk);
    disk.has(home.config.disk_read_only_bytes);
    commit_one(&store, batch([], [put(document("a", &[7; 60_000], None))]));
}

fn journal(home: &Home, store: &SqliteStore) -> SqliteJournal {
    SqliteJournal::open(store, &home.config, clock()).unwrap()
}

/// The numbers of all lines, oldest first, when what was appended is written or dropped.
fn sequences(journal: &SqliteJournal) -> Vec<u64> {
    let page = run(journal.read(JournalFilter::default(), 1_000)).unwrap();
    page.lines
        .iter()
        .rev()
        .map(|(sequence, _)| *sequence)
        .collect()
}

#[test]
fn below_half_of_the_mark_lines_of_the_journal_are_dropped_until_there_is_room_again() {
    let home = Home::new();
    let disk = Disk::new();
    let store = disk.open(&home);
    let journal = journal(&home, &store);
    journal.append(vec![changed(1)]);
    assert_eq!(sequences(&journal), [1]);
    let bytes = || {
        ["", "-wal"].map(|suffix| {
            let file = home.file(&format!("journal.sqlite{suffix}"));
            file.metadata().unwrap().len()
        })
    };
    let before = bytes();
    disk.has(SCARCE);
    store.look_at_disk();
    journal.append(vec![changed(2), changed(3)]);
    assert_eq!((sequences(&journal), journal.dropped()), (vec![1], 2));
    disk.has(ALMOST_SCARCE);
    store.look_at_disk();
    journal.append(vec![changed(4)]);
    assert_eq!((sequences(&journal), journal.dropped()), (vec![1], 3));
    assert_eq!(bytes(), before, "something was written");
    // Refusals are told as long as there is room for them, though no changes are taken.
    disk.has(OUT);
    store.look_at_disk();
    assert!(store.read_only().is_some());
    journal.append(vec![changed(5)]);
    assert_eq!((sequences(&journal), journal.dropped()), (vec![1, 2], 3));
}

#[test]
fn a_journal_that_is_closed_without_room_leaves_its_log_and_is_whole_at_the_next_start() {
    let home = Home::new();
    let disk = Disk::new();
    let store = disk.open(&home);
    let closing = journal(&home, &store);
    closing.append((0..100).map(changed).collect());
    assert_eq!(sequences(&closing).len(), 100);
    let file = home.file("journal.sqlite");
    let before = file.metadata().unwrap().len();
    disk.has(SCARCE);
    store.look_at_disk();
    drop(closing);
    assert_eq!(
        file.metadata().unwrap().len(),
        before,
        "the log was brought in"
    );
    assert_eq!(sequences(&journal(&home, &store)).len(), 100);
}

#[test]
fn whoever_writes_much_into_the_journal_looks_at_the_disk_meanwhile() {
    let home = Home::new();
    let disk = Disk::new();
    let store = disk.open(&home);
    let journal = journal(&home, &store);
    // Nobody else looks.
    disk.has(SCARCE);
    journal.append((0..60).map(|_| long(1, 250_000)).collect());
    let written = sequences(&journal).len();
    assert!((1..20).contains(&written), "{written}");
    assert_eq!(journal.dropped(), 60 - written as u64);
}

#[test]
fn without_a_mark_the_journal_is_written_on_any_disk() {
    let mut home = Home::new();
    home.config.disk_read_only_bytes = 0;
    let disk = Disk::new();
    disk.has(0);
    let store = disk.open(&home);
    let journal = journal(&home, &store);
    journal.append(vec![changed(1)]);
    assert_eq!((sequences(&journal), journal.dropped()), (vec![1], 0));
}
