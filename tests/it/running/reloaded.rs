//! SIGHUP: what follows the configuration, what needs a restart, and what is wrong.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Ear, signal};
use crate::server::{Server, Setup};

/// A server with a configuration file that the test may change.
struct Configured {
    server: Server,
    ear: Ear,
    file: PathBuf,
    _folder: TempDir,
}

impl Configured {
    fn start(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waypost.toml");
        fs::write(&file, toml).unwrap();
        let ear = Ear::new(folder.path());
        let server = Setup::new()
            .env("WAYPOST_CONFIG", &file)
            .env("NOTIFY_SOCKET", &ear.path)
            .start();
        ear.hears("READY=1");
        Self {
            server,
            ear,
            file,
            _folder: folder,
        }
    }

    /// Reloads with another file and gives what was logged meanwhile.
    fn reload(&self, toml: &str) -> String {
        let before = self.server.log().len();
        fs::write(&self.file, toml).unwrap();
        signal("-HUP", self.server.pid());
        self.ear.hears("RELOADING=1");
        self.ear.hears("READY=1");
        self.server.log()[before..].to_owned()
    }
}

#[test]
fn the_log_follows_its_filter() {
    let configured = Configured::start("[telemetry]\nlog_filter = \"info\"\n");
    let provoke = || {
        // hyper's end of a connection that brings nonsense is told at debug level.
        let mut connection = configured.server.connect();
        connection.send_raw(b"nonsense\r\n\r\n").unwrap();
        drop(connection.answer("GET"));
        configured.server.get("/livez").expect(200);
    };
    provoke();
    assert!(!configured.server.log().contains("connection ended"));
    let said = configured.reload("[telemetry]\nlog_filter = \"debug\"\n");
    assert!(
        said.contains("reloaded: telemetry.log_filter is \"debug\""),
        "{said}"
    );
    assert!(!said.contains("restart"), "{said}");
    provoke();
    crate::server::eventually("a detail is logged", || {
        configured
            .server
            .log()
            .contains("connection ended")
            .then_some(())
    });
    let said = configured.reload("[telemetry]\nlog_filter = \"debug\"\n");
    assert!(!said.contains("reloaded: "), "nothing is new: {said}");
}

#[test]
fn a_setting_that_needs_a_restart_is_named_at_each_reload_and_a_secret_is_not_told() {
    let secret = "correct-horse-battery-staple";
    let configured = Configured::start("");
    let changed = format!("[access]\nshared_secret = \"{secret}\"\n[rest]\nwait_seconds_max = 7\n");
    for _ in 0..2 {
        let said = configured.reload(&changed);
        for setting in ["access.shared_secret", "rest.wait_seconds_max"] {
            let line = said.lines().find(|line| line.contains(setting));
            let line = line.unwrap_or_else(|| panic!("{setting} in {said}"));
            assert!(line.contains("needs a restart"), "{line}");
        }
        assert!(!said.contains(secret), "{said}");
    }
    // What was not taken over is not in force.
    configured.server.get("/v1/discovery/services").expect(200);
    let said = configured.reload("");
    assert!(!said.contains("restart"), "as it was started: {said}");
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_says_why() {
    let configured = Configured::start("");
    for (toml, why) in [
        (
            "[telemetry]\nlog_filter = \"debug\"\n[rest]\nwait_seconds_max = \"soon\"\n",
            "rest.wait_seconds_max",
        ),
        (
            "[telemetry]\nlog_filter = \"debug\"\nlog_levle = \"x\"\n",
            "log_levle",
        ),
        (
            "[telemetry]\nlog_filter = \"debug\"\n[rest]\nwait_seconds_max = 60\n",
            "http.request_timeout_seconds",
        ),
        ("[telemetry", "waypost.toml"),
    ] {
        let said = configured.reload(toml);
        assert!(
            said.contains("was not reloaded, the old one stays"),
            "{said}"
        );
        assert!(said.contains(why), "{why} in {said}");
        assert!(!said.contains("reloaded: "), "{said}");
    }
    let said = configured.reload("[telemetry]\nlog_filter = \"loud\"\n");
    assert!(said.contains("not reloaded, the old one stays"), "{said}");
    assert!(said.contains("telemetry.log_filter"), "{said}");
    fs::remove_file(&configured.file).unwrap();
    signal("-HUP", configured.server.pid());
    configured.ear.hears("READY=1");
    configured.server.get("/readyz").expect(200);
}
