//! Programs of other projects that the tests talk to.
//!
//! Python packages live in an environment of their own under `target/peers`, and Prometheus is unpacked there. What
//! has many libraries of its own is installed as Debian means it to be, in one go, with its services held back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Environment, Failure, output_of, succeeds};

/// What the Python programs among the peers are, and what the tests' own Python programs import.
const PYTHON_PACKAGES: [&str; 10] = [
    "awscli==1.46.*",
    "boto3==1.44.*",
    "schemathesis==4.32.*",
    "dnspython==2.9.*",
    "fastapi==0.165.*",
    "grpcio-health-checking==1.85.*",
    "httpx==0.28.*",
    "pyyaml==6.0.*",
    "redis==8.1.*",
    "uvicorn==0.54.*",
];

/// What the benchmark of Cloud Map stands beside.
const MOTO_PACKAGES: [&str; 1] = ["moto[server]==5.2.*"];

/// What the tests' own JavaScript programs import.
const JAVASCRIPT_PACKAGE: &str = "@aws-sdk/client-servicediscovery@3";

/// A program of a Debian package: its name, the variable through which tests find it, the package.
type DebianProgram = (&'static str, &'static str, &'static str);

const DEBIAN_PROGRAMS: [DebianProgram; 11] = [
    ("dig", "WAYPOST_PEER_DIG", "bind9-dnsutils"),
    ("dnsmasq", "WAYPOST_PEER_DNSMASQ", "dnsmasq-base"),
    ("haproxy", "WAYPOST_PEER_HAPROXY", "haproxy"),
    ("ip", "WAYPOST_PEER_IP", "iproute2"),
    ("knotd", "WAYPOST_PEER_KNOTD", "knot"),
    ("named", "WAYPOST_PEER_NAMED", "bind9"),
    ("nginx", "WAYPOST_PEER_NGINX", "nginx-light"),
    ("redis-server", "WAYPOST_PEER_REDIS_SERVER", "redis-server"),
    ("systemd-analyze", "WAYPOST_PEER_SYSTEMD_ANALYZE", "systemd"),
    (
        "systemd-socket-activate",
        "WAYPOST_PEER_SYSTEMD_SOCKET_ACTIVATE",
        "systemd",
    ),
    ("unbound", "WAYPOST_PEER_UNBOUND", "unbound"),
];

/// Asked by Debian's packages before they start a service; 101 says that none may.
const POLICY: &str = "/usr/sbin/policy-rc.d";

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

/// Finds every peer, installing what is missing.
#[must_use]
pub fn install(environment: &Environment, target: &Path) -> Vec<Peer> {
    let folder = target.join("peers");
    let created = fs::create_dir_all(&folder).map_err(Failure::from);
    let prometheus = created
        .clone()
        .and_then(|()| prometheus(environment, &folder));
    let python = created.and_then(|()| python(environment, &folder));
    let schemathesis = python
        .clone()
        .map(|python| python.with_file_name("schemathesis"));
    let javascript = javascript(environment, &folder);
    let mut peers = debian_programs(environment, &DEBIAN_PROGRAMS);
    for (name, variable, found) in [
        ("javascript", "WAYPOST_PEER_JAVASCRIPT", javascript),
        ("prometheus", "WAYPOST_PEER_PROMETHEUS", prometheus),
        ("python", "WAYPOST_PEER_PYTHON", python),
        ("schemathesis", "WAYPOST_PEER_SCHEMATHESIS", schemathesis),
    ] {
        peers.push(Peer {
            name,
            variable,
            found: found.map_err(|failure| failure.to_string()),
        });
    }
    peers
}

/// Installs moto's server, which only a benchmark asks for, in an environment of its own: its pins bind nobody else.
///
/// # Errors
/// When pip cannot install it.
pub(crate) fn moto_server(environment: &Environment, target: &Path) -> Result<PathBuf, Failure> {
    let folder = target.join("peers");
    fs::create_dir_all(&folder)?;
    let venv = folder.join("moto");
    python_packages(environment, &venv, &MOTO_PACKAGES, "moto_server")
}

/// Finds programs of Debian packages; what is missing is installed together, where that is possible.
pub(crate) fn debian_programs(environment: &Environment, programs: &[DebianProgram]) -> Vec<Peer> {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _, _)| environment.find(program).is_none())
        .map(|(_, _, package)| *package)
        .collect();
    let installed = if missing.is_empty() {
        Ok(())
    } else {
        debian_packages(environment, &missing)
    };
    let peer = |(name, variable, package): &DebianProgram| {
        let found = environment.find(name).ok_or_else(|| match &installed {
            Ok(()) => format!("the package {package} holds no {name}"),
            Err(failure) => format!("there is no {name}: {failure}"),
        });
        Peer {
            name,
            variable,
            found,
        }
    };
    programs.iter().map(peer).collect()
}

fn debian_packages(environment: &Environment, packages: &[&str]) -> Result<(), Failure> {
    let names = packages.join(", ");
    if !environment.superuser || environment.find("apt-get").is_none() {
        return Err(Failure::new(format!(
            "only root with apt-get can install {names}"
        )));
    }
    update_lists(environment)?;
    let policy = Path::new(POLICY);
    let held_back_by_us = !policy.exists();
    if held_back_by_us {
        fs::write(policy, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
    }
    let mut install = Command::new("apt-get");
    install
        .args(["-q", "install", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let installed = succeeds(&mut install);
    if held_back_by_us {
        fs::remove_file(policy)?;
    }
    if installed? {
        return Ok(());
    }
    Err(Failure::new(format!("apt-get cannot install {names}")))
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

/// Installs what the tests' JavaScript programs import, and gives the folder of the modules.
fn javascript(environment: &Environment, folder: &Path) -> Result<PathBuf, Failure> {
    let place = folder.join("javascript");
    let modules = place.join("node_modules");
    let stamp = place.join("waypost-requirements");
    let is_there = fs::read_to_string(&stamp).is_ok_and(|text| text == JAVASCRIPT_PACKAGE);
    if environment.find("node").is_none() || environment.find("npm").is_none() {
        debian_packages(environment, &["nodejs", "npm"])?;
    }
    if is_there {
        return Ok(modules);
    }
    fs::create_dir_all(&place)?;
    let mut install = Command::new("npm");
    install
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(&place)
        .arg(JAVASCRIPT_PACKAGE);
    if !succeeds(&mut install)? {
        return Err(Failure::new(format!(
            "npm cannot install {JAVASCRIPT_PACKAGE}"
        )));
    }
    fs::write(stamp, JAVASCRIPT_PACKAGE)?;
    Ok(modules)
}

/// Makes the Python environment of the tests and gives its interpreter.
fn python(environment: &Environment, folder: &Path) -> Result<PathBuf, Failure> {
    let venv = folder.join("venv");
    let schemathesis = python_packages(environment, &venv, &PYTHON_PACKAGES, "schemathesis")?;
    Ok(schemathesis.with_file_name("python"))
}

/// Makes a Python environment that holds packages and gives a program of theirs.
fn python_packages(
    environment: &Environment,
    venv: &Path,
    packages: &[&str],
    program: &str,
) -> Result<PathBuf, Failure> {
    let python = venv.join("bin/python");
    let program = venv.join("bin").join(program);
    let stamp = venv.join("waypost-requirements");
    let asked = packages.join("\n");
    let as_asked = fs::read_to_string(&stamp).is_ok_and(|text| text == asked);
    if as_asked && runs(&python) {
        return Ok(program);
    }
    make_venv(environment, venv)?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet"])
        .arg("--disable-pip-version-check")
        .args(packages);
    if !succeeds(&mut install)? || !program.is_file() {
        return Err(Failure::new(format!(
            "pip cannot install {}",
            packages.join(", ")
        )));
    }
    fs::write(stamp, asked)?;
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
    debian_packages(environment, &["python3", "python3-venv"])?;
    if make()? {
        return Ok(());
    }
    Err(Failure::new(
        "python3 makes no environment even with python3-venv",
    ))
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
