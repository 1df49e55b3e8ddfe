//! Followers of every kind, while the registry changes, connections break and the server dies and comes back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use waypost_client::{Client, Followed, WatchScope};

use crate::connection::Connection;
use crate::server::{Server, eventually};

const SERVICES: &str = "/v1/namespaces/svc.internal/services";

/// Passes bytes on to a server that may move, and cuts all connections when it is told to.
struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    to: Mutex<SocketAddr>,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Relay {
    fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            to: Mutex::new(to),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let passing = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if passing.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let to = *passing.to.lock().unwrap();
                // Without a server behind it the connection breaks at once.
                if let Ok(server) = TcpStream::connect(to) {
                    let mut open = passing.open.lock().unwrap();
                    for (from, to) in [(&stream, &server), (&server, &stream)] {
                        open.push(from.try_clone().unwrap());
                        pass(from.try_clone().unwrap(), to.try_clone().unwrap());
                    }
                }
            }
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.cut();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut bytes = [0; 8_192];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}

/// Small numbers, the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A reader by long polls; it keeps the answer that came last.
struct Poller {
    last: Arc<Mutex<Option<Value>>>,
    ended: Arc<AtomicBool>,
    polling: Option<JoinHandle<()>>,
}

impl Poller {
    fn start(to: SocketAddr, path: String) -> Self {
        let (last, ended) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let (known, is_over) = (Arc::clone(&last), Arc::clone(&ended));
        let polling = thread::spawn(move || {
            let mut revision: Option<String> = None;
            while !is_over.load(Ordering::SeqCst) {
                let at = revision.as_ref().map(|it| format!("&revision={it}"));
                let path = format!("{path}?wait=50s{}", at.unwrap_or_default());
                let asked = Connection::open(to).and_then(|mut connection| {
                    connection.set_patience(Duration::from_secs(60))?;
                    connection.request("GET", &path, &[], b"")
                });
                // A broken connection or a server that is not there: asked again from where it stood.
                let Ok(answer) = asked else {
                    thread::sleep(Duration::from_millis(20));
                    continue;
                };
                assert!([200, 404].contains(&answer.status), "{}", answer.text());
                let now = answer.header("waypost-revision").unwrap().to_owned();
                if let Some(before) = &revision {
                    assert!(
                        number(&now) >= number(before),
                        "a step back: {before} {now}"
                    );
                }
                revision = Some(now);
                let shown = if answer.status == 200 {
                    answer.json()
                } else {
                    Value::Null
                };
                *known.lock().unwrap() = Some(shown);
            }
        });
        Self {
            last,
            ended,
            polling: Some(polling),
        }
    }

    fn last(&self) -> Value {
        self.last.lock().unwrap().clone().unwrap_or_default()
    }

    /// Ends it; what is waited for has to end first.
    fn end(mut self, relay: &Relay) {
        self.ended.store(true, Ordering::SeqCst);
        let polling = self.polling.take().unwrap();
        eventually("its poll ends", || {
            relay.cut();
            polling.is_finished().then_some(())
        });
        polling.join().expect("no step back");
    }
}

fn number(revision: &str) -> u64 {
    revision.split('.').nth(1).unwrap().parse().unwrap()
}

/// What a service is, without vitals.
fn told(instances: &[Value]) -> BTreeMap<String, Value> {
    let instance = |it: &Value| {
        let said = json!([
            it["ports"],
            it["mode"],
            it["in_rotation"],
            it["reason"],
            it["registration_id"],
            it["revision"]
        ]);
        (it["id"].as_str().unwrap().to_owned(), said)
    };
    instances.iter().map(instance).collect()
}

fn instances_of(document: &Value) -> Vec<Value> {
    document["instances"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// Everything by service as the server has it.
fn everything(server: &Server) -> BTreeMap<String, BTreeMap<String, Value>> {
    let services = server.get(SERVICES).expect(200).json();
    let services = services["services"].as_array().unwrap().iter();
    services
        .map(|service| {
            let name = service["name"].as_str().unwrap();
            let page = server
                .get(&format!("{SERVICES}/{name}/instances"))
                .expect(200)
                .json();
            (name.to_owned(), told(&instances_of(&page)))
        })
        .collect()
}

fn copied(copy: &Followed) -> BTreeMap<String, BTreeMap<String, Value>> {
    copy.services()
        .map(|update| {
            let update = serde_json::to_value(&**update).unwrap();
            let name = update["service"]["name"].as_str().unwrap().to_owned();
            (name, told(&instances_of(&update)))
        })
        .collect()
}

/// Changes something, breaks connections, or ends the server and starts it again.
fn disturb(random: &mut Random, server: &mut Server, relay: &Relay) {
    let (service, id) = (random.below(3), random.below(3));
    let path = format!("{SERVICES}/s{service}/instances/i{id}");
    match random.below(20) {
        0 => {
            server.kill9();
            server.restart();
            *relay.shared.to.lock().unwrap() = server.address();
        }
        1 => {
            assert!(server.terminate().success());
            server.restart();
            *relay.shared.to.lock().unwrap() = server.address();
        }
        2..5 => relay.cut(),
        5..8 => drop(server.delete(&path)),
        8 => drop(server.delete(&format!("{SERVICES}/s{service}"))),
        9..11 => {
            let mode = json!({"mode": "Draining", "reason": "a test"});
            drop(server.put(&format!("{path}/mode"), &mode));
        }
        _ => {
            let body = json!({"address": "127.0.0.1", "port": 1 + random.below(3)});
            assert!(server.put(&path, &body).is_success());
        }
    }
}

fn followers_end_equal(seed: u64) {
    let mut random = Random(seed);
    let mut server = Server::start();
    let relay = Relay::start(server.address());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let client = Client::builder(format!("http://{}", relay.address))
        .build()
        .unwrap();
    let (everywhere, upkeep) = client.follow(&[]).unwrap();
    runtime.spawn(upkeep);
    let (mut of_one, upkeep) = client
        .follow(&[WatchScope::Service("s1".to_owned())])
        .unwrap();
    runtime.spawn(upkeep);
    let no_step_back = runtime.spawn(async move {
        let mut before = Followed::default();
        while let Ok(now) = of_one.changed().await {
            if let (Some(old), Some(new)) = (
                before.service("svc.internal", "s1"),
                now.service("svc.internal", "s1"),
            ) {
                let (old, new) = (&old.service.revision, &new.service.revision);
                assert!(number(new) >= number(old), "a step back: {old} {new}");
            }
            if now.service("svc.internal", "end").is_some() {
                return;
            }
            before = (*now).clone();
        }
    });
    let pollers = ["s0", "s1"]
        .map(|name| Poller::start(relay.address, format!("{SERVICES}/{name}/instances")));
    for _ in 0..60 {
        disturb(&mut random, &mut server, &relay);
    }
    eventually("every follower is equal to the registry", || {
        let is = everything(&server);
        let polled = |poller: &Poller, name: &str| {
            told(&instances_of(&poller.last())) == is.get(name).cloned().unwrap_or_default()
        };
        let whole = everywhere.current();
        (whole.is_complete()
            && copied(&whole) == is
            && polled(&pollers[0], "s0")
            && polled(&pollers[1], "s1"))
        .then_some(())
    });
    for poller in pollers {
        poller.end(&relay);
    }
    no_step_back.abort();
    let ended = runtime.block_on(no_step_back);
    assert!(
        ended.is_err_and(|error| error.is_cancelled()),
        "no step back"
    );
}

#[test]
fn followers_end_equal_after_any_changes_breaks_kills_and_restarts() {
    for seed in [7, 11, 13] {
        followers_end_equal(seed);
    }
}

#[test]
fn the_copy_of_a_client_outlives_the_server_and_is_right_again_after_it() {
    let mut server = Server::start();
    let relay = Relay::start(server.address());
    let web = format!("{SERVICES}/web/instances");
    let body = json!({"address": "127.0.0.1", "port": 80});
    assert!(server.put(&format!("{web}/a"), &body).is_success());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let client = Client::builder(format!("http://{}", relay.address))
        .build()
        .unwrap();
    let (mut follower, upkeep) = client
        .follow(&[WatchScope::Service("web".to_owned())])
        .unwrap();
    runtime.spawn(upkeep);
    let ids = |copy: &Followed| {
        let found = copy.in_rotation("svc.internal", "web");
        found.map(|it| it.id.clone()).collect::<Vec<_>>()
    };
    let complete = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), follower.complete()).await
    });
    assert_eq!(ids(&complete.unwrap().unwrap()), ["a"]);
    server.kill9();
    eventually("it is noticed", || follower.current().lost().cloned());
    assert_eq!(ids(&follower.current()), ["a"], "it stays usable");
    server.restart();
    *relay.shared.to.lock().unwrap() = server.address();
    assert!(server.put(&format!("{web}/b"), &body).is_success());
    eventually("it is right again", || {
        let copy = follower.current();
        (copy.lost().is_none() && ids(&copy) == ["a", "b"]).then_some(())
    });
    assert!(follower.age().is_some());
}

#[test]
fn watch_prints_a_line_for_each_change_and_each_event_as_json() {
    let server = Server::start();
    let web = format!("{SERVICES}/web/instances/a");
    let body = json!({"address": "127.0.0.1", "port": 80});
    assert!(server.put(&web, &body).is_success());
    let shown = server.cli(&["watch", "web", "--count", "1"]);
    assert!(shown.status.success());
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(text, "web/a 127.0.0.1:80 Healthy in: no check configured\n");
    let shown = server.cli(&["watch", "-o", "jsonl", "--count", "1"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<&Value> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["reset", "service", "synced"]);
    assert_eq!(lines[1]["data"]["instances"][0]["id"], "a");
    let top = server.cli(&["top", "-o", "json"]);
    let top: Value = serde_json::from_slice(&top.stdout).unwrap();
    assert_eq!(top["services"][0]["in_rotation"], 1);
}
