//! `kill -9` under load, over and over on one data directory: what was acknowledged is there, what was removed is not.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::server::{PATIENCE, Server, Setup, waypost};
use crate::skips::long_forms;

const WRITERS: usize = 6;
const KEYS_OF_A_WRITER: usize = 5;
/// Kills of a process that opens the store come so long after it has begun, at most: about as long as that takes.
const OPENING_MICROS: u64 = 6_000;
const INSTANCES: &str = "/v1/namespaces/svc.internal/services/web/instances";

/// The version of an instance, or none when it is not there.
type Version = Option<String>;

/// One writer's instances and what it knows of them.
struct Writer {
    number: usize,
    acts: usize,
    /// The acknowledged state of each instance.
    known: BTreeMap<String, Version>,
    /// The change that had no answer when the connection ended.
    in_flight: Option<(String, Version)>,
}

#[test]
fn nothing_acknowledged_is_lost_by_kills_under_load() {
    let rounds = if long_forms() { 10_000 } else { 50 };
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut server = Server::start();
    let (mut acknowledged, mut cut_opens) = (0, 0);
    let began = Instant::now();
    for round in 0..rounds {
        acknowledged += load_until_kill(&mut server, &mut writers, kill_after(round));
        if round % 5 == 4 && kill_while_it_opens(server.data_dir(), round) {
            cut_opens += 1;
        }
        if let Err(why) = server.try_restart() {
            panic!("round {round}: the open failed: {why}");
        }
        let log = server.log();
        assert!(!log.contains("damage"), "round {round}: {log}");
        compare(&server, &mut writers).unwrap_or_else(|why| panic!("round {round}: {why}"));
        if round % 1_000 == 999 || round + 1 == rounds {
            let (rounds, seconds) = (round + 1, began.elapsed().as_secs());
            println!(
                "{rounds} rounds, {acknowledged} acknowledged, 0 lost, {cut_opens} killed while they opened, 0 failed opens, {seconds} s"
            );
        }
    }
    assert!(cut_opens > 0, "no kill fell into an open");
}

/// A registry that keeps nothing is found out, so the comparison of the rounds can fail.
#[test]
fn a_registry_in_memory_loses_what_was_acknowledged_and_the_comparison_notices() {
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let setup = Setup::new().env("WAYPOST__CORE__STORE", "memory");
    let mut server = setup.start();
    load_until_kill(&mut server, &mut writers, 50);
    server.restart();
    let lost = compare(&server, &mut writers).unwrap_err();
    assert!(lost.contains("is None, acknowledged was Some"), "{lost}");
}

/// Says after how many acknowledged changes to kill: differently in each round, and early in some.
fn kill_after(round: usize) -> usize {
    scattered(round) % 400
}

fn scattered(round: usize) -> usize {
    round.wrapping_mul(2_654_435_761) >> 4
}

/// The second crash falls into the recovery from the first; says whether it did: the store was being opened, and nobody
/// was served yet.
fn kill_while_it_opens(data_dir: &Path, round: usize) -> bool {
    let any = "127.0.0.1:0";
    let mut command = waypost(["serve", "--http", any, "--dns", any, "--data-dir"]);
    command.arg(data_dir);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while !has_begun_to_open(child.id()) {
        let ended = child.try_wait().unwrap();
        assert!(
            ended.is_none() && Instant::now() < end,
            "round {round}: the store is not opened: {:?}",
            child.kill().and_then(|()| child.wait_with_output())
        );
        thread::sleep(Duration::from_micros(200));
    }
    thread::sleep(Duration::from_micros(
        scattered(round) as u64 % OPENING_MICROS,
    ));
    child.kill().unwrap();
    let killed = child.wait_with_output().unwrap();
    assert_eq!(killed.status.signal(), Some(9), "round {round}: {killed:?}");
    killed.stdout.is_empty()
}

/// Says whether the process holds the file of the registry open.
fn has_begun_to_open(pid: u32) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|file| file.ends_with("registry.sqlite"))
}

/// Kills the server in the middle of it all and gives the number of acknowledged changes.
fn load_until_kill(server: &mut Server, writers: &mut [Writer], kill_after: usize) -> usize {
    let acknowledged = AtomicUsize::new(0);
    let address = server.address();
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| writer.write_until_cut(address, &acknowledged));
        }
        let end = Instant::now() + PATIENCE;
        while acknowledged.load(Ordering::Acquire) < kill_after {
            assert!(Instant::now() < end, "the load does not come forward");
            // A finer step than `eventually` has, so that kills fall anywhere in a commit.
            thread::sleep(Duration::from_micros(200));
        }
        server.kill9();
    });
    acknowledged.into_inner()
}

impl Writer {
    fn new(number: usize) -> Self {
        Self {
            number,
            acts: 0,
            known: BTreeMap::new(),
            in_flight: None,
        }
    }

    /// Registers, updates, heartbeats and deregisters until the server is gone.
    fn write_until_cut(&mut self, address: SocketAddr, acknowledged: &AtomicUsize) {
        let Ok(mut connection) = Connection::open(address) else {
            return;
        };
        while self.act(&mut connection, acknowledged).is_ok() {}
    }

    fn act(
        &mut self,
        connection: &mut Connection,
        acknowledged: &AtomicUsize,
    ) -> std::io::Result<()> {
        self.acts += 1;
        let id = format!("{}-{}", self.number, self.acts % KEYS_OF_A_WRITER);
        let known = self.known.get(&id).cloned().flatten();
        let path = format!("{INSTANCES}/{id}");
        if known.is_some() && self.acts.is_multiple_of(3) {
            let beat = connection.ask("POST", &format!("{path}/heartbeat"), &json!({}))?;
            assert_eq!(beat.status, 200, "{id}: {}", beat.text());
        }
        let version =
            (known.is_none() || !self.acts.is_multiple_of(4)).then(|| format!("{}", self.acts));
        let (method, body) = match &version {
            Some(version) => ("PUT", registration(version)),
            None => ("DELETE", Value::Null),
        };
        self.in_flight = Some((id.clone(), version.clone()));
        let answer = connection.ask(method, &path, &body)?;
        assert!(answer.is_success(), "{method} {id}: {}", answer.text());
        self.in_flight = None;
        self.known.insert(id, version);
        acknowledged.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

fn registration(version: &str) -> Value {
    json!({
        "address": "10.0.0.1", "port": 8080, "lease_seconds": 300,
        "attributes": {"version": version},
    })
}

/// Compares all there is with all that was acknowledged; what was in flight may be either, and is known from now on.
fn compare(server: &Server, writers: &mut [Writer]) -> Result<(), String> {
    let mut found = read(server);
    for writer in writers {
        if let Some((id, version)) = writer.in_flight.take() {
            let now = found.get(&id).cloned();
            if now == version {
                writer.known.insert(id, version);
            }
        }
        for (id, version) in &writer.known {
            let now = found.remove(id);
            if now != *version {
                return Err(format!("{id} is {now:?}, acknowledged was {version:?}"));
            }
        }
    }
    match found.keys().next() {
        None => Ok(()),
        Some(id) => Err(format!("{id} is there, although nobody registered it")),
    }
}

fn read(server: &Server) -> BTreeMap<String, String> {
    let answer = server.get(&format!("{INSTANCES}?limit=1000"));
    if answer.status == 404 {
        return BTreeMap::new();
    }
    let list = answer.expect(200).json();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let instances = list["instances"].as_array().unwrap().iter();
    instances
        .map(|instance| {
            let version = &instance["attributes"]["version"];
            (word(&instance["id"]), word(version))
        })
        .collect()
}
