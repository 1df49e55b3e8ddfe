//! A service that is restarted replica by replica, while somebody who believes DNS for as long as it allows counts what fails.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{NAMESPACE, Run, instances};
use crate::connection::Connection;
use crate::server::{PATIENCE, Server, eventually_within};
use crate::skips::{long_forms, peer, skipped};

/// Addresses that nobody else uses, so that their port stays free while nobody listens.
const DRAINED: [&str; 2] = ["127.77.0.1", "127.77.0.2"];
const NOT_DRAINED: [&str; 2] = ["127.78.0.1", "127.78.0.2"];
const NAME: &str = "web.secure-api.local";
/// Kept short, so that a restart is.
const TTL: Duration = Duration::from_secs(1);
/// What `waypost run` adds to the TTL before it stops the command.
const SLACK: Duration = Duration::from_secs(2);
const LOOPS: usize = 5;
const LOOPS_LONG: usize = 100;
const CLIENTS: usize = 2;
/// Python starts slowly on a busy machine.
const RESTART_PATIENCE: Duration = Duration::from_secs(60);

/// Says its pid before anything else, so that the end of the test finds it in any case.
const STARTS: &str = r#"echo $$ >pid; exec "$0" "$@""#;
/// Takes a moment for each answer, so that some are under way whenever it is stopped.
const APP: &str = r#"
import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root() -> dict[str, str]:
    await asyncio.sleep(0.03)
    return {"answer": "x" * 2000}


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}
"#;

#[test]
fn a_rolling_restart_loses_no_request_of_a_client_that_honours_the_ttl() {
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(python) => python,
        Err(why) => return skipped("run::rolling::a_rolling_restart_loses_no_request", &why),
    };
    let loops = if long_forms() { LOOPS_LONG } else { LOOPS };
    let counted = Rolling::start(&python, DRAINED, None).restart(loops);
    let failed = counted.failures.len();
    assert_eq!(
        failed, 0,
        "of {}: {:#?}",
        counted.complete, counted.failures
    );
    // Every address was asked all the time that it could be.
    assert!(counted.complete > 100, "{}", counted.complete);
    assert!(
        counted.shortest_stop >= TTL + SLACK,
        "stopped after {:?}, while its address was still remembered",
        counted.shortest_stop
    );
}

#[test]
fn a_rolling_restart_without_a_drain_loses_requests_which_shows_that_they_are_counted() {
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(python) => python,
        Err(why) => return skipped("run::rolling::a_rolling_restart_without_a_drain", &why),
    };
    let counted = Rolling::start(&python, NOT_DRAINED, Some("0")).restart(1);
    let failed = counted.failures.len();
    assert!(failed > 0, "all {} were complete", counted.complete);
    assert!(counted.complete > 0, "{:#?}", counted.failures);
}

/// What the clients saw.
struct Counted {
    complete: u64,
    failures: Vec<String>,
    /// From SIGTERM to the end of `waypost run`.
    shortest_stop: Duration,
}

/// Two replicas behind one name, each under a `waypost run` of its own.
struct Rolling {
    runs: Vec<Run>,
    python: String,
    addresses: [&'static str; 2],
    drain: Option<&'static str>,
    port: u16,
    server: Server,
}

impl Rolling {
    fn start(python: &Path, addresses: [&'static str; 2], drain: Option<&'static str>) -> Self {
        let server = Server::start();
        let seconds = TTL.as_secs();
        let dns =
            json!({"routing": "Multivalue", "records": [{"type": "A", "ttl_seconds": seconds}]});
        let service = format!("/v1/namespaces/{NAMESPACE}/services/web");
        server.put(&service, &json!({ "dns": dns })).expect(201);
        let mut rolling = Self {
            runs: Vec::new(),
            python: python.to_str().unwrap().to_owned(),
            addresses,
            drain,
            port: free_port(addresses[0]),
            server,
        };
        for address in addresses {
            let run = rolling.launch(address);
            rolling.runs.push(run);
        }
        rolling.wait_for_all();
        rolling
    }

    fn launch(&self, address: &str) -> Run {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.py"), APP).unwrap();
        let port = self.port.to_string();
        let mut arguments = vec!["--name", "web", "--check", "http:/health/ready"];
        arguments.extend([
            "--check-interval",
            "1s",
            "--address",
            address,
            "--port",
            &port,
        ]);
        if let Some(drain) = self.drain {
            arguments.extend(["--drain", drain]);
        }
        arguments.extend(["--", "sh", "-c", STARTS]);
        arguments.extend([&self.python, "-m", "uvicorn", "app:app"]);
        arguments.extend(["--host", "{address}", "--port", "{port}", "--no-access-log"]);
        Run::start_in(&self.server, &arguments, folder)
    }

    fn wait_for_all(&self) {
        eventually_within(RESTART_PATIENCE, "all of web are in rotation", || {
            let instances = instances(&self.server, "web");
            let mut all = instances.iter();
            (instances.len() == self.addresses.len() && all.all(|one| one["in_rotation"] == true))
                .then_some(())
        });
    }

    /// Restarts one after another, so many times, while clients ask.
    fn restart(mut self, loops: usize) -> Counted {
        let crowd = Crowd::start(self.server.dns(), self.port);
        let mut shortest_stop = Duration::MAX;
        for _ in 0..loops {
            for (number, address) in self.addresses.into_iter().enumerate() {
                let since = Instant::now();
                self.runs[number].signal("TERM");
                let run = &mut self.runs[number];
                let status = eventually_within(RESTART_PATIENCE, "waypost run ends", || {
                    run.child.try_wait().unwrap()
                });
                shortest_stop = shortest_stop.min(since.elapsed());
                // uvicorn finishes its requests and then ends by the signal that it was sent.
                assert_eq!(status.code(), Some(128 + 15), "{}", run.read("err"));
                self.runs[number] = self.launch(address);
                self.wait_for_all();
            }
        }
        let (complete, failures) = crowd.end();
        Counted {
            complete,
            failures,
            shortest_stop,
        }
    }
}

/// A port that is free at the address. Nobody sends from there, so it stays free.
fn free_port(address: &str) -> u16 {
    let listener = std::net::TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Clients that ask until they are told to stop.
struct Crowd {
    is_over: Arc<AtomicBool>,
    complete: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn start(dns: SocketAddr, port: u16) -> Self {
        let mut crowd = Self {
            is_over: Arc::default(),
            complete: Arc::default(),
            failures: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..CLIENTS {
            let is_over = Arc::clone(&crowd.is_over);
            let complete = Arc::clone(&crowd.complete);
            let failures = Arc::clone(&crowd.failures);
            crowd.threads.push(thread::spawn(move || {
                let mut resolver = Resolver::new(dns);
                while !is_over.load(Ordering::Relaxed) {
                    match ask(&mut resolver, port) {
                        Ok(()) => drop(complete.fetch_add(1, Ordering::Relaxed)),
                        Err(why) => failures.lock().unwrap().push(why),
                    }
                }
            }));
        }
        crowd
    }

    fn end(mut self) -> (u64, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        (self.complete.load(Ordering::Relaxed), failures)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// One request over a connection of its own; whatever is no complete 2xx is an error. Nothing is tried twice.
fn ask(resolver: &mut Resolver, port: u16) -> Result<(), String> {
    let address = resolver.next().ok_or("the name has no address")?;
    let failed = |what: &str, error: std::io::Error| format!("{address}: {what}: {error}");
    let mut connection =
        Connection::open((address, port).into()).map_err(|error| failed("connect", error))?;
    let headers = [("Connection", "close")];
    let answer = connection
        .request("GET", "/", &headers, b"")
        .map_err(|error| failed("request", error))?;
    if answer.is_success() && answer.body.len() > 2_000 {
        return Ok(());
    }
    Err(format!(
        "{address}: {} with {}",
        answer.status,
        answer.text()
    ))
}

/// Remembers an answer for exactly as long as its TTL allows, and goes through its addresses in turn.
struct Resolver {
    socket: UdpSocket,
    addresses: Vec<IpAddr>,
    ends: Instant,
    turn: usize,
}

impl Resolver {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            addresses: Vec::new(),
            ends: Instant::now(),
            turn: 0,
        }
    }

    fn next(&mut self) -> Option<IpAddr> {
        if Instant::now() >= self.ends {
            self.resolve();
        }
        self.turn += 1;
        let turn = self.turn.checked_rem(self.addresses.len())?;
        Some(self.addresses[turn])
    }

    fn resolve(&mut self) {
        let question = crate::dns_server::question(NAME);
        self.socket.send(&question).unwrap();
        let mut answer = [0; 4_096];
        let length = self.socket.recv(&mut answer).unwrap();
        let received = Instant::now();
        assert_eq!(answer[..2], question[..2], "the answer to another question");
        assert_eq!(answer[3] & 0xf, 0, "the question was refused");
        self.addresses.clear();
        let mut rest = &answer[question.len()..length];
        for _ in 0..u16::from_be_bytes([answer[6], answer[7]]) {
            // A pointer to the name of the question, then type, class, TTL, length and an address.
            let (record, others) = rest.split_at(16);
            assert_eq!(
                record[..6],
                [0xc0, 12, 0, 1, 0, 1],
                "no A record of the name"
            );
            let ttl = u32::from_be_bytes(record[6..10].try_into().unwrap());
            assert_eq!(u64::from(ttl), TTL.as_secs());
            let address: [u8; 4] = record[12..].try_into().unwrap();
            self.addresses.push(address.into());
            rest = others;
        }
        self.ends = received + TTL;
    }
}
