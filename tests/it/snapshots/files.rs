//! Files that are no snapshots, or not any more: named, with exit code 1, by every command that reads one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{path, snapshot, snapshot_of};
use crate::server::{Server, Setup};

/// A snapshot of a small registry.
fn saved() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_MODE", "memory_only")
        .start();
    fill(&server);
    assert_eq!(snapshot_of(&server, "", &["save", path(&file)]).0, 0);
    (folder, file)
}

fn fill(server: &Server) {
    for (service, id) in [("web", "a"), ("web", "b"), ("cart", "c")] {
        let path = format!("/v1/namespaces/svc.internal/services/{service}/instances/{id}");
        let body = json!({"address": "10.0.0.1", "port": 80});
        server.put(&path, &body).expect(201);
    }
    let empty = json!({"description": "nothing yet"});
    server
        .put("/v1/namespaces/shop.internal", &empty)
        .expect(201);
}

/// Says what each command that reads a file says of it; none of them takes it.
fn refusals(file: &Path, data: &Path) -> Vec<String> {
    let commands = [
        vec!["verify", path(file)],
        vec!["inspect", path(file)],
        vec!["restore", path(file), "--data-dir", path(data)],
    ];
    let said = commands.map(|arguments| {
        let (code, said) = snapshot(&arguments);
        assert_eq!(code, 1, "{arguments:?}: {said}");
        assert!(said.contains(path(file)), "{said}");
        said
    });
    assert!(!data.exists(), "something was made");
    said.into()
}

#[test]
fn a_snapshot_shows_what_it_holds() {
    let (_folder, file) = saved();
    let (code, said) = snapshot(&["inspect", path(&file), "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let value: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(value["counts"]["registrations"], 3);
    assert_eq!(value["counts"]["namespaces"], 2);
    assert_eq!(value["waypost"], env!("CARGO_PKG_VERSION"));
    let services = json!([{"name": "cart", "instances": 1}, {"name": "web", "instances": 2}]);
    let namespaces = json!([
        {"name": "shop.internal", "services": []},
        {"name": "svc.internal", "services": services},
    ]);
    assert_eq!(value["namespaces"], namespaces);
    let (code, said) = snapshot(&["inspect", path(&file)]);
    assert_eq!(code, 0);
    for line in [
        "svc.internal  web  2",
        "shop.internal  -  -",
        "instances   3",
    ] {
        assert!(said.contains(line), "{line:?} is not in: {said}");
    }
    let (code, said) = snapshot(&["verify", path(&file)]);
    assert_eq!(code, 0);
    assert!(said.contains("is whole"), "{said}");
}

#[test]
fn flipped_bits_and_cuts_at_sampled_offsets_are_named() {
    let (folder, file) = saved();
    let whole = fs::read(&file).unwrap();
    let (other, data) = (folder.path().join("other"), folder.path().join("data"));
    for part in 0..12 {
        let at = whole.len() * part / 12;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (part % 8);
        fs::write(&other, bytes).unwrap();
        for said in refusals(&other, &data) {
            let named = [
                "it is damaged at byte",
                "it is no snapshot",
                "it is cut off at byte",
            ];
            assert!(
                named.iter().any(|words| said.contains(words)),
                "{at}: {said}"
            );
        }
        if at > 8 {
            fs::write(&other, &whole[..at]).unwrap();
            let said = refusals(&other, &data);
            assert!(
                said[0].contains("it is cut off at byte"),
                "{at}: {}",
                said[0]
            );
        }
    }
}

#[test]
fn files_of_others_and_of_newer_versions_are_named() {
    let (folder, file) = saved();
    let (other, data) = (folder.path().join("other"), folder.path().join("data"));
    for foreign in [&b""[..], b"SQLite format 3\0 and more", b"{}"] {
        fs::write(&other, foreign).unwrap();
        let said = refusals(&other, &data);
        assert!(
            said[0].contains("it is no snapshot of Waypost"),
            "{}",
            said[0]
        );
    }
    let header = br#"{"waypost":"9.8.7"}"#;
    let mut newer = b"WAYSNAP\n".to_vec();
    newer.extend(2u32.to_le_bytes());
    newer.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    newer.extend(header);
    newer.extend(crc32(&newer).to_le_bytes());
    fs::write(&other, newer).unwrap();
    let said = refusals(&other, &data);
    assert!(
        said[0].contains("use Waypost 9.8.7 or a later one"),
        "{}",
        said[0]
    );
    // A name that a file makes up moves no cursor.
    let (code, said) = snapshot(&["verify", path(&file)]);
    assert_eq!(code, 0, "{said}");
    fs::remove_file(&other).unwrap();
    let said = refusals(&other, &data);
    assert!(said[0].contains("cannot be read"), "{}", said[0]);
}

/// The checksum of zip files (ISO 3309), slowly.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn a_directory_that_holds_a_registry_is_refused_by_what_it_holds() {
    let (folder, file) = saved();
    let mut server = Server::start();
    fill(&server);
    assert!(server.terminate().success());
    let data = server.data_dir();
    let (code, said) = snapshot(&["restore", path(&file), "--data-dir", path(data)]);
    assert_eq!(code, 1, "{said}");
    for words in ["is not empty: it holds journal.sqlite", "registry.sqlite"] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    server.restart();
    // A key that is none is told before anything is made.
    let (key, new) = (folder.path().join("key"), folder.path().join("new"));
    fs::write(&key, "short").unwrap();
    let arguments = [
        "restore",
        path(&file),
        "--data-dir",
        path(&new),
        "--server-key",
        path(&key),
    ];
    let (code, said) = snapshot(&arguments);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("is no server key: one has exactly 32 bytes"),
        "{said}"
    );
    assert!(!new.exists());
    // Without a key it is told what that means.
    let (code, said) = snapshot(&["restore", path(&file), "--data-dir", path(&new)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("copy that file into the directory"), "{said}");
}
