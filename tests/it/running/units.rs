//! The units for systemd, held by systemd's own tools and against the program's defaults.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{Ear, root};
use crate::server::{eventually_within, waypost};
use crate::skips::{peer, skipped};

const UNITS: [&str; 3] = ["waypost.service", "waypost.socket", "waypost-dns.socket"];
const INSTALLED: &str = "/usr/bin/waypost";
/// What `systemd-analyze security` may find, in tenths: 10.0 is a service without any bound.
const EXPOSURE_MAX: &str = "20";

fn unit(name: &str) -> String {
    fs::read_to_string(root().join("packaging/systemd").join(name)).unwrap()
}

/// The values of each key, in order.
fn keys(unit: &str) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in unit.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once('=') {
            keys.entry(key.to_owned())
                .or_default()
                .push(value.to_owned());
        }
    }
    keys
}

/// The units with the program where it is here.
fn installed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let text = unit(name).replace(INSTALLED, env!("CARGO_BIN_EXE_waypost"));
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The default of a setting.
fn default(key: &str) -> Value {
    let output = waypost(["config", "show", "-o", "json"]).output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let row = rows.into_iter().find(|row| row["key"] == key);
    row.unwrap_or_else(|| panic!("there is no {key}"))["value"].clone()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_that_the_service_may_do() {
    const TEST: &str =
        "systemd_finds_nothing_wrong_with_the_units_and_little_that_the_service_may_do";
    let analyze = match peer("WAYPOST_PEER_SYSTEMD_ANALYZE") {
        Ok(analyze) => analyze,
        Err(why) => return skipped(TEST, &why),
    };
    let folder = installed();
    let verify = |folder: &TempDir| {
        let mut command = Command::new(&analyze);
        command.args(["verify", "--man=no"]).args(UNITS);
        command.current_dir(folder.path()).output().unwrap()
    };
    let verified = verify(&folder);
    assert!(verified.status.success(), "{}", said(&verified));
    assert_eq!(said(&verified), "");
    let security = Command::new(&analyze)
        .args(["security", "--offline=true", "--no-pager"])
        .arg(format!("--threshold={EXPOSURE_MAX}"))
        .arg("./waypost.service")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(security.status.success(), "{}", said(&security));
    // It does look: a word that it does not know is told.
    let wrong = unit("waypost.socket").replace("Backlog=", "Backlogg=");
    fs::write(folder.path().join("waypost.socket"), wrong).unwrap();
    let verified = verify(&folder);
    assert!(said(&verified).contains("Backlogg"), "{}", said(&verified));
}

#[test]
fn the_units_fit_the_defaults_of_the_program() {
    let service = keys(&unit("waypost.service"));
    let seconds = |key: &str| service[key][0].parse::<u64>().unwrap();
    let drain = default("http.drain_seconds").as_u64().unwrap();
    assert!(seconds("TimeoutStopSec") > drain, "{drain} s of drain");
    assert_eq!(service["Type"], ["notify"]);
    assert_eq!(service["ExecReload"], ["/bin/kill -HUP $MAINPID"]);
    // Each connection has a descriptor, over HTTP and over DNS; the rest is for checks, watches and the store.
    let connections: u64 = ["http.connections_max", "dns.tcp_connections_max"]
        .map(|key| default(key).as_u64().unwrap())
        .iter()
        .sum();
    assert!(seconds("LimitNOFILE") >= 2 * connections, "{connections}");
    let http = keys(&unit("waypost.socket"));
    assert_eq!(
        http["ListenStream"],
        [default("http.listen").as_str().unwrap()]
    );
    assert_eq!(http["FileDescriptorName"], ["http"]);
    let dns = keys(&unit("waypost-dns.socket"));
    let listen = default("dns.listen");
    let listen = [listen[0].as_str().unwrap()];
    assert_eq!(
        (&dns["ListenStream"][..], &dns["ListenDatagram"][..]),
        (
            &listen.map(str::to_owned)[..],
            &listen.map(str::to_owned)[..]
        )
    );
    assert_eq!(dns["FileDescriptorName"], ["dns"]);
    for socket in [http, dns] {
        assert_eq!(socket["Service"], ["waypost.service"]);
    }
}

#[test]
fn the_command_of_the_service_serves_with_the_configuration_that_comes_with_it() {
    let service = keys(&unit("waypost.service"));
    let command = service["ExecStart"][0].replace(INSTALLED, env!("CARGO_BIN_EXE_waypost"));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let ear = Ear::new(folder.path());
    let mut server = Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .env("STATE_DIRECTORY", &state)
        .env(
            "WAYPOST_CONFIG",
            root().join("packaging/systemd/waypost.toml"),
        )
        .env("WAYPOST__HTTP__LISTEN", "127.0.0.1:0")
        .env("WAYPOST__DNS__LISTEN", "127.0.0.1:0")
        .env("NOTIFY_SOCKET", &ear.path)
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let ready = ear.hears("READY=1");
    super::signal("-TERM", server.id());
    let status = eventually_within(super::PATIENCE, "the server ends", || {
        server.try_wait().unwrap()
    });
    assert!(status.success(), "{ready}");
    assert!(state.join("registry.sqlite").exists());
}
