//! Clocks that jump. Leases and probes are measured by the monotonic clock and do not care for the wall clock; what an operator
//! said for a time ends by the wall clock.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{beat, instance, metric, register, rotation};
use crate::record::compiled;
use crate::server::{Server, Setup, eventually};
use crate::skips::skipped;
use crate::target::Target;

const SHIM: &str = include_str!("../../shim/clock_shim.c");
const DAY_SECONDS: i64 = 86_400;

/// The clocks of a server, in a file that its preloaded shim reads.
struct Clocks {
    file: File,
    folder: TempDir,
    library: std::path::PathBuf,
}

impl Clocks {
    /// Nothing, and the test counted as skipped, where the shim cannot be built.
    fn new(test: &str) -> Option<Self> {
        let library = match compiled(Path::new(env!("CARGO_TARGET_TMPDIR")), "clock_shim", SHIM) {
            Ok(library) => library,
            Err(error) => {
                skipped(test, &format!("the preload shim cannot be built: {error}"));
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("clocks")).unwrap();
        file.write_all_at(&[0; 16], 0).unwrap();
        Some(Self {
            file,
            folder,
            library,
        })
    }

    fn setup(&self) -> Setup {
        Setup::new()
            .env("LD_PRELOAD", &self.library)
            .env("WAYPOST_CLOCK", self.folder.path().join("clocks"))
    }

    /// Lets the clocks differ from the machine's by so many seconds.
    fn set(&self, wall: i64, monotonic: i64) {
        let nanoseconds = |seconds: i64| (seconds * 1_000_000_000).to_ne_bytes();
        let both = [nanoseconds(wall), nanoseconds(monotonic)].concat();
        self.file.write_all_at(&both, 0).unwrap();
    }
}

/// Three that live by beats and one that is probed.
fn populated(server: &Server, target: &Target) {
    for id in ["a", "b", "c"] {
        register(server, id, Some(30));
    }
    let check = json!({"id": "http", "kind": "http", "path": "/", "interval_seconds": 1});
    let body = json!({"address": "127.0.0.1", "port": target.port(), "checks": [check]});
    server.put(&instance("probed"), &body).expect(201);
    all_are_there(server, "at the beginning");
}

fn all_are_there(server: &Server, when: &str) {
    let all = ["a", "b", "c", "probed"].map(str::to_owned);
    eventually(&format!("all are in rotation {when}"), || {
        (rotation(server) == (all.to_vec(), json!(0))).then_some(())
    });
}

/// The timekeeper and the checker have looked at the time.
fn looked_at(server: &Server, target: &Target) {
    let before = target.count();
    eventually("it is probed again", || {
        (target.count() > before + 1).then_some(())
    });
    assert_eq!(metric(server, "waypost_timekeeper_stalls_total"), 0);
}

fn shown(server: &Server, id: &str) -> Value {
    server.get(&instance(id)).expect(200).json()
}

#[test]
fn the_wall_clock_may_jump_a_day_both_ways() {
    let Some(clocks) = Clocks::new("the_wall_clock_may_jump_a_day_both_ways") else {
        return;
    };
    let mut server = clocks.setup().start();
    let target = Target::start();
    populated(&server, &target);
    let registered = shown(&server, "a");
    for (step, wall) in [DAY_SECONDS, -DAY_SECONDS, 0].into_iter().enumerate() {
        clocks.set(wall, 0);
        looked_at(&server, &target);
        all_are_there(&server, "after the jump");
        for id in ["a", "b", "c"] {
            beat(&server, id);
        }
        assert_eq!(
            shown(&server, "a")["registration_id"],
            registered["registration_id"]
        );
        // What is written now comes after what was written, whatever the clock says.
        let id = format!("step-{step}");
        register(&server, &id, None);
        let number = |it: &Value| {
            let revision = it["revision"].as_str().unwrap();
            revision.split_once('.').unwrap().1.parse::<u64>().unwrap()
        };
        assert!(number(&shown(&server, &id)) > number(&registered));
        server.delete(&instance(&id)).expect(204);
        // A server that starts by such a clock finds everything as it was.
        server.restart();
        all_are_there(&server, "after a restart");
        assert_eq!(
            shown(&server, "a")["registration_id"],
            registered["registration_id"]
        );
    }
    assert!(!server.log().contains("panic"), "{}", server.log());
}

#[test]
fn what_was_said_for_a_time_ends_by_the_wall_clock() {
    let Some(clocks) = Clocks::new("what_was_said_for_a_time_ends_by_the_wall_clock") else {
        return;
    };
    let server = clocks.setup().start();
    register(&server, "a", None);
    register(&server, "b", None);
    let mode = json!({"mode": "Maintenance", "reason": "an hour", "for_seconds": 3_600});
    let path = format!("{}/mode", instance("a"));
    let said = server.put(&path, &mode);
    assert!(said.is_success(), "{}", said.text());
    assert_eq!(rotation(&server).0, ["b"]);
    clocks.set(-DAY_SECONDS, 0);
    beat_nothing(&server);
    assert_eq!(
        rotation(&server).0,
        ["b"],
        "an hour is not over by going back"
    );
    clocks.set(DAY_SECONDS, 0);
    eventually("the hour is over", || {
        (rotation(&server).0 == ["a", "b"]).then_some(())
    });
}

/// Waits for a sweep: a mode that is over by now would be gone after it.
fn beat_nothing(server: &Server) {
    register(server, "swept", Some(1));
    eventually("the timekeeper has swept", || {
        (!rotation(server).0.contains(&"swept".to_owned())).then_some(())
    });
}

/// The monotonic clock jumps too when a machine was asleep; nobody could beat meanwhile.
#[test]
fn nothing_ends_when_both_clocks_jump_a_day() {
    let Some(clocks) = Clocks::new("nothing_ends_when_both_clocks_jump_a_day") else {
        return;
    };
    let server = clocks.setup().start();
    let target = Target::start();
    populated(&server, &target);
    clocks.set(DAY_SECONDS, DAY_SECONDS);
    eventually("the jump is noticed", || {
        (metric(&server, "waypost_timekeeper_stalls_total") > 0).then_some(())
    });
    for id in ["a", "b", "c"] {
        let explanation = server.get(&format!("/v1/explain/web/{id}")).expect(200);
        assert_ne!(explanation.json()["lease"]["state"], "over", "{id}");
        beat(&server, id);
    }
    all_are_there(&server, "after the jump");
    let dead = |id: &str| shown(&server, id)["health"] == "Unhealthy";
    assert!(!["a", "b", "c", "probed"].into_iter().any(dead));
}

/// After a restart of the machine the monotonic clock begins anew, and says nothing about the one before.
#[test]
fn a_start_under_another_monotonic_clock_finds_every_lease_running() {
    let test = "a_start_under_another_monotonic_clock_finds_every_lease_running";
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let up = uptime.split('.').next().unwrap().parse::<i64>().unwrap();
    let before = format!("-{}", up.saturating_sub(30).max(1));
    let works = std::process::Command::new("unshare")
        .args(["-T", "--monotonic", "60", "--", "true"])
        .output();
    if !works.is_ok_and(|output| output.status.success()) {
        return skipped(
            test,
            "there are no time namespaces here (unshare -T, as root)",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let target = Target::start();
    let mut server = Setup::new().data_dir(&data).start();
    populated(&server, &target);
    assert!(server.terminate().success());
    for offset in ["86400", before.as_str(), "31536000"] {
        let program = [
            "unshare",
            "-T",
            "--monotonic",
            offset,
            "--boottime",
            offset,
            "--",
        ];
        let mut server = Setup::new().under(&program).data_dir(&data).start();
        all_are_there(&server, &format!("{offset} s away"));
        let probed = target.count();
        eventually("it is probed", || (target.count() > probed).then_some(()));
        for id in ["a", "b", "c"] {
            beat(&server, id);
        }
        all_are_there(&server, "after beats");
        server.kill9();
    }
}
