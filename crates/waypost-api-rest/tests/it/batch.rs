//! Several registrations, removals or heartbeats in one request.

use serde_json::{Value, json};

use crate::support::{start, start_with, with_secret};

fn item(service: &str, id: &str) -> Value {
    json!({"service": service, "id": id, "registration": {"address": "10.0.0.1", "port": 8080, "lease_seconds": 30}})
}

#[tokio::test]
async fn every_item_has_its_result_in_order_and_fails_alone() {
    let server = start().await;
    let mut bad = item("web", "web-2");
    bad["registration"]["weight"] = json!(-1);
    let mut twice = item("web", "web-3");
    twice["registration"]["ipv4"] = json!("10.0.0.9");
    let mut elsewhere = item("cart", "cart-1");
    elsewhere["namespace"] = json!("shop.internal");
    elsewhere["owner"] = json!("node/a");
    let body = json!({"items": [
        item("web", "web-1"), bad, twice, elsewhere, item("web", "web-1"), item("web", "bad id"), 7,
        {"service": "web", "id": "web-4", "registration": {"address": "10.0.0.4"}, "colour": "blue"},
    ]});
    let answer = server.post("/v1/batch/register", &body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["failed"], 5);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [201, 422, 422, 201, 200, 422, 422, 422]);
    let shown = server
        .get("/v1/namespaces/svc.internal/services/web/instances/web-1")
        .await
        .json();
    assert_eq!(results[0]["outcome"], "created");
    assert_eq!(results[0]["registration_id"], shown["registration_id"]);
    assert_eq!(results[4]["outcome"], "unchanged");
    let fields: Vec<&Value> = results
        .iter()
        .filter_map(|result| result["problem"].get("field"))
        .collect();
    let expected = [
        "registration.weight",
        "registration.address",
        "id",
        "body",
        "colour",
    ];
    assert_eq!(fields, expected);
    let listed = server
        .get("/v1/namespaces/shop.internal/services/cart/instances/cart-1?owner=node/a")
        .await;
    assert_eq!(listed.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn an_atomic_batch_with_one_bad_item_changes_nothing_and_names_it() {
    let server = start().await;
    server.register("web", "web-1").await;
    let revision = server.snapshots.revision();
    let mut bad = item("web", "web-3");
    bad["registration"]["weight"] = json!(70_000);
    let unfit = json!({"atomic": true, "items": [item("web", "web-2"), bad]});
    let mut conflicting = item("web", "web-4");
    conflicting["service"] = json!("no.dns_label-");
    let refused = json!({"atomic": true, "items": [item("web", "web-2"), conflicting]});
    let gone = json!({"atomic": true, "items": [
        {"service": "web", "id": "web-1"}, {"service": "web", "id": "nobody"}]});
    for (path, body, status, named) in [
        ("register", &unfit, 422, "item 1: "),
        (
            "register",
            &refused,
            422,
            "item 1 (no.dns_label-.svc.internal/web-4): ",
        ),
        (
            "deregister",
            &gone,
            404,
            "item 1 (web.svc.internal/nobody): ",
        ),
    ] {
        let answer = server
            .post(&format!("/v1/batch/{path}"), &body.to_string())
            .await;
        let problem = answer.problem(status);
        assert_eq!(problem["item"], 1);
        let message = problem["message"].as_str().unwrap();
        assert!(message.starts_with(named), "{message}");
        assert_eq!(server.snapshots.revision(), revision, "{path}");
    }
    let answer = server.post("/v1/batch/register", &unfit.to_string()).await;
    assert_eq!(answer.problem(422)["field"], "items[1].registration.weight");
    server.stop().await;
}

#[tokio::test]
async fn an_atomic_batch_is_one_revision_and_tells_every_outcome() {
    let server = start().await;
    server.register("cart", "cart-1").await;
    let revision = server.snapshots.revision();
    let items: Vec<Value> = (0..40)
        .map(|at| item("web", &format!("web-{at}")))
        .collect();
    let body = json!({"atomic": true, "items": items}).to_string();
    let answer = server.post("/v1/batch/register", &body).await.json();
    assert_eq!(answer["failed"], 0);
    assert!(
        answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["status"] == 201)
    );
    assert_eq!(server.snapshots.revision().0, revision.0 + 1);
    let again = server.post("/v1/batch/register", &body).await.json();
    assert_eq!(again["results"][39]["outcome"], "unchanged");
    assert_eq!(server.snapshots.revision().0, revision.0 + 1);
    let removals: Vec<Value> = (0..40)
        .map(|at| json!({"service": "web", "id": format!("web-{at}")}))
        .collect();
    let body = json!({"atomic": true, "items": removals}).to_string();
    let answer = server.post("/v1/batch/deregister", &body).await.json();
    assert_eq!(
        answer["results"][0],
        json!({"status": 204, "outcome": "removed"})
    );
    assert_eq!(server.snapshots.latest().instances_len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_registrations_are_renewed_and_removed_in_one_request_each() {
    let server = start().await;
    let items: Vec<Value> = (0..1_000)
        .map(|at| item("web", &format!("web-{at}")))
        .collect();
    let body = json!({"items": items}).to_string();
    let answer = server.post("/v1/batch/register", &body).await.json();
    assert_eq!(answer["failed"], 0, "{answer}");
    assert_eq!(server.snapshots.latest().instances_len(), 1_000);
    let mut signs: Vec<Value> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, result)| {
            let id = &result["registration_id"];
            json!({"service": "web", "id": format!("web-{at}"), "registration_id": id, "load": 0.5})
        })
        .collect();
    signs.push(json!({"service": "web", "id": "nobody"}));
    signs.push(json!({"service": "web", "id": "web-1", "registration_id": "0000000000000001"}));
    signs.push(json!({"service": "web", "id": "web-1", "load": 2}));
    let body = json!({"items": signs}).to_string();
    let answer = server.post("/v1/batch/heartbeat", &body).await.json();
    assert_eq!(answer["failed"], 3);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(
        (&results[0]["outcome"], &results[0]["deadline_seconds"]),
        (&json!("renewed"), &json!(30.0))
    );
    let statuses: Vec<&Value> = results[1_000..].iter().map(|it| &it["status"]).collect();
    assert_eq!(statuses, [404, 409, 422]);
    let message = results[1_000]["problem"]["message"].as_str().unwrap();
    assert!(message.ends_with("register it again"), "{message}");
    let removals: Vec<Value> = (0..1_000)
        .map(|at| json!({"service": "web", "id": format!("web-{at}")}))
        .collect();
    let body = json!({"items": removals}).to_string();
    let answer = server.post("/v1/batch/deregister", &body).await.json();
    assert_eq!(answer["failed"], 0);
    let again = server.post("/v1/batch/deregister", &body).await.json();
    assert_eq!(again["failed"], 1_000);
    assert_eq!(server.snapshots.latest().instances_len(), 0);
    server.stop().await;
}

#[tokio::test]
async fn batches_that_are_too_long_or_no_batches_are_refused_whole() {
    let server = start().await;
    let many = |count: usize| vec![json!({"service": "w", "id": "w"}); count];
    for (path, body, status, field) in [
        ("deregister", json!({"items": many(1_001)}), 413, "items"),
        (
            "deregister",
            json!({"items": many(41), "atomic": true}),
            413,
            "items",
        ),
        ("heartbeat", json!({"items": many(10_001)}), 413, "items"),
        (
            "heartbeat",
            json!({"items": [], "atomic": true}),
            422,
            "atomic",
        ),
        ("register", json!({"items": 5}), 422, "items"),
        ("register", json!({}), 422, "items"),
        ("register", json!({"items": [], "colour": 1}), 422, "colour"),
    ] {
        let answer = server
            .post(&format!("/v1/batch/{path}"), &body.to_string())
            .await;
        assert_eq!(answer.problem(status)["field"], field, "{path}");
    }
    server
        .post("/v1/batch/register", "{\"items\":[")
        .await
        .problem(400);
    for path in ["register", "heartbeat", "deregister"] {
        let answer = server
            .post(&format!("/v1/batch/{path}"), r#"{"items":[]}"#)
            .await;
        assert_eq!(answer.json(), json!({"failed": 0, "results": []}));
    }
    server.stop().await;
}

#[tokio::test]
async fn ten_thousand_heartbeats_fit_into_one_request() {
    let server = start().await;
    server
        .post(
            "/v1/batch/register",
            &json!({"items": [item("web", "web-1")]}).to_string(),
        )
        .await;
    let signs = vec![json!({"service": "web", "id": "web-1"}); 10_000];
    let body = json!({"items": signs}).to_string();
    let answer = server.post("/v1/batch/heartbeat", &body).await.json();
    assert_eq!(answer["failed"], 0);
    assert_eq!(answer["results"].as_array().unwrap().len(), 10_000);
    server.stop().await;
}

#[tokio::test]
async fn what_a_token_does_not_allow_fails_for_its_items_only() {
    let server = start_with(with_secret(true)).await;
    let body = json!({"items": [item("web", "web-1")]}).to_string();
    server.post("/v1/batch/register", &body).await.problem(401);
    let header = format!("Authorization: Bearer {}\r\n", crate::support::TOKEN);
    let scoped = json!({"name": "web-only", "grants": [
        {"verbs": ["register", "read"], "namespaces": "*", "services": "web"}]});
    let token = server
        .send("POST", "/v1/tokens", &header, scoped.to_string().as_bytes())
        .await;
    assert_eq!(token.status, 201, "{token:?}");
    let token = token.json()["secret"].as_str().unwrap().to_owned();
    let header = format!("Authorization: Bearer {token}\r\n");
    let body = json!({"items": [item("web", "web-1"), item("cart", "cart-1")]}).to_string();
    let answer = server
        .send("POST", "/v1/batch/register", &header, body.as_bytes())
        .await
        .json();
    assert_eq!(answer["results"][0]["status"], 201, "{answer}");
    assert_eq!(answer["results"][1]["status"], 403);
    let body = json!({"atomic": true, "items": [item("web", "web-2"), item("cart", "cart-1")]});
    let refused = server
        .send(
            "POST",
            "/v1/batch/register",
            &header,
            body.to_string().as_bytes(),
        )
        .await;
    assert_eq!(refused.problem(403)["item"], 1);
    server.stop().await;
}
