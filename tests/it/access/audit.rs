//! The journal as operators read it.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::{Guarded, PLACE};
use crate::server::{Setup, eventually, waypost};

impl Guarded {
    fn lines(&self, query: &str) -> Vec<Value> {
        let (status, text) = self.ask(
            &self.admin,
            "GET",
            &format!("/v1/audit?{query}"),
            &Value::Null,
        );
        assert_eq!(status, 200, "{text}");
        let page: Value = serde_json::from_str(&text).unwrap();
        page["lines"].as_array().unwrap().clone()
    }

    fn cli(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = waypost(arguments);
        command
            .env("SERVICE_DISCOVERY_URL", self.server.url())
            .env("WAYPOST_TOKEN", &self.admin);
        let output = command.output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(told).unwrap(),
        )
    }
}

/// Follows the journal on the command line.
fn following(guarded: &Guarded, arguments: &[&str]) -> Child {
    waypost([&["audit", "-f", "-o", "jsonl"], arguments].concat())
        .env("SERVICE_DISCOVERY_URL", guarded.server.url())
        .env("WAYPOST_TOKEN", &guarded.admin)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn every_accepted_change_is_in_the_journal_with_who_did_it_and_what_was_there_before() {
    let guarded = Guarded::start();
    let (_, app) =
        guarded.issue(&json!({ "name": "app", "grants": [{ "verbs": ["read", "register"] }] }));
    let (status, text) = guarded.ask(&app, "PATCH", PLACE, &json!({ "tags": ["blue"] }));
    assert_eq!(status, 200, "{text}");
    let revision = serde_json::from_str::<Value>(&text).unwrap()["revision"].clone();
    let lines = guarded.lines("subject=app&kind=changed");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["address"], "127.0.0.1");
    assert_eq!(line["dialect"], "rest");
    assert!(
        revision.to_string().contains(&line["revision"].to_string()),
        "{revision} {line}"
    );
    let object = &line["objects"][0];
    assert_eq!(
        (&object["kind"], &object["instance"]),
        (&json!("instance"), &json!("hidden-1"))
    );
    assert_eq!(
        object["before"]["spec"]["tags"],
        json!(["secret-place"]),
        "{object}"
    );
    assert_eq!(object["after"]["spec"]["tags"], json!(["blue"]));
    // What is created has no before, what is removed no after.
    assert_eq!(guarded.ask(&app, "DELETE", PLACE, &Value::Null).0, 204);
    let lines = guarded.lines("subject=app&cause=deregister&service=hidden");
    assert_eq!(lines[0]["objects"][0]["after"], Value::Null);
    assert_eq!(
        lines[0]["objects"][0]["before"]["spec"]["tags"],
        json!(["blue"])
    );
    // Credentials are there without anything that could be sent.
    let lines = guarded.lines("cause=put_document");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["objects"][0]["after"]["content"]["name"], "app");
    // The first one comes with the mark of the server key, which is a hash.
    let first = guarded.lines("cause=batch");
    assert_eq!(first[0]["objects"][0]["after"]["content"]["name"], "admin");
    let all = guarded
        .lines("")
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    assert!(!all.contains(&app) && !all.contains(&guarded.admin));
}

#[test]
fn every_refusal_is_in_the_journal_and_a_flood_of_them_is_counted_in_one_line() {
    let guarded = Guarded::start();
    let (_, app) = guarded.issue(&json!({ "name": "app", "grants": [{ "verbs": ["read"] }] }));
    guarded.ask("", "DELETE", PLACE, &Value::Null);
    guarded.ask("wp_WRONG", "GET", "/v1/namespaces", &Value::Null);
    guarded.ask(&app, "DELETE", PLACE, &Value::Null);
    guarded.ask("wp_WRONG", "GET", "/metrics", &Value::Null);
    guarded.ask(
        &guarded.admin,
        "PUT",
        PLACE,
        &json!({ "address": "127.0.0.1", "port": 99_999 }),
    );
    let lines = guarded.lines("kind=refused");
    let told: Vec<_> = lines
        .iter()
        .rev()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (
                text("subject"),
                text("cause"),
                text("request").split(' ').next().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        ("anonymous", "unauthenticated", "DELETE"),
        ("unknown", "unauthenticated", "GET"),
        ("app", "denied", "DELETE"),
        ("unknown", "unauthenticated", "GET"),
        ("admin", "invalid", "PUT"),
    ]
    .map(|(who, why, what)| (who.to_owned(), why.to_owned(), what.to_owned()));
    assert_eq!(told, expected);
    let mut connection = guarded.server.connect();
    for _ in 0..2_000 {
        connection
            .request("GET", "/v1/namespaces", &[], b"")
            .unwrap()
            .expect(401);
    }
    // The next one after the second is over brings the count along.
    eventually("the flood is counted", || {
        guarded.ask("", "GET", "/v1/namespaces", &Value::Null);
        let lines = guarded.lines("kind=refused&limit=1000");
        let counted: u64 = lines
            .iter()
            .filter_map(|line| line["refusals"].as_u64())
            .sum();
        (counted > 1_000 && lines.len() < 1_000).then_some(())
    });
    let metrics = guarded
        .ask(&guarded.admin, "GET", "/metrics", &Value::Null)
        .1;
    let noted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("waypost_audit_refusals_total "));
    assert!(noted.unwrap().parse::<u64>().unwrap() > 2_000, "{noted:?}");
}

#[test]
fn the_history_of_an_instance_outlives_it_and_is_for_whoever_may_read_the_service() {
    let guarded = Guarded::start();
    for state in [
        "passing", "failing", "failing", "failing", "passing", "passing",
    ] {
        let path = format!("{PLACE}/checks/said");
        let body = json!({ "state": state, "note": format!("it is {state}") });
        let (status, text) = guarded.ask(&guarded.admin, "PUT", &path, &body);
        assert_eq!(status, 200, "{text}");
    }
    let (_, reader) = guarded.issue(
        &json!({ "name": "reader", "grants": [{ "verbs": ["read"], "services": "hidden" }] }),
    );
    let (_, other) = guarded
        .issue(&json!({ "name": "other", "grants": [{ "verbs": ["read"], "services": "web" }] }));
    let history =
        |token: &str| guarded.ask(token, "GET", &format!("{PLACE}/history"), &Value::Null);
    let (status, text) = history(&reader);
    assert_eq!(status, 200, "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    let words: Vec<_> = page["lines"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| line["to"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        words.len() >= 2 && words[0] == "Healthy" && words[1] == "Unhealthy",
        "{text}"
    );
    assert_eq!(history(&other).0, 404);
    assert_eq!(
        guarded.ask(&guarded.admin, "DELETE", PLACE, &Value::Null).0,
        204
    );
    let (status, after) = history(&reader);
    assert_eq!((status, after), (200, text), "it outlives the instance");
    let (code, told) = guarded.cli(&["history", "hidden/hidden-1"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("Healthy -> Unhealthy"), "{told}");
}

#[test]
fn the_journal_is_exported_as_lines_and_followed_from_the_command_line() {
    use std::io::{BufRead as _, BufReader};
    let guarded = Guarded::of(Setup::new());
    let (code, told) = guarded.cli(&["audit", "--kind", "changed"]);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("register: ") && told.contains("instance hidden/hidden-1 (new)"),
        "{told}"
    );
    let (code, exported) = guarded.cli(&["audit", "-o", "jsonl", "--limit", "0"]);
    assert_eq!(code, 0, "{exported}");
    let sequences: Vec<u64> = exported
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["sequence"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(
        sequences.len() >= 2 && sequences.is_sorted_by(|one, other| one > other),
        "{exported}"
    );
    let mut child = following(&guarded, &["--kind", "refused"]);
    guarded.ask("wp_WRONG", "GET", "/v1/services", &Value::Null);
    guarded.ask("wp_WRONG", "GET", "/v1/namespaces", &Value::Null);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(line["cause"], "unauthenticated");
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, told) = guarded.cli(&["audit", "--address", "nowhere"]);
    assert_eq!(code, 2, "{told}");
    assert!(
        told.contains("address") && told.contains("nowhere"),
        "{told}"
    );
}

#[test]
fn a_journal_of_large_batches_is_read_in_pages_of_some_megabytes() {
    use std::io::{BufRead as _, BufReader};
    const BATCHES: usize = 20;
    let guarded = Guarded::start();
    let (_, app) = guarded.issue(&json!({ "name": "app", "grants": [{ "verbs": ["register"] }] }));
    let attributes: Value = (0..4)
        .map(|number| (format!("a{number}"), json!("\"".repeat(1_000))))
        .collect();
    for batch in 0..BATCHES {
        let item = |number| {
            let registration =
                json!({ "address": "10.0.0.1", "port": 80, "attributes": attributes });
            json!({ "service": "large", "id": format!("{batch}-{number}"), "registration": registration })
        };
        let items: Vec<Value> = (0..40).map(item).collect();
        let body = json!({ "items": items, "atomic": true });
        let (status, text) = guarded.ask(&app, "POST", "/v1/batch/register", &body);
        assert_eq!(status, 200, "{text}");
    }
    let (_, text) = guarded.ask(
        &guarded.admin,
        "GET",
        "/v1/audit?subject=app&limit=1000",
        &Value::Null,
    );
    assert!(text.len() < 5_000_000, "{}", text.len());
    let page: Value = serde_json::from_str(&text).unwrap();
    let lines = page["lines"].as_array().unwrap();
    assert!(lines.len() < BATCHES && page["next"].is_u64());
    assert!(lines[0]["objects"][0]["after"]["spec"].is_object());
    let left_out = &lines[0]["objects"][39];
    assert_eq!(left_out["instance"], "19-39");
    assert!(
        left_out["after"]["omitted_bytes"].as_u64() > Some(8_000),
        "{left_out}"
    );

    let export = ["audit", "--subject", "app", "-o", "jsonl"];
    for limit in ["0", "20", "1000"] {
        let (code, told) = guarded.cli(&[&export[..], &["--limit", limit]].concat());
        assert_eq!((code, told.lines().count()), (0, BATCHES));
    }
    let mut child = following(&guarded, &["--subject", "app"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ids = lines.take(BATCHES).map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        // The first one made the service too.
        let last = line["objects"].as_array().unwrap().last().unwrap();
        last["instance"].as_str().unwrap().to_owned()
    });
    let expected: Vec<String> = (0..BATCHES).map(|batch| format!("{batch}-39")).collect();
    assert_eq!(ids.collect::<Vec<_>>(), expected);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_journal_is_the_administrators() {
    let guarded = Guarded::start();
    let verbs = json!([{ "verbs": ["read", "register", "operate", "configure"] }]);
    let (_, app) = guarded.issue(&json!({ "name": "app", "grants": verbs }));
    assert_eq!(guarded.ask(&app, "GET", "/v1/audit", &Value::Null).0, 403);
}

#[test]
fn a_large_object_is_in_the_journal_as_its_size_and_a_large_batch_as_its_first_64_objects() {
    let guarded = Guarded::start();
    let tags: Vec<String> = (0..64).map(|number| format!("{number:0250}")).collect();
    let attributes = json!({ "a": "x".repeat(1_000), "b": "y".repeat(1_000) });
    let large =
        json!({ "address": "127.0.0.1", "port": 9, "tags": tags, "attributes": attributes });
    let (status, text) = guarded.ask(&guarded.admin, "PUT", PLACE, &large);
    assert_eq!(status, 200, "{text}");
    let lines = guarded.lines("cause=register&service=hidden&limit=1");
    let mut objects = lines[0]["objects"].as_array().unwrap().iter();
    let object = objects.find(|it| it["kind"] == "instance").unwrap();
    let omitted = object["after"]["omitted_bytes"].as_u64();
    assert!(omitted > Some(16 * 1_024), "{object}");
    // The one before was small.
    assert_eq!(object["before"]["spec"]["tags"], json!(["secret-place"]));
    // Where the checks go what they found goes, too: two objects for an instance.
    let check = json!([{ "id": "said", "kind": "reported" }]);
    for (checks, objects) in [(check, 41), (json!([]), 64)] {
        let registration = json!({ "address": "127.0.0.1", "port": 9, "checks": checks });
        let item = |number: u32| json!({ "service": "many", "id": number.to_string(), "registration": registration });
        let items: Vec<Value> = (0..40).map(item).collect();
        let batch = json!({ "items": items, "atomic": true });
        let (status, text) = guarded.ask(&guarded.admin, "POST", "/v1/batch/register", &batch);
        assert_eq!(status, 200, "{text}");
        let lines = guarded.lines("cause=batch&limit=1");
        assert_eq!(lines[0]["objects"].as_array().unwrap().len(), objects);
    }
}
