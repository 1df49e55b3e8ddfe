//! `GET /v1/explain`: what the pure part says, with the journal behind it.

use std::time::Duration;

use serde_json::json;
use waypost_core::CheckState;

use crate::support::start;

#[tokio::test]
async fn an_explanation_has_every_piece_of_evidence() {
    let server = start().await;
    server.register("web", "web-1").await;
    server
        .post(
            "/v1/discovery/heartbeat",
            r#"{"service_name":"web","instance_id":"web-1"}"#,
        )
        .await;
    server.clock.advance(Duration::from_secs(1));
    server
        .report("web", "web-1", CheckState::Passing, "answered 200")
        .await;
    server.clock.advance(Duration::from_secs(1));
    server.probed("web", "web-1", (503, "{\"status\":\"down\"}"), None);
    server
        .report("web", "web-1", CheckState::Failing, "answered 503")
        .await;
    let explained = server.get("/v1/explain/web/web-1").await;
    assert_eq!(explained.status, 200, "{explained:?}");
    let explained = explained.json();
    let failure = json!({
        "at": "2024-01-15T10:30:02Z", "reason": "answered 503", "status": 503, "body": "{\"status\":\"down\"}"
    });
    let answer =
        json!({"at": "2024-01-15T10:30:02Z", "status": 503, "body": "{\"status\":\"down\"}"});
    let place = |dialect: &str, place: &str, visible: bool, why: &str| json!({"dialect": dialect, "where": place, "visible": visible, "why": why});
    let listed = "every registered instance is listed, this one as unhealthy";
    let out = "it is out of rotation";
    let expected = json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1", "owner": "",
        "in_rotation": false, "tier": "out",
        "reason": "check http failing: answered 503", "since": "2024-01-15T10:30:02Z",
        "health": "Unhealthy", "checked_health": "Unhealthy", "mode": "Active", "weight": 1,
        "overrides": {"mode": null, "weight": null, "health": null, "block": null},
        "checks": [{
            "id": "http", "kind": "http", "target": "http://10.0.0.7:8080/health", "state": "failing",
            "since": "2024-01-15T10:30:02Z", "reason": "answered 503",
            "last_probe": "2024-01-15T10:30:02Z", "last_answer": answer, "last_failure": failure,
            "for_seconds": null, "dependencies": []
        }],
        "lease": {
            "state": "running", "duration_seconds": 300, "last_heartbeat": "2024-01-15T10:30:00Z",
            "ends_in_seconds": 298.0, "since": "2024-01-15T10:30:00Z"
        },
        "history": [
            {"at": "2024-01-15T10:30:01Z", "from": "Unknown", "to": "Healthy",
             "reason": "check http passing: answered 200", "body": null},
            {"at": "2024-01-15T10:30:02Z", "from": "Healthy", "to": "Unhealthy",
             "reason": "check http failing: answered 503", "body": null}
        ],
        "visible": [
            place("rest", "GET /v1/discover/web?namespace=svc.internal", false, out),
            place("discovery", "GET /v1/discovery/services/web", true, listed),
            place("discovery", "GET /v1/discovery/services/web/healthy", false, out),
            place("discovery", "GET /v1/discovery/services/web/instances", true, listed),
            place("service-discovery", "GET /service-discovery/discover/web", false, out)
        ]
    });
    assert_eq!(explained, expected);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_instance_has_no_explanation() {
    let server = start().await;
    server.get("/v1/explain/web/web-1").await.problem(404);
    server
        .get("/v1/explain/web/web-1?namespace=other")
        .await
        .problem(404);
    let problem = server.get("/v1/explain/web/w%20b").await.problem(422);
    assert_eq!(
        (&problem["field"], &problem["value"]),
        (&json!("instance_id"), &json!("w b"))
    );
    server.stop().await;
}
