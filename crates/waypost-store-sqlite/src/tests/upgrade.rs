//! Files of other schemas: the released one is real, a newer one is made up of its promises.

use std::path::Path;

use rusqlite::Connection;
use waypost_testkit::{batch, document, put};

use super::{Home, commit_one, load, objects};
use crate::meta::{self, Meta};

/// The data directory of the first release, of schema 1, in a place of the test's own.
fn released() -> Home {
    let home = Home::new();
    std::fs::create_dir(&home.config.data_dir).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/issue-2");
    std::fs::copy(kept.join("registry.sqlite"), home.file("registry.sqlite")).unwrap();
    home
}

fn number(file: &Path, statement: &str) -> i64 {
    let connection = Connection::open(file).unwrap();
    connection
        .query_row(statement, [], |row| row.get(0))
        .unwrap()
}

fn meta_of(file: &Path) -> Meta {
    meta::read(&Connection::open(file).unwrap()).unwrap()
}

const SCHEMA: &str = "SELECT value FROM meta WHERE key = 'schema'";
const ROWS: &str = "SELECT count(*) FROM object";

#[test]
fn an_older_file_is_kept_before_it_is_brought_up() {
    let home = released();
    let file = home.file("registry.sqlite");
    let rows = number(&file, ROWS);
    assert_eq!(number(&file, SCHEMA), 1);
    let store = home.open();
    assert_eq!(i64::try_from(load(&store).objects.len()), Ok(rows));
    drop(store);
    assert_eq!(number(&file, SCHEMA), 2);
    let kept = home.file("registry.sqlite.schema-1");
    assert_eq!((number(&kept, SCHEMA), number(&kept, ROWS)), (1, rows));
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept.metadata().unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "others can read it");
    assert!(!home.file("registry.sqlite.schema-1.partial").exists());
    // Once: the next start keeps nothing.
    std::fs::remove_file(&kept).unwrap();
    drop(home.open());
    assert!(!kept.exists());
}

#[test]
fn a_kept_copy_in_its_place_is_what_was_there_before() {
    let home = released();
    let store = home.open();
    let before = objects(&store);
    commit_one(&store, batch([], [put(document("new", b"", None))]));
    drop(store);
    std::fs::rename(
        home.file("registry.sqlite.schema-1"),
        home.file("registry.sqlite"),
    )
    .unwrap();
    assert_eq!(objects(&home.open()), before);
    // It was brought up again, and kept again.
    assert!(home.file("registry.sqlite.schema-1").exists());
}

#[test]
fn a_kept_copy_has_a_history_of_its_own_whose_numbers_are_higher() {
    let home = released();
    let released = meta_of(&home.file("registry.sqlite"));
    let store = home.open();
    let newer = load(&store);
    assert_eq!(newer.epoch.0, released.epoch, "the file itself goes on");
    // What a follower of the newer version saw last.
    let change = put(document("new", b"", None));
    let seen = commit_one(&store, batch([], [change]));
    drop(store);
    let kept = home.file("registry.sqlite.schema-1");
    let copy = meta_of(&kept);
    assert_ne!(copy.epoch, released.epoch);
    assert_eq!((copy.objects, copy.clean), (released.objects, true));
    // As RFC 1982 compares serials: ahead, and by less than half of the circle.
    let ahead = copy.revision - seen.0;
    assert!((1 << 28..1 << 31).contains(&ahead), "{ahead}");
    assert!(copy.reserved > copy.revision);
    assert_eq!(
        number(
            &kept,
            "SELECT count(*) FROM sqlite_schema WHERE name = 'upgrade'"
        ),
        0
    );
    std::fs::rename(&kept, home.file("registry.sqlite")).unwrap();
    let back = load(&home.open());
    assert_eq!((back.epoch.0, back.revision.0), (copy.epoch, copy.revision));
    assert_eq!(back.quarantined, Vec::<String>::new());
    // Going back once more begins another one again.
    let again = meta_of(&home.file("registry.sqlite.schema-1"));
    assert_ne!(again.epoch, copy.epoch);
    assert!(again.revision > copy.revision);
}

#[test]
fn a_kept_copy_of_a_file_that_was_not_closed_in_order_is_above_all_that_was_handed_out() {
    let home = released();
    let file = home.file("registry.sqlite");
    let connection = Connection::open(&file).unwrap();
    let mut meta = meta::read(&connection).unwrap();
    (meta.clean, meta.reserved) = (false, meta.revision + (1 << 30));
    meta::write_history(&connection, &meta).unwrap();
    drop(connection);
    let shown = load(&home.open()).revision;
    assert_eq!(shown.0, meta.reserved);
    let copy = meta_of(&home.file("registry.sqlite.schema-1"));
    assert!(copy.revision > shown.0 && copy.clean, "{copy:?}");
}

#[test]
fn a_copy_that_was_cut_short_is_made_anew() {
    let home = released();
    std::fs::write(home.file("registry.sqlite.schema-1.partial"), "half").unwrap();
    drop(home.open());
    assert_eq!(number(&home.file("registry.sqlite.schema-1"), SCHEMA), 1);
}

#[test]
fn without_a_copy_nothing_is_brought_up() {
    let home = released();
    // Nothing can take the name of a directory that is not empty.
    let kept = home.file("registry.sqlite.schema-1");
    std::fs::create_dir_all(kept.join("in-the-way")).unwrap();
    let said = home.refusal();
    assert!(said.contains("a copy of it has to be kept"), "{said}");
    assert!(
        said.contains("registry.sqlite.schema-1 cannot be written"),
        "{said}"
    );
    assert!(said.contains("start the older version again"), "{said}");
    assert_eq!(number(&home.file("registry.sqlite"), SCHEMA), 1);
    std::fs::remove_dir_all(&kept).unwrap();
    drop(home.open());
    assert_eq!(number(&home.file("registry.sqlite"), SCHEMA), 2);
}

#[test]
fn a_newer_file_says_who_wrote_it_and_how_to_go_back() {
    let home = Home::new();
    drop(home.open());
    home.edit(
        "UPDATE meta SET value = 7 WHERE key = 'schema';
         INSERT INTO upgrade VALUES (7, '9.8.7', 1790000000000);",
    );
    let said = home.refusal();
    for words in [
        "Waypost 9.8.7 brought it to schema 7 at 2026-09-21T14:13:20Z",
        "start Waypost 9.8.7 again",
        "have Waypost 9.8.7 save a snapshot (`waypost snapshot save`) and restore it with this one",
    ] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert!(!said.contains("rename"), "there is no copy: {said}");
    std::fs::write(home.file("registry.sqlite.schema-2"), "").unwrap();
    let said = home.refusal();
    let file = home.file("registry.sqlite");
    let rename = format!("rename {0}.schema-2 to {0}", file.display());
    assert!(said.contains(&rename), "{said}");
    assert!(
        said.contains("to lose what was changed since the upgrade"),
        "{said}"
    );
    // Whatever that table is to a later version, the refusal stands.
    home.edit("DROP TABLE upgrade");
    assert!(home.refusal().contains("it is of schema 7"));
}
