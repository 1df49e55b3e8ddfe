//! Why an instance is in rotation or out of it: every cause as a person sees it, with its time and its evidence, and
//! the same again after a restart.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::{Server, Setup, eventually_within};
use crate::target::{Reply, Target};

const SCENE_PATIENCE: Duration = Duration::from_secs(30);

/// What is to be told of an instance.
struct Told<'a> {
    /// How the first line of the table form goes on after the name.
    place: &'a str,
    exit: i32,
    /// What the sentence must contain.
    cause: &'a str,
    health: &'a str,
    tier: Value,
}

impl<'a> Told<'a> {
    fn out(health: &'a str, tier: &str, cause: &'a str) -> Self {
        Self {
            place: "is OUT of rotation",
            exit: 4,
            cause,
            health,
            tier: json!(tier),
        }
    }

    fn within(place: &'a str, tier: Value, health: &'a str, cause: &'a str) -> Self {
        Self {
            place,
            exit: 0,
            cause,
            health,
            tier,
        }
    }
}

/// A server and the time before anything happened in it.
struct Scene {
    server: Server,
    began: Timestamp,
}

impl Scene {
    fn of(setup: Setup) -> Self {
        Self {
            server: setup.start(),
            began: now(),
        }
    }

    /// Registers `web/a` (or another) at a port of this machine.
    fn register(&self, name: &str, port: u16, more: &Value) {
        let (service, id) = name.split_once('/').unwrap();
        let mut body = json!({ "address": "127.0.0.1", "port": port });
        let fields = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let path = format!("/v1/namespaces/svc.internal/services/{service}/instances/{id}");
        self.server.put(&path, &body).expect(201);
    }

    fn explanation(&self, name: &str) -> Value {
        self.server
            .get(&format!("/v1/explain/{name}"))
            .expect(200)
            .json()
    }

    /// Waits until the explanation is as described.
    fn wait(&self, name: &str, description: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        // Leases run out in seconds, and a disk that others keep busy takes seconds of its own.
        eventually_within(SCENE_PATIENCE, &format!("{name}: {description}"), || {
            let explanation = self.explanation(name);
            is_so(&explanation).then_some(explanation)
        })
    }

    fn wait_for_health(&self, name: &str, health: &str) -> Value {
        self.wait(name, health, |it| it["health"] == health)
    }

    /// Checks what all three forms of `explain` say, and gives the explanation.
    fn tells(&self, name: &str, told: &Told<'_>) -> Value {
        let explanation = self.explanation(name);
        let reason = explanation["reason"].as_str().unwrap();
        assert!(reason.contains(told.cause), "{}: {reason}", told.cause);
        assert_eq!(explanation["health"], told.health, "{explanation:#}");
        assert_eq!(explanation["tier"], told.tier, "{explanation:#}");
        assert_eq!(explanation["mode"], "Active");
        assert_eq!(
            explanation["in_rotation"],
            told.exit == 0,
            "{explanation:#}"
        );
        self.happened(&explanation["since"]);

        let output = self.server.cli(&["explain", name, "-o", "json"]);
        assert_eq!(output.status.code(), Some(told.exit));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        for field in ["reason", "since", "health", "tier", "in_rotation"] {
            assert_eq!(printed[field], explanation[field]);
        }

        let output = self.server.cli(&["explain", name]);
        assert_eq!(output.status.code(), Some(told.exit));
        let text = String::from_utf8(output.stdout).unwrap();
        let first = text.lines().next().unwrap();
        let (sentence, age) = first.rsplit_once(", since ").unwrap();
        assert_eq!(sentence, format!("{name} {}: {reason}", told.place));
        for twice in ["rotation: out of rotation:", "rotation: in rotation:"] {
            assert!(!sentence.contains(twice), "{sentence}");
        }
        assert!(age.ends_with(" s ago"), "{first}");
        explanation
    }

    /// Restarts the server and checks that it says the same, since the same moment.
    fn tells_after_restart(&mut self, name: &str, told: &Told<'_>, since: &Value) -> Value {
        self.server.restart();
        let explanation = self.tells(name, told);
        assert_eq!(explanation["since"], *since, "{explanation:#}");
        explanation
    }

    /// Checks that a time lies between the start of the test and now.
    fn happened(&self, time: &Value) {
        let text = time.as_str().unwrap_or_else(|| panic!("{time} is no time"));
        let time: Timestamp = text.parse().unwrap();
        assert!(
            (self.began..=now()).contains(&time),
            "{text} is not between {} and {}",
            self.began,
            now()
        );
    }

    /// Says who is served by each read that asks whom to send traffic to.
    fn is_served(&self, service: &str, id: &str) -> [bool; 3] {
        let rotation = self.server.get(&format!("/v1/discover/{service}"));
        let rotation = rotation.expect(200).json();
        let healthy = self
            .server
            .get(&format!("/v1/discovery/services/{service}/healthy"));
        let healthy = healthy.expect(200).json();
        let has = |list: &Value, field: &str| {
            let mut list = list.as_array().unwrap().iter();
            list.any(|instance| instance[field] == id)
        };
        let one = self
            .server
            .get(&format!("/service-discovery/discover/{service}"));
        [
            has(&rotation["instances"], "id"),
            has(&healthy["healthy_instances"], "instance_id"),
            one.status == 200,
        ]
    }
}

/// Milliseconds, as the server writes times.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap()
}

/// A check that says what it thinks at once.
fn quick_check() -> Value {
    json!({ "checks": [{
        "id": "http", "kind": "http", "path": "/health",
        "interval_seconds": 1, "unhealthy_interval_seconds": 1, "timeout_seconds": 1,
        "unhealthy_after": 1, "healthy_after": 1,
    }] })
}

/// Checks the evidence of the one check: its state, the latest failure, and the edge in the history.
fn has_failed(scene: &Scene, explanation: &Value, port: u16, reason: &str, status: &Value) {
    let check = &explanation["checks"][0];
    assert_eq!(check["id"], "http");
    assert_eq!(check["kind"], "http");
    assert_eq!(check["state"], "failing");
    assert_eq!(check["reason"], reason);
    assert_eq!(
        check["target"],
        format!("http://127.0.0.1:{port}/health"),
        "{explanation:#}"
    );
    scene.happened(&check["since"]);
    scene.happened(&check["last_probe"]);
    let failure = &check["last_failure"];
    assert_eq!(failure["reason"], reason, "{explanation:#}");
    assert_eq!(failure["status"], *status, "{explanation:#}");
    scene.happened(&failure["at"]);
    turned(scene, explanation, "Unhealthy", reason);
}

/// Checks that the history has the change to this health, with the reason and a time.
fn turned(scene: &Scene, explanation: &Value, to: &str, reason: &str) {
    let history = explanation["history"].as_array().unwrap();
    let edge = history
        .iter()
        .find(|edge| edge["to"] == to)
        .unwrap_or_else(|| panic!("no change to {to} in {explanation:#}"));
    let why = edge["reason"].as_str().unwrap();
    assert!(why.contains(reason), "{why}");
    scene.happened(&edge["at"]);
}

/// Waits for the probe that follows a restart: what a probe saw is not kept, what it decided is.
fn probed_again(scene: &Scene, name: &str) -> Value {
    scene.wait(name, "is probed after the restart", |it| {
        !it["checks"][0]["last_failure"].is_null()
    })
}

/// The port of a connection: taken as long as the connection lives, and nobody listens on it.
struct ClosedPort(
    TcpStream,
    #[expect(dead_code, reason = "keeps the connection")] TcpListener,
);

impl ClosedPort {
    fn take() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self(stream, listener)
    }

    fn number(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

/// The test of every cause that a probe of a failing target finds.
fn a_failing_probe(port: u16, found: &str, status: &Value, body: Option<&str>) {
    let mut scene = Scene::of(Setup::new());
    scene.register("web/a", port, &quick_check());
    scene.wait_for_health("web/a", "Unhealthy");
    let reason = format!("check http failing: {found}");
    // An instance that never passed is not taken by fail-open either.
    let told = Told::out("Unhealthy", "out", &reason);
    let explanation = scene.tells("web/a", &told);
    has_failed(&scene, &explanation, port, found, status);
    if let Some(body) = body {
        assert_eq!(explanation["checks"][0]["last_failure"]["body"], body);
        assert_eq!(explanation["checks"][0]["last_answer"]["body"], body);
    }
    assert_eq!(scene.is_served("web", "a"), [false; 3]);

    let since = explanation["since"].clone();
    scene.tells_after_restart("web/a", &told, &since);
    let explanation = probed_again(&scene, "web/a");
    has_failed(&scene, &explanation, port, found, status);
    scene.tells("web/a", &told);
    assert_eq!(scene.is_served("web", "a"), [false; 3]);
}

#[test]
fn an_instance_that_was_never_checked_is_out_and_says_so() {
    let mut scene = Scene::of(Setup::new().env("WAYPOST__HEALTH__ENABLED", "false"));
    let target = Target::start();
    scene.register("web/a", target.port(), &quick_check());
    let registered = scene.explanation("web/a")["since"].clone();
    let registered = registered.as_str().unwrap();
    let cause = format!(
        "check http has not passed yet; never checked since it was registered at {registered}"
    );
    let told = Told::out("Unknown", "out", &cause);
    let explanation = scene.tells("web/a", &told);
    let check = &explanation["checks"][0];
    assert_eq!(check["state"], "unknown");
    assert_eq!(check["reason"], "never checked");
    assert_eq!(check["last_probe"], Value::Null);
    assert_eq!(check["last_answer"], Value::Null);
    assert_eq!(check["last_failure"], Value::Null);
    let since = explanation["since"].clone();
    scene.tells_after_restart("web/a", &told, &since);
    assert_eq!(target.count(), 0, "nobody was to ask it");
}

#[test]
fn a_closed_port_is_told_as_a_refused_connection() {
    let port = ClosedPort::take();
    let number = port.number();
    let found = format!("connection refused by 127.0.0.1:{number}");
    a_failing_probe(number, &found, &Value::Null, None);
}

#[test]
fn a_target_that_does_not_answer_in_time_is_told_as_such() {
    let target = Target::replying(Reply::Hang);
    let found = format!(
        "127.0.0.1:{} accepted the connection and sent no answer within 1 s",
        target.port()
    );
    a_failing_probe(target.port(), &found, &Value::Null, None);
}

#[test]
fn a_wrong_status_is_told_with_the_status_and_the_body() {
    let target = Target::replying(Reply::Answer(503, "out to lunch".to_owned()));
    let found = "HTTP status 503, expected 200-299";
    a_failing_probe(target.port(), found, &json!(503), Some("out to lunch"));
}

#[test]
fn a_body_that_says_unhealthy_counts_although_the_status_is_200() {
    let body = r#"{"status":"unhealthy","custom_checks":{"db":{"status":"unhealthy"}}}"#;
    let target = Target::replying(Reply::Answer(200, body.to_owned()));
    let found = "body says unhealthy: custom check db failed";
    a_failing_probe(target.port(), found, &json!(200), Some(body));
}

#[test]
fn an_address_that_the_policy_refuses_is_registered_and_never_asked() {
    let setup = Setup::new().file("[dial]\ndeny = [\"127.0.0.0/8\"]\n");
    let mut scene = Scene::of(setup);
    let target = Target::start();
    scene.register("web/a", target.port(), &quick_check());
    scene.wait_for_health("web/a", "Unhealthy");
    let found = "address 127.0.0.1 refused: dial.deny contains 127.0.0.0/8";
    let reason = format!("check http failing: {found}");
    let told = Told::out("Unhealthy", "out", &reason);
    let explanation = scene.tells("web/a", &told);
    has_failed(&scene, &explanation, target.port(), found, &Value::Null);

    let since = explanation["since"].clone();
    scene.tells_after_restart("web/a", &told, &since);
    let explanation = probed_again(&scene, "web/a");
    has_failed(&scene, &explanation, target.port(), found, &Value::Null);
    assert_eq!(target.count(), 0, "the policy was to keep probes away");
}

#[test]
fn a_lease_that_ended_is_told_with_its_end() {
    let mut scene = Scene::of(Setup::new());
    scene.register("web/a", 8_080, &json!({ "lease_seconds": 1 }));
    let beaten = scene.explanation("web/a");
    assert_eq!(beaten["lease"]["state"], "running", "{beaten:#}");
    assert_eq!(beaten["reason"], "no check configured");
    scene.wait_for_health("web/a", "Unhealthy");

    // It was healthy once, so that a service that fails open would serve it; this one does not, and so it is out.
    let since = scene.explanation("web/a")["since"]
        .as_str()
        .unwrap()
        .to_owned();
    let cause = format!("lease ended at {since}: no heartbeat for 1 s");
    let told = Told::out("Unhealthy", "out", &cause);
    let explanation = scene.tells("web/a", &told);
    over(&scene, &explanation);
    assert_eq!(scene.is_served("web", "a"), [false; 3]);

    let since = explanation["since"].clone();
    let explanation = scene.tells_after_restart("web/a", &told, &since);
    over(&scene, &explanation);
    assert_eq!(scene.is_served("web", "a"), [false; 3]);
}

fn over(scene: &Scene, explanation: &Value) {
    let lease = &explanation["lease"];
    assert_eq!(lease["state"], "over", "{explanation:#}");
    assert_eq!(lease["duration_seconds"], 1);
    scene.happened(&lease["since"]);
    turned(scene, explanation, "Unhealthy", "lease ended");
}

#[test]
fn leases_that_end_too_many_at_once_are_held_behind_the_instances_that_are_surely_there() {
    let mut scene = Scene::of(Setup::new());
    scene.register("web/steady", 8_080, &json!({}));
    for number in 1..=6 {
        let lease = json!({ "lease_seconds": 8 });
        scene.register(&format!("web/{number}"), 8_080 + number, &lease);
    }
    // The first three may end; whoever is due after them is held, so the last one surely is.
    let explanation = scene.wait("web/6", "is held as suspect", |it| {
        it["lease"]["state"] == "suspect"
    });
    let since = explanation["lease"]["since"].as_str().unwrap();
    let cause =
        format!("held as suspect since {since}: its lease of 8 s ran out when many others did");
    let told = Told {
        tier: json!(2),
        ..Told::out("Healthy", "", &cause)
    };
    let explanation = scene.tells("web/6", &told);
    scene.happened(&explanation["lease"]["since"]);
    assert_eq!(scene.is_served("web", "6")[..2], [false; 2]);

    let since = explanation["since"].clone();
    let again = scene.tells_after_restart("web/6", &told, &since);
    assert_eq!(again["lease"]["state"], "suspect", "{again:#}");
    assert_eq!(again["lease"]["since"], explanation["lease"]["since"]);
}

#[test]
fn suspects_are_served_when_there_is_nobody_else() {
    // In memory, with a lease that is long beside what six registrations take on a busy machine: they must be due together.
    let setup = Setup::new().env("SERVICE_DISCOVERY_MODE", "memory_only");
    let scene = Scene::of(setup);
    for number in 1..=6 {
        let lease = json!({ "lease_seconds": 8 });
        scene.register(&format!("web/{number}"), 8_080 + number, &lease);
    }
    let explanation = scene.wait("web/6", "is held as suspect", |it| {
        it["lease"]["state"] == "suspect"
    });
    assert_eq!(explanation["lease"]["duration_seconds"], 8);
    let cause = "it is served because no better instance is left";
    let told = Told::within("is IN rotation", json!(2), "Healthy", cause);
    scene.tells("web/6", &told);
    assert_eq!(scene.is_served("web", "6"), [true; 3]);
}

#[test]
fn a_service_that_fails_open_serves_what_failed_and_says_so() {
    let mut scene = Scene::of(Setup::new());
    let settings = json!({ "fail_open": true });
    let service = "/v1/namespaces/svc.internal/services/web";
    scene.server.put(service, &settings).expect(201);
    let target = Target::start();
    scene.register("web/a", target.port(), &quick_check());
    scene.wait_for_health("web/a", "Healthy");
    target.reply(Reply::Answer(500, "broken".to_owned()));
    scene.wait_for_health("web/a", "Unhealthy");

    let found = "HTTP status 500, expected 200-299";
    let cause = format!(
        "check http failing: {found}; served by fail-open, because no instance of the service is fit"
    );
    let place = "is IN rotation only because the service fails open";
    let told = Told::within(place, json!("fail_open"), "Unhealthy", &cause);
    let explanation = scene.tells("web/a", &told);
    has_failed(&scene, &explanation, target.port(), found, &json!(500));
    assert_eq!(scene.is_served("web", "a"), [true; 3]);
    for place in explanation["visible"].as_array().unwrap() {
        assert_eq!(place["visible"], true, "{place}");
    }

    let since = explanation["since"].clone();
    scene.tells_after_restart("web/a", &told, &since);
    let explanation = probed_again(&scene, "web/a");
    has_failed(&scene, &explanation, target.port(), found, &json!(500));
    assert_eq!(scene.is_served("web", "a"), [true; 3]);
}

#[test]
fn an_instance_whose_check_passes_is_in_and_says_why() {
    let mut scene = Scene::of(Setup::new());
    let target = Target::start();
    scene.register("web/a", target.port(), &quick_check());
    scene.wait_for_health("web/a", "Healthy");
    let told = Told::within(
        "is IN rotation",
        json!(0),
        "Healthy",
        "check http passing: HTTP status 200",
    );
    let explanation = scene.tells("web/a", &told);
    let check = &explanation["checks"][0];
    assert_eq!(check["state"], "passing");
    assert_eq!(check["last_answer"]["status"], 200);
    assert_eq!(check["last_answer"]["body"], "ok");
    assert_eq!(check["last_failure"], Value::Null);
    turned(&scene, &explanation, "Healthy", "HTTP status 200");
    assert_eq!(scene.is_served("web", "a"), [true; 3]);

    let since = explanation["since"].clone();
    scene.tells_after_restart("web/a", &told, &since);
    assert_eq!(scene.is_served("web", "a"), [true; 3]);
}
