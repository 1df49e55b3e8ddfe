//! The examples of source 004 as it writes them, and the rules around them.

use serde_json::json;
use waypost_core::CheckState;

use crate::support::{Running, start};

const REGISTRATION: &str = r#"{
  "service_name": "user-service",
  "host": "localhost",
  "port": 8080,
  "protocol": "http",
  "path": "/api/v1",
  "health_check_path": "/health",
  "metadata": {
    "version": "1.0.0",
    "environment": "production"
  },
  "tags": ["api", "user", "web"]
}"#;

async fn as_in_the_examples() -> Running {
    let server = start().await;
    assert_eq!(
        server
            .post("/service-discovery/register", REGISTRATION)
            .await
            .status,
        200
    );
    let body = r#"{"status":"healthy","uptime":3600,"memory_usage":"45%"}"#;
    server.probed("user-service", "localhost-8080", (200, body), None);
    server
        .report(
            "user-service",
            "localhost-8080",
            CheckState::Passing,
            "answered 200",
        )
        .await;
    server
}

#[tokio::test]
async fn registering_answers_with_the_id_that_was_made() {
    let server = start().await;
    let registered = server
        .post("/service-discovery/register", REGISTRATION)
        .await;
    let expected = json!({
        "success": true,
        "message": "Service user-service:localhost-8080 registered successfully",
        "service_name": "user-service",
        "instance_id": "localhost-8080"
    });
    assert_eq!((registered.status, registered.json()), (200, expected));
    let named = r#"{"service_name":"user-service","host":"::1","port":"81","service_id":"own"}"#;
    let registered = server
        .post("/service-discovery/register", named)
        .await
        .json();
    assert_eq!(registered["instance_id"], "own");
    server.stop().await;
}

#[tokio::test]
async fn discovering_answers_as_written() {
    let server = as_in_the_examples().await;
    let found = server.get("/service-discovery/discover/user-service").await;
    let expected = json!({
        "service_name": "user-service",
        "base_url": "http://localhost:8080/api/v1",
        "status": "healthy"
    });
    assert_eq!((found.status, found.json()), (200, expected));
    server.stop().await;
}

#[tokio::test]
async fn the_aggregated_health_answers_as_written() {
    let server = as_in_the_examples().await;
    let health = server.get("/service-discovery/health/aggregated").await;
    let expected = json!({
        "overall_status": "healthy",
        "timestamp": "2024-01-15T10:30:00Z",
        "services": {
            "user-service": {
                "status": "healthy",
                "endpoint": "http://localhost:8080/api/v1",
                "last_heartbeat": "2024-01-15T10:30:00Z",
                "health_data": {"status": "healthy", "uptime": 3600, "memory_usage": "45%"}
            }
        },
        "total_services": 1,
        "healthy_services": 1,
        "unhealthy_services": 0
    });
    assert_eq!((health.status, health.json()), (200, expected));
    server.stop().await;
}

#[tokio::test]
async fn the_servers_health_counts_the_services() {
    let server = as_in_the_examples().await;
    server.register("other", "other-1").await;
    server.clock.advance(std::time::Duration::from_secs(2));
    let health = server.get("/health").await.json();
    let counts = json!({
        "overall_status": "degraded",
        "total_services": 2,
        "healthy_services": 1,
        "unhealthy_services": 1
    });
    assert_eq!(health["service_discovery"], counts);
    assert_eq!(health["status"], "healthy", "the server itself is well");
    server.stop().await;
}

#[tokio::test]
async fn the_lists_have_the_same_shape_with_tags() {
    let server = as_in_the_examples().await;
    server.register("plain", "plain-1").await;
    let all = server.get("/service-discovery/services").await.json();
    let service = json!({
        "status": "healthy",
        "endpoint": "http://localhost:8080/api/v1",
        "last_heartbeat": "2024-01-15T10:30:00Z",
        "health_data": {"status": "healthy", "uptime": 3600, "memory_usage": "45%"},
        "tags": ["api", "user", "web"]
    });
    assert_eq!(all["services"]["user-service"], service);
    assert_eq!(all["services"]["plain"]["status"], "unknown");
    assert_eq!(all["total_services"], 2);
    for path in [
        "/service-discovery/services/healthy",
        "/service-discovery/services/by-tag/api",
    ] {
        let expected = json!({"services": {"user-service": service}, "total_services": 1});
        assert_eq!(server.get(path).await.json(), expected, "{path}");
    }
    let none = server
        .get("/service-discovery/services/by-tag/none")
        .await
        .json();
    assert_eq!(none, json!({"services": {}, "total_services": 0}));
    server.stop().await;
}

#[tokio::test]
async fn health_data_is_the_body_or_its_text_or_nothing() {
    let server = as_in_the_examples().await;
    for (body, expected) in [
        ("all is well", json!({"body": "all is well"})),
        ("[1,2]", json!({"body": [1, 2]})),
        ("", json!({})),
    ] {
        server.probed("user-service", "localhost-8080", (200, body), None);
        server.clock.advance(std::time::Duration::from_secs(2));
        let health = server
            .get("/service-discovery/health/aggregated")
            .await
            .json();
        assert_eq!(health["services"]["user-service"]["health_data"], expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn discovering_takes_turns_over_the_rotation() {
    let server = start().await;
    for port in [81, 82, 83] {
        let body = format!(r#"{{"service_name":"web","host":"10.0.0.1","port":{port}}}"#);
        server.post("/service-discovery/register", &body).await;
    }
    server
        .report("web", "10.0.0.1-81", CheckState::Passing, "answered 200")
        .await;
    server
        .report("web", "10.0.0.1-83", CheckState::Passing, "answered 200")
        .await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let found = server.get("/service-discovery/discover/web").await.json();
        seen.push(found["base_url"].as_str().unwrap().to_owned());
    }
    let (first, second) = ("http://10.0.0.1:81", "http://10.0.0.1:83");
    assert_eq!(seen, [first, second, first, second]);
    server.stop().await;
}

#[tokio::test]
async fn an_untried_instance_is_answered_and_one_that_failed_is_not() {
    let server = start().await;
    server
        .post("/service-discovery/register", REGISTRATION)
        .await;
    let found = server
        .get("/service-discovery/discover/user-service")
        .await
        .json();
    assert_eq!(found["status"], "unknown");
    server.probed("user-service", "localhost-8080", (503, "no"), None);
    let problem = server
        .get("/service-discovery/discover/user-service")
        .await
        .problem(404);
    let expected = "Service user-service has no available instance; localhost-8080: check http has not passed \
                    yet; the latest try at 2024-01-15T10:30:00Z failed: answered 503";
    assert_eq!(problem["message"], expected);
    server.stop().await;
}

#[tokio::test]
async fn nobody_there_and_an_unknown_service_are_not_found() {
    let server = start().await;
    let unknown = server
        .get("/service-discovery/discover/web")
        .await
        .problem(404);
    assert_eq!(unknown["message"], "service web is not registered");
    server.register("web", "web-1").await;
    server.delete("/service-discovery/web/web-1").await;
    let empty = server
        .get("/service-discovery/discover/web")
        .await
        .problem(404);
    assert_eq!(empty["message"], "Service web has no instance");
    server.stop().await;
}

#[tokio::test]
async fn services_renew_and_leave() {
    let server = start().await;
    server
        .post("/service-discovery/register", REGISTRATION)
        .await;
    let by_id = r#"{"service_name":"user-service","instance_id":"localhost-8080"}"#;
    let by_place = r#"{"service_name":"user-service","host":"localhost","port":8080}"#;
    for body in [by_id, by_place] {
        let renewed = server.post("/service-discovery/heartbeat", body).await;
        let expected = json!({"success": true, "message": "Heartbeat updated successfully"});
        assert_eq!((renewed.status, renewed.json()), (200, expected));
    }
    let nothing = r#"{"service_name":"user-service"}"#;
    let problem = server
        .post("/service-discovery/heartbeat", nothing)
        .await
        .problem(422);
    assert_eq!(problem["field"], "instance_id");
    let left = server
        .delete("/service-discovery/user-service/localhost-8080")
        .await;
    let message = "Service user-service:localhost-8080 unregistered successfully";
    assert_eq!(
        (left.status, left.json()),
        (200, json!({"success": true, "message": message}))
    );
    let problem = server
        .post("/service-discovery/heartbeat", by_id)
        .await
        .problem(404);
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .ends_with("POST /service-discovery/register")
    );
    server
        .delete("/service-discovery/user-service/localhost-8080")
        .await
        .problem(404);
    server.stop().await;
}

#[tokio::test]
async fn an_empty_registry_is_healthy_and_one_without_a_healthy_service_is_not() {
    let server = start().await;
    let health = server
        .get("/service-discovery/health/aggregated")
        .await
        .json();
    assert_eq!(
        (&health["overall_status"], &health["total_services"]),
        (&json!("healthy"), &json!(0))
    );
    server.register("web", "web-1").await;
    let health = server
        .get("/service-discovery/health/aggregated")
        .await
        .json();
    assert_eq!(health["overall_status"], "unhealthy");
    server.stop().await;
}

#[tokio::test]
async fn services_that_are_named_like_the_paths_leave_too() {
    let server = start().await;
    for (service, id) in [
        ("discover", "x"),
        ("discover", "rack%2F1"),
        ("health", "aggregated"),
        ("health", "other"),
        ("services", "healthy"),
        ("services", "by-tag"),
    ] {
        let plain = id.replace("%2F", "/");
        server.register(service, &plain).await;
        let path = format!("/service-discovery/{service}/{id}");
        let left = server.delete(&path).await;
        let message = format!("Service {service}:{plain} unregistered successfully");
        assert_eq!(
            (left.status, left.json()),
            (200, json!({"success": true, "message": message}))
        );
        server.delete(&path).await.problem(404);
    }
    server.stop().await;
}
