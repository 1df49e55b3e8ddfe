//! `kill -9` in the middle of a save and of a restore.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;

use waypost_core::{Epoch, Loaded, Object, Revision, Snapshot, SnapshotWriter, Timestamp};
use waypost_testkit::{document, namespace, registration, service};

use super::{path, snapshot, snapshot_of};
use crate::server::{Server, Setup, eventually, waypost};

/// Writes a snapshot that takes a while to restore: many instances, many large documents.
pub(super) fn large(path: &Path, instances: u64, documents: u64) {
    let parents = [namespace("svc.internal"), service("web")];
    let instances =
        (0..instances).map(|number| registration("web", &format!("i-{number}"), number));
    let documents = (0..documents).map(|number| document(&format!("{number}"), &[7; 60_000], None));
    let objects = parents.into_iter().chain(instances).chain(documents);
    written(path, objects);
}

/// Writes a snapshot of these objects.
pub(crate) fn written(path: &Path, objects: impl Iterator<Item = Object>) {
    let objects: Vec<(Object, Revision)> = objects.map(|object| (object, Revision(7))).collect();
    let loaded = Loaded {
        epoch: Epoch(1),
        revision: Revision(7),
        objects,
        quarantined: Vec::new(),
    };
    let snapshot = Arc::new(Snapshot::load(loaded, Timestamp(0)));
    let mut writer = SnapshotWriter::new(&snapshot, Timestamp(0), "1.2.3");
    let mut file = fs::File::create(path).unwrap();
    while let Some(piece) = writer.piece().unwrap() {
        file.write_all(&piece).unwrap();
    }
}

fn start(arguments: &[&str]) -> Child {
    let mut command = waypost([&["snapshot"], arguments].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn a_restore_that_is_killed_leaves_a_directory_that_no_server_opens_and_another_restore_takes() {
    const INSTANCES: u64 = 4_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    large(&file, INSTANCES, 0);
    let mut unfinished = 0;
    for round in 0..5 {
        let data = folder.path().join(format!("data-{round}"));
        let arguments = ["restore", path(&file), "--data-dir", path(&data)];
        let mut child = start(&arguments);
        let (partial, done) = (
            data.join("registry.sqlite.restoring"),
            data.join("registry.sqlite"),
        );
        let bytes = |path: &PathBuf| path.metadata().map_or(0, |file| file.len());
        // Further in each round: from the moment it is there to almost all of it.
        eventually("the restore has begun", || {
            (bytes(&partial) > round * 500_000 || done.exists()).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        if !done.exists() {
            unfinished += 1;
            let refused = Setup::new().data_dir(&data).refusal();
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(1), "{said}");
            for words in [
                "did not come to its end",
                "snapshot restore FILE --data-dir",
                path(&data),
            ] {
                assert!(said.contains(words), "{words:?} is not in: {said}");
            }
            let (code, said) = snapshot(&arguments);
            assert_eq!(code, 0, "{said}");
        }
        let server = Setup::new().data_dir(&data).start();
        let services = server
            .get("/v1/namespaces/svc.internal/services")
            .expect(200)
            .json();
        let there = &services["services"][0]["instances"];
        assert!(
            there.to_string().contains(&INSTANCES.to_string()),
            "{services}"
        );
    }
    assert!(unfinished > 0, "no kill met a restore");
}

/// Sends the beginning of a snapshot, and then nothing more until it is told to end.
fn stalling(begin: Vec<u8>, hold: bool) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4_096];
        assert!(stream.read(&mut head).unwrap() > 0);
        let length = begin.len();
        let start = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n");
        stream.write_all(start.as_bytes()).unwrap();
        stream.write_all(&begin).unwrap();
        // The end of the body, as of a server that stops; or nothing until the other side is gone.
        if hold {
            stream.write_all(b"\r\n").unwrap();
            while stream.read(&mut head).is_ok_and(|read| read > 0) {}
        } else {
            stream.write_all(b"\r\n0\r\n\r\n").unwrap();
        }
    });
    (url, answering)
}

#[test]
fn a_save_that_is_killed_or_cut_short_leaves_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.snapshot");
    let partial = folder.path().join("a.snapshot.partial");
    let whole = folder.path().join("whole.snapshot");
    large(&whole, 100, 0);
    let begin = fs::read(&whole).unwrap();
    let begin = begin[..begin.len() / 2].to_vec();

    let (url, answering) = stalling(begin.clone(), true);
    let mut child = start(&["save", path(&file), "--server", &url]);
    eventually("half of it is there", || {
        let there = partial.metadata().map_or(0, |file| file.len());
        (there == begin.len() as u64).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    answering.join().unwrap();
    assert!(!file.exists() && partial.exists());

    let (url, answering) = stalling(begin, false);
    let (code, said) = snapshot(&["save", path(&file), "--server", &url]);
    answering.join().unwrap();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it is cut off at byte"), "{said}");
    assert!(!file.exists() && !partial.exists());

    let server = Server::start();
    assert_eq!(snapshot_of(&server, "", &["save", path(&file)]).0, 0);
    assert_eq!(snapshot(&["verify", path(&file)]).0, 0);
    assert!(!partial.exists());
}
