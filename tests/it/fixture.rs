//! The data directory of the first release, kept in `tests/fixtures/issue-2`: this version opens it and finds all.
//!
//! It was written by `WAYPOST_WRITE_FIXTURE=1 cargo test -p waypost --test it fixture`, and is never written again:
//! a later shape gets a folder of its own beside it. The files are as after a stop in order, without log, lock and
//! server key.

mod contents;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, Setup};

const FILES: [&str; 2] = ["registry.sqlite", "journal.sqlite"];
const BYTES_MAX: u64 = 300 * 1_024;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/issue-2")
}

#[test]
fn the_data_directory_of_the_first_release_opens_with_everything_in_it() {
    if std::env::var_os("WAYPOST_WRITE_FIXTURE").is_some() {
        write_kept();
    }
    let data = copy(&kept());
    opens_with_everything(&data);
    // Its schema is an older one: a copy of it was kept before anything was changed.
    assert!(data.path().join("registry.sqlite.schema-1").exists());
}

/// What this version writes is what the kept one holds, so that the next one can be made the same way.
#[test]
fn a_data_directory_written_now_opens_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    writing::write(folder.path());
    opens_with_everything(&copy(folder.path()));
}

fn write_kept() {
    let kept = kept();
    assert!(!kept.exists(), "a kept fixture is never written again");
    let folder = tempfile::tempdir().unwrap();
    writing::write(folder.path());
    fs::create_dir_all(&kept).unwrap();
    for file in FILES {
        fs::copy(folder.path().join(file), kept.join(file)).unwrap();
    }
}

/// Opening writes, so every test has its own copy.
fn copy(fixture: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = 0;
    for file in FILES {
        bytes += fs::copy(fixture.join(file), folder.path().join(file)).unwrap();
    }
    assert!(bytes <= BYTES_MAX, "{bytes} bytes are much for a fixture");
    folder
}

fn opens_with_everything(data: &TempDir) {
    let mut server = Setup::new()
        // What the checks said must stay as it was kept.
        .env("WAYPOST__HEALTH__ENABLED", "false")
        // It is old, and its journal is wanted whole.
        .env("WAYPOST__STORE_SQLITE__JOURNAL_AGE_DAYS", "36500")
        .data_dir(data.path())
        .start();
    // Reading must not change what is read: the second start finds the same.
    for _ in 0..2 {
        server.get("/readyz").expect(200);
        assert!(!server.log().contains("damage"), "{}", server.log());
        contents::over_http(&server);
        server.restart();
    }
    assert!(server.terminate().success());
    contents::in_the_store(data.path());
}

/// Compares the named fields only: later versions may add others.
fn holds(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, expected) in expected {
                let place = format!("{place}.{name}");
                holds(found.get(name).unwrap_or(&Value::Null), expected, &place);
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}: {found:?}");
            for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                holds(found, expected, &format!("{place}[{at}]"));
            }
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

/// Gets the path and compares.
fn answers(server: &Server, path: &str, expected: &Value) {
    holds(&server.get(path).expect(200).json(), expected, path);
}
