//! The examples of source 003 as it writes them, and the rules around them.

use std::time::Duration;

use serde_json::json;
use waypost_api_rest::RestConfig;
use waypost_core::{CheckState, Health};

use crate::support::{Options, Running, start, start_with};

const REGISTRATION: &str = r#"{
    "service_name": "game-service",
    "instance_id": "game-1",
    "host": "localhost",
    "port": 8080,
    "health_endpoint": "/health",
    "metadata": {
        "version": "1.0.0",
        "environment": "production"
    }
}"#;
const HEARTBEAT: &str = r#"{"service_name": "game-service", "instance_id": "game-1"}"#;

/// Brings the server into the state that the source's examples show.
async fn as_in_the_examples() -> Running {
    let server = start().await;
    let body = REGISTRATION.replace(",\n        \"environment\": \"production\"", "");
    assert_eq!(
        server.post("/v1/discovery/register", &body).await.status,
        200
    );
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(
        server
            .post("/v1/discovery/heartbeat", HEARTBEAT)
            .await
            .status,
        200
    );
    server.clock.advance(Duration::from_secs(15));
    server.probed("game-service", "game-1", (200, "{}"), Some(0.3));
    server
        .report(
            "game-service",
            "game-1",
            CheckState::Passing,
            "answered 200",
        )
        .await;
    server
}

#[tokio::test]
async fn registering_renewing_and_leaving_answer_as_written() {
    let server = start().await;
    let registered = server.post("/v1/discovery/register", REGISTRATION).await;
    assert_eq!(registered.status, 200);
    assert_eq!(registered.header("content-type"), Some("application/json"));
    let message = "Service game-service:game-1 registered successfully";
    assert_eq!(
        registered.json(),
        json!({"success": true, "message": message})
    );
    let renewed = server.post("/v1/discovery/heartbeat", HEARTBEAT).await;
    let message = "Heartbeat updated successfully";
    assert_eq!(
        (renewed.status, renewed.json()),
        (200, json!({"success": true, "message": message}))
    );
    let left = server
        .delete("/v1/discovery/unregister/game-service/game-1")
        .await;
    let message = "Service unregistered successfully";
    assert_eq!(
        (left.status, left.json()),
        (200, json!({"success": true, "message": message}))
    );
    server.stop().await;
}

#[tokio::test]
async fn the_lists_answer_as_written() {
    let server = as_in_the_examples().await;
    let instance = json!({
        "service_name": "game-service",
        "instance_id": "game-1",
        "host": "localhost",
        "port": 8080,
        "health_endpoint": "/health",
        "status": "healthy",
        "last_health_check": "2024-01-15T10:31:15Z",
        "last_heartbeat": "2024-01-15T10:31:00Z",
        "load_percentage": 0.3,
        "metadata": {"version": "1.0.0"},
        "registered_at": "2024-01-15T10:30:00Z"
    });
    let all = server.get("/v1/discovery/services").await;
    assert_eq!(
        (all.status, all.json()),
        (200, json!({"services": {"game-service": [instance]}}))
    );
    let one = server
        .get("/v1/discovery/services/game-service")
        .await
        .json();
    assert_eq!(
        one,
        json!({"service_name": "game-service", "instances": [instance]})
    );
    let healthy = server
        .get("/v1/discovery/services/game-service/healthy")
        .await
        .json();
    assert_eq!(
        healthy,
        json!({"service_name": "game-service", "healthy_instances": [instance]})
    );
    server.stop().await;
}

#[tokio::test]
async fn the_targets_answer_as_written() {
    let server = as_in_the_examples().await;
    let targets = server
        .get("/v1/discovery/services/game-service/instances")
        .await;
    let expected = json!([{
        "targets": ["localhost:8080"],
        "labels": {
            "instance": "game-1",
            "service_name": "game-service",
            "status": "healthy",
            "load_percentage": "0.3",
            "version": "1.0.0"
        }
    }]);
    assert_eq!((targets.status, targets.json()), (200, expected));
    server.stop().await;
}

#[tokio::test]
async fn the_servers_own_health_has_the_fields_as_written() {
    let server = start().await;
    let health = server.get("/health").await;
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["service"], "service-discovery");
    assert_eq!(health["load_percentage"], 0.0);
    server.stop().await;
}

#[tokio::test]
async fn an_instance_that_was_not_checked_is_unknown_and_not_among_the_healthy() {
    let server = start().await;
    server.register("web", "web-1").await;
    let shown = server.get("/v1/discovery/services/web").await.json();
    let instance = &shown["instances"][0];
    assert_eq!(instance["status"], "unknown");
    assert_eq!(instance["health_endpoint"], "/health");
    assert_eq!(
        (&instance["last_heartbeat"], &instance["load_percentage"]),
        (&json!(null), &json!(0.0))
    );
    let healthy = server
        .get("/v1/discovery/services/web/healthy")
        .await
        .json();
    assert_eq!(
        healthy,
        json!({"service_name": "web", "healthy_instances": []})
    );
    server.stop().await;
}

#[tokio::test]
async fn the_three_words_follow_the_health() {
    let server = start().await;
    server.register("web", "web-1").await;
    let cases = [
        (CheckState::Passing, "healthy", 1),
        (CheckState::Warning, "healthy", 1),
        (CheckState::Failing, "unhealthy", 0),
    ];
    for (state, word, healthy) in cases {
        server.report("web", "web-1", state, "said").await;
        let shown = server.get("/v1/discovery/services/web").await.json();
        assert_eq!(shown["instances"][0]["status"], word);
        let rotation = server
            .get("/v1/discovery/services/web/healthy")
            .await
            .json();
        assert_eq!(
            rotation["healthy_instances"].as_array().unwrap().len(),
            healthy
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn registering_the_same_again_changes_nothing_and_other_content_is_an_update() {
    let server = start().await;
    server.register("web", "web-1").await;
    let before = server.get("/v1/discovery/services/web").await;
    server.clock.advance(Duration::from_secs(5));
    server
        .post(
            "/v1/discovery/heartbeat",
            r#"{"service_name":"web","instance_id":"web-1"}"#,
        )
        .await;
    let running = server.get("/v1/discovery/services/web").await;
    server.register("web", "web-1").await;
    let again = server.get("/v1/discovery/services/web").await;
    assert_eq!(running.header("etag"), again.header("etag"));
    assert_ne!(
        before.header("etag"),
        again.header("etag"),
        "the first heartbeat begins the lease"
    );
    let moved = r#"{"service_name":"web","instance_id":"web-1","host":"10.0.0.8","port":8080}"#;
    assert_eq!(
        server.post("/v1/discovery/register", moved).await.status,
        200
    );
    let updated = server.get("/v1/discovery/services/web").await.json();
    assert_eq!(updated["instances"].as_array().unwrap().len(), 1);
    assert_eq!(updated["instances"][0]["host"], "10.0.0.8");
    assert_eq!(
        updated["instances"][0]["registered_at"],
        "2024-01-15T10:30:00Z"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_heartbeat_for_an_unknown_instance_tells_the_client_to_register() {
    let server = start().await;
    let body = r#"{"service_name":"web","instance_id":"web-1"}"#;
    let problem = server
        .post("/v1/discovery/heartbeat", body)
        .await
        .problem(404);
    assert_eq!(problem["code"], "not_found");
    let told =
        "Service web:web-1 is not registered: register it again with POST /v1/discovery/register";
    assert_eq!(problem["message"], told);
    server.stop().await;
}

#[tokio::test]
async fn leaving_twice_is_not_found() {
    let server = start().await;
    server.register("web", "web-1").await;
    assert_eq!(
        server
            .delete("/v1/discovery/unregister/web/web-1")
            .await
            .status,
        200
    );
    let problem = server
        .delete("/v1/discovery/unregister/web/web-1")
        .await
        .problem(404);
    assert_eq!(problem["code"], "not_found");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_service_is_not_found_and_a_known_empty_one_is_an_empty_list() {
    let server = start().await;
    for path in [
        "/v1/discovery/services/web",
        "/v1/discovery/services/web/healthy",
    ] {
        server.get(path).await.problem(404);
    }
    server.register("web", "web-1").await;
    server.delete("/v1/discovery/unregister/web/web-1").await;
    let empty = server.get("/v1/discovery/services/web").await;
    assert_eq!(
        (empty.status, empty.json()),
        (200, json!({"service_name": "web", "instances": []}))
    );
    assert_eq!(
        server
            .get("/v1/discovery/services/web/healthy")
            .await
            .status,
        200
    );
    assert_eq!(
        server.get("/v1/discovery/services").await.json(),
        json!({"services": {"web": []}})
    );
    server.stop().await;
}

#[tokio::test]
async fn a_heartbeat_after_the_lease_ended_brings_the_instance_back_until_it_is_removed() {
    let config = RestConfig {
        discovery_lease_seconds: 1,
        ..RestConfig::default()
    };
    let server = start_with(Options {
        config,
        real_time: true,
        ..Options::default()
    })
    .await;
    server
        .put(
            "/v1/namespaces/svc.internal/services/web",
            r#"{"remove_after_seconds":300}"#,
        )
        .await;
    server.register("web", "web-1").await;
    let heartbeat = r#"{"service_name":"web","instance_id":"web-1"}"#;
    assert_eq!(
        server
            .post("/v1/discovery/heartbeat", heartbeat)
            .await
            .status,
        200
    );
    let health = |wanted: Health| {
        move |state: &waypost_core::ServiceState| {
            state
                .instances()
                .first()
                .is_some_and(|instance| instance.health() == wanted)
        }
    };
    server.until("web", health(Health::Unhealthy)).await;
    let shown = server.get("/v1/discovery/services/web").await.json();
    assert_eq!(shown["instances"][0]["status"], "unhealthy");
    assert_eq!(
        server
            .post("/v1/discovery/heartbeat", heartbeat)
            .await
            .status,
        200
    );
    server.until("web", health(Health::Unknown)).await;
    server
        .put(
            "/v1/namespaces/svc.internal/services/web",
            r#"{"remove_after_seconds":0}"#,
        )
        .await;
    server
        .until("web", |state| state.instances().is_empty())
        .await;
    server
        .post("/v1/discovery/heartbeat", heartbeat)
        .await
        .problem(404);
    server.stop().await;
}

#[tokio::test]
async fn names_compare_without_case_and_are_shown_as_written() {
    let server = start().await;
    server.register("Web", "Web-1").await;
    let shown = server.get("/v1/discovery/services/wEB").await.json();
    assert_eq!(shown["service_name"], "Web");
    assert_eq!(shown["instances"][0]["instance_id"], "Web-1");
    assert_eq!(
        server
            .delete("/v1/discovery/unregister/WEB/WEB-1")
            .await
            .status,
        200
    );
    server.stop().await;
}
