//! A disk that is really full: a small file system in memory, filled to its last byte.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::{beat, instance, metric, register, rotation};
use crate::server::{Server, Setup, eventually};
use crate::skips::skipped;
use crate::target::{Reply, Target};

/// A file system of 12 MiB that goes with the test.
struct Disk(TempDir);

impl Disk {
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        skipped(test, "a tmpfs cannot be mounted here: that needs root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("filler"))
            .unwrap();
        for size in [1 << 16, 1 << 12, 1 << 8, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .output();
    }
}

/// Registers until that is refused, and gives what was acknowledged.
fn fill_up(server: &Server) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..20_000 {
        let id = format!("n{number}");
        let body =
            json!({"address": "10.0.0.1", "port": 80, "attributes": {"fill": "x".repeat(1_000)}});
        let answer = server.put(&instance(&id), &body);
        if answer.is_success() {
            acknowledged.push(id);
            continue;
        }
        // The one that met the end of the disk has an outcome that nobody knows; those after it are refused.
        assert!(
            [500, 503, 507].contains(&answer.status),
            "{}",
            answer.text()
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("disk"), "{detail}");
        return acknowledged;
    }
    panic!("20,000 registrations fit on a full disk");
}

#[test]
fn on_a_full_disk_nothing_is_lost_health_moves_and_the_dead_leave() {
    let test = "on_a_full_disk_nothing_is_lost_health_moves_and_the_dead_leave";
    let Some(disk) = Disk::mount(test) else {
        return;
    };
    let target = Target::start();
    let mut server = Setup::new()
        .data_dir(disk.path().join("data"))
        // The store would refuse long before the disk does, which is a test of its own.
        .env("WAYPOST__STORE_SQLITE__DISK_READ_ONLY_BYTES", "0")
        .env("WAYPOST__STORE_SQLITE__DISK_WARN_BYTES", "0")
        .start();
    register(&server, "beating", Some(3));
    let check = json!({
        "id": "http", "kind": "http", "path": "/", "interval_seconds": 1, "unhealthy_interval_seconds": 1, "unhealthy_after": 1,
        "healthy_after": 1,
    });
    let body = json!({"address": "127.0.0.1", "port": target.port(), "checks": [check]});
    server.put(&instance("checked"), &body).expect(201);
    let is_served = |server: &Server, id: &str| rotation(server).0.iter().any(|it| it == id);
    eventually("the checked one is served", || {
        is_served(&server, "checked").then_some(())
    });
    register(&server, "dying", Some(3));

    disk.fill();
    let acknowledged = fill_up(&server);
    let ready = server.get("/readyz").expect(503).text();
    assert!(ready.contains("store-writes"), "{ready}");
    server.get("/livez").expect(200);
    // Health moves both ways, and leases end.
    for (reply, served) in [
        (Reply::Answer(500, String::new()), false),
        (Reply::Answer(200, "ok".to_owned()), true),
    ] {
        target.reply(reply);
        eventually("health moves on a full disk", || {
            beat(&server, "beating");
            (is_served(&server, "checked") == served).then_some(())
        });
    }
    eventually("the dead leave on a full disk", || {
        beat(&server, "beating");
        (!is_served(&server, "dying")).then_some(())
    });
    assert!(is_served(&server, "beating"));
    everything_is_there(&server, &acknowledged);
    eventually("lines of the journal that find no room are counted", || {
        (metric(&server, "waypost_journal_dropped_lines") > 0).then_some(())
    });

    // A start on the full disk serves what there is, or says why it does not.
    server.kill9();
    match server.try_restart() {
        Ok(()) => {
            everything_is_there(&server, &acknowledged);
            server.kill9();
        }
        Err(said) => assert!(said.contains("disk") || said.contains("space"), "{said}"),
    }
    disk.free();
    server.restart();
    server.get("/readyz").expect(200);
    everything_is_there(&server, &acknowledged);
    register(&server, "later", None);
}

fn everything_is_there(server: &Server, ids: &[String]) {
    for id in ids
        .iter()
        .map(String::as_str)
        .chain(["beating", "checked", "dying"])
    {
        server.get(&instance(id)).expect(200);
    }
}
