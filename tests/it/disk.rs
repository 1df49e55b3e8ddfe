//! A disk that fills up: a small file system of the test's own, and a file of somebody else on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, Setup, eventually, eventually_within};
use crate::skips::skipped;
use crate::target::{Reply, Target};

const MIB: u64 = 1_024 * 1_024;
const DISK_BYTES: u64 = 48 * MIB;

/// A mounted file system in memory; dropping it takes it away.
struct SmallDisk {
    place: PathBuf,
    _folder: TempDir,
}

impl SmallDisk {
    /// Nothing, and the test counted as skipped, where nothing can be mounted.
    fn new(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("disk");
        fs::create_dir(&place).unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "waypost-test"])
            .arg(&place)
            .output();
        let why = match mounted {
            Ok(output) if output.status.success() => {
                return Some(Self {
                    place,
                    _folder: folder,
                });
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        skipped(test, &format!("no tmpfs can be mounted here: {why}"));
        None
    }

    /// Leaves so many bytes free.
    fn leave(&self, bytes: u64) {
        let used: u64 = fs::read_dir(self.place.join("data")).map_or(0, |entries| {
            entries
                .map(|entry| entry.unwrap().metadata().unwrap().len())
                .sum()
        });
        let size = DISK_BYTES - used - bytes;
        fs::write(self.ballast(), vec![7; usize::try_from(size).unwrap()]).unwrap();
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let more = vec![7; usize::try_from(DISK_BYTES).unwrap()];
        let full = fs::write(self.ballast(), more).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server of a failed test may still be about to end.
        drop(Command::new("umount").arg("-l").arg(&self.place).status());
    }
}

fn instance(id: &str) -> String {
    format!("/v1/namespaces/svc.internal/services/web/instances/{id}")
}

fn registration() -> Value {
    json!({"address": "10.0.0.1", "port": 8080})
}

fn start(data: &Path) -> Server {
    Setup::new()
        .env(
            "WAYPOST__STORE_SQLITE__DISK_WARN_BYTES",
            (24 * MIB).to_string(),
        )
        .env(
            "WAYPOST__STORE_SQLITE__DISK_READ_ONLY_BYTES",
            (8 * MIB).to_string(),
        )
        .data_dir(data)
        .start()
}

fn rotation(server: &Server) -> String {
    server.get("/v1/discover/web").expect(200).text()
}

#[test]
fn before_the_disk_is_full_changes_are_refused_health_moves_on_and_room_lets_them_in_again() {
    let test = "disk::before_the_disk_is_full_changes_are_refused_health_moves_on_and_room_lets_them_in_again";
    let Some(disk) = SmallDisk::new(test) else {
        return;
    };
    let data = disk.place.join("data");
    let target = Target::start();
    let mut server = start(&data);
    server.put(&instance("kept"), &registration()).expect(201);
    let check = json!({
        "id": "http", "kind": "http", "path": "/", "interval_seconds": 1,
        "unhealthy_interval_seconds": 1, "unhealthy_after": 1, "healthy_after": 1,
    });
    let checked = json!({"address": "127.0.0.1", "port": target.port(), "checks": [check]});
    server.put(&instance("checked"), &checked).expect(201);
    eventually("the check passes", || {
        let found = server.get(&instance("checked")).expect(200).json();
        (found["health"] == "Healthy").then_some(())
    });

    warns(&disk, &server);
    let leased = json!({"address": "10.0.0.2", "port": 80, "lease_seconds": 5});
    server.put(&instance("leased"), &leased).expect(201);
    refuses(&disk, &server);
    drops_lines(&disk, &server);

    // Who fails or dies leaves the rotation all the same, in time.
    target.reply(Reply::Answer(500, "broken".to_owned()));
    eventually("the failing one leaves", || {
        (!rotation(&server).contains(r#""checked""#)).then_some(())
    });
    eventually_within(Duration::from_secs(10), "the dead one leaves", || {
        (!rotation(&server).contains(r#""leased""#)).then_some(())
    });
    let found = server.get(&instance("leased")).expect(200).json();
    assert_eq!(found["health"], "Unhealthy", "{found}");
    assert!(rotation(&server).contains(r#""kept""#));

    // Even when somebody else takes the very last byte.
    disk.fill();
    assert!(rotation(&server).contains(r#""kept""#));
    server
        .put(&instance("refused"), &registration())
        .expect(503);

    disk.free();
    eventually("writes go on by themselves", || {
        (server.get("/readyz").status == 200).then_some(())
    });
    server.put(&instance("later"), &registration()).expect(201);
    server.get(&instance("refused")).expect(404);
    let impossible = json!({"address": "10.0.0.1", "port": 99_999});
    server.put(&instance("never"), &impossible).expect(422);
    eventually("lines are kept again", || {
        let page = server.get("/v1/audit?limit=1").expect(200).json();
        (page["lines"][0]["kind"] == "refused").then_some(())
    });
    let log = server.log();
    assert!(log.contains("the store takes writes"), "{log}");
    // And what was said meanwhile is written: a process that is killed now finds it again.
    server.kill9();
    server.restart();
    for (id, health) in [
        ("kept", "Healthy"),
        ("later", "Healthy"),
        ("leased", "Unhealthy"),
    ] {
        let found = server.get(&instance(id)).expect(200).json();
        assert_eq!(found["health"], health, "{found}");
    }
    assert!(server.terminate().success());
}

fn warns(disk: &SmallDisk, server: &Server) {
    server.get("/readyz").expect(200);
    disk.leave(16 * MIB);
    let report = eventually("the disk is seen to fill up", || {
        let report = server.get("/readyz?verbose").expect(200).text();
        report
            .contains("store-disk with a warning")
            .then_some(report)
    });
    assert!(report.contains("disk_warn_bytes (25165824)"), "{report}");
    assert!(
        server.log().contains("the disk is filling up"),
        "{}",
        server.log()
    );
    server.put(&instance("warned"), &registration()).expect(201);
}

fn refuses(disk: &SmallDisk, server: &Server) {
    disk.leave(4 * MIB);
    // At once: each change looks by itself.
    let changes = [
        server.put(&instance("refused"), &registration()),
        server.delete(&instance("kept")),
    ];
    for answer in changes {
        let answer = answer.expect(503);
        assert!(answer.header("retry-after").is_some());
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let place = disk.place.join("data").display().to_string();
        for words in [
            &*place,
            "bytes free",
            "disk_read_only_bytes (8388608)",
            "make room",
        ] {
            assert!(detail.contains(words), "{words:?} is not in: {detail}");
        }
        assert!(!detail.contains("restart"), "{detail}");
    }
    let ready = server.get("/readyz").expect(503).text();
    assert!(
        ready.contains("[-]store-writes failed: writes are refused while the disk"),
        "{ready}"
    );
    server.get("/livez").expect(200);
    let metrics = server.get("/metrics").expect(200).text();
    assert!(metrics.contains("waypost_store_read_only 1"), "{metrics}");
    let free = "waypost_store_disk_free_bytes ";
    let shown = || {
        let metrics = server.get("/metrics").expect(200).text();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(free))
            .unwrap()
            .to_owned();
        let bytes: f64 = line.parse().unwrap();
        (bytes < 8e6).then_some(())
    };
    eventually("the figure follows", shown);
}

/// What is left then is for the end in order and the next start, however many requests are refused.
fn drops_lines(disk: &SmallDisk, server: &Server) {
    disk.leave(3 * MIB);
    let bytes = || {
        let log = disk.place.join("data/journal.sqlite-wal");
        log.metadata().unwrap().len()
    };
    let before = bytes();
    // Each looks by itself, and there is room for many times their lines.
    for _ in 0..20 {
        server
            .put(&instance("refused"), &registration())
            .expect(503);
    }
    eventually("lines are dropped", || {
        let metrics = server.get("/metrics").expect(200).text();
        let mut lines = metrics.lines();
        let dropped = lines.find_map(|line| line.strip_prefix("waypost_journal_dropped_lines "));
        (dropped.unwrap().parse::<u64>().unwrap() >= 20).then_some(())
    });
    assert_eq!(bytes(), before, "the journal was written");
}
