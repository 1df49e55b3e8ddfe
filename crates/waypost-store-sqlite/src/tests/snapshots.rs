//! Snapshot files: whole, damaged, cut off, of others.

use std::path::Path;

use waypost_core::{
    Epoch, Health, Loaded, Mode, Object, Revision, Snapshot, SnapshotFault, SnapshotReader,
    SnapshotWriter, Timestamp,
};
use waypost_testkit::{document, mode, namespace, registration, service, verdict};

use crate::{SnapshotFile, open_snapshot, save_snapshot};

pub(super) const CREATED: Timestamp = Timestamp(1_790_000_000_000);

/// One object of each kind and more, each written at another revision.
pub(super) fn everything() -> Vec<(Object, Revision)> {
    let mut objects = one_of_each();
    for number in 0..200 {
        objects.push(document(&format!("many-{number}"), &[7; 900], None));
    }
    numbered(objects)
}

fn numbered(objects: Vec<Object>) -> Vec<(Object, Revision)> {
    let numbered = objects.into_iter().zip(10..);
    numbered
        .map(|(object, revision)| (object, Revision(revision)))
        .collect()
}

fn one_of_each() -> Vec<Object> {
    vec![
        namespace("svc.internal"),
        namespace("other.internal"),
        service("web"),
        registration("web", "a", 1),
        registration("web", "b", 2),
        verdict("web", "a", Health::Unhealthy),
        mode("web", "a", Mode::Draining),
        mode("web", "never-registered", Mode::Maintenance),
        document("bytes", &[0, 255, b'\n', 7], Some(Timestamp(5))),
        document("empty", b"", None),
    ]
}

fn snapshot() -> Snapshot {
    snapshot_of(everything())
}

fn snapshot_of(objects: Vec<(Object, Revision)>) -> Snapshot {
    let loaded = Loaded {
        epoch: Epoch(0x5eed),
        revision: Revision(1_000),
        objects,
        quarantined: Vec::new(),
    };
    Snapshot::load(loaded, CREATED)
}

fn pieces(snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let mut writer = SnapshotWriter::new(snapshot, CREATED, "1.2.3");
    std::iter::from_fn(|| writer.piece().unwrap()).collect()
}

fn bytes() -> Vec<u8> {
    let pieces = pieces(&snapshot());
    assert!(pieces.len() > 1, "one piece shows nothing of the seams");
    pieces.concat()
}

/// A short one, for what is tried at every byte.
fn few_bytes() -> Vec<u8> {
    pieces(&snapshot_of(numbered(one_of_each()))).concat()
}

fn read(bytes: &[u8]) -> Result<Vec<(Object, Revision)>, SnapshotFault> {
    let mut reader = SnapshotReader::open(bytes)?;
    let mut objects = Vec::new();
    while let Some(object) = reader.object()? {
        objects.push(object);
    }
    assert_eq!(reader.bytes(), bytes.len() as u64);
    Ok(objects)
}

fn sorted(mut objects: Vec<(Object, Revision)>) -> Vec<(Object, Revision)> {
    objects.sort_by_key(|(_, revision)| *revision);
    objects
}

#[test]
fn what_is_written_is_read_with_every_revision() {
    let bytes = bytes();
    assert_eq!(sorted(read(&bytes).unwrap()), everything());
    let reader = SnapshotReader::open(&*bytes).unwrap();
    let header = reader.header();
    assert_eq!(
        (header.epoch, header.revision),
        (Epoch(0x5eed), Revision(1_000))
    );
    assert_eq!((header.created, &*header.waypost), (CREATED, "1.2.3"));
    let counts = header.counts;
    assert_eq!(
        (counts.namespaces, counts.services, counts.registrations),
        (2, 1, 2)
    );
    assert_eq!(
        (counts.verdicts, counts.modes, counts.documents),
        (1, 2, 202)
    );
}

#[test]
fn what_was_made_up_for_a_snapshot_is_not_saved() {
    let loaded = Loaded {
        epoch: Epoch(1),
        revision: Revision(9),
        // Its namespace and its service were damaged, say.
        objects: vec![(registration("web", "a", 1), Revision(3))],
        quarantined: Vec::new(),
    };
    let snapshot = Snapshot::load(loaded, CREATED);
    let saved: Vec<_> = snapshot.objects().collect();
    assert_eq!(saved, [(registration("web", "a", 1), Revision(3))]);
    let counts = snapshot.object_counts();
    assert_eq!(
        (counts.namespaces, counts.services, counts.registrations),
        (0, 0, 1)
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let whole = few_bytes();
    for at in 0..whole.len() {
        // Every bit of the beginning and of the end, one of each byte in between.
        let is_edge = at < 400 || at + 100 > whole.len();
        let bits = if is_edge { 0..8 } else { at % 8..at % 8 + 1 };
        for bit in bits {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            let Err(fault) = read(&flipped) else {
                panic!("bit {bit} of byte {at} is not noticed");
            };
            let said = fault.to_string();
            let is_named = match fault {
                SnapshotFault::Foreign => at < 8,
                SnapshotFault::Damaged { at: found, .. } => found <= at as u64,
                // A length that says more than there is.
                SnapshotFault::CutOff { .. } => true,
                SnapshotFault::Newer { .. } | SnapshotFault::Unreadable { .. } => false,
            };
            assert!(is_named, "bit {bit} of byte {at}: {said}");
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let whole = few_bytes();
    for length in 0..whole.len() {
        let fault = read(&whole[..length]).unwrap_err();
        match fault {
            SnapshotFault::Foreign => assert!(length < 8, "{length}"),
            SnapshotFault::CutOff { at, .. } => assert!(at <= length as u64, "{length}"),
            other => panic!("cut at {length}: {other}"),
        }
    }
    let fault = read(&whole[..whole.len() - 1]).unwrap_err();
    assert!(
        fault.to_string().contains("it is cut off at byte"),
        "{fault}"
    );
}

#[test]
fn what_comes_after_the_end_is_noticed() {
    let mut more = bytes();
    more.push(0);
    let fault = read(&more).unwrap_err();
    assert!(
        fault.to_string().contains("more comes after its end"),
        "{fault}"
    );
}

#[test]
fn something_else_is_no_snapshot() {
    for other in [&b""[..], b"WAYSNA", b"SQLite format 3\0", b"[\"a list\"]"] {
        let fault = read(other).unwrap_err();
        assert!(matches!(fault, SnapshotFault::Foreign), "{fault}");
    }
}

#[test]
fn a_newer_format_is_refused_by_the_version_that_wrote_it() {
    let header = br#"{"waypost": "9.8.7", "what": "ever"}"#;
    let mut newer = b"WAYSNAP\n".to_vec();
    newer.extend(2u32.to_le_bytes());
    newer.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    newer.extend(header);
    newer.extend(crc32fast::hash(&newer).to_le_bytes());
    newer.extend(b"whatever a later format has");
    let said = read(&newer).unwrap_err().to_string();
    assert!(
        said.contains("it is of a newer Waypost: format 2"),
        "{said}"
    );
    assert!(said.contains("use Waypost 9.8.7 or a later one"), "{said}");
}

/// Saves to the path.
pub(super) fn save(path: &Path) -> Snapshot {
    let snapshot = snapshot();
    let file = SnapshotFile::create(path, false).unwrap();
    save_snapshot(&snapshot, CREATED, file, || Ok(())).unwrap();
    snapshot
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.snapshot");
    let partial = folder.path().join("one.snapshot.partial");
    std::fs::write(&partial, "of a process that died").unwrap();
    save(&path);
    assert!(!partial.exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let said = SnapshotFile::create(&path, false).unwrap_err().to_string();
    assert!(said.contains("exists already"), "{said}");
    assert!(said.contains("--force"), "{said}");
    let before = std::fs::read(&path).unwrap();
    // One that is given up leaves the old one.
    let stopped = save_snapshot(
        &snapshot(),
        CREATED,
        SnapshotFile::create(&path, true).unwrap(),
        || Err(waypost_core::StoreError("enough".to_owned())),
    );
    assert_eq!(stopped.unwrap_err().to_string(), "enough");
    assert!(!partial.exists());
    // One that is not whole too, whoever sent it.
    let mut short = SnapshotFile::create(&path, true).unwrap();
    short.write(&before[..before.len() / 2]).unwrap();
    let said = short.finish().unwrap_err().to_string();
    assert!(said.contains("it is cut off at byte"), "{said}");
    assert!(!partial.exists());
    assert!(std::fs::read(&path).unwrap() == before);
    let mut whole = SnapshotFile::create(&path, true).unwrap();
    whole.write(&before).unwrap();
    assert_eq!(whole.finish().unwrap().1, before.len() as u64);
}

#[test]
fn a_file_that_is_missing_is_named() {
    let said = open_snapshot(Path::new("/nowhere/x"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("/nowhere/x cannot be read"), "{said}");
}
