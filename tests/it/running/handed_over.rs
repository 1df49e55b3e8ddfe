//! Sockets that somebody else holds: nobody is refused while the server restarts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Manager, Supervised};
use crate::connection::Connection;
use crate::dns_server::{Asker, question};
use crate::server::{eventually, waypost};
use crate::skips::{peer, skipped};

const WEB: &str = "/v1/namespaces/svc.internal/services/web/instances/a";
/// 200 a second.
const PACE: Duration = Duration::from_millis(5);
const RESTARTS: usize = 3;

fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &serde_json::Value,
) -> Result<(), String> {
    let answer = Connection::open(address)
        .and_then(|mut connection| connection.ask(method, path, body))
        .map_err(|error| format!("{method} {path}: {error}"))?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(format!("{method} {path}: {status} {}", answer.text())),
    }
}

/// Who asks, and what came of it.
#[derive(Default)]
struct Traffic {
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Traffic {
    /// Asks at a steady pace, whether or not the one before was answered; every tenth time it writes.
    fn flow(&self, address: SocketAddr) {
        let start = Instant::now();
        thread::scope(|scope| {
            for number in 0_u32.. {
                if self.is_over.load(Ordering::Relaxed) {
                    break;
                }
                scope.spawn(move || {
                    let asked = match number % 10 {
                        0 => ask(
                            address,
                            "PUT",
                            WEB,
                            &json!({"address": "127.0.0.1", "port": 8080}),
                        ),
                        _ => ask(address, "GET", "/v1/discover/web", &serde_json::Value::Null),
                    };
                    self.note(asked);
                });
                let due = start + PACE * (number + 1);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
    }

    fn note(&self, asked: Result<(), String>) {
        match asked {
            Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
            Err(why) => {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(why);
            }
        }
    }

    /// Waits until so many more were answered.
    fn goes_on(&self, more: usize) {
        let end = self.answered.load(Ordering::Relaxed) + more;
        eventually("requests are answered", || {
            (self.answered.load(Ordering::Relaxed) >= end).then_some(())
        });
    }
}

/// Ends the traffic however the test ends.
struct Ending<'a>(&'a Traffic);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_request_fails_while_the_server_restarts_and_reloads() {
    let manager = Manager::new();
    let mut server = manager.start();
    let address = manager.address();
    ask(
        address,
        "PUT",
        WEB,
        &json!({"address": "127.0.0.1", "port": 8080}),
    )
    .unwrap();
    let traffic = Traffic::default();
    thread::scope(|scope| {
        let ending = Ending(&traffic);
        scope.spawn(|| traffic.flow(address));
        traffic.goes_on(100);
        for _ in 0..RESTARTS {
            server.signal("-HUP");
            manager.ear.hears("RELOADING=1");
            manager.ear.hears("READY=1");
            traffic.goes_on(50);
            server.signal("-TERM");
            manager.ear.hears("STOPPING=1");
            assert!(server.wait().success());
            server = manager.start();
            traffic.goes_on(50);
        }
        drop(ending);
    });
    let failures = traffic.failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} failed: {failures:#?}",
        failures.len()
    );
}

#[test]
fn dns_is_answered_on_sockets_that_were_handed_over_and_who_asks_in_between_waits() {
    let manager = Manager::new().with_dns();
    let (udp, _) = manager.dns.as_ref().unwrap();
    let dns = udp.local_addr().unwrap();
    let mut server = manager.start();
    ask(
        manager.address(),
        "PUT",
        WEB,
        &json!({"address": "127.0.0.1", "port": 8080}),
    )
    .unwrap();
    let asker = Asker::new(dns);
    assert_eq!(asker.ask("web.svc.internal"), (0, 1));
    let banner = server.read("banner");
    assert!(
        banner.contains(&format!("dns        {dns} (UDP and TCP)")),
        "{banner}"
    );
    server.signal("-TERM");
    assert!(server.wait().success());
    // Nobody serves now; both kinds wait in the sockets.
    let early = UdpSocket::bind("127.0.0.1:0").unwrap();
    early.set_read_timeout(Some(super::PATIENCE)).unwrap();
    early.send_to(&question("web.svc.internal"), dns).unwrap();
    let mut stream = TcpStream::connect(dns).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let asked = question("web.svc.internal");
    let length = u16::try_from(asked.len()).unwrap().to_be_bytes();
    stream
        .write_all(&[&length, asked.as_slice()].concat())
        .unwrap();
    let _server = manager.start();
    let mut answer = [0; 512];
    let length = early.recv(&mut answer).unwrap();
    assert!(length > asked.len() && answer[7] == 1, "one answer");
    let mut head = [0; 10];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[9], 1, "one answer");
}

/// Starts it and gives what it says before it ends.
fn refusal(manager: &Manager) -> String {
    let mut server: Supervised = manager.spawn();
    let status = server.wait();
    assert_eq!(status.code(), Some(2), "{}", server.read("log"));
    server.read("log")
}

#[test]
fn a_socket_that_cannot_be_served_is_refused_by_name_with_the_remedy() {
    let mut manager = Manager::new();
    for (names, why) in [
        ("web", "FileDescriptorName="),
        ("dns-udp", "it must be a UDP socket (ListenDatagram=)"),
    ] {
        manager.names = names;
        let said = refusal(&manager);
        assert!(said.contains(names) && said.contains(why), "{said}");
    }
    // Connected, as inetd would hand it over: nothing to accept from.
    let client = TcpStream::connect(manager.address()).unwrap();
    let (accepted, _) = manager.http.accept().unwrap();
    manager.http = TcpListener::from(std::os::fd::OwnedFd::from(accepted));
    manager.names = "http";
    let said = refusal(&manager);
    assert!(said.contains("Accept=no"), "{said}");
    drop(client);
    let mut manager = Manager::new().with_dns();
    manager.names = "dns:http:http";
    let said = refusal(&manager);
    assert!(
        said.contains("it must be a TCP socket that listens"),
        "{said}"
    );
    manager.names = "http:dns:http";
    let said = refusal(&manager);
    assert!(said.contains("socket 5"), "{said}");
    assert!(said.contains("there is one for HTTP already"), "{said}");
}

#[test]
fn a_socket_that_others_reach_needs_what_an_address_that_others_reach_does() {
    let mut manager = Manager::new();
    manager.http = TcpListener::bind("0.0.0.0:0").unwrap();
    let said = refusal(&manager);
    assert!(said.contains("without any credential"), "{said}");
    let manager = Manager::new().with_dns_on("0.0.0.0:0");
    let mut server = manager.spawn();
    assert_eq!(server.wait().code(), Some(1));
    let said = server.read("log");
    assert!(said.contains("dns.allow"), "{said}");
}

#[test]
fn dns_over_one_transport_alone_is_refused_with_the_address() {
    let manager = Manager::new().with_dns();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let missing = other.local_addr().unwrap();
    let (udp, _) = manager.dns.as_ref().unwrap();
    let has_udp = udp.local_addr().unwrap();
    let mut manager = Manager {
        dns: Some((udp.try_clone().unwrap(), other)),
        ..manager
    };
    manager.names = "http:dns-udp:dns-tcp";
    let mut server = manager.spawn();
    assert_eq!(server.wait().code(), Some(1));
    let said = server.read("log");
    assert!(
        said.contains(&format!("{has_udp} has no socket over TCP")),
        "{said}"
    );
    assert!(!said.contains(&missing.to_string()), "one is told: {said}");
}

/// A socket that systemd's own program holds until somebody connects. Dropping it kills whoever it has become.
struct Activated {
    child: Child,
    address: SocketAddr,
}

impl Drop for Activated {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Activated {
    /// The program listens on no port of the system's choice that it would tell, so one is chosen that is free now.
    fn start(program: &std::path::Path, folder: &std::path::Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let server = waypost(["serve", "--dns", "off", "--data-dir", "data"]);
        let mut child = Command::new(program)
            .args(["--listen", &address.to_string(), "--fdname", "http"])
            .arg(server.get_program())
            .args(server.get_args())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        thread::spawn(move || lines.for_each(drop));
        let listens = first.contains("Listening on");
        let activated = Self { child, address };
        listens.then_some(activated)
    }
}

#[test]
fn systemd_socket_activate_starts_it_for_the_first_who_asks() {
    const TEST: &str = "systemd_socket_activate_starts_it_for_the_first_who_asks";
    let program = match peer("WAYPOST_PEER_SYSTEMD_SOCKET_ACTIVATE") {
        Ok(program) => program,
        Err(why) => return skipped(TEST, &why),
    };
    let folder = tempfile::tempdir().unwrap();
    let activated = (0..3).find_map(|_| Activated::start(&program, folder.path()));
    let activated = activated.expect("systemd-socket-activate listens");
    assert!(!folder.path().join("data").exists(), "it is not there yet");
    ask(
        activated.address,
        "PUT",
        WEB,
        &json!({"address": "127.0.0.1", "port": 8080}),
    )
    .unwrap();
    assert!(folder.path().join("data").exists());
    super::signal("-TERM", activated.child.id());
}
