//! Snapshots that are read at once, and slowly.

use crate::connection::Connection;
use crate::server::{Setup, eventually};

use super::kills::large;
use super::{path, snapshot};

#[test]
fn no_more_than_two_are_read_at_once_and_writers_wait_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("a.snapshot"), folder.path().join("data"));
    // More than the sockets' buffers take.
    large(&file, 1, 500);
    let (code, said) = snapshot(&["restore", path(&file), "--data-dir", path(&data)]);
    assert_eq!(code, 0, "{said}");
    let server = Setup::new().data_dir(&data).start();
    let begun = |connection: &mut Connection| {
        connection.send("GET", "/v1/snapshot", &[], b"").unwrap();
        eventually("it begins", || {
            connection.has_answer().unwrap().then_some(())
        });
    };
    let mut held = [server.connect(), server.connect()];
    held.iter_mut().for_each(begun);
    let refused = server.get("/v1/snapshot").expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("2 snapshots are being read"), "{detail}");
    let metrics = server.get("/metrics").expect(200).text();
    assert!(
        metrics.contains("waypost_watchers{kind=\"Snapshot\"} 2"),
        "{metrics}"
    );
    let instance = "/v1/namespaces/svc.internal/services/web/instances/later";
    let body = serde_json::json!({"address": "10.0.0.1", "port": 80});
    server.put(instance, &body).expect(201);
    drop(held);
    // A place comes free with its reader; what is read then is whole.
    let whole = eventually("a place is free", || {
        let answer = server.get("/v1/snapshot");
        (answer.status == 200).then_some(answer)
    });
    let later = folder.path().join("later.snapshot");
    std::fs::write(&later, whole.body).unwrap();
    let (code, said) = snapshot(&["verify", path(&later)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("instances   2"), "{said}");
}
