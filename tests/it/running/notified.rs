//! What the service manager is told, and when.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{Ear, signal};
use crate::record::Shim;
use crate::server::{Setup, eventually};
use crate::skips::skipped;

#[test]
fn ready_is_said_once_it_answers_and_stopping_before_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let ear = Ear::new(folder.path());
    let mut server = Setup::new().env("NOTIFY_SOCKET", &ear.path).start();
    let ready = ear.next();
    assert_eq!(
        ready,
        format!("READY=1\nSTATUS=serving HTTP on {}", server.address())
    );
    server.get("/readyz").expect(200);
    assert!(server.terminate().success());
    let stopping = ear.next();
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    assert_eq!(ear.within(Duration::from_millis(1)), None, "nothing more");
}

#[test]
fn a_server_that_cannot_start_never_says_that_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let ear = Ear::new(folder.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Setup::new()
        .env("NOTIFY_SOCKET", &ear.path)
        .http(&taken.local_addr().unwrap().to_string())
        .refusal();
    assert!(!output.status.success());
    assert_eq!(ear.within(Duration::from_millis(1)), None);
}

#[test]
fn a_reload_is_announced_with_its_time_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let ear = Ear::new(folder.path());
    let server = Setup::new().env("NOTIFY_SOCKET", &ear.path).start();
    ear.hears("READY=1");
    let mut times = Vec::new();
    for _ in 0..2 {
        signal("-HUP", server.pid());
        let reloading = ear.next();
        let time = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap_or_else(|| panic!("{reloading}"));
        times.push(time.parse::<u64>().unwrap());
        let ready = ear.next();
        assert!(ready.starts_with("READY=1\n"), "{ready}");
    }
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds = uptime.split('.').next().unwrap().parse::<u64>().unwrap();
    assert!(times[0] < times[1], "{times:?}");
    // The kernel's uptime counts sleep, which the monotonic clock does not.
    assert!(times[1] / 1_000_000 <= seconds + 1, "{times:?}, {seconds}");
}

#[test]
fn the_watchdog_is_fed_only_while_the_writer_answers() {
    const TEST: &str = "the_watchdog_is_fed_only_while_the_writer_answers";
    let shim = match Shim::build(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(shim) => shim,
        Err(error) => return skipped(TEST, &format!("the preload shim cannot be built: {error}")),
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let control = shim.over(&data, &folder.path().join("control")).unwrap();
    let ear = Ear::new(folder.path());
    let server = Setup::new()
        .envs(control.environment())
        .env("NOTIFY_SOCKET", &ear.path)
        .env("WATCHDOG_USEC", "100000")
        .env("WAYPOST__STORE_SQLITE__SYNCHRONOUS", "full")
        .data_dir(&data)
        .start();
    for _ in 0..3 {
        ear.hears("WATCHDOG=1");
    }
    control.close_gate().unwrap();
    let mut connection = server.connect();
    let registration = json!({"address": "127.0.0.1", "port": 8080}).to_string();
    let json = [("Content-Type", "application/json")];
    let path = "/v1/namespaces/svc.internal/services/web/instances/a";
    connection
        .send("PUT", path, &json, registration.as_bytes())
        .unwrap();
    eventually("the writer waits for the disk", || {
        control.is_holding().unwrap().then_some(())
    });
    // Ten times the time in which it is fed: what was on its way when the disk hung may still come.
    let silence = Duration::from_millis(500);
    let mut late = 0;
    while ear.within(silence).is_some() {
        late += 1;
        assert!(late <= 2, "the watchdog is fed by a server that hangs");
    }
    // Reads do not wait for the writer, so an outsider would see nothing of it.
    server.get("/livez").expect(200);
    control.open_gate().unwrap();
    assert_eq!(connection.answer("PUT").unwrap().status, 201);
    ear.hears("WATCHDOG=1");
}
