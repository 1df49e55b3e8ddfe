//! What operators say over HTTP: modes, overrides, blocks and reports of named checks.

use std::time::Duration;

use serde_json::{Value, json};
use waypost_core::{Health, Mode};

use crate::support::{Running, TOKEN, start, start_with, with_secret};

const SERVICE: &str = "/v1/namespaces/svc.internal/services/web";
const INSTANCE: &str = "/v1/namespaces/svc.internal/services/web/instances/a";
const MODE: &str = "/v1/namespaces/svc.internal/services/web/instances/a/mode";
const CHECK: &str = "/v1/namespaces/svc.internal/services/web/instances/a/checks/said";
const REPORTED: &str = r#"{"address":"10.0.0.1","checks":[{"id":"said","kind":"reported"}]}"#;

async fn put_ok(server: &Running, path: &str, body: &Value) -> Value {
    let put = server.put(path, &body.to_string()).await;
    assert!(matches!(put.status, 200 | 201), "{put:?}");
    put.json()
}

#[tokio::test]
async fn a_drain_has_an_end_an_author_and_a_reason_and_goes_on_as_maintenance() {
    let server = start().await;
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    let drain =
        json!({"mode": "Draining", "reason": "new kernel", "author": "ann", "for_seconds": 300});
    let shown = put_ok(&server, MODE, &drain).await;
    assert_eq!(
        shown["reason"],
        "Draining since 2024-01-15T10:30:00Z, set by ann, until 2024-01-15T10:35:00Z: new kernel"
    );
    let explained = server.get("/v1/explain/web/a").await.json();
    assert_eq!(
        explained["overrides"]["mode"],
        json!({"mode": "Draining", "by_process": false, "reason": "new kernel", "author": "ann",
            "since": "2024-01-15T10:30:00Z", "until": "2024-01-15T10:35:00Z"})
    );
    server.clock.advance(Duration::from_secs(301));
    server
        .until("web", |state| {
            state.instances()[0].mode() == Mode::Maintenance
        })
        .await;
    let report = server.get(MODE).await.json();
    assert_eq!(
        (&report["mode"], &report["overrides"]["mode"]["until"]),
        (&json!("Maintenance"), &Value::Null)
    );
    assert_eq!(server.delete(MODE).await.status, 204);
    assert_eq!(server.get(INSTANCE).await.json()["in_rotation"], true);
    server.stop().await;
}

#[tokio::test]
async fn an_overridden_health_shows_with_what_the_checks_say() {
    let server = start().await;
    server.put(INSTANCE, REPORTED).await;
    let healthy = json!({"health": "Healthy", "reason": "the check is broken", "author": "ann",
        "until": "2024-01-15T11:00:00Z"});
    let shown = put_ok(&server, MODE, &healthy).await;
    assert_eq!(
        (&shown["health"], &shown["in_rotation"], &shown["reason"]),
        (
            &json!("Healthy"),
            &json!(true),
            &json!(
                "ann says Healthy: the check is broken, until 2024-01-15T11:00:00Z; the checks say Unknown: check said has not passed yet"
            )
        )
    );
    let explained = server.get("/v1/explain/web/a").await.json();
    assert_eq!(
        (&explained["health"], &explained["checked_health"]),
        (&json!("Healthy"), &json!("Unknown"))
    );
    assert_eq!(explained["overrides"]["health"]["author"], "ann");
    let rotation = server.get("/v1/discover/web").await.json();
    assert_eq!(rotation["instances"][0]["id"], "a");
    let back = put_ok(&server, MODE, &json!({"health": null})).await;
    assert_eq!(back["health"], "Unknown");
    server.stop().await;
}

#[tokio::test]
async fn a_part_that_is_not_sent_stays_and_null_takes_it_away() {
    let server = start().await;
    server
        .put(INSTANCE, r#"{"address":"10.0.0.1","weight":2}"#)
        .await;
    put_ok(&server, MODE, &json!({"weight": 9, "reason": "canary"})).await;
    let shown = put_ok(&server, MODE, &json!({"mode": "Draining"})).await;
    assert_eq!(
        (&shown["weight"], &shown["mode"]),
        (&json!(9), &json!("Draining"))
    );
    let shown = put_ok(&server, MODE, &json!({"mode": "Active"})).await;
    assert_eq!(
        (&shown["weight"], &shown["mode"]),
        (&json!(9), &json!("Active"))
    );
    let shown = put_ok(&server, MODE, &json!({"weight": null})).await;
    assert_eq!(shown["weight"], 2);
    let nothing = server.get(MODE).await.json();
    assert_eq!(
        nothing["overrides"],
        json!({"mode": null, "weight": null, "health": null, "block": null})
    );
    server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_of_a_mode_is_refused_by_name() {
    let server = start().await;
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    let id = server.get(INSTANCE).await.json()["registration_id"].clone();
    for (body, field) in [
        (json!({}), "mode"),
        (json!({"reason": "x"}), "mode"),
        (json!({"health": "Warning"}), "health"),
        (json!({"weight": 70_000}), "weight"),
        (json!({"mode": "Draining", "until": "tomorrow"}), "until"),
        (
            json!({"mode": "Draining", "until": "2024-01-15T10:29:59Z"}),
            "until",
        ),
        (
            json!({"mode": "Draining", "until": "2024-01-15T10:40:00Z", "for_seconds": 3}),
            "until",
        ),
        (json!({"mode": "Draining", "for_seconds": 0}), "for_seconds"),
        (json!({"mode": "Draining", "author": "a b"}), "author"),
        (
            json!({"mode": "Draining", "reason": "x".repeat(1_025)}),
            "reason",
        ),
        (
            json!({"mode": "Draining", "registration_id": id, "weight": 3}),
            "weight",
        ),
        (json!({"registration_id": id}), "mode"),
    ] {
        let problem = server.put(MODE, &body.to_string()).await.problem(422);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_drain_of_something_already_gone_says_so() {
    let server = start().await;
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    server.delete(INSTANCE).await;
    let drain = r#"{"mode":"Draining"}"#;
    let problem = server.put(MODE, drain).await.problem(404);
    assert_eq!(
        problem["message"],
        "instance web.svc.internal/a is not registered: there is nothing to drain"
    );
    let problem = server.delete(MODE).await.problem(404);
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .ends_with("there is nothing to resume")
    );
    server.get(MODE).await.problem(404);
    server.stop().await;
}

#[tokio::test]
async fn of_two_operators_the_last_one_wins_unless_if_match_says_otherwise() {
    let server = start().await;
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    let read = server.get(MODE).await;
    let tag = read.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("W/{}", read.json()["revision"]));
    put_ok(&server, MODE, &json!({"mode": "Draining", "author": "ann"})).await;
    let headers = format!("If-Match: {tag}\r\n");
    let body = br#"{"mode":"Maintenance","author":"bob"}"#;
    let problem = server.send("PUT", MODE, &headers, body).await.problem(409);
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .contains("its revision is"),
        "{problem}"
    );
    server
        .send("DELETE", MODE, &headers, b"")
        .await
        .problem(409);
    let tag = server.get(MODE).await.header("etag").unwrap().to_owned();
    let headers = format!("If-Match: {tag}\r\n");
    assert_eq!(server.send("PUT", MODE, &headers, body).await.status, 200);
    put_ok(&server, MODE, &json!({"mode": "Draining", "author": "cid"})).await;
    assert_eq!(
        server.get(MODE).await.json()["overrides"]["mode"]["author"],
        "cid"
    );
    for wrong in ["soon", "\"1.2\"", "W/\"00000000000000a1.x\""] {
        let headers = format!("If-Match: {wrong}\r\n");
        let problem = server.send("PUT", MODE, &headers, body).await.problem(422);
        assert_eq!(problem["field"], "If-Match");
    }
    let other = "If-Match: W/\"00000000000000a2.1\"\r\n";
    server.send("PUT", MODE, other, body).await.problem(409);
    server.stop().await;
}

#[tokio::test]
async fn the_author_is_the_credential_where_there_is_one() {
    let server = start_with(with_secret(false)).await;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    server
        .send("PUT", INSTANCE, &bearer, br#"{"address":"10.0.0.1"}"#)
        .await;
    let drain = br#"{"mode":"Draining","author":"mallory"}"#;
    assert_eq!(server.send("PUT", MODE, &bearer, drain).await.status, 200);
    let report = server.send("GET", MODE, &bearer, b"").await.json();
    let author = report["overrides"]["mode"]["author"].as_str().unwrap();
    assert!(author != "mallory" && !author.is_empty(), "{author}");
    server.stop().await;
}

#[tokio::test]
async fn a_block_refuses_every_dialect_until_it_is_lifted() {
    let server = start().await;
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    let block = format!("{INSTANCE}?block_seconds=600&reason=leaks%20memory&author=ann");
    assert_eq!(server.delete(&block).await.status, 204);
    let own = server
        .put(INSTANCE, r#"{"address":"10.0.0.1"}"#)
        .await
        .problem(409);
    let sentence =
        "instance web.svc.internal/a is blocked until 2024-01-15T10:40:00Z by ann: leaks memory";
    assert_eq!(
        (&own["message"], &own["code"], &own["reason"], &own["until"]),
        (
            &json!(sentence),
            &json!("blocked"),
            &json!("leaks memory"),
            &json!("2024-01-15T10:40:00Z")
        )
    );
    let body = r#"{"service_name":"web","instance_id":"a","host":"10.0.0.7","port":8080}"#;
    let central = server
        .post("/v1/discovery/register", body)
        .await
        .problem(409);
    assert_eq!(central["message"], sentence);
    let kong = r#"{"service_name":"web","instance_id":"a","host":"10.0.0.7","port":8080}"#;
    server
        .post("/service-discovery/register", kong)
        .await
        .problem(409);
    for (path, then) in [
        (
            format!("/v1/explain/web/{}", "a"),
            "there is nothing to explain",
        ),
        (INSTANCE.to_owned(), "there is nothing to remove"),
    ] {
        let answer = if path == INSTANCE {
            server.delete(&path).await
        } else {
            server.get(&path).await
        };
        let problem = answer.problem(404);
        assert_eq!(
            problem["message"],
            format!(
                "instance web.svc.internal/a is not registered: {then}; it is blocked until 2024-01-15T10:40:00Z by ann: leaks memory"
            )
        );
    }
    let report = server.get(MODE).await.json();
    assert_eq!(
        (
            &report["registered"],
            &report["overrides"]["block"]["author"]
        ),
        (&json!(false), &json!("ann"))
    );
    assert_eq!(server.delete(MODE).await.status, 204);
    assert_eq!(
        server
            .put(INSTANCE, r#"{"address":"10.0.0.1"}"#)
            .await
            .status,
        201
    );
    server.stop().await;
}

#[tokio::test]
async fn a_block_ends_by_itself_and_a_bad_one_removes_nothing() {
    let server = start().await;
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    for (query, field) in [
        ("block_seconds=0", "block_seconds"),
        ("block_seconds=10m", "block_seconds"),
        ("block_seconds=2592001", "block_seconds"),
        ("reason=x", "reason"),
        ("author=ann", "author"),
    ] {
        let problem = server
            .delete(&format!("{INSTANCE}?{query}"))
            .await
            .problem(422);
        assert_eq!(problem["field"], field, "{query}");
    }
    assert_eq!(
        server
            .delete(&format!("{INSTANCE}?block_seconds=60"))
            .await
            .status,
        204
    );
    server.clock.advance(Duration::from_secs(61));
    let mut status = 0;
    for _ in 0..200 {
        status = server
            .put(INSTANCE, r#"{"address":"10.0.0.1"}"#)
            .await
            .status;
        if status == 201 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status, 201);
    server
        .delete(&format!("{SERVICE}/instances/nobody?block_seconds=60"))
        .await
        .problem(404);
    server.stop().await;
}

#[tokio::test]
async fn a_named_check_says_what_is_reported_until_nobody_reports_again() {
    let server = start().await;
    server.put(INSTANCE, REPORTED).await;
    let answer = put_ok(
        &server,
        CHECK,
        &json!({"state": "warning", "note": "disk at 81 %", "for_seconds": 60}),
    )
    .await;
    assert_eq!(
        answer,
        json!({"check": "said", "state": "warning", "deadline_seconds": 60})
    );
    let explained = server.get("/v1/explain/web/a").await.json();
    let check = &explained["checks"][0];
    assert_eq!(
        (&check["state"], &check["reason"], &check["for_seconds"]),
        (&json!("warning"), &json!("disk at 81 %"), &json!(60))
    );
    assert_eq!(explained["health"], "Warning");
    server.clock.advance(Duration::from_millis(1_500));
    server.clock.advance(Duration::from_secs(60));
    // A jump of the clock is a pause of the process: it gets the whole time once more.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..70 {
        server.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server
        .until("web", |state| {
            state.instances()[0].health() == Health::Unhealthy
        })
        .await;
    let explained = server.get("/v1/explain/web/a").await.json();
    assert_eq!(
        explained["checks"][0]["reason"],
        "nobody reported within 60 s; the last report said warning: disk at 81 %"
    );
    put_ok(&server, CHECK, &json!({"state": "passing"})).await;
    assert_eq!(server.get(INSTANCE).await.json()["health"], "Healthy");
    server.stop().await;
}

#[tokio::test]
async fn a_report_on_another_kind_or_on_nothing_is_refused_with_what_there_is() {
    let server = start().await;
    let checks = r#"{"address":"10.0.0.1","port":80,"checks":[{"id":"said","kind":"tcp"},{"id":"other","kind":"reported"}]}"#;
    server.put(INSTANCE, checks).await;
    let body = r#"{"state":"passing"}"#;
    let problem = server.put(CHECK, body).await.problem(409);
    assert_eq!(
        problem["message"],
        "check said of instance web.svc.internal/a: it is of the kind tcp: only checks of the kind reported are reported"
    );
    let nothing = format!("{INSTANCE}/checks/nothing");
    let problem = server.put(&nothing, body).await.problem(404);
    assert_eq!(
        problem["message"],
        "check nothing of instance web.svc.internal/a is not configured, it has said (tcp), other (reported)"
    );
    let problem = server
        .put(&format!("{SERVICE}/instances/b/checks/said"), body)
        .await
        .problem(404);
    assert_eq!(
        problem["message"],
        "instance web.svc.internal/b is not registered"
    );
    for (body, field) in [
        (r#"{}"#, "state"),
        (r#"{"state":"unknown"}"#, "state"),
        (r#"{"state":"passing","for_seconds":0}"#, "for_seconds"),
    ] {
        let problem = server.put(&nothing, body).await.problem(422);
        assert_eq!(problem["field"], field);
    }
    let other = format!("{INSTANCE}/checks/other");
    let stale = r#"{"state":"passing","registration_id":"0123456789abcdef"}"#;
    server.put(&other, stale).await.problem(409);
    let long = json!({"state": "passing", "note": "x".repeat(1_025)}).to_string();
    assert_eq!(
        server.put(&other, &long).await.problem(422)["field"],
        "note"
    );
    server.stop().await;
}
