//! While `fdatasync` has not returned, nobody knows of the change.

use serde_json::{Value, json};

use super::{Controlled, instance, registration};
use crate::connection::Connection;
use crate::server::{PATIENCE, Server, Setup, eventually};
use crate::target::Target;

const TEST: &str = "nothing_is_acknowledged_shown_or_told_before_it_is_durable";
/// How often everything is read while a sync is held.
const LOOKS: usize = 30;
const READS: [&str; 6] = [
    "/v1/discovery/services",
    "/v1/discovery/services/web",
    "/v1/discovery/services/web/healthy",
    "/v1/discover/web",
    "/v1/namespaces/svc.internal/services/web/instances",
    "/v1/explain/web/new",
];

struct Step {
    name: &'static str,
    method: &'static str,
    path: String,
    body: Value,
}

fn steps() -> [Step; 3] {
    let step = |name, method, body| Step {
        name,
        method,
        path: instance("new"),
        body,
    };
    [
        step("a registration", "PUT", registration("1")),
        step("an update", "PUT", registration("2")),
        step("a deregistration", "DELETE", Value::Null),
    ]
}

#[test]
fn nothing_is_acknowledged_shown_or_told_before_it_is_durable() {
    let Some(controlled) = Controlled::new(TEST) else {
        return;
    };
    assert_eq!(changes_wait_for_the_disk(&controlled, "full"), Ok(()));
}

#[test]
fn without_syncs_the_same_test_notices() {
    let Some(controlled) = Controlled::new("without_syncs_the_same_test_notices") else {
        return;
    };
    let noticed = changes_wait_for_the_disk(&controlled, "off").unwrap_err();
    assert_eq!(noticed, "a registration was answered before it was durable");
}

#[test]
fn a_change_that_finds_no_place_in_the_queue_is_refused_in_time_and_counted() {
    const TEST: &str = "a_change_that_finds_no_place_in_the_queue_is_refused_in_time_and_counted";
    let Some(controlled) = Controlled::new(TEST) else {
        return;
    };
    let setup = Setup::new().env("WAYPOST__CORE__QUEUED_CHANGES_MAX", "1");
    let server = controlled.start_with(setup);
    server.put(&instance("old"), &registration("1")).expect(201);
    let metric = |name: &str| {
        let metrics = server.get("/metrics").expect(200).text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{metrics}"))
            .trim()
            .to_owned()
    };
    let [step, _, _] = steps();
    let mut written = hold(&controlled, &server, &step).unwrap();
    let mut queued = server.connect();
    let body = registration("1").to_string();
    let json = [("Content-Type", "application/json")];
    queued
        .send("PUT", &instance("queued"), &json, body.as_bytes())
        .unwrap();
    eventually("the queue is full", || {
        (metric("waypost_registry_callers_queued ") == "1").then_some(())
    });
    let refused = server
        .put(&instance("refused"), &registration("1"))
        .expect(429);
    assert!(refused.header("retry-after").is_some());
    assert!(
        refused.text().contains("core.queued_changes_max"),
        "{}",
        refused.text()
    );
    assert_eq!(metric("waypost_registry_throttled_total "), "1");
    controlled.control.open_gate().unwrap();
    for waiting in [&mut written, &mut queued] {
        let answer = waiting.answer("PUT").unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    server.get(&instance("refused")).expect(404);
}

fn changes_wait_for_the_disk(controlled: &Controlled, synchronous: &str) -> Result<(), String> {
    let server = controlled.start(synchronous);
    server.put(&instance("old"), &registration("1")).expect(201);
    for step in steps() {
        let before = reads(&server);
        let mut connection = hold(controlled, &server, &step)?;
        for _ in 0..LOOKS {
            if reads(&server) != before {
                return Err(format!("{} was shown before it was durable", step.name));
            }
            // Beats of what is durable already need no disk.
            server
                .post(&format!("{}/heartbeat", instance("old")), &json!({}))
                .expect(200);
        }
        release(controlled, &step, &mut connection)?;
        let (before, after) = (before.iter(), reads(&server));
        for ((path, before), after) in READS.iter().zip(before).zip(&after) {
            // An explanation does not show attributes.
            let is_shown = before != after || (*path == READS[5] && step.name == "an update");
            assert!(is_shown, "{} is not in {path}: {after:?}", step.name);
        }
    }
    followers_wait_too(controlled, &server)
}

/// What follows the registry from inside, here the checker, is woken by the durable change only.
fn followers_wait_too(controlled: &Controlled, server: &Server) -> Result<(), String> {
    let target = Target::start();
    let check = json!({"id": "http", "kind": "http", "path": "/health", "interval_seconds": 1});
    let step = Step {
        name: "a checked registration",
        method: "PUT",
        path: instance("checked"),
        body: json!({"address": "127.0.0.1", "port": target.port(), "checks": [check]}),
    };
    let mut connection = hold(controlled, server, &step)?;
    for _ in 0..LOOKS {
        reads(server);
    }
    if target.count() > 0 {
        return Err("it was probed before it was durable".to_owned());
    }
    release(controlled, &step, &mut connection)?;
    eventually("it is probed once it is durable", || {
        (target.count() > 0).then_some(())
    });
    Ok(())
}

/// Sends the change with the gate closed, and waits until its sync is held.
fn hold(controlled: &Controlled, server: &Server, step: &Step) -> Result<Connection, String> {
    controlled.control.close_gate().unwrap();
    let mut connection = server.connect();
    let (headers, body) = match &step.body {
        Value::Null => (&[][..], String::new()),
        body => (
            &[("Content-Type", "application/json")][..],
            body.to_string(),
        ),
    };
    connection
        .send(step.method, &step.path, headers, body.as_bytes())
        .unwrap();
    eventually("the sync is held, or there is an answer", || {
        let held = controlled.control.is_holding().unwrap();
        (held || connection.has_answer().unwrap()).then_some(())
    });
    unanswered(step, &connection)?;
    Ok(connection)
}

fn release(
    controlled: &Controlled,
    step: &Step,
    connection: &mut Connection,
) -> Result<(), String> {
    unanswered(step, connection)?;
    controlled.control.open_gate().unwrap();
    connection.set_patience(PATIENCE).unwrap();
    let answer = connection.answer(step.method).unwrap();
    assert!(answer.is_success(), "{}: {}", step.name, answer.text());
    Ok(())
}

fn unanswered(step: &Step, connection: &Connection) -> Result<(), String> {
    match connection.has_answer().unwrap() {
        false => Ok(()),
        true => Err(format!("{} was answered before it was durable", step.name)),
    }
}

fn reads(server: &Server) -> Vec<(u16, String)> {
    let mut connection = server.connect();
    let read = |path| {
        let answer = connection.ask("GET", path, &Value::Null).unwrap();
        (answer.status, without_beats(answer.text()))
    };
    READS.map(read).to_vec()
}

/// Leaves out what heartbeats change, which is never durable.
fn without_beats(text: String) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(&text) else {
        return text;
    };
    forget_beats(&mut value);
    value.to_string()
}

fn forget_beats(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("last_heartbeat");
            fields.values_mut().for_each(forget_beats);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_beats),
        _ => {}
    }
}
