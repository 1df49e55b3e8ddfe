//! One of the clients, and what it knows.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Stage;
use crate::connection::{Answer, Connection};
use crate::server::Server;

const SERVICES: u64 = 50;
/// Longest wait for an answer: longer than the server ever stands still.
const PATIENCE: Duration = Duration::from_secs(8);

/// A request is given up by the server after 60 s: by then a change without an answer has happened, or it will not.
const REQUESTS_END: Duration = Duration::from_secs(75);

/// Small numbers, the same for the same seed (xorshift).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The version of an instance; none when it is not there.
type Version = Option<String>;

/// By service and id.
pub(super) type Found = BTreeMap<(String, String), String>;

pub(super) struct Client {
    number: u64,
    random: Random,
    connection: Option<Connection>,
    /// How many instances were left alone because of a change without an answer.
    generation: u64,
    acts: u64,
    /// What its present instance was acknowledged as.
    version: Version,
    /// Those that are left alone.
    left: Vec<Left>,
}

/// An instance whose last change had no answer.
struct Left {
    id: String,
    may_be: [Version; 2],
    /// The last process that the change may have reached.
    process: u64,
    since: Instant,
}

impl Client {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            random: Random::new(number + 100),
            connection: None,
            generation: 0,
            acts: 0,
            version: None,
            left: Vec::new(),
        }
    }

    fn service(&self) -> String {
        format!("s{}", self.number % SERVICES)
    }

    fn id(&self) -> String {
        format!("c{}-{}", self.number, self.generation)
    }

    fn path(&self) -> String {
        self.path_of(&self.id())
    }

    fn path_of(&self, id: &str) -> String {
        let service = self.service();
        format!("/v1/namespaces/svc.internal/services/{service}/instances/{id}")
    }

    pub(super) fn play(mut self, stage: &Stage) -> Self {
        while !stage.is_over() {
            thread::sleep(Duration::from_millis(5 + self.random.below(60)));
            // A connection that breaks takes nothing with it but the answer.
            if self.random.below(40) == 0 {
                self.connection = None;
            }
            self.settle(stage);
            match self.random.below(10) {
                0..5 => self.change(stage),
                5..7 => self.beat(stage),
                7..9 => self.read(stage),
                _ => self.discover(stage),
            }
        }
        self
    }

    fn connect(&mut self, stage: &Stage) -> io::Result<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(stage.address())?;
                connection.set_patience(PATIENCE)?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    fn ask(&mut self, stage: &Stage, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        let connection = self.connect(stage)?;
        let answer = connection.ask(method, path, body);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    fn change(&mut self, stage: &Stage) {
        self.acts += 1;
        let is_leaving = self.version.is_some() && self.random.below(4) == 0;
        let version = (!is_leaving).then(|| self.acts.to_string());
        let body = match &version {
            Some(version) => json!({
                "address": "10.0.0.1", "port": 80, "lease_seconds": 3_600, "attributes": {"version": version},
            }),
            None => Value::Null,
        };
        let method = if is_leaving { "DELETE" } else { "PUT" };
        let counts = &stage.counts;
        if self.connect(stage).is_err() {
            counts.unsent.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Now and then the client goes away while it is being answered.
        let is_rude = self.random.below(50) == 0;
        let answer = if is_rude {
            self.send_and_go(stage, method, &body)
        } else {
            self.ask(stage, method, &self.path(), &body)
        };
        match answer {
            Ok(answer) if answer.is_success() => {
                counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                self.version = version;
            }
            Ok(answer) if [429, 503].contains(&answer.status) => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.status < 500 => {
                panic!(
                    "{method} {}: {} {}",
                    self.path(),
                    answer.status,
                    answer.text()
                )
            }
            // An outcome that is unknown to the server, or an answer that never came.
            Ok(_) | Err(_) => {
                counts.unknown.fetch_add(1, Ordering::Relaxed);
                self.left.push(Left {
                    id: self.id(),
                    may_be: [self.version.take(), version],
                    process: stage.process(),
                    since: Instant::now(),
                });
                self.generation += 1;
            }
        }
    }

    fn send_and_go(&mut self, stage: &Stage, method: &str, body: &Value) -> io::Result<Answer> {
        self.connect(stage)?;
        let mut connection = self.connection.take().unwrap();
        let bytes = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("Content-Type", "application/json")];
        connection.send(method, &self.path(), &headers, bytes.as_bytes())?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Looks at one that was left alone, once the change that had no answer cannot happen any more, and takes it away.
    fn settle(&mut self, stage: &Stage) {
        let is_known =
            |left: &Left| stage.has_ended(left.process) || left.since.elapsed() > REQUESTS_END;
        let Some(at) = self.left.iter().position(is_known) else {
            return;
        };
        let path = self.path_of(&self.left[at].id);
        let Some(now) = self.version_at(stage, &path) else {
            return;
        };
        let left = &mut self.left[at];
        assert!(
            left.may_be.contains(&now),
            "{path} is {now:?}, it may be {:?}",
            left.may_be
        );
        // From here on it may be as it is now, or not there.
        left.may_be = [now.clone(), None];
        left.process = stage.process();
        left.since = Instant::now();
        let is_gone = now.is_none()
            || self
                .ask(stage, "DELETE", &path, &Value::Null)
                .is_ok_and(|answer| answer.is_success());
        if is_gone {
            self.left.swap_remove(at);
            stage.counts.settled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn beat(&mut self, stage: &Stage) {
        let path = format!("{}/heartbeat", self.path());
        let is_there = self.version.is_some();
        let Ok(answer) = self.ask(stage, "POST", &path, &json!({})) else {
            return;
        };
        stage.counts.beats.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 if is_there => {}
            404 if !is_there => {}
            429 | 503 => {}
            status => panic!("a beat of {path}: {status} {}", answer.text()),
        }
    }

    /// What was acknowledged to this client is what it reads.
    fn read(&mut self, stage: &Stage) {
        let path = self.path();
        if let Some(found) = self.version_at(stage, &path) {
            assert_eq!(found, self.version, "{path} is not what was acknowledged");
        }
    }

    /// The version of an instance as the server has it; nothing without an answer.
    fn version_at(&mut self, stage: &Stage, path: &str) -> Option<Version> {
        let answer = self.ask(stage, "GET", path, &Value::Null).ok()?;
        stage.counts.reads.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 => {
                let version = answer.json()["attributes"]["version"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                Some(Some(version))
            }
            404 => Some(None),
            503 => None,
            status => panic!("{path}: {status} {}", answer.text()),
        }
    }

    fn discover(&mut self, stage: &Stage) {
        let path = format!("/v1/discover/{}", self.service());
        let Ok(answer) = self.ask(stage, "GET", &path, &Value::Null) else {
            return;
        };
        stage.counts.reads.fetch_add(1, Ordering::Relaxed);
        if answer.status != 200 {
            assert!(
                [404, 503].contains(&answer.status),
                "{path}: {}",
                answer.text()
            );
            assert!(
                self.version.is_none() || answer.status == 503,
                "{path} does not show it"
            );
            return;
        }
        let rotation = answer.json();
        let mut instances = rotation["instances"].as_array().unwrap().iter();
        let found = instances.find(|it| it["id"] == self.id());
        let found = found.map(|it| it["attributes"]["version"].as_str().unwrap().to_owned());
        assert_eq!(
            found, self.version,
            "{path} does not show what was acknowledged"
        );
    }

    /// Compares what is there at the end with what this client knows, and gives how many of its instances are there.
    pub(super) fn agrees_with(&self, found: &Found) -> usize {
        let of = |id: &str| found.get(&(self.service(), id.to_owned())).cloned();
        let now = of(&self.id());
        assert_eq!(
            now,
            self.version,
            "{} was acknowledged otherwise",
            self.id()
        );
        let mut there = usize::from(now.is_some());
        for Left { id, may_be, .. } in &self.left {
            let now = of(id);
            assert!(
                may_be.contains(&now),
                "{id} is {now:?}, it may be {may_be:?}"
            );
            there += usize::from(now.is_some());
        }
        there
    }
}

/// Reads everything there is.
pub(super) fn everything(server: &Server) -> Found {
    let mut found = Found::new();
    for number in 0..SERVICES {
        let service = format!("s{number}");
        let mut after = String::new();
        loop {
            let path = format!(
                "/v1/namespaces/svc.internal/services/{service}/instances?limit=1000{after}"
            );
            let page = server.get(&path).expect(200).json();
            for it in page["instances"].as_array().unwrap() {
                let word = |value: &Value| value.as_str().unwrap().to_owned();
                let key = (service.clone(), word(&it["id"]));
                found.insert(key, word(&it["attributes"]["version"]));
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
    }
    found
}

/// One that follows everything by a stream and comes back where it stood.
pub(super) struct Follower {
    random: Random,
    position: Option<String>,
}

impl Follower {
    pub(super) fn new(number: u64) -> Self {
        Self {
            random: Random::new(number + 7_000),
            position: None,
        }
    }

    pub(super) fn play(mut self, stage: &Stage) {
        while !stage.is_over() {
            // A broken stream and a server that is not there are what this is about.
            if self.follow(stage).is_err() {
                thread::sleep(Duration::from_millis(self.random.below(100)));
            }
        }
    }

    fn follow(&mut self, stage: &Stage) -> io::Result<()> {
        let mut connection = Connection::open(stage.address())?;
        connection.set_patience(PATIENCE)?;
        let position = self.position.clone().unwrap_or_default();
        let headers = [("Last-Event-ID", position.as_str())];
        let headers = if position.is_empty() {
            &[][..]
        } else {
            &headers
        };
        connection.send("GET", "/v1/watch", headers, b"")?;
        if connection.begin()? != 200 {
            return Ok(());
        }
        for _ in 0..self.random.below(3_000) {
            let text = connection.chunks_until("\n")?;
            stage.counts.events.fetch_add(1, Ordering::Relaxed);
            for id in text.lines().filter_map(|line| line.strip_prefix("id: ")) {
                if let Some(before) = &self.position {
                    assert!(number(id) >= number(before), "a step back: {before}, {id}");
                }
                self.position = Some(id.to_owned());
            }
            if stage.is_over() {
                break;
            }
        }
        Ok(())
    }
}

fn number(position: &str) -> u64 {
    position.split_once('.').unwrap().1.parse().unwrap()
}
