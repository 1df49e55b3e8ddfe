use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{Home, commit_one, load, objects};
use crate::{SqliteConfig, SqliteStore, Synchronous};
use rusqlite::Connection;
use waypost_testkit::{batch, document, put};

#[test]
fn the_directory_is_made_for_this_user_only() {
    let mut home = Home::new();
    home.config.data_dir = home.root().join("a/b/data");
    let _store = home.open();
    for directory in ["a", "a/b", "a/b/data"] {
        let mode = home
            .root()
            .join(directory)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{directory}");
    }
    for file in ["registry.sqlite", "registry.sqlite-wal", "waypost.lock"] {
        let mode = home.file(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
    assert!(
        !home.file("registry.sqlite-shm").exists(),
        "the log's index is in memory"
    );
}

#[test]
fn a_second_store_in_the_directory_is_refused() {
    let home = Home::new();
    let first = home.open();
    let said = home.refusal();
    let process = format!("is in use by process {}", std::process::id());
    assert!(said.contains(&process), "{said}");
    assert!(
        said.contains(home.config.data_dir.to_str().unwrap()),
        "{said}"
    );
    drop(first);
    home.open();
}

/// The other process of the next test: it holds the store in its working directory until its input ends.
#[test]
#[ignore = "run by a_second_process_is_refused_by_name"]
fn another_process_holds_the_store() {
    if !std::path::Path::new("held-by-the-test").exists() {
        return;
    }
    let config = SqliteConfig {
        data_dir: "data".into(),
        ..SqliteConfig::default()
    };
    let _store = SqliteStore::open(&config, super::clock()).unwrap();
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_second_process_is_refused_by_name() {
    let home = Home::new();
    std::fs::write(home.root().join("held-by-the-test"), b"").unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "--exact"])
        .arg("tests::opening::another_process_holds_the_store")
        .current_dir(home.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(holder.stdout.take().unwrap());
    assert!(
        said.lines().any(|line| line.unwrap().contains("ready")),
        "the holder holds"
    );
    let refused = home.refusal();
    assert!(
        refused.contains(&format!("in use by process {}", holder.id())),
        "{refused}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    home.open();
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let home = Home::new();
    drop(home.open());
    home.edit("UPDATE meta SET value = 3 WHERE key = 'schema'");
    let said = home.refusal();
    assert!(
        said.contains("was written by a newer Waypost: it is of schema 3, and this one,"),
        "{said}"
    );
    assert!(said.contains("knows schemas up to 2"), "{said}");
    assert!(said.contains("registry.sqlite"), "{said}");
}

#[test]
fn a_schema_that_never_was_is_damage() {
    let home = Home::new();
    drop(home.open());
    home.edit("UPDATE meta SET value = 0 WHERE key = 'schema'");
    assert!(home.refusal().contains("there never was a schema 0"));
}

#[test]
fn an_sqlite_file_of_another_program_is_refused_and_not_touched() {
    let home = Home::new();
    std::fs::create_dir(&home.config.data_dir).unwrap();
    let file = home.file("registry.sqlite");
    let other = Connection::open(&file).unwrap();
    other
        .execute_batch("PRAGMA application_id = 77; CREATE TABLE songs (name TEXT);")
        .unwrap();
    drop(other);
    let before = std::fs::read(&file).unwrap();
    let said = home.refusal();
    assert!(
        said.contains("of another program (application id 77)"),
        "{said}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_that_is_no_sqlite_file_is_refused() {
    let home = Home::new();
    std::fs::create_dir(&home.config.data_dir).unwrap();
    std::fs::write(
        home.file("registry.sqlite"),
        "hosts and ports ".repeat(1_000),
    )
    .unwrap();
    assert!(home.refusal().contains("is not an SQLite file"));
}

#[test]
fn a_directory_that_is_a_file_is_refused_with_a_remedy() {
    let home = Home::new();
    std::fs::write(&home.config.data_dir, b"").unwrap();
    let said = home.refusal();
    assert!(said.contains("data cannot be written"), "{said}");
    assert!(said.contains("set data_dir to another directory"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_a_remedy() {
    // The same for every user, root included: nobody makes files in the kernel's own file system.
    let mut home = Home::new();
    home.config.data_dir = "/proc/self/fdinfo".into();
    let said = home.refusal();
    assert!(
        said.contains("/proc/self/fdinfo cannot be written"),
        "{said}"
    );
    assert!(said.contains("give this user write access"), "{said}");
}

#[test]
fn a_number_that_does_not_match_its_checksum_is_refused() {
    for key in ["epoch", "revision", "reserved", "objects", "clean_shutdown"] {
        let home = Home::new();
        commit_one(&home.open(), batch([], [put(document("one", b"1", None))]));
        home.edit(&format!(
            "UPDATE meta SET value = value + 1 WHERE key = '{key}'"
        ));
        let said = home.refusal();
        assert!(said.contains(&format!("{key} in the table meta")), "{said}");
        assert!(said.contains("restore a backup"), "{said}");
    }
}

#[test]
fn settings_are_what_the_file_gets() {
    for (synchronous, number) in [
        (Synchronous::Off, 0),
        (Synchronous::Normal, 1),
        (Synchronous::Full, 2),
    ] {
        let mut home = Home::new();
        home.config.synchronous = synchronous;
        let store = home.open();
        let pragma = |name: &str| -> String {
            store.with_connection(|connection| {
                let value: rusqlite::types::Value = connection
                    .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
                    .unwrap();
                match value {
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(word) => word,
                    other => format!("{other:?}"),
                }
            })
        };
        assert_eq!(pragma("synchronous"), number.to_string());
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("locking_mode"), "exclusive");
        assert_eq!(pragma("auto_vacuum"), "0");
    }
    assert_eq!(SqliteConfig::default().synchronous, Synchronous::Full);
}

#[test]
fn settings_read_as_words_and_refuse_what_they_do_not_know() {
    let config: SqliteConfig =
        serde_json::from_str(r#"{"data_dir": "/srv/x", "synchronous": "normal"}"#).unwrap();
    assert_eq!(config.synchronous, Synchronous::Normal);
    assert_eq!(config.journal_age_days, 30);
    let written = serde_json::to_value(SqliteConfig::default()).unwrap();
    assert_eq!(
        written,
        serde_json::json!({
            "data_dir": "waypost-data", "synchronous": "full", "strict_load": false,
            "journal_bytes_max": 268_435_456, "journal_age_days": 30,
            "disk_warn_bytes": 536_870_912, "disk_read_only_bytes": 67_108_864,
            "snapshot_interval_hours": 0, "snapshot_directory": "", "snapshots_kept": 7,
        })
    );
    for unknown in [r#"{"datadir": "x"}"#, r#"{"synchronous": "sometimes"}"#] {
        assert!(
            serde_json::from_str::<SqliteConfig>(unknown).is_err(),
            "{unknown}"
        );
    }
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let rule = |config: SqliteConfig| config.validate().map_err(|error| error.field);
    let config = SqliteConfig::default;
    assert_eq!(rule(config()), Ok(()));
    let disk_warn_bytes = config().disk_read_only_bytes - 1;
    let low = SqliteConfig {
        disk_warn_bytes,
        ..config()
    };
    assert_eq!(rule(low), Err("disk_warn_bytes"));
    let off = SqliteConfig {
        disk_warn_bytes: 0,
        ..config()
    };
    assert_eq!(rule(off), Ok(()));
    let none = SqliteConfig {
        snapshots_kept: 0,
        ..config()
    };
    assert_eq!(rule(none), Err("snapshots_kept"));
}

#[test]
fn a_backup_opens_as_the_store_it_was_made_of() {
    let home = Home::new();
    let store = home.open();
    commit_one(&store, batch([], [put(document("one", b"1", None))]));
    let target = Home::new();
    std::fs::create_dir(&target.config.data_dir).unwrap();
    let file = target.file("registry.sqlite");
    store.backup(&file).unwrap();
    let last = commit_one(&store, batch([], [put(document("later", b"2", None))]));
    assert!(
        store
            .backup(&file)
            .unwrap_err()
            .to_string()
            .contains("exists already")
    );
    let restored = target.open();
    assert_eq!(objects(&restored), [document("one", b"1", None)]);
    assert!(
        load(&restored).revision > last,
        "numbers only rise, over a restore too"
    );
}
