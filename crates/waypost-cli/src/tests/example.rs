//! A server that answers as the contract says.

use serde_json::{Value, json};

use super::canned::{Canned, Reply};

/// Two instances of `web`: one in rotation, one out.
pub(super) fn instance(id: &str, is_in: bool) -> Value {
    let (health, tier, reason) = if is_in {
        ("Healthy", json!(0), "check http passes")
    } else {
        (
            "Unhealthy",
            json!("out"),
            "check http failed 3 times: connection refused (10.0.0.2:8080)",
        )
    };
    json!({
        "namespace": "svc.internal", "service": "web", "id": id, "owner": "",
        "ipv4": if is_in { "10.0.0.1" } else { "10.0.0.2" }, "ipv6": null, "hostname": null,
        "ports": [{"name": "default", "number": 8080, "protocol": "http", "path": null}],
        "attributes": {"version": "1.0.0"}, "tags": ["blue", "canary"], "weight": 1, "region": null,
        "zone": "a", "checks": [{"id": "http", "kind": "http", "path": "/health"}], "lease_seconds": 300,
        "registration_id": "r-1", "registered_at": "2026-11-01T11:00:00Z", "dialect": "rest",
        "health": health, "mode": "Active", "since": "2026-11-01T12:00:00Z", "in_rotation": is_in,
        "tier": tier, "reason": reason, "last_heartbeat": null, "last_probe": "2026-11-01T12:00:10Z",
        "load": 0.3, "revision": "1.7", "later": true
    })
}

pub(super) fn service(name: &str) -> Value {
    json!({
        "namespace": "svc.internal", "name": name, "id": "srv-abc", "description": "The shop's front",
        "origin": "implied", "fail_open": false, "remove_after_seconds": 300, "lease_seconds": null,
        "checks": [{"id": "alive", "kind": "tcp"}], "attributes": {}, "tags": ["blue"],
        "instances": {"total": 2, "in_rotation": 1, "healthy": 1, "warning": 0, "unknown": 0, "unhealthy": 1},
        "revision": "1.7"
    })
}

pub(super) fn explanation(is_in: bool) -> Value {
    let instance = instance("web-1", is_in);
    json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1", "owner": "", "in_rotation": is_in,
        "tier": instance["tier"], "reason": instance["reason"], "since": "2026-11-01T12:00:00.25Z",
        "health": instance["health"], "mode": "Active",
        "checks": [{
            "id": "http", "kind": "http", "target": "http://10.0.0.2:8080/health",
            "state": if is_in { "passing" } else { "failing" },
            "since": "2026-11-01T12:00:00Z", "reason": "connection refused",
            "last_probe": "2026-11-01T12:00:10Z",
            "last_answer": {"at": "2026-11-01T11:59:00Z", "status": 200, "body": "{\"status\":\"healthy\"}"},
            "last_failure": {
                "at": "2026-11-01T12:00:10Z", "reason": "connection refused", "status": null, "body": null
            }
        }],
        "lease": {
            "state": "running", "duration_seconds": 300.0, "last_heartbeat": "2026-11-01T12:00:02Z",
            "ends_in_seconds": 289.96, "since": "2026-11-01T11:00:00Z"
        },
        "history": [
            {"at": "2026-11-01T11:00:01Z", "from": "Unknown", "to": "Healthy", "reason": "check http passed", "body": null},
            {"at": "2026-11-01T12:00:00Z", "from": "Healthy", "to": "Unhealthy", "reason": "check http failed 3 times", "body": "not\nready"}
        ],
        "visible": [
            {"dialect": "rest", "where": "GET /v1/discover/web", "visible": is_in, "why": "tier out"},
            {"dialect": "rest", "where": "GET /v1/discovery/services/web", "visible": true, "why": "lists all instances"}
        ]
    })
}

pub(super) fn rotation(instances: &[Value]) -> Value {
    let tier = if instances.is_empty() {
        Value::Null
    } else {
        json!(0)
    };
    json!({"namespace": "svc.internal", "service": "web", "tier": tier, "instances": instances})
}

/// Answers every call as the contract says.
pub(super) async fn server() -> Canned {
    Canned::start(|seen| answer(&seen.call)).await
}

pub(super) fn answer(call: &str) -> Reply {
    let (method, path) = call.split_once(' ').expect("a method and a path");
    let path = path.split('?').next().expect("a path");
    let body = match (method, path) {
        ("DELETE", _) => return Reply::Bytes(204, Vec::new()),
        ("POST", _) => json!({"deadline_seconds": 299.94}),
        (_, path) if path.starts_with("/v1/discover/") => rotation(&[instance("web-1", true)]),
        (_, path) if path.starts_with("/v1/explain/") => explanation(true),
        (_, path) if path.ends_with("/services") => {
            json!({"namespace": "svc.internal", "services": [service("shop"), service("web")], "next": null})
        }
        (_, path) if path.ends_with("/instances") => json!({
            "namespace": "svc.internal", "service": "web", "next": null,
            "instances": [instance("web-1", true), instance("web-2", false)]
        }),
        (_, path) if path.contains("/instances/") => instance("web-1", true),
        _ => service("web"),
    };
    Reply::Json(200, body)
}
