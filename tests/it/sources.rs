//! The HTTP examples of sources 003 and 004, run as they are written.
//!
//! The JSON below is the sources' own text. Two things differ when it is run: the port is that of a real instance, so
//! that a check of it can pass, and times are those of the test, so that only their form is compared.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::connection::Answer;
use crate::server::{Server, Setup, eventually};
use crate::target::{Reply, Target};

/// Source 003, "Register a new service instance".
const REGISTER_003: &str = r#"{
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
const REGISTERED_003: &str = r#"{
    "success": true,
    "message": "Service game-service:game-1 registered successfully"
}"#;
const HEARTBEAT_003: &str = r#"{
    "service_name": "game-service",
    "instance_id": "game-1"
}"#;
const HEARTBEAT_TAKEN_003: &str = r#"{
    "success": true,
    "message": "Heartbeat updated successfully"
}"#;
const UNREGISTERED_003: &str = r#"{
    "success": true,
    "message": "Service unregistered successfully"
}"#;
const SERVICES_003: &str = r#"{
    "services": {
        "game-service": [
            {
                "service_name": "game-service",
                "instance_id": "game-1",
                "host": "localhost",
                "port": 8080,
                "health_endpoint": "/health",
                "status": "healthy",
                "last_health_check": "2024-01-15T10:30:00Z",
                "last_heartbeat": "2024-01-15T10:29:45Z",
                "load_percentage": 0.3,
                "metadata": {"version": "1.0.0"},
                "registered_at": "2024-01-15T10:00:00Z"
            }
        ]
    }
}"#;
const SERVICE_003: &str = r#"{
    "service_name": "game-service",
    "instances": [
        {
            "service_name": "game-service",
            "instance_id": "game-1",
            "host": "localhost",
            "port": 8080,
            "status": "healthy",
            "load_percentage": 0.3
        }
    ]
}"#;
const HEALTHY_003: &str = r#"{
    "service_name": "game-service",
    "healthy_instances": [
        {
            "service_name": "game-service",
            "instance_id": "game-1",
            "host": "localhost",
            "port": 8080,
            "status": "healthy",
            "load_percentage": 0.3
        }
    ]
}"#;
const TARGETS_003: &str = r#"[
    {
        "targets": ["localhost:8080"],
        "labels": {
            "instance": "game-1",
            "service_name": "game-service",
            "status": "healthy",
            "load_percentage": "0.3",
            "version": "1.0.0"
        }
    }
]"#;
const HEALTH_003: &str = r#"{
    "status": "healthy",
    "service": "service-discovery",
    "load_percentage": 0.0
}"#;
/// Source 003's `HealthCheckResult`, as its services answer.
const CHECK_RESULT_003: &str = r#"{
    "status": "healthy",
    "service": "game-service",
    "timestamp": "2024-01-15T10:30:00Z",
    "uptime_seconds": 1800.0,
    "load_percentage": 0.3,
    "custom_checks": null
}"#;

/// Source 004, "Service Registration".
const REGISTER_004: &str = r#"{
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
const DISCOVERED_004: &str = r#"{
  "service_name": "user-service",
  "base_url": "http://localhost:8080/api/v1",
  "status": "healthy"
}"#;
const AGGREGATED_004: &str = r#"{
  "overall_status": "healthy",
  "timestamp": "2025-05-23T18:10:00Z",
  "services": {
    "user-service": {
      "status": "healthy",
      "endpoint": "http://localhost:8080/api/v1",
      "last_heartbeat": "2025-05-23T18:09:45Z",
      "health_data": {
        "status": "healthy",
        "uptime": 3600,
        "memory_usage": "45%"
      }
    }
  },
  "total_services": 5,
  "healthy_services": 4,
  "unhealthy_services": 1
}"#;
/// What the service of that example answers to its check.
const HEALTH_DATA_004: &str = r#"{"status": "healthy", "uptime": 3600, "memory_usage": "45%"}"#;
const HEALTH_004: &str = r#"{
  "status": "healthy",
  "service_discovery": {
    "overall_status": "healthy",
    "total_services": 5,
    "healthy_services": 4,
    "unhealthy_services": 1
  }
}"#;

/// An example with the port of the running instance.
fn example(text: &str, target: &Target) -> Value {
    let port = target.port().to_string();
    serde_json::from_str(&text.replace("8080", &port)).unwrap()
}

/// Checks an answer against an example: the same fields with the same values, times by their form.
///
/// Answers may have more fields than the example, which the sources' clients skip; lists have the same length.
fn like(example: &Value, found: &Value, place: &str) -> Result<(), String> {
    match (example, found) {
        (Value::Object(fields), Value::Object(others)) => {
            fields.iter().try_for_each(|(name, value)| {
                let place = format!("{place}.{name}");
                let other = others.get(name).ok_or(format!("{place} is missing"))?;
                like(value, other, &place)
            })
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            let pairs = items.iter().zip(others).enumerate();
            pairs
                .into_iter()
                .try_for_each(|(at, (item, other))| like(item, other, &format!("{place}[{at}]")))
        }
        (Value::String(text), Value::String(other)) if text.parse::<Timestamp>().is_ok() => {
            let is_utc = other.ends_with('Z') && other.parse::<Timestamp>().is_ok();
            is_utc
                .then_some(())
                .ok_or(format!("{place} is no time in UTC: {other}"))
        }
        _ if example == found => Ok(()),
        _ => Err(format!("{place} is {found}, not {example}")),
    }
}

fn assert_like(example: &Value, found: &Value) {
    if let Err(why) = like(example, found, "answer") {
        panic!("{why}\nexample: {example:#}\nfound: {found:#}");
    }
}

fn is_json(answer: Answer) -> Value {
    let answer = answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// Asks until the answer is like the example: what a probe sees shows within a second.
fn becomes_like(server: &Server, path: &str, example: &Value) -> Value {
    let mut told = String::new();
    eventually(&format!("GET {path} becomes like its example"), || {
        let found = is_json(server.get(path));
        let difference = like(example, &found, "answer").err();
        // The test's output is shown when it fails.
        if let Some(why) = difference.as_ref().filter(|why| **why != told) {
            eprintln!("{why}");
            told.clone_from(why);
        }
        difference.is_none().then_some(found)
    })
}

/// Fast checks for instances of the sources' paths.
fn fast() -> Setup {
    Setup::new()
        .env("WAYPOST__REST__CHECK_INTERVAL_SECONDS", "1")
        .env("WAYPOST__REST__CHECK_UNHEALTHY_INTERVAL_SECONDS", "1")
        .env("WAYPOST__REST__CHECK_UNHEALTHY_AFTER", "1")
}

/// Brings a server into the state of source 003's examples of discovery.
fn game_service(server: &Server) -> Target {
    let target = Target::replying(Reply::Answer(200, CHECK_RESULT_003.to_owned()));
    let mut registration = example(REGISTER_003, &target);
    // The instance of those examples has no environment.
    registration["metadata"] = json!({ "version": "1.0.0" });
    is_json(server.post("/v1/discovery/register", &registration));
    let beat = example(HEARTBEAT_003, &target);
    is_json(server.post("/v1/discovery/heartbeat", &beat));
    target
}

#[test]
fn source_003_registers_beats_and_leaves_with_the_answers_of_its_examples() {
    let server = Server::start();
    let target = Target::start();
    let registered = server.post("/v1/discovery/register", &example(REGISTER_003, &target));
    assert_eq!(is_json(registered), example(REGISTERED_003, &target));
    let beaten = server.post("/v1/discovery/heartbeat", &example(HEARTBEAT_003, &target));
    assert_eq!(is_json(beaten), example(HEARTBEAT_TAKEN_003, &target));

    let stored = server.get("/v1/discovery/services/game-service");
    let metadata = &is_json(stored)["instances"][0]["metadata"];
    assert_eq!(*metadata, example(REGISTER_003, &target)["metadata"]);

    let path = "/v1/discovery/unregister/game-service/game-1";
    assert_eq!(
        is_json(server.delete(path)),
        example(UNREGISTERED_003, &target)
    );
    let again = server.delete(path).expect(404).json();
    assert_eq!(again["success"], false);
    let beaten = server.post("/v1/discovery/heartbeat", &example(HEARTBEAT_003, &target));
    let refused = beaten.expect(404).json();
    assert_eq!(refused["success"], false);
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("/v1/discovery/register"), "{message}");
}

#[test]
fn source_003_lists_services_as_its_example_does() {
    let server = fast().start();
    let target = game_service(&server);
    let expected = example(SERVICES_003, &target);
    let found = becomes_like(&server, "/v1/discovery/services", &expected);
    // This example is the whole of its `ServiceInstance`: there is nothing else in an instance.
    let names = |value: &Value| -> Vec<String> {
        let instance = &value["services"]["game-service"][0];
        instance.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&found), names(&expected));
}

#[test]
fn source_003_shows_one_service_and_its_healthy_instances_as_its_examples_do() {
    let server = fast().start();
    let target = game_service(&server);
    let path = "/v1/discovery/services/game-service";
    becomes_like(&server, path, &example(SERVICE_003, &target));
    let healthy = format!("{path}/healthy");
    becomes_like(&server, &healthy, &example(HEALTHY_003, &target));

    target.reply(Reply::Answer(500, String::new()));
    let nobody = json!({ "service_name": "game-service", "healthy_instances": [] });
    becomes_like(&server, &healthy, &nobody);
    let shown = is_json(server.get(path));
    assert_eq!(shown["instances"][0]["status"], "unhealthy");
    let unknown = server.get("/v1/discovery/services/nobody").expect(404);
    assert_eq!(unknown.json()["success"], false);
}

#[test]
fn source_003_gives_prometheus_exactly_the_targets_of_its_example() {
    let server = fast().start();
    let target = game_service(&server);
    let path = "/v1/discovery/services/game-service/instances";
    let expected = example(TARGETS_003, &target);
    assert_eq!(becomes_like(&server, path, &expected), expected);
    let unknown = server.get("/v1/discovery/services/nobody/instances");
    assert_eq!(is_json(unknown), json!([]));
}

#[test]
fn health_has_the_fields_of_both_sources() {
    let server = fast().start();
    let health = is_json(server.get("/health"));
    assert_like(&serde_json::from_str(HEALTH_003).unwrap(), &health);

    let mut targets = Vec::new();
    for name in ["one", "two", "three", "four"] {
        targets.push(Target::start());
        register_004(&server, name, &targets[targets.len() - 1]);
    }
    let failing = Target::replying(Reply::Answer(503, String::new()));
    register_004(&server, "five", &failing);
    let expected: Value = serde_json::from_str(HEALTH_004).unwrap();
    let health = becomes_like(&server, "/health", &expected);
    assert_like(&serde_json::from_str(HEALTH_003).unwrap(), &health);
    let overall = &expected["service_discovery"];
    let aggregated = is_json(server.get("/service-discovery/health/aggregated"));
    assert_like(overall, &aggregated);
}

/// Registers a service as source 004's example does, under another name.
fn register_004(server: &Server, name: &str, target: &Target) {
    let mut registration = example(REGISTER_004, target);
    registration["service_name"] = json!(name);
    is_json(server.post("/service-discovery/register", &registration));
}

#[test]
fn source_004_registers_and_discovers_as_its_examples_do() {
    let server = fast().start();
    let target = Target::start();
    let registration = example(REGISTER_004, &target);
    let registered = is_json(server.post("/service-discovery/register", &registration));
    assert_eq!(registered["success"], true);
    assert_eq!(registered["service_name"], "user-service");
    let id = format!("localhost-{}", target.port());
    assert_eq!(registered["instance_id"], id);

    let path = "/service-discovery/discover/user-service";
    let expected = example(DISCOVERED_004, &target);
    assert_eq!(becomes_like(&server, path, &expected), expected);

    let beat = json!({ "service_name": "user-service", "instance_id": id });
    let beaten = is_json(server.post("/service-discovery/heartbeat", &beat));
    assert_eq!(beaten["success"], true);
    let leave = format!("/service-discovery/user-service/{id}");
    assert_eq!(is_json(server.delete(&leave))["success"], true);
    assert_eq!(server.delete(&leave).expect(404).json()["success"], false);
    let gone = server.get(path).expect(404).json();
    assert_eq!(gone["success"], false);
}

#[test]
fn source_004_discovers_in_turns_what_is_healthy_or_was_never_found_wanting() {
    let server = Setup::new()
        .env("WAYPOST__HEALTH__ENABLED", "false")
        .start();
    let targets = [Target::start(), Target::start()];
    for target in &targets {
        let registration = example(REGISTER_004, target);
        is_json(server.post("/service-discovery/register", &registration));
    }
    let mut urls = Vec::new();
    for _ in 0..4 {
        let found = is_json(server.get("/service-discovery/discover/user-service"));
        assert_eq!(found["status"], "unknown");
        urls.push(found["base_url"].as_str().unwrap().to_owned());
    }
    assert_ne!(urls[0], urls[1]);
    assert_eq!(urls[..2], urls[2..]);
}

#[test]
fn source_004_aggregates_health_as_its_example_does() {
    let server = fast().start();
    let target = Target::replying(Reply::Answer(200, HEALTH_DATA_004.to_owned()));
    let registration = example(REGISTER_004, &target);
    is_json(server.post("/service-discovery/register", &registration));
    let mut expected = example(AGGREGATED_004, &target);
    expected["total_services"] = json!(1);
    expected["healthy_services"] = json!(1);
    expected["unhealthy_services"] = json!(0);
    let path = "/service-discovery/health/aggregated";
    let found = becomes_like(&server, path, &expected);
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&found), names(&expected));
    let service = |value: &Value| names(&value["services"]["user-service"]);
    assert_eq!(service(&found), service(&expected));

    target.reply(Reply::Answer(503, String::new()));
    let nobody = json!({
        "overall_status": "unhealthy", "total_services": 1, "healthy_services": 0, "unhealthy_services": 1,
    });
    let found = becomes_like(&server, path, &nobody);
    assert_eq!(found["services"]["user-service"]["status"], "unhealthy");
}

#[test]
fn source_004_lists_all_services_the_healthy_ones_and_those_with_a_tag() {
    let server = fast().start();
    let target = Target::replying(Reply::Answer(200, HEALTH_DATA_004.to_owned()));
    let registration = example(REGISTER_004, &target);
    is_json(server.post("/service-discovery/register", &registration));
    let failing = Target::replying(Reply::Answer(503, String::new()));
    let mut other = example(REGISTER_004, &failing);
    other["service_name"] = json!("billing");
    other["tags"] = json!(["money"]);
    is_json(server.post("/service-discovery/register", &other));

    let mut shown = example(AGGREGATED_004, &target)["services"].clone();
    shown["user-service"]["tags"] = json!(["api", "user", "web"]);
    let only = json!({ "services": shown, "total_services": 1 });
    for path in ["services/healthy", "services/by-tag/api"] {
        let found = becomes_like(&server, &format!("/service-discovery/{path}"), &only);
        assert_eq!(found["services"].as_object().unwrap().len(), 1, "{path}");
    }
    let mut both = only.clone();
    both["services"]["billing"] = json!({ "status": "unhealthy", "tags": ["money"] });
    both["total_services"] = json!(2);
    becomes_like(&server, "/service-discovery/services", &both);
    let nothing = is_json(server.get("/service-discovery/services/by-tag/nothing"));
    assert_eq!(nothing["services"], json!({}));
}
