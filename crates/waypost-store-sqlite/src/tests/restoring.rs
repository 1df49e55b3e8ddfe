//! A snapshot becomes a data directory.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use waypost_core::{Epoch, Loaded, ManualClock, Revision, Snapshot, StoreError};
use waypost_testkit::{batch, document, put};

use super::snapshots::{CREATED, everything, save};
use super::{Home, commit_one, load};
use crate::saving::{SnapshotFile, save_snapshot};
use crate::{Restored, read_at_rest, restore};

fn saved(home: &Home) -> PathBuf {
    let path = home.root().join("a.snapshot");
    save(&path);
    path
}

fn restore_at(home: &Home, after: Duration) -> Result<Restored, StoreError> {
    let clock = ManualClock::new(CREATED.after(after));
    let file = home.root().join("a.snapshot");
    restore(&file, &home.config.data_dir, None, &clock)
}

fn restored(home: &Home) -> Restored {
    restore_at(home, Duration::ZERO).unwrap()
}

/// Returns what restoring is refused with.
fn refusal(home: &Home) -> String {
    let error = restore_at(home, Duration::ZERO).unwrap_err();
    error.to_string()
}

#[test]
fn everything_comes_back_in_a_history_of_its_own_whose_numbers_are_higher() {
    let home = Home::new();
    saved(&home);
    let Restored {
        epoch,
        revision,
        from,
        has_server_key,
    } = restored(&home);
    assert!(!has_server_key);
    assert_ne!(epoch, from.epoch);
    assert_eq!(from.revision, Revision(1_000));
    assert!(revision > from.revision);
    let store = home.open();
    let mut loaded = load(&store);
    assert_eq!((loaded.epoch, loaded.revision), (epoch, revision));
    loaded.objects.sort_by_key(|(_, revision)| *revision);
    assert_eq!(loaded.objects, everything());
    assert_eq!(loaded.quarantined, Vec::<String>::new());
    let next = commit_one(&store, batch([], [put(document("next", b"", None))]));
    assert_eq!(next, Revision(revision.0 + 1));
    let mode = home
        .file("registry.sqlite")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn serials_rise_over_a_restore_and_over_another_one_of_the_same_snapshot() {
    let mut last = 1_000u64;
    for hours in [0, 1, 24, 24 * 20] {
        let home = Home::new();
        saved(&home);
        let restored = restore_at(&home, Duration::from_hours(hours)).unwrap();
        // As RFC 1982 compares serials: ahead, and by less than half of the circle.
        let ahead = restored.revision.0 - last;
        assert!(ahead > 0 && ahead < 1 << 31, "after {hours} h: {ahead}");
        last = restored.revision.0;
    }
    // However old it is.
    let home = Home::new();
    saved(&home);
    let restored = restore_at(&home, Duration::from_hours(24 * 3_650)).unwrap();
    assert!(restored.revision.0 - 1_000 < 1 << 31);
}

#[test]
fn a_directory_that_holds_something_is_refused_and_left_as_it_is() {
    let home = Home::new();
    saved(&home);
    drop(home.open());
    std::fs::write(home.file("journal.sqlite"), "lines").unwrap();
    let before = std::fs::read(home.file("registry.sqlite")).unwrap();
    let said = refusal(&home);
    assert!(
        said.contains("is not empty: it holds journal.sqlite, registry.sqlite"),
        "{said}"
    );
    assert!(said.contains("restore into an empty directory"), "{said}");
    assert!(std::fs::read(home.file("registry.sqlite")).unwrap() == before);
    let other = Home::new();
    saved(&other);
    std::fs::create_dir(&other.config.data_dir).unwrap();
    for number in 0..9 {
        std::fs::write(other.file(&format!("photo-{number}")), "").unwrap();
    }
    let said = refusal(&other);
    assert!(said.contains("photo-4 and 4 more"), "{said}");
    assert!(
        !other.file("waypost.lock").exists(),
        "it is somebody else's"
    );
}

#[test]
fn a_directory_in_use_is_refused() {
    let home = Home::new();
    saved(&home);
    let store = home.open();
    std::fs::remove_file(home.file("registry.sqlite")).unwrap();
    std::fs::remove_file(home.file("registry.sqlite-wal")).unwrap();
    let said = refusal(&home);
    let process = format!("is in use by process {}", std::process::id());
    assert!(said.contains(&process), "{said}");
    drop(store);
}

#[test]
fn a_damaged_snapshot_leaves_no_trace() {
    let home = Home::new();
    let path = saved(&home);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let said = refusal(&home);
    assert!(said.contains("a.snapshot: it is damaged at byte"), "{said}");
    assert!(!home.config.data_dir.exists());
}

#[test]
fn a_snapshot_whose_numbers_leave_no_room_for_changes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (revision, is_taken) in [(1 << 47, false), ((1 << 48) + 5, false), (1 << 40, true)] {
        let loaded = Loaded {
            epoch: Epoch(1),
            revision: Revision(revision),
            objects: Vec::new(),
            quarantined: Vec::new(),
        };
        let snapshot = Snapshot::load(loaded, CREATED);
        let path = folder.path().join(format!("{revision}.snapshot"));
        let file = SnapshotFile::create(&path, false).unwrap();
        save_snapshot(&snapshot, CREATED, file, || Ok(())).unwrap();
        let directory = folder.path().join(revision.to_string());
        let restored = restore(&path, &directory, None, &ManualClock::new(CREATED));
        assert_eq!(restored.is_ok(), is_taken, "{restored:?}");
        if let Err(error) = restored {
            assert!(error.to_string().contains(&revision.to_string()), "{error}");
            assert!(!directory.exists(), "nothing was made");
        }
    }
}

#[test]
fn a_restore_that_did_not_come_to_its_end_is_not_opened_and_can_be_done_again() {
    let home = Home::new();
    saved(&home);
    std::fs::create_dir(&home.config.data_dir).unwrap();
    std::fs::write(home.file("registry.sqlite.restoring"), "half").unwrap();
    std::fs::write(home.file("waypost.lock"), "").unwrap();
    for said in [
        home.refusal(),
        read_at_rest(&home.config.data_dir).unwrap_err().to_string(),
    ] {
        assert!(said.contains("did not come to its end"), "{said}");
        assert!(
            said.contains("waypost snapshot restore FILE --data-dir"),
            "{said}"
        );
        assert!(said.contains("remove registry.sqlite.restoring"), "{said}");
    }
    restored(&home);
    assert_eq!(load(&home.open()).objects.len(), everything().len());
}

#[test]
fn a_server_key_is_put_beside_for_this_user_only() {
    let home = Home::new();
    let file = saved(&home);
    let clock = ManualClock::new(CREATED);
    let with = |key: &[u8]| restore(&file, &home.config.data_dir, Some(key), &clock);
    // One that was copied there before stays, and must not be another.
    std::fs::create_dir(&home.config.data_dir).unwrap();
    std::fs::write(home.file("server.key"), [1; 32]).unwrap();
    let said = with(&[2; 32]).unwrap_err().to_string();
    assert!(said.contains("server.key is another key"), "{said}");
    std::fs::remove_file(home.file("server.key")).unwrap();
    let restored = with(&[2; 32]).unwrap();
    assert!(restored.has_server_key);
    let key = home.file("server.key");
    assert_eq!(std::fs::read(&key).unwrap(), [2; 32]);
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_stopped_servers_directory_is_read_as_it_is() {
    let home = Home::new();
    let store = home.open();
    commit_one(&store, batch([], [put(document("one", b"1", None))]));
    let said = read_at_rest(&home.config.data_dir).unwrap_err().to_string();
    assert!(said.contains("is in use by process"), "{said}");
    assert!(said.contains("without --data-dir"), "{said}");
    let killed = home.crash();
    let shown = load(&store).revision;
    drop(store);
    let files = |home: &Home| {
        ["registry.sqlite", "registry.sqlite-wal"].map(|name| std::fs::read(home.file(name)).ok())
    };
    for home in [home, killed] {
        let before = files(&home);
        let loaded = read_at_rest(&home.config.data_dir).unwrap();
        assert_eq!(loaded.objects, [(document("one", b"1", None), Revision(1))]);
        assert!(loaded.revision >= shown);
        assert!(files(&home) == before, "reading changed something");
    }
}

#[test]
fn a_directory_without_a_registry_is_named_and_not_made() {
    let home = Home::new();
    let said = read_at_rest(&home.config.data_dir).unwrap_err().to_string();
    assert!(
        said.contains("holds no registry: there is no registry.sqlite in it"),
        "{said}"
    );
    assert!(!home.config.data_dir.exists());
}

#[test]
fn damage_at_rest_is_told_and_left_out() {
    let home = Home::new();
    let store = home.open();
    let both = [
        put(document("one", b"1", None)),
        put(document("two", b"2", None)),
    ];
    commit_one(&store, batch([], both));
    drop(store);
    home.edit("UPDATE object SET body = x'00' WHERE key = 'test two'");
    let loaded = read_at_rest(&home.config.data_dir).unwrap();
    assert_eq!(loaded.objects.len(), 1);
    assert!(
        loaded.quarantined[0].contains("test two"),
        "{:?}",
        loaded.quarantined
    );
}
