//! Changes under a condition, and partial updates.

use serde_json::{Value, json};
use waypost_core::CheckState;

use crate::support::{Answered, Running, start};

const NAMESPACE: &str = "/v1/namespaces/svc.internal";
const SERVICE: &str = "/v1/namespaces/svc.internal/services/web";
const INSTANCE: &str = "/v1/namespaces/svc.internal/services/web/instances/web-1";
const OTHER: &str = "/v1/namespaces/svc.internal/services/web/instances/web-2";
const BODY: &str = r#"{"address":"10.0.0.1","port":8080}"#;

fn etag(answer: &Answered) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

async fn send_if(
    server: &Running,
    method: &str,
    path: &str,
    condition: &str,
    body: &str,
) -> Answered {
    let headers = format!("{condition}\r\n");
    server.send(method, path, &headers, body.as_bytes()).await
}

async fn patch(server: &Running, path: &str, body: &str) -> Answered {
    let kind = "Content-Type: application/merge-patch+json\r\n";
    server.send("PATCH", path, kind, body.as_bytes()).await
}

#[tokio::test]
async fn an_instances_etag_moves_with_itself_and_not_with_others() {
    let server = start().await;
    server.put(INSTANCE, BODY).await;
    let first = etag(&server.get(INSTANCE).await);
    server.put(OTHER, BODY).await;
    server.put(OTHER, r#"{"address":"10.0.0.9"}"#).await;
    assert_eq!(etag(&server.get(INSTANCE).await), first);
    let other = etag(&server.get(OTHER).await);
    server
        .post(&format!("{INSTANCE}/heartbeat"), r#"{"load":0.5}"#)
        .await;
    assert_eq!(etag(&server.get(INSTANCE).await), first, "vitals never");
    let put = server.put(INSTANCE, r#"{"address":"10.0.0.2"}"#).await;
    let second = etag(&server.get(INSTANCE).await);
    assert_ne!(second, first);
    assert_eq!(etag(&put), second);
    assert_eq!(etag(&server.get(OTHER).await), other);
    server.put(SERVICE, r#"{"fail_open":true}"#).await;
    assert_ne!(etag(&server.get(OTHER).await), other, "it is shown there");
    server.stop().await;
}

#[tokio::test]
async fn another_instance_moves_an_etag_when_it_takes_ones_place_in_the_rotation() {
    let server = start().await;
    server.put(SERVICE, r#"{"fail_open":true}"#).await;
    server.register("web", "web-1").await;
    for state in [CheckState::Passing, CheckState::Failing] {
        server.report("web", "web-1", state, "said so").await;
    }
    let served = server.get(INSTANCE).await;
    assert_eq!(served.json()["in_rotation"], true, "by fail-open");
    server.put(OTHER, BODY).await;
    let header = format!("If-None-Match: {}\r\n", etag(&served));
    let now = server.send("GET", INSTANCE, &header, b"").await;
    assert_eq!(
        (now.status, &now.json()["in_rotation"]),
        (200, &json!(false))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_change_that_expects_another_state_is_told_the_revision() {
    let server = start().await;
    server.put(SERVICE, "{}").await;
    for (path, body, other) in [
        (INSTANCE, BODY, r#"{"address":"10.0.0.3"}"#),
        (SERVICE, r#"{"description":"a"}"#, r#"{"description":"b"}"#),
        (
            NAMESPACE,
            r#"{"description":"a"}"#,
            r#"{"description":"b"}"#,
        ),
    ] {
        server.put(path, body).await;
        let seen = etag(&server.get(path).await);
        assert_eq!(server.put(path, other).await.status, 200, "{path}");
        let condition = format!("If-Match: {seen}");
        for method in ["PUT", "PATCH", "DELETE"] {
            let refused = send_if(&server, method, path, &condition, body).await;
            let problem = refused.problem(409);
            let revision = problem["revision"].as_str().unwrap();
            assert_eq!(
                etag(&refused),
                format!("W/\"{revision}\""),
                "{method} {path}"
            );
            assert_eq!(problem["code"], "conflict");
        }
        let seen = etag(&server.get(path).await);
        let condition = format!("If-Match: \"nobody's\", {seen}");
        let put = send_if(&server, "PUT", path, &condition, body).await;
        assert_eq!(put.status, 200, "{put:?}");
        let strong = etag(&put).trim_start_matches("W/").to_owned();
        let patched = send_if(
            &server,
            "PATCH",
            path,
            &format!("If-Match: {strong}"),
            other,
        )
        .await;
        assert_eq!(patched.status, 200, "{patched:?}");
        assert_eq!(etag(&patched), etag(&server.get(path).await), "{path}");
    }
    let revision = server.get(INSTANCE).await.json()["revision"].clone();
    let condition = format!("If-Match: {}", revision.as_str().unwrap());
    let gone = send_if(&server, "DELETE", INSTANCE, &condition, "").await;
    assert_eq!(gone.status, 204, "{gone:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_lies_in_a_thing_does_not_spoil_a_condition_on_it() {
    let server = start().await;
    server.put(SERVICE, "{}").await;
    let service = etag(&server.get(SERVICE).await);
    let namespace = etag(&server.get(NAMESPACE).await);
    server.put(INSTANCE, BODY).await;
    for (path, seen) in [(SERVICE, service), (NAMESPACE, namespace)] {
        let condition = format!("If-Match: {seen}");
        let put = send_if(&server, "PUT", path, &condition, r#"{"description":"x"}"#).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_condition_on_what_is_not_there_creates_nothing() {
    let server = start().await;
    let seen = "If-Match: W/\"00000000000000a1.1\"";
    for (path, body) in [(INSTANCE, BODY), (SERVICE, "{}"), (NAMESPACE, "{}")] {
        for condition in [seen, "If-Match: *"] {
            let refused = send_if(&server, "PUT", path, condition, body).await;
            assert_eq!(refused.problem(409)["revision"], Value::Null);
            send_if(&server, "DELETE", path, condition, "")
                .await
                .problem(404);
            send_if(&server, "PATCH", path, condition, "{}")
                .await
                .problem(404);
        }
        server.get(path).await.problem(404);
    }
    server.stop().await;
}

#[tokio::test]
async fn only_create_creates_once() {
    let server = start().await;
    for (path, body) in [(NAMESPACE, "{}"), (SERVICE, "{}"), (INSTANCE, BODY)] {
        let put = send_if(&server, "PUT", path, "If-None-Match: *", body).await;
        assert_eq!(put.status, 201, "{put:?}");
        let again = send_if(&server, "PUT", path, "If-None-Match: *", body).await;
        assert_eq!(again.problem(409)["code"], "already_exists");
    }
    server.stop().await;
}

#[tokio::test]
async fn conditions_that_say_nothing_are_refused_by_name() {
    let server = start().await;
    server.put(INSTANCE, BODY).await;
    for (method, condition, field) in [
        ("PUT", "If-Match: 12", "if-match"),
        ("PUT", "If-Match: *, 12", "if-match"),
        ("DELETE", "If-Match:", "if-match"),
        ("PUT", "If-None-Match: ", "if-none-match"),
        ("PUT", "If-None-Match: \"x\"", "if-none-match"),
        ("PUT", "If-Match: *\r\nIf-None-Match: *", "if-none-match"),
        ("PATCH", "If-None-Match: *", "if-none-match"),
        ("DELETE", "If-None-Match: *", "if-none-match"),
    ] {
        let refused = send_if(&server, method, INSTANCE, condition, BODY).await;
        assert_eq!(refused.problem(422)["field"], field, "{method} {condition}");
    }
    for (foreign, status) in [
        ("\"nobody's\"", 409),
        ("W/\"00000000000000a2.1\"", 409),
        ("W/\"00000000000000a1.999999\"", 409),
    ] {
        let condition = format!("If-Match: {foreign}");
        let refused = send_if(&server, "PUT", INSTANCE, &condition, BODY).await;
        refused.problem(status);
    }
    server.stop().await;
}

#[tokio::test]
async fn of_two_writers_who_saw_the_same_one_wins() {
    let server = start().await;
    server.put(INSTANCE, BODY).await;
    for round in 0..20 {
        let condition = format!("If-Match: {}", etag(&server.get(INSTANCE).await));
        let body =
            |writer: u8| format!(r#"{{"attributes":{{"round":"{round}","by":"{writer}"}}}}"#);
        let (one, two) = (body(1), body(2));
        let (one, two) = tokio::join!(
            send_if(&server, "PATCH", INSTANCE, &condition, &one),
            send_if(&server, "PATCH", INSTANCE, &condition, &two),
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
    server.stop().await;
}

#[tokio::test]
async fn fifty_increments_under_conditions_lose_none() {
    let server = start().await;
    server
        .put(
            INSTANCE,
            r#"{"address":"10.0.0.1","attributes":{"count":"0"}}"#,
        )
        .await;
    let increment = async || {
        loop {
            let seen = server.get(INSTANCE).await;
            let count: u32 = seen.json()["attributes"]["count"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let body = json!({"attributes": {"count": (count + 1).to_string()}}).to_string();
            let condition = format!("If-Match: {}", etag(&seen));
            match send_if(&server, "PATCH", INSTANCE, &condition, &body)
                .await
                .status
            {
                200 => return,
                409 => {}
                other => panic!("{other}"),
            }
        }
    };
    let writer = async || {
        for _ in 0..10 {
            increment().await;
        }
    };
    tokio::join!(writer(), writer(), writer(), writer(), writer());
    let shown = server.get(INSTANCE).await.json();
    assert_eq!(shown["attributes"]["count"], "50");
    server.stop().await;
}

#[tokio::test]
async fn patches_of_several_members_at_once_lose_none() {
    let server = start().await;
    server.put(INSTANCE, BODY).await;
    server.put(SERVICE, "{}").await;
    let one = async |name: String| {
        let body = json!({"attributes": {name: "x"}}).to_string();
        assert_eq!(patch(&server, INSTANCE, &body).await.status, 200);
        assert_eq!(patch(&server, SERVICE, &body).await.status, 200);
    };
    let several = async |writer: usize| {
        for round in 0..5 {
            one(format!("{writer}-{round}")).await;
        }
    };
    tokio::join!(several(1), several(2), several(3), several(4), several(5));
    for path in [INSTANCE, SERVICE] {
        let shown = server.get(path).await.json();
        assert_eq!(shown["attributes"].as_object().unwrap().len(), 25, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_patch_leaves_what_it_does_not_name_and_takes_what_is_null() {
    let server = start().await;
    let body = r#"{"ipv4":"10.0.0.1","ipv6":"fd00::1","hostname":"web.example","attributes":{"a":"1","b":"2"},
        "ports":[{"name":"api","number":8080},{"name":"admin","number":9090,"protocol":"https","path":"/x"}],
        "tags":["x"],"weight":5,"region":"eu","zone":"eu-1","lease_seconds":30,
        "checks":[{"id":"up","kind":"tcp"}]}"#;
    let mut expected = server.put(INSTANCE, body).await.json();
    for (change, wanted) in [
        (json!({"weight": 9}), json!({"weight": 9})),
        (
            json!({"attributes": {"a": null, "c": "3"}}),
            json!({"attributes": {"b": "2", "c": "3"}}),
        ),
        (json!({"ipv6": null}), json!({"ipv6": null})),
        (json!({"zone": null}), json!({"zone": null})),
        (
            json!({"region": "us", "zone": "us-2"}),
            json!({"region": "us", "zone": "us-2"}),
        ),
        (
            json!({"tags": null, "weight": null}),
            json!({"tags": [], "weight": 1}),
        ),
        (json!({"lease_seconds": 60}), json!({"lease_seconds": 60})),
        (
            json!({"lease_seconds": null}),
            json!({"lease_seconds": null}),
        ),
        (
            json!({"attributes": null, "checks": null}),
            json!({"attributes": {}, "checks": []}),
        ),
        (
            json!({"address": "web.internal"}),
            json!({"ipv4": null, "hostname": "web.internal"}),
        ),
        (
            json!({"port": 80}),
            json!({"ports": [{"name": "default", "number": 80, "protocol": "http", "path": ""}]}),
        ),
        (json!({"port": null, "address": null}), json!({})),
    ] {
        let patched = patch(&server, INSTANCE, &change.to_string()).await;
        assert_eq!(patched.status, 200, "{change} {patched:?}");
        for (name, value) in wanted.as_object().unwrap() {
            expected[name] = value.clone();
        }
        let mut shown = patched.json();
        for name in [
            "registration_id",
            "reason",
            "revision",
            "health",
            "tier",
            "in_rotation",
            "since",
        ] {
            shown[name].take();
            expected[name].take();
        }
        assert_eq!(shown, expected, "{change}");
    }
    let last = patch(&server, INSTANCE, r#"{"hostname":null}"#).await;
    let problem = last.problem(422);
    assert_eq!(problem["field"], "address");
    server.stop().await;
}

#[tokio::test]
async fn a_patch_of_settings_leaves_what_it_does_not_name_and_takes_what_is_null() {
    let server = start().await;
    let settings = r#"{"description":"d","fail_open":true,"remove_after_seconds":10,"lease_seconds":60,
        "dns":{"routing":"Multivalue","records":[{"type":"A","ttl_seconds":5}]},
        "checks":[{"id":"beat","kind":"heartbeat","within_seconds":15}],"attributes":{"a":"1","b":"2"},"tags":["x"]}"#;
    server.put(SERVICE, settings).await;
    let change = r#"{"attributes":{"a":null,"c":"3"},"dns":{"routing":"Weighted"}}"#;
    let patched = patch(&server, SERVICE, change).await.json();
    assert_eq!(patched["attributes"], json!({"b": "2", "c": "3"}));
    assert_eq!(
        patched["dns"],
        json!({"routing": "Weighted", "records": [{"type": "A", "ttl_seconds": 5}]})
    );
    assert_eq!(patched["description"], "d");
    let change = r#"{"description":null,"fail_open":null,"remove_after_seconds":null,"lease_seconds":null,"dns":null,
        "checks":null,"attributes":null,"tags":null}"#;
    let patched = patch(&server, SERVICE, change).await.json();
    for (name, value) in [
        ("description", json!("")),
        ("fail_open", json!(false)),
        ("remove_after_seconds", json!(300)),
        ("lease_seconds", json!(null)),
        ("dns", json!(null)),
        ("checks", json!([])),
        ("attributes", json!({})),
        ("tags", json!([])),
    ] {
        assert_eq!(patched[name], value, "{name}");
    }
    let change = r#"{"description":"n","soa_ttl_seconds":7}"#;
    let patched = patch(&server, NAMESPACE, change).await.json();
    assert_eq!(
        (&patched["description"], &patched["soa_ttl_seconds"]),
        (&json!("n"), &json!(7))
    );
    let change = r#"{"description":null,"soa_ttl_seconds":null}"#;
    let patched = patch(&server, NAMESPACE, change).await.json();
    assert_eq!(
        (&patched["description"], &patched["soa_ttl_seconds"]),
        (&json!(""), &json!(null))
    );
    patch(&server, NAMESPACE, r#"{"kind":"Http"}"#)
        .await
        .problem(409);
    server.stop().await;
}

#[tokio::test]
async fn a_patch_keeps_the_registration_and_is_no_sign_of_life() {
    let server = start().await;
    server
        .put(INSTANCE, r#"{"address":"10.0.0.1","lease_seconds":10}"#)
        .await;
    let id = server.get(INSTANCE).await.json()["registration_id"].clone();
    server.clock.advance(std::time::Duration::from_secs(8));
    let patched = patch(&server, INSTANCE, r#"{"weight":3}"#).await.json();
    assert_eq!(patched["registration_id"], id);
    assert_eq!(patched["last_heartbeat"], "2024-01-15T10:30:00Z");
    server.stop().await;
}

#[tokio::test]
async fn bad_patches_name_field_value_and_rule() {
    let server = start().await;
    server.put(INSTANCE, BODY).await;
    server.put(SERVICE, "{}").await;
    for (path, body, field) in [
        (INSTANCE, r#"{"weight":-1}"#, "weight"),
        (INSTANCE, r#"{"colour":null}"#, "colour"),
        (INSTANCE, r#"{"colour":"x"}"#, "colour"),
        (INSTANCE, r#"{"attributes":{"a":5}}"#, "attributes.a"),
        (INSTANCE, r#"{"attributes":"a"}"#, "attributes"),
        (INSTANCE, r#"{"ports":[{"number":0}]}"#, "ports[0].number"),
        (
            INSTANCE,
            r#"{"address":"10.0.0.1","ipv4":"10.0.0.2"}"#,
            "address",
        ),
        (INSTANCE, "[]", "body"),
        (SERVICE, r#"{"fail_open":1}"#, "fail_open"),
        (SERVICE, r#"{"name":"x"}"#, "name"),
        (SERVICE, r#"{"dns":{"routing":"Weighted"}}"#, "dns.records"),
        (NAMESPACE, r#"{"soa_ttl_seconds":"x"}"#, "soa_ttl_seconds"),
    ] {
        let problem = patch(&server, path, body).await.problem(422);
        assert_eq!(problem["field"], field, "{body}");
        assert!(problem["rule"].is_string(), "{body}");
    }
    let kind = "Content-Type: application/json-patch+json\r\n";
    let refused = server.send("PATCH", INSTANCE, kind, b"[]").await;
    assert_eq!(refused.problem(415)["field"], "content-type");
    patch(&server, INSTANCE, "").await.problem(400);
    patch(&server, OTHER, "{}").await.problem(404);
    server.stop().await;
}

#[tokio::test]
async fn what_was_registered_otherwise_is_patched_without_losing_what_rest_cannot_say() {
    let server = start().await;
    server.register("web", "web-1").await;
    let before = server.get(INSTANCE).await.json();
    assert_eq!(before["dialect"], "discovery");
    let patched = patch(&server, INSTANCE, r#"{"tags":["x"]}"#).await.json();
    assert_eq!(patched["tags"], json!(["x"]));
    for name in [
        "dialect",
        "lease_seconds",
        "checks",
        "registered_at",
        "health",
    ] {
        assert_eq!(patched[name], before[name], "{name}");
    }
    server.stop().await;
}
