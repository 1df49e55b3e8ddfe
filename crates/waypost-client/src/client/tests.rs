//! The client against a real server on a socket.

mod changes;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::canned::{Canned, Reply};
use crate::transport::LONGEST_ANSWER_BYTES;
use crate::wire::DiscoveryRegistration;
use crate::{Client, ClientBuilder, ErrorKind, InstanceRef, Registration, Secret, ServiceSettings};

fn instance() -> Value {
    json!({"namespace": "svc.internal", "service": "web", "id": "web-1"})
}

fn service() -> Value {
    json!({"namespace": "svc.internal", "name": "web"})
}

fn builder(server: &Canned) -> ClientBuilder {
    Client::builder(&server.url)
}

fn client(server: &Canned) -> Client {
    builder(server).build().expect("a client")
}

fn web_1() -> InstanceRef {
    InstanceRef::new("web", "web-1")
}

/// Answers what each path of the contract answers.
fn contract(call: &str) -> Reply {
    let (method, path) = call.split_once(' ').expect("a method and a path");
    let path = path.split('?').next().expect("a path");
    match (method, path) {
        ("DELETE", _) => Reply::Bytes(204, Vec::new()),
        ("GET", "/health") => Reply::Json(200, json!({"status": "healthy", "extra": 1})),
        ("GET", "/v1/namespaces") => Reply::Json(200, json!({"namespaces": [{"name": "a"}]})),
        ("POST", path) if path.starts_with("/v1/discovery/") => {
            Reply::Json(200, json!({"success": true, "message": "done"}))
        }
        ("POST", _) => Reply::Json(200, json!({"deadline_seconds": 299.9})),
        ("GET", path) if path.starts_with("/v1/explain/") => {
            let mut explanation = instance();
            explanation["in_rotation"] = json!(true);
            Reply::Json(200, explanation)
        }
        ("GET", path) if path.starts_with("/v1/discover/") => Reply::Json(
            200,
            json!({"namespace": "n", "service": "web", "tier": 0, "instances": [instance()]}),
        ),
        ("GET", path) if path.ends_with("/services") => Reply::Json(
            200,
            json!({"namespace": "n", "services": [service()], "next": null}),
        ),
        ("GET", path) if path.ends_with("/instances") => {
            Reply::Json(200, json!({"instances": [instance()], "next": null}))
        }
        (_, path) if path.contains("/instances/") => Reply::Json(200, instance()),
        _ => Reply::Json(201, service()),
    }
}

#[tokio::test]
async fn calls_about_an_instance_take_the_contracts_path() {
    let server = Canned::start(|seen| contract(&seen.call)).await;
    let client = builder(&server)
        .namespace("shop")
        .build()
        .expect("a client");
    let owned = web_1().owned_by("node/a");
    let registration = Registration::at("10.0.0.1", 8080);
    client
        .register(&owned, &registration)
        .await
        .expect("registered");
    client.instance(&web_1()).await.expect("an instance");
    client
        .heartbeat(&web_1(), Some("r-1"), Some(0.3))
        .await
        .expect("a heartbeat");
    client.deregister(&owned).await.expect("deregistered");
    client.explain(&owned).await.expect("an explanation");
    assert_eq!(
        server.calls(),
        [
            "PUT /v1/namespaces/shop/services/web/instances/web-1?owner=node%2Fa",
            "GET /v1/namespaces/shop/services/web/instances/web-1",
            "POST /v1/namespaces/shop/services/web/instances/web-1/heartbeat",
            "DELETE /v1/namespaces/shop/services/web/instances/web-1?owner=node%2Fa",
            "GET /v1/explain/web/web-1?namespace=shop&owner=node%2Fa",
        ]
    );
    let seen = server.seen();
    assert_eq!(seen[0].body, json!({"address": "10.0.0.1", "port": 8080}));
    assert_eq!(seen[2].body, json!({"registration_id": "r-1", "load": 0.3}));
}

#[tokio::test]
async fn calls_about_services_take_the_contracts_path() {
    let server = Canned::start(|seen| contract(&seen.call)).await;
    let client = builder(&server)
        .namespace("shop")
        .build()
        .expect("a client");
    client.namespaces().await.expect("namespaces");
    client.services().await.expect("services");
    client
        .in_namespace("other")
        .service("web")
        .await
        .expect("a service");
    let settings = ServiceSettings {
        fail_open: Some(true),
        ..ServiceSettings::default()
    };
    client
        .put_service("web", &settings)
        .await
        .expect("a service");
    client.delete_service("web").await.expect("deleted");
    client.instances("web").await.expect("instances");
    client.discover("web").await.expect("a rotation");
    assert_eq!(client.health().await.expect("health").more["extra"], 1);
    assert_eq!(
        server.calls(),
        [
            "GET /v1/namespaces",
            "GET /v1/namespaces/shop/services",
            "GET /v1/namespaces/other/services/web",
            "PUT /v1/namespaces/shop/services/web",
            "DELETE /v1/namespaces/shop/services/web",
            "GET /v1/namespaces/shop/services/web/instances",
            "GET /v1/discover/web?namespace=shop",
            "GET /health",
        ]
    );
    assert_eq!(server.seen()[3].body, json!({"fail_open": true}));
}

#[tokio::test]
async fn source_003s_calls_take_its_paths_and_bodies() {
    let server = Canned::start(|seen| contract(&seen.call)).await;
    let client = client(&server);
    let discovery = DiscoveryRegistration {
        service_name: "web".into(),
        instance_id: "web-1".into(),
        host: "10.0.0.1".into(),
        port: 8080,
        health_endpoint: "/health".into(),
        metadata: BTreeMap::from([("version".into(), "1".into())]),
    };
    client
        .discovery_register(&discovery)
        .await
        .expect("registered");
    client
        .discovery_heartbeat("web", "web-1")
        .await
        .expect("a heartbeat");
    client
        .discovery_unregister("web", "web-1")
        .await
        .expect("unregistered");
    assert_eq!(
        server.calls(),
        [
            "POST /v1/discovery/register",
            "POST /v1/discovery/heartbeat",
            "DELETE /v1/discovery/unregister/web/web-1",
        ]
    );
    assert_eq!(
        server.seen()[0].body,
        json!({
            "service_name": "web", "instance_id": "web-1", "host": "10.0.0.1", "port": 8080,
            "health_endpoint": "/health", "metadata": {"version": "1"}
        })
    );
    assert_eq!(
        server.seen()[1].body,
        json!({"service_name": "web", "instance_id": "web-1"})
    );
}

#[tokio::test]
async fn a_name_stays_one_segment_whatever_it_contains() {
    let server = Canned::always(Reply::Json(200, instance())).await;
    let odd = InstanceRef::new("a b/c?d#e%", "zone/1:8080@x");
    client(&server).instance(&odd).await.expect("an instance");
    assert_eq!(
        server.calls(),
        [
            "GET /v1/namespaces/svc.internal/services/a%20b%2Fc%3Fd%23e%25/instances/zone%2F1%3A8080%40x"
        ]
    );
}

#[tokio::test]
async fn a_name_that_would_be_another_path_is_not_sent() {
    let server = Canned::always(Reply::Json(200, service())).await;
    for name in ["", ".", ".."] {
        let error = client(&server).service(name).await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("service"), "{error}");
    }
    assert_eq!(server.calls(), [""; 0]);
}

#[tokio::test]
async fn a_listing_follows_its_pages() {
    let server = Canned::start(|seen| {
        let (name, next) = match seen.index {
            0 => ("a", json!("a")),
            1 => ("b", json!("b&c")),
            _ => ("d", Value::Null),
        };
        Reply::Json(
            200,
            json!({"services": [{"namespace": "n", "name": name}], "next": next}),
        )
    })
    .await;
    let services = client(&server).services().await.expect("services");
    let names: Vec<_> = services.into_iter().map(|service| service.name).collect();
    assert_eq!(names, ["a", "b", "d"]);
    assert_eq!(
        server.calls(),
        [
            "GET /v1/namespaces/svc.internal/services",
            "GET /v1/namespaces/svc.internal/services?after=a",
            "GET /v1/namespaces/svc.internal/services?after=b%26c",
        ]
    );
}

#[tokio::test]
async fn a_listing_that_does_not_advance_is_an_error() {
    let server = Canned::always(Reply::Json(200, json!({"services": [], "next": "a"}))).await;
    let error = client(&server).services().await.expect_err("it never ends");
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn each_status_has_its_kind_and_the_problem_comes_along() {
    for (status, kind) in [
        (400, ErrorKind::Usage),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Conflict),
        (413, ErrorKind::Usage),
        (422, ErrorKind::Usage),
        (429, ErrorKind::Failed),
        (500, ErrorKind::Failed),
        (503, ErrorKind::Failed),
        (504, ErrorKind::Timeout),
        (302, ErrorKind::Failed),
    ] {
        let problem = json!({
            "type": "about:blank", "title": "t", "status": status, "detail": "port is wrong",
            "success": false, "message": "port is wrong", "code": "invalid",
            "field": "port", "value": 0, "rule": "1 to 65535",
            "errors": [{"field": "port", "value": "0", "rule": "1 to 65535"}]
        });
        let server = Canned::always(Reply::Json(status, problem)).await;
        let error = client(&server).service("web").await.expect_err("a refusal");
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.to_string(), "port is wrong");
        let problem = error.problem().expect("the server's words");
        assert_eq!(problem.status, status);
        assert_eq!(problem.code, "invalid");
        assert_eq!(problem.field.as_deref(), Some("port"));
        assert_eq!(problem.value.as_deref(), Some("0"));
        assert_eq!(problem.rule.as_deref(), Some("1 to 65535"));
        assert_eq!(problem.errors.len(), 1);
        assert_eq!(server.calls().len(), 1, "an answer is final");
    }
}

#[tokio::test]
async fn an_answer_of_something_else_is_quoted() {
    let page = b"\n<html>Bad Gateway</html>\nmore".to_vec();
    let server = Canned::always(Reply::Bytes(502, page.clone())).await;
    let error = client(&server)
        .service("web")
        .await
        .expect_err("a proxy's page");
    assert_eq!(
        error.to_string(),
        "the server answered 502 Bad Gateway: <html>Bad Gateway</html>"
    );
    let server = Canned::always(Reply::Bytes(200, page)).await;
    let error = client(&server).service("web").await.expect_err("a page");
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("not understood"), "{error}");
}

#[tokio::test]
async fn retry_after_comes_along() {
    let server = Canned::always(Reply::WithHeader(429, "retry-after", "7")).await;
    let error = client(&server).service("web").await.expect_err("throttled");
    assert_eq!(
        error.problem().expect("a problem").retry_after_seconds,
        Some(7)
    );
}

#[tokio::test]
async fn the_token_is_sent_and_never_shown() {
    let server = Canned::always(Reply::Json(200, service())).await;
    let builder = builder(&server).token(Secret::new("s3cret-token"));
    assert!(!format!("{builder:?}").contains("s3cret"), "{builder:?}");
    let client = builder.build().expect("a client");
    client.service("web").await.expect("a service");
    assert_eq!(
        server.seen()[0].authorization.as_deref(),
        Some("Bearer s3cret-token")
    );
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
    assert_eq!(format!("{:?}", Secret::new("s3cret")), "***");
}

#[test]
fn a_token_that_cannot_be_sent_is_refused_without_repeating_it() {
    for token in ["", "two words", "line\nbreak", "ünïcode"] {
        let builder = Client::builder("http://host").token(Secret::new(token));
        let error = builder.build().expect_err("an unusable token");
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            token.is_empty() || !error.to_string().contains(token),
            "{error}"
        );
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let builder = || Client::builder("http://host");
    let empty = builder().namespace("").build().expect_err("no namespace");
    assert!(empty.to_string().contains("namespace"), "{empty}");
    let zero = builder()
        .timeout(Duration::ZERO)
        .build()
        .expect_err("no time");
    assert!(zero.to_string().contains("timeout"), "{zero}");
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout() {
    let server = Canned::always(Reply::Never).await;
    let client = builder(&server)
        .timeout(Duration::from_millis(200))
        .build()
        .expect("a client");
    let error = client.service("web").await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("within 0.2 s"), "{error}");
    assert_eq!(
        server.calls().len(),
        1,
        "a slow answer is not asked for twice"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = Client::builder(address.to_string())
        .build()
        .expect("a client");
    let error = client.service("web").await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(
        error.to_string(),
        format!("cannot reach http://{address}: connection refused")
    );
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    for broken in [Reply::HangUp, Reply::Cut] {
        let server = Canned::start(move |seen| match seen.index {
            0 | 1 => broken.clone(),
            _ => Reply::Json(200, service()),
        })
        .await;
        client(&server)
            .service("web")
            .await
            .expect("the third attempt");
        assert_eq!(server.calls().len(), 3);
    }
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = Canned::always(Reply::HangUp).await;
    let client = builder(&server).attempts(2).build().expect("a client");
    let error = client.service("web").await.expect_err("it never works");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_is_done_when_nothing_is_there() {
    let server = Canned::start(|seen| match seen.index {
        0 => Reply::HangUp,
        _ => Reply::Json(404, json!({"detail": "not there"})),
    })
    .await;
    client(&server)
        .deregister(&web_1())
        .await
        .expect("the first attempt removed it");
    let server = Canned::always(Reply::Json(404, json!({"detail": "not there"}))).await;
    let error = client(&server)
        .deregister(&web_1())
        .await
        .expect_err("it was never there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_answer_over_the_bound_is_an_error_and_not_repeated() {
    let server = Canned::always(Reply::Bytes(200, vec![b' '; LONGEST_ANSWER_BYTES + 1])).await;
    let client = builder(&server)
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client");
    let error = client.service("web").await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(
        error.to_string().contains("longer than 67108864 bytes"),
        "{error}"
    );
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_well_says_so() {
    let answer = json!({"status": "unhealthy", "service": "waypost"});
    let server = Canned::always(Reply::Json(503, answer)).await;
    assert_eq!(
        client(&server).health().await.expect("its health").status,
        "unhealthy"
    );
    let server = Canned::always(Reply::Json(401, json!({"detail": "no"}))).await;
    let error = client(&server).health().await.expect_err("no health");
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn the_servers_clock_is_known_from_its_answers() {
    let server = Canned::always(Reply::Json(200, service())).await;
    let client = client(&server);
    assert_eq!(client.server_time(), None);
    client.service("web").await.expect("a service");
    let time = client.server_time().expect("the Date header");
    assert_eq!(httpdate::fmt_http_date(time), crate::canned::NOW);
}

#[test]
fn an_instance_is_named_by_service_and_id() {
    let named: InstanceRef = "web/zone/1".parse().expect("a name");
    assert_eq!(named, InstanceRef::new("web", "zone/1"));
    for wrong in ["web", "web/", "/web-1", ""] {
        assert!(wrong.parse::<InstanceRef>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_given_also_when_it_is_not_ready() {
    let server = Canned::start(|seen| match &*seen.call {
        "GET /readyz?verbose" => Reply::Bytes(503, b"[-]serving failed: it stops\n".to_vec()),
        "GET /metrics" => Reply::Bytes(200, b"waypost_services 2\n".to_vec()),
        _ => Reply::Json(200, json!({"status": "healthy", "version": "1.2.3"})),
    })
    .await;
    let client = client(&server);
    assert_eq!(
        client.ready().await.unwrap(),
        "[-]serving failed: it stops\n"
    );
    assert_eq!(client.metrics().await.unwrap(), "waypost_services 2\n");
    let health = client.health().await.unwrap();
    assert_eq!(health.version.as_deref(), Some("1.2.3"));
}

#[tokio::test]
async fn a_listing_that_is_not_wanted_whole_is_not_read_whole() {
    let server = Canned::start(|_| {
        let names = json!([{"name": "a"}, {"name": "b"}]);
        Reply::Json(200, json!({"namespaces": names, "next": "b"}))
    })
    .await;
    let found: Vec<Value> = client(&server)
        .list_at_most(crate::Resource::Namespaces, 1)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(server.calls().len(), 1);
}
