//! The wire types against the examples of the contract.

use serde_json::{Value, json};

use super::*;

fn instance() -> Value {
    json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1", "owner": "",
        "ipv4": "10.0.0.1", "ipv6": null, "hostname": null,
        "ports": [{"name": "default", "number": 8080, "protocol": "http", "path": "/"}],
        "attributes": {"version": "1.0.0"}, "tags": ["blue"], "weight": 1, "region": null, "zone": "a",
        "checks": [{
            "id": "http", "kind": "http", "path": "/health", "method": "GET", "headers": {"x": "y"},
            "expected_status": "200-299", "port": "default", "interval_seconds": 30,
            "unhealthy_interval_seconds": 5, "timeout_seconds": 5, "unhealthy_after": 3, "healthy_after": 2
        }],
        "lease_seconds": 300, "registration_id": "r-1", "registered_at": "2026-11-01T12:00:00Z",
        "dialect": "rest", "health": "Healthy", "mode": "Active", "since": "2026-11-01T12:00:00Z",
        "in_rotation": true, "tier": 0, "reason": "check http passes", "last_heartbeat": null,
        "last_probe": "2026-11-01T12:00:10Z", "load": 0.3, "revision": "1.7"
    })
}

fn service() -> Value {
    json!({
        "namespace": "svc.internal", "name": "web", "id": "srv-abc", "description": "",
        "origin": "implied", "fail_open": false, "remove_after_seconds": 300, "lease_seconds": null,
        "checks": [], "dns": {"routing": "Weighted", "records": [{"type": "A", "ttl_seconds": 3}]},
        "dns_ttl_seconds": 3, "attributes": {}, "tags": [],
        "instances": {"total": 3, "in_rotation": 2, "healthy": 1, "warning": 1, "unknown": 0, "unhealthy": 1},
        "revision": "1.7"
    })
}

fn explanation() -> Value {
    json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1", "owner": "", "in_rotation": false,
        "tier": "out", "reason": "check http failed 3 times", "since": "2026-11-01T12:00:00Z",
        "health": "Unhealthy", "checked_health": "Healthy", "mode": "Draining",
        "overrides": {
            "mode": {"mode": "Draining", "by_process": false, "reason": "new disks", "author": "ann",
                "since": "2026-11-01T12:00:00Z", "until": null},
            "weight": {"weight": 9, "reason": "", "author": "ann", "since": "2026-11-01T12:00:00Z",
                "until": "2026-11-01T13:00:00Z"},
            "health": {"health": "Unhealthy", "reason": "", "author": "bob", "since": "2026-11-01T12:00:00Z",
                "until": null},
            "block": null
        },
        "checks": [{
            "id": "http", "kind": "http", "target": "http://10.0.0.1:8080/health", "state": "failing",
            "since": "2026-11-01T12:00:00Z", "reason": "status 503", "last_probe": "2026-11-01T12:00:10Z",
            "for_seconds": null, "dependencies": [{"name": "redis", "state": "failing", "detail": "refused"}],
            "last_answer": {"at": "2026-11-01T12:00:10Z", "status": 503, "body": "no"},
            "last_failure": {"at": "2026-11-01T12:00:10Z", "reason": "status 503", "status": 503, "body": "no"}
        }],
        "lease": {
            "state": "running", "duration_seconds": 300.0, "last_heartbeat": "2026-11-01T12:00:00Z",
            "ends_in_seconds": 12.3, "since": "2026-11-01T12:00:00Z"
        },
        "history": [{
            "at": "2026-11-01T12:00:00Z", "from": "Healthy", "to": "Unhealthy", "reason": "check http", "body": null
        }],
        "visible": [{
            "dialect": "rest", "where": "GET /v1/discovery/services/web/healthy", "visible": false, "why": "Unhealthy"
        }]
    })
}

/// Reads `example` and writes it again.
fn again<T: serde::de::DeserializeOwned + serde::Serialize>(example: &Value) -> Value {
    let typed: T = serde_json::from_value(example.clone()).expect("the example is understood");
    serde_json::to_value(typed).expect("it can be written")
}

#[test]
fn every_field_of_the_contracts_objects_is_understood() {
    assert_eq!(again::<Instance>(&instance()), instance());
    assert_eq!(again::<Service>(&service()), service());
    assert_eq!(again::<Explanation>(&explanation()), explanation());
    let discovery = json!({
        "namespace": "svc.internal", "service": "web", "tier": 0, "instances": [instance()]
    });
    assert_eq!(again::<Discovery>(&discovery), discovery);
    let namespace = json!({
        "name": "svc.internal", "id": "ns-1", "kind": "Http", "description": "", "soa_ttl_seconds": 30,
        "services": 2, "revision": "1.2"
    });
    assert_eq!(again::<Namespace>(&namespace), namespace);
    let health = json!({"status": "healthy", "service": "waypost", "load_percentage": 0.0});
    assert_eq!(again::<ServerHealth>(&health), health);
    let health = json!({"status": "healthy", "service": "waypost", "version": "1.2.3"});
    assert_eq!(again::<ServerHealth>(&health), health);
}

#[test]
fn fields_of_a_later_server_do_not_disturb() {
    let later = |mut example: Value| {
        example["later"] = json!({"anything": [1, 2]});
        example
    };
    assert_eq!(again::<Instance>(&later(instance())), instance());
    assert_eq!(again::<Service>(&later(service())), service());
    assert_eq!(again::<Explanation>(&later(explanation())), explanation());
}

#[test]
fn an_answer_as_sent_keeps_its_text_to_the_byte() {
    let mut example = instance();
    example["later"] = json!(true);
    let text = example
        .to_string()
        .replace("\"weight\":1", "\"weight\" : 1");
    let sent: AsSent<Instance> = serde_json::from_str(&text).expect("it is understood");
    assert_eq!(sent.value.weight, 1);
    assert_eq!(
        serde_json::to_string(&sent).expect("it can be written"),
        text
    );
}

#[test]
fn an_answer_without_an_identity_is_refused() {
    for field in ["namespace", "service", "id"] {
        let mut example = instance();
        example.as_object_mut().expect("an object").remove(field);
        let error = serde_json::from_value::<Instance>(example).expect_err("it has no identity");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn words_of_a_later_server_are_kept() {
    for (word, known) in [("\"Healthy\"", true), ("\"Recovering\"", false)] {
        let health: Health = serde_json::from_str(word).expect("a word");
        assert_eq!(!matches!(health, Health::Other(_)), known);
        assert_eq!(serde_json::to_string(&health).expect("a word"), word);
    }
}

#[test]
fn a_tier_is_a_number_or_a_word() {
    let cases = [
        ("0", Tier::Number(0)),
        ("2", Tier::Number(2)),
        ("\"fail_open\"", Tier::FailOpen),
        ("\"out\"", Tier::Out),
        ("\"reserve\"", Tier::Other("reserve".into())),
    ];
    for (text, tier) in cases {
        assert_eq!(serde_json::from_str::<Tier>(text).expect("a tier"), tier);
        assert_eq!(serde_json::to_string(&tier).expect("a tier"), text);
    }
    let nobody = json!({"namespace": "n", "service": "s", "tier": null, "instances": []});
    assert_eq!(
        serde_json::from_value::<Discovery>(nobody)
            .expect("empty")
            .tier,
        None
    );
}

#[test]
fn a_registration_says_only_what_was_set() {
    let mut registration = Registration::at("10.0.0.1", 8080);
    assert_eq!(
        serde_json::to_value(&registration).expect("it can be written"),
        json!({"address": "10.0.0.1", "port": 8080})
    );
    let slow = Check {
        timeout_seconds: Some(0.5),
        interval_seconds: Some(10.0),
        ..Check::tcp()
    };
    registration.checks = vec![Check::http("/health"), slow];
    registration.lease_seconds = Some(30);
    assert_eq!(
        serde_json::to_value(&registration).expect("it can be written"),
        json!({
            "address": "10.0.0.1", "port": 8080, "lease_seconds": 30,
            "checks": [
                {"id": "http", "kind": "http", "path": "/health"},
                {"id": "tcp", "kind": "tcp", "interval_seconds": 10, "timeout_seconds": 0.5}
            ]
        })
    );
}

#[test]
fn an_address_prefers_ipv4_and_brackets_ipv6() {
    let mut shown: Instance = serde_json::from_value(instance()).expect("the example");
    assert_eq!(shown.address().as_deref(), Some("10.0.0.1:8080"));
    shown.ipv4 = None;
    shown.ipv6 = Some("fd00::1".into());
    assert_eq!(shown.address().as_deref(), Some("[fd00::1]:8080"));
    shown.ports.clear();
    assert_eq!(shown.address().as_deref(), Some("fd00::1"));
    shown.ipv6 = None;
    assert_eq!(shown.address(), None);
}
