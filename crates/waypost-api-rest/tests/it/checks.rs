//! Checks that can never pass are refused with field, value and rule; others come back as they were sent.

use serde_json::{Value, json};

use crate::support::start;

const SERVICE: &str = "/v1/namespaces/shop.internal/services/cart";
const INSTANCE: &str = "/v1/namespaces/shop.internal/services/cart/instances/a";

fn instance(check: &Value) -> String {
    json!({"address": "10.0.0.1", "checks": [check]}).to_string()
}

/// A check that can never pass, with the field, the value and the rule of its refusal.
type Refused = (Value, &'static str, &'static str, &'static str);

const FOREIGN: &str = "is not a field of this kind of check";

fn https(tls: &Value) -> Value {
    json!({"id": "c", "kind": "https", "tls": tls})
}

fn wrong_values() -> Vec<Refused> {
    vec![
        (
            https(&json!({"server_name": "a:443"})),
            "checks.c.tls.server_name",
            "a:443",
            "must be a host name or an address, without a port",
        ),
        (
            https(&json!({"ca_pem": "x", "insecure": true})),
            "checks.c.tls.ca_pem",
            "1 bytes",
            "must not be given with insecure, which takes any certificate",
        ),
        (
            https(&json!({"profile": "../key"})),
            "checks.c.tls.profile",
            "../key",
            "must be 1 to 64 letters, digits, hyphens and underscores",
        ),
        (
            json!({"id": "c", "kind": "grpc", "service": ""}),
            "checks.c.service",
            "",
            "must be a name of 1 to 256 visible ASCII characters; leave it out to ask about the whole server",
        ),
        (
            json!({"id": "c", "kind": "https", "method": "CONNECT"}),
            "checks.c.method",
            "CONNECT",
            "must be a method that asks for an answer: not CONNECT, not TRACE",
        ),
    ]
}

fn fields_of_another_kind() -> Vec<Refused> {
    vec![
        (
            json!({"id": "c", "kind": "grpc", "path": "/"}),
            "checks.c.path",
            "",
            FOREIGN,
        ),
        (
            json!({"id": "c", "kind": "grpc", "expected_status": "200"}),
            "checks.c.expected_status",
            "",
            FOREIGN,
        ),
        (
            json!({"id": "c", "kind": "https", "service": "a"}),
            "checks.c.service",
            "",
            FOREIGN,
        ),
        (
            json!({"id": "c", "kind": "http", "tls": {}}),
            "checks.c.tls",
            "",
            FOREIGN,
        ),
        (
            json!({"id": "c", "kind": "tcp", "tls": {}}),
            "checks.c.tls",
            "",
            FOREIGN,
        ),
    ]
}

#[tokio::test]
async fn a_check_that_can_never_pass_is_refused_with_field_value_and_rule() {
    let server = start().await;
    for (check, field, value, rule) in [wrong_values(), fields_of_another_kind()].concat() {
        let bodies = [
            (INSTANCE, instance(&check)),
            (SERVICE, json!({"checks": [check]}).to_string()),
        ];
        for (path, body) in bodies {
            let problem = server.put(path, &body).await.problem(422);
            assert_eq!(
                (&problem["field"], &problem["value"], &problem["rule"]),
                (&json!(field), &json!(value), &json!(rule)),
                "{body}"
            );
        }
    }
    // Nothing of all that was made.
    server.get(SERVICE).await.problem(404);
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_long_or_not_known_in_tls_is_refused() {
    let server = start().await;
    let with = |tls: Value| instance(&json!({"id": "c", "kind": "https", "tls": tls}));
    let long = with(json!({"ca_pem": "x".repeat(64 * 1_024 + 1)}));
    let problem = server.put(INSTANCE, &long).await.problem(413);
    assert_eq!(problem["field"], "checks.c.tls.ca_pem");
    for (tls, field) in [
        (json!({"verify": false}), "checks[0].tls.verify"),
        (json!({"insecure": "yes"}), "checks[0].tls.insecure"),
        (json!([]), "checks[0].tls"),
        (json!("insecure"), "checks[0].tls"),
    ] {
        let problem = server.put(INSTANCE, &with(tls)).await.problem(422);
        assert_eq!(problem["field"], field);
    }
    server.stop().await;
}

#[tokio::test]
async fn checks_with_tls_come_back_as_they_were_sent() {
    let server = start().await;
    let common = json!({"interval_seconds": 30, "unhealthy_interval_seconds": 5, "timeout_seconds": 5,
        "unhealthy_after": 3, "healthy_after": 2});
    let whole = |check: Value| {
        let mut fields = common.as_object().unwrap().clone();
        fields.extend(check.as_object().unwrap().clone());
        Value::Object(fields)
    };
    let request = json!({"path": "/up", "method": "GET", "expected_status": "200-299"});
    let https = |id: &str, tls: Value| {
        let mut fields = request.as_object().unwrap().clone();
        fields.insert("id".to_owned(), id.into());
        fields.insert("kind".to_owned(), "https".into());
        fields.insert("tls".to_owned(), tls);
        whole(Value::Object(fields))
    };
    let sent = json!({"address": "10.0.0.1", "port": 443, "checks": [
        https("by-ca", json!({"server_name": "shop.example", "ca_pem": "-----BEGIN CERTIFICATE-----"})),
        https("by-profile", json!({"profile": "edge", "insecure": true})),
        https("by-system", json!({})),
        whole(json!({"id": "plain", "kind": "grpc"})),
        whole(json!({"id": "named", "kind": "grpc", "service": "shop.v1.Cart", "tls": {"server_name": "::1"}})),
    ]});
    let put = server.put(INSTANCE, &sent.to_string()).await;
    assert_eq!(put.status, 201, "{put:?}");
    for shown in [put.json(), server.get(INSTANCE).await.json()] {
        assert_eq!(shown["checks"], sent["checks"]);
    }
    // What was shown may be sent again, and changes nothing.
    let again = json!({"address": "10.0.0.1", "port": 443, "checks": put.json()["checks"]});
    let again = server.put(INSTANCE, &again.to_string()).await.json();
    assert_eq!(again["revision"], put.json()["revision"]);
    let explained = server
        .get("/v1/explain/cart/a?namespace=shop.internal")
        .await
        .json();
    let targets: Vec<&str> = explained["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["target"].as_str().unwrap())
        .collect();
    let expected = [
        "https://10.0.0.1:443/up",
        "https://10.0.0.1:443/up",
        "https://10.0.0.1:443/up",
        "grpc://10.0.0.1:443/",
        "grpcs://10.0.0.1:443/shop.v1.Cart",
    ];
    assert_eq!(targets, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_list_in_place_of_an_object_is_refused() {
    let server = start().await;
    for (path, body, field) in [
        (
            INSTANCE,
            json!({"address": "10.0.0.1", "ports": [["http", 80]]}),
            "ports[0]",
        ),
        (
            INSTANCE,
            json!({"address": "10.0.0.1", "checks": [["c", "tcp"]]}),
            "checks[0]",
        ),
        (
            INSTANCE,
            json!({"address": "10.0.0.1", "checks": [null]}),
            "checks[0]",
        ),
        (SERVICE, json!({"checks": [["c", "tcp"]]}), "checks[0]"),
        (SERVICE, json!({"dns": ["Weighted", []]}), "dns"),
        (
            SERVICE,
            json!({"dns": {"routing": "Weighted", "records": [["A", 5]]}}),
            "dns.records[0]",
        ),
    ] {
        let problem = server.put(path, &body.to_string()).await.problem(422);
        assert_eq!(problem["field"], field, "{body}");
    }
    server.get(SERVICE).await.problem(404);
    server.stop().await;
}
