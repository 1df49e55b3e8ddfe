//! Knot and BIND with the same contents, on ports of their own.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::contents;
use super::wire::{question, read};
use crate::server::eventually_within;

const START_PATIENCE: Duration = Duration::from_secs(60);
/// A zone that only the process of this test has.
const TOKEN_ZONE: &str = "token.test";
/// How often another port is tried when somebody else took the one that was free.
const TRIES: usize = 10;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Knot,
    Bind,
}

/// A running server. Dropping it kills the process.
pub(super) struct Reference {
    child: Child,
    pub(super) address: SocketAddr,
    folder: TempDir,
}

impl Drop for Reference {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!(
                "--- the reference server said:\n{}",
                log(self.folder.path())
            );
        }
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

impl Reference {
    /// Starts it; the error is a reason to skip.
    pub(super) fn start(kind: Kind, program: &Path) -> Result<Self, String> {
        for _ in 0..TRIES {
            if let Some(running) = Self::try_start(kind, program)? {
                return Ok(running);
            }
        }
        panic!("{kind:?} found no port in {TRIES} tries");
    }

    /// Starts it on a port that was free a moment ago; nothing when it did not get it.
    fn try_start(kind: Kind, program: &Path) -> Result<Option<Self>, String> {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let token = format!("{}-{port}-{:?}", std::process::id(), Instant::now());
        let token: String = token.chars().filter(char::is_ascii_alphanumeric).collect();
        let mut zones = contents::zones();
        let own = format!(
            "{TOKEN_ZONE}. 60 IN SOA ns.{TOKEN_ZONE}. root.{TOKEN_ZONE}. 1 60 15 86400 5\n\
             {TOKEN_ZONE}. 60 IN NS ns.{TOKEN_ZONE}.\nns.{TOKEN_ZONE}. 60 IN A 127.0.0.1\n\
             {TOKEN_ZONE}. 60 IN TXT \"{}\"\n",
            &token[..token.len().min(200)]
        );
        zones.insert(TOKEN_ZONE, own);
        for (zone, lines) in &zones {
            fs::write(folder.path().join(zone), lines).unwrap();
        }
        let names: Vec<&str> = zones.keys().copied().collect();
        let mut command = match kind {
            Kind::Knot => knot(program, folder.path(), port, &names),
            Kind::Bind => bind(program, folder.path(), port, &names),
        };
        let output = File::create(folder.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .current_dir(folder.path());
        let child = command.spawn().unwrap();
        let mut running = Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            folder,
        };
        let state = eventually_within(START_PATIENCE, "the reference server answers", || {
            let is_over = running.child.try_wait().unwrap().is_some();
            let said = log(running.folder.path());
            if said.contains("in use") || said.contains("unable to listen") {
                return Some(Ok(false));
            }
            if is_over && said.contains("permission denied") {
                // Some systems fence their packages' servers off from folders like ours.
                return Some(Err(format!("{kind:?} may not read its folder here")));
            }
            assert!(!is_over, "{kind:?} ended and said:\n{said}");
            let answers = running.is_ours(&token) && running.has_every_zone(&names);
            answers.then_some(Ok(true))
        });
        Ok(state?.then_some(running))
    }

    fn is_ours(&self, token: &str) -> bool {
        let answer = self.once(TOKEN_ZONE, 16);
        let token = token.get(..token.len().min(200)).unwrap_or_default();
        answer.is_some_and(|lines| lines.iter().any(|line| line.contains(token)))
    }

    fn has_every_zone(&self, names: &[&str]) -> bool {
        names
            .iter()
            .all(|zone| self.once(zone, 6).is_some_and(|lines| lines.len() == 1))
    }

    /// Asks once and waits for a short time.
    fn once(&self, name: &str, qtype: u16) -> Option<Vec<String>> {
        let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        socket.connect(self.address).ok()?;
        let asked = question([1, 2], name, qtype);
        socket.send(&asked).ok()?;
        let mut room = [0; 4_096];
        let len = socket.recv(&mut room).ok()?;
        Some(read(&asked, &room[..len]).ok()?.answer)
    }
}

/// Finds a port that is free for datagrams and streams.
fn free_port() -> u16 {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn knot(program: &Path, folder: &Path, port: u16, zones: &[&str]) -> Command {
    let at = folder.display();
    let mut text = format!(
        "server:\n    rundir: \"{at}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n    udp-max-payload: 1232\n    answer-rotation: on\n    version: \"\"\n    nsid: \"\"\n\
         database:\n    storage: \"{at}/db\"\n\
         log:\n  - target: stderr\n    any: info\n\
         mod-queryacl:\n  - id: only\n    address: [127.0.0.1, 127.0.0.2]\n\
         template:\n  - id: default\n    storage: \"{at}\"\n    global-module: mod-queryacl/only\n    \
         zonefile-sync: -1\n    journal-content: none\n    semantic-checks: soft\nzone:\n"
    );
    for zone in zones {
        text.push_str(&format!("  - domain: {zone}\n    file: \"{at}/{zone}\"\n"));
    }
    let file = folder.join("knot.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(file);
    command
}

fn bind(program: &Path, folder: &Path, port: u16, zones: &[&str]) -> Command {
    let at = folder.display();
    let mut text = format!(
        "options {{\n directory \"{at}\";\n listen-on port {port} {{ 127.0.0.1; }};\n listen-on-v6 {{ none; }};\n \
         pid-file \"{at}/pid\";\n session-keyfile none;\n lock-file none;\n recursion no;\n \
         allow-query {{ 127.0.0.1; 127.0.0.2; }};\n allow-transfer {{ none; }};\n notify no;\n \
         max-udp-size 1232;\n edns-udp-size 1232;\n answer-cookie no;\n tcp-advertised-timeout 100;\n minimal-responses no-auth;\n minimal-any yes;\n \
         rrset-order {{ order random; }};\n version none;\n hostname none;\n server-id none;\n \
         dnssec-validation no;\n empty-zones-enable no;\n max-records-per-type 0;\n}};\ncontrols {{ }};\n"
    );
    for zone in zones {
        text.push_str(&format!(
            "zone \"{zone}\" {{ type primary; file \"{at}/{zone}\"; check-names ignore; }};\n"
        ));
    }
    let file = folder.join("named.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    command.args(["-g", "-n", "1", "-c"]).arg(file);
    command
}
