//! What bad input gets: an error that names the field, the value and the rule.

use serde_json::json;

use crate::support::{Running, start};

const REGISTER: &str = "/v1/discovery/register";

fn registration(field: &str, value: &serde_json::Value) -> String {
    let mut body =
        json!({"service_name": "web", "instance_id": "web-1", "host": "localhost", "port": 8080});
    body[field] = value.clone();
    body.to_string()
}

/// Registers over source 003's path and returns status, field, value and rule of the refusal.
async fn refused(server: &Running, body: &str) -> (u64, String, String, String) {
    let answered = server.post(REGISTER, body).await;
    let problem = answered.problem(answered.status);
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (
        problem["status"].as_u64().unwrap(),
        text("field"),
        text("value"),
        text("rule"),
    )
}

#[tokio::test]
async fn wrong_values_name_field_value_and_rule() {
    let server = start().await;
    let long = "x".repeat(200);
    let shortened = format!("{}…", "x".repeat(80));
    let port = "must be a whole number from 1 to 65535";
    let visible = "must be visible ASCII without spaces or control characters";
    let host = "must be an IPv4 address, an IPv6 address or a host name";
    let path = "must start with / and be at most 2048 bytes of visible ASCII";
    for (field, value, shown, rule) in [
        ("port", json!(0), "0", port),
        ("port", json!(65_536), "65536", port),
        ("service_name", json!(""), "", "must not be empty"),
        (
            "service_name",
            json!(long),
            shortened.as_str(),
            "must be at most 127 bytes",
        ),
        ("service_name", json!("a\u{7}b"), "a\u{7}b", visible),
        ("service_name", json!("café"), "café", visible),
        ("service_name", json!("a  b"), "a  b", visible),
        ("instance_id", json!(""), "", "must not be empty"),
        (
            "instance_id",
            json!(long),
            shortened.as_str(),
            "must be at most 64 bytes",
        ),
        (
            "instance_id",
            json!("a%b"),
            "a%b",
            "may only contain 0-9 A-Z a-z _ / : . @ -",
        ),
        ("host", json!(""), "", host),
        ("host", json!("300.1.1.1"), "300.1.1.1", host),
        ("health_endpoint", json!("health"), "health", path),
        (
            "service_name",
            json!(["web"]),
            "[\"web\"]",
            "must be a string",
        ),
    ] {
        let expected = (422, field.to_owned(), shown.to_owned(), rule.to_owned());
        assert_eq!(
            refused(&server, &registration(field, &value)).await,
            expected
        );
    }
    assert_eq!(
        server.get("/v1/discovery/services").await.json(),
        json!({"services": {}})
    );
    server.stop().await;
}

#[tokio::test]
async fn attributes_over_a_limit_are_too_large_and_are_called_metadata() {
    let server = start().await;
    let many: serde_json::Map<_, _> = (0..31).map(|n| (format!("k{n}"), json!("v"))).collect();
    let (status, field, _, rule) = refused(&server, &registration("metadata", &json!(many))).await;
    assert_eq!(
        (status, field.as_str(), rule.as_str()),
        (413, "metadata", "at most 30 attributes")
    );
    let long = json!({"k": "v".repeat(1_025)});
    let (status, field, _, rule) = refused(&server, &registration("metadata", &long)).await;
    assert_eq!(
        (status, field.as_str(), rule.as_str()),
        (413, "metadata.k", "1025 bytes, at most 1024")
    );
    let sum: serde_json::Map<_, _> = (0..6)
        .map(|n| (format!("k{n}"), json!("v".repeat(1_000))))
        .collect();
    let (status, field, _, rule) = refused(&server, &registration("metadata", &json!(sum))).await;
    assert_eq!((status, field.as_str()), (413, "metadata"));
    assert_eq!(rule, "6012 bytes of keys and values, at most 5000");
    let control = json!({"k": "a\nb"});
    let (status, field, value, _) = refused(&server, &registration("metadata", &control)).await;
    assert_eq!(
        (status, field.as_str(), value.as_str()),
        (422, "metadata.k", "a\\nb")
    );
    server.stop().await;
}

#[tokio::test]
async fn unknown_fields_are_ignored_on_the_sources_paths_and_refused_on_ours() {
    let server = start().await;
    let body = registration("new_field", &json!({"deep": [1]}));
    assert_eq!(server.post(REGISTER, &body).await.status, 200);
    let body = r#"{"service_name":"web","host":"localhost","port":1,"new_field":1}"#;
    assert_eq!(
        server
            .post("/service-discovery/register", body)
            .await
            .status,
        200
    );
    let path = "/v1/namespaces/svc.internal/services/web/instances/web-2";
    let problem = server
        .put(path, r#"{"address":"localhost","new_field":7}"#)
        .await
        .problem(422);
    assert_eq!(
        (&problem["field"], &problem["value"]),
        (&json!("new_field"), &json!("7"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_too_large_with_and_without_its_length() {
    let server = start().await;
    let body = registration("x", &json!("y".repeat(1_100_000)));
    let problem = server.post(REGISTER, &body).await.problem(413);
    assert_eq!(problem["code"], "too_large");
    let mut chunked = format!(
        "POST {REGISTER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for chunk in body.as_bytes().chunks(50_000) {
        chunked.push_str(&format!(
            "{:x}\r\n{}\r\n",
            chunk.len(),
            std::str::from_utf8(chunk).unwrap()
        ));
    }
    chunked.push_str("0\r\n\r\n");
    let problem = server.exchange(chunked.as_bytes()).await.problem(413);
    assert_eq!(problem["code"], "too_large");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_json_is_a_bad_request() {
    let server = start().await;
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(32), "]".repeat(32));
    for (body, rule) in [
        (&b"{\"service_name\":\"\xff\xfe\"}"[..], "must be UTF-8"),
        (deep.as_bytes(), "must not nest deeper than 32 levels"),
        (b"", "must be a JSON object, and is empty"),
    ] {
        let problem = server.send("POST", REGISTER, "", body).await.problem(400);
        assert_eq!(
            (&problem["code"], &problem["rule"]),
            (&json!("invalid"), &json!(rule))
        );
    }
    let problem = server.post(REGISTER, "{nonsense").await.problem(400);
    assert!(
        problem["rule"]
            .as_str()
            .unwrap()
            .starts_with("must be JSON: ")
    );
    let problem = server.post(REGISTER, "[1]").await.problem(422);
    assert_eq!(problem["rule"], "must be a JSON object");
    server.stop().await;
}

#[tokio::test]
async fn bad_names_in_paths_are_named_too() {
    let server = start().await;
    let long = "x".repeat(128);
    for (method, path, field) in [
        (
            "GET",
            format!("/v1/discovery/services/{long}"),
            "service_name",
        ),
        (
            "GET",
            format!("/v1/discovery/services/{long}/healthy"),
            "service_name",
        ),
        (
            "GET",
            format!("/service-discovery/discover/{long}"),
            "service_name",
        ),
        (
            "GET",
            "/v1/discovery/services/a%20%20b".to_owned(),
            "service_name",
        ),
        (
            "GET",
            "/v1/discovery/services/caf%C3%A9".to_owned(),
            "service_name",
        ),
        (
            "DELETE",
            "/v1/discovery/unregister/web/a%0Ab".to_owned(),
            "instance_id",
        ),
        (
            "GET",
            "/v1/namespaces/a%20b/services".to_owned(),
            "namespace",
        ),
        ("GET", "/v1/namespaces?limit=0".to_owned(), "limit"),
        ("GET", "/v1/namespaces?limit=1001".to_owned(), "limit"),
        ("GET", "/v1/namespaces?limit=x".to_owned(), "limit"),
    ] {
        let problem = server.send(method, &path, "", b"").await.problem(422);
        assert_eq!(problem["field"], field, "{path}");
    }
    for path in [
        "/v1/discovery/services/%ff",
        "/v1/discovery/services/%zz",
        "/v1/namespaces?limit=%zz",
    ] {
        assert_eq!(
            server.get(path).await.problem(400)["code"],
            "invalid",
            "{path}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_as_well() {
    let server = start().await;
    server.get("/nowhere").await.problem(404);
    let problem = server.get(REGISTER).await;
    assert_eq!(problem.header("allow"), Some("POST, OPTIONS"));
    problem.problem(405);
    server.stop().await;
}
