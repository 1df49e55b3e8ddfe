//! The wheel: `pip install` in a clean environment gives a `waypost` that serves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{Ear, root};
use crate::connection::Connection;
use crate::server::eventually_within;
use crate::skips::{peer, skipped};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn pip_installs_a_waypost_that_serves_without_any_index() {
    const TEST: &str = "pip_installs_a_waypost_that_serves_without_any_index";
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(python) => python,
        Err(why) => return skipped(TEST, &why),
    };
    let folder = tempfile::tempdir().unwrap();
    let venv = folder.path().join("venv");
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path());
        printed(&command.output().unwrap())
    };
    let script = root().join("packaging/wheel/build.py");
    let binary = env!("CARGO_BIN_EXE_waypost");
    let build = [
        script.to_str().unwrap(),
        binary,
        "wheels",
        "--version",
        VERSION,
    ];
    let wheel = run(&python, &build);
    // The newest glibc that it needs, and so at most the one of this machine.
    assert!(
        wheel.contains(&format!("waypost-{VERSION}-py3-none-manylinux_2_")),
        "{wheel}"
    );
    assert_eq!(run(&python, &build), wheel);
    run(&python, &["-m", "venv", venv.to_str().unwrap()]);
    let pip = venv.join("bin/pip");
    let install = [
        "install",
        "--no-index",
        "--quiet",
        "--disable-pip-version-check",
        &wheel,
    ];
    run(&pip, &install);
    let waypost = venv.join("bin/waypost");
    assert_eq!(run(&waypost, &["--version"]), format!("waypost {VERSION}"));
    serves(&waypost, folder.path());
    run(
        &pip,
        &[
            "uninstall",
            "--yes",
            "--quiet",
            "--disable-pip-version-check",
            "waypost",
        ],
    );
    assert!(!waypost.exists(), "the record names the program");
}

fn serves(waypost: &Path, folder: &Path) {
    let ear = Ear::new(folder);
    let mut server = Command::new(waypost)
        .args(["serve", "--http", "127.0.0.1:0", "--dns", "off"])
        .env_clear()
        .env("NOTIFY_SOCKET", &ear.path)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ready = ear.hears("READY=1");
    let address = ready.rsplit(' ').next().unwrap().parse().unwrap();
    let mut connection = Connection::open(address).unwrap();
    let answer = connection.request("GET", "/readyz", &[], b"").unwrap();
    assert_eq!(answer.status, 200);
    super::signal("-TERM", server.id());
    let status = eventually_within(super::PATIENCE, "the server ends", || {
        server.try_wait().unwrap()
    });
    assert!(status.success());
    assert!(fs::exists(folder.join("waypost-data")).unwrap());
}
