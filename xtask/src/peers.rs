//! Programs of other projects that the tests talk to, installed under `target/peers`.
//!
//! Nothing is installed into the system but Python itself, where it is missing and this runs as root: a Debian
//! package is unpacked, so no service of it ever starts, and Python packages live in an environment of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Environment, Failure, output_of, succeeds};

const SCHEMATHESIS: &str = "schemathesis==4.32.*";

/// A peer: the variable that tells tests where it is, or why it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The name of the program.
    pub name: &'static str,
    /// The environment variable through which tests find it.
    pub variable: &'static str,
    /// Where it is, or a sentence about why it could not be had.
    pub found: Result<PathBuf, String>,
}

/// Finds every peer, installing what is missing into `target`.
#[must_use]
pub fn install(environment: &Environment, target: &Path) -> Vec<Peer> {
    let folder = target.join("peers");
    let created = fs::create_dir_all(&folder).map_err(Failure::from);
    let prometheus = created
        .clone()
        .and_then(|()| prometheus(environment, &folder));
    let schemathesis = created.and_then(|()| schemathesis(environment, &folder));
    let dig = debian_program(environment, "dig", "bind9-dnsutils");
    vec![
        Peer {
            name: "dig",
            variable: "WAYPOST_PEER_DIG",
            found: dig.map_err(|failure| failure.to_string()),
        },
        Peer {
            name: "prometheus",
            variable: "WAYPOST_PEER_PROMETHEUS",
            found: prometheus.map_err(|failure| failure.to_string()),
        },
        Peer {
            name: "schemathesis",
            variable: "WAYPOST_PEER_SCHEMATHESIS",
            found: schemathesis.map_err(|failure| failure.to_string()),
        },
    ]
}

fn prometheus(environment: &Environment, folder: &Path) -> Result<PathBuf, Failure> {
    if let Some(installed) = environment.find("prometheus") {
        return Ok(installed);
    }
    let unpacked = folder.join("prometheus");
    let program = unpacked.join("usr/bin/prometheus");
    if runs(&program) {
        return Ok(program);
    }
    if environment.find("apt-get").is_none() {
        return Err(Failure::new("there is no apt-get to get prometheus with"));
    }
    update_lists(environment)?;
    let downloads = folder.join("debian");
    fs::create_dir_all(&downloads)?;
    // Root downloads as itself: the user that apt switches to may not write here.
    let mut download = Command::new("apt-get");
    download
        .args([
            "-q",
            "-o",
            "APT::Sandbox::User=root",
            "download",
            "prometheus",
        ])
        .current_dir(&downloads);
    if !succeeds(&mut download)? {
        return Err(Failure::new("apt-get cannot get the package prometheus"));
    }
    let package = newest_package(&downloads)
        .ok_or_else(|| Failure::new("apt-get left no package of prometheus"))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(&package).arg(&unpacked);
    if !succeeds(&mut unpack)? || !runs(&program) {
        return Err(Failure::new(
            "the package prometheus holds no program that runs",
        ));
    }
    Ok(program)
}

// Programs with many libraries of their own are installed as Debian means them to be; none of these starts a service.
fn debian_program(
    environment: &Environment,
    program: &str,
    package: &str,
) -> Result<PathBuf, Failure> {
    if let Some(installed) = environment.find(program) {
        return Ok(installed);
    }
    if !environment.superuser || environment.find("apt-get").is_none() {
        return Err(Failure::new(format!(
            "there is no {program}, and only root with apt-get can install {package}"
        )));
    }
    update_lists(environment)?;
    let mut install = Command::new("apt-get");
    install
        .args(["-q", "install", "-y", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive");
    let installed = succeeds(&mut install)?;
    environment
        .find(program)
        .filter(|_| installed)
        .ok_or_else(|| Failure::new(format!("apt-get cannot install {package}")))
}

fn newest_package(folder: &Path) -> Option<PathBuf> {
    let mut packages: Vec<(std::time::SystemTime, PathBuf)> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let is_package = entry.path().extension().is_some_and(|end| end == "deb");
            is_package.then_some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    packages.sort();
    packages.pop().map(|(_, path)| path)
}

fn schemathesis(environment: &Environment, folder: &Path) -> Result<PathBuf, Failure> {
    let venv = folder.join("venv");
    let program = venv.join("bin/schemathesis");
    let stamp = venv.join("waypost-requirement");
    let as_asked = fs::read_to_string(&stamp).is_ok_and(|text| text == SCHEMATHESIS);
    if as_asked && runs(&program) {
        return Ok(program);
    }
    make_venv(environment, &venv)?;
    let mut install = Command::new(venv.join("bin/python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        SCHEMATHESIS,
    ]);
    if !succeeds(&mut install)? || !runs(&program) {
        return Err(Failure::new(format!("pip cannot install {SCHEMATHESIS}")));
    }
    fs::write(stamp, SCHEMATHESIS)?;
    Ok(program)
}

// Debian splits `venv` from Python, so that a Python alone may not be enough.
fn make_venv(environment: &Environment, venv: &Path) -> Result<(), Failure> {
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(venv);
        succeeds(&mut command)
    };
    if environment.find("python3").is_some() && make()? {
        return Ok(());
    }
    if !environment.superuser || environment.find("apt-get").is_none() {
        return Err(Failure::new(
            "there is no python3 with venv, and only root with apt-get can install it",
        ));
    }
    update_lists(environment)?;
    let mut install = Command::new("apt-get");
    install
        .args(["-q", "install", "-y", "--no-install-recommends"])
        .args(["python3", "python3-venv"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    if succeeds(&mut install)? && make()? {
        return Ok(());
    }
    Err(Failure::new("apt-get cannot install python3-venv"))
}

// Without root the lists that are there must do.
fn update_lists(environment: &Environment) -> Result<(), Failure> {
    if environment.superuser && !succeeds(Command::new("apt-get").args(["-q", "update"]))? {
        return Err(Failure::new("apt-get cannot update its lists"));
    }
    Ok(())
}

fn runs(program: &Path) -> bool {
    program.is_file() && output_of(Command::new(program).arg("--version")).is_ok()
}
