//! What Prometheus' HTTP service discovery needs; one refused label would blind it for every target.

use serde_json::json;

use crate::support::start;

#[tokio::test]
async fn an_unknown_service_has_no_targets() {
    let server = start().await;
    let targets = server.get("/v1/discovery/services/none/instances").await;
    assert_eq!((targets.status, targets.body.as_str()), (200, "[]"));
    assert_eq!(targets.header("content-type"), Some("application/json"));
    server.stop().await;
}

#[tokio::test]
async fn odd_metadata_becomes_legal_labels_and_ipv6_stands_in_brackets() {
    let server = start().await;
    let body = r#"{"service_name":"web","instance_id":"web-1","host":"2001:db8::1","port":80,
        "metadata":{"a-b":"1","a.b":"2","instance":"x","9":"y","__name__":"z","ü":"u"}}"#;
    assert_eq!(
        server.post("/v1/discovery/register", body).await.status,
        200
    );
    let targets = server
        .get("/v1/discovery/services/web/instances")
        .await
        .json();
    let expected = json!([{
        "targets": ["[2001:db8::1]:80"],
        "labels": {
            "instance": "web-1", "service_name": "web", "status": "unknown", "load_percentage": "0.0",
            "a_b": "1", "a_b_2": "2", "instance_2": "x", "_9": "y", "attribute__name__": "z", "_": "u"
        }
    }]);
    assert_eq!(targets, expected);
    server.stop().await;
}

#[tokio::test]
async fn an_instance_without_a_port_is_no_target_and_has_port_0_in_the_sources_objects() {
    let server = start().await;
    server.register("web", "web-1").await;
    let path = "/v1/namespaces/svc.internal/services/web/instances/web-2";
    let put = server.put(path, r#"{"address":"10.0.0.2"}"#).await;
    assert_eq!(put.status, 201);
    let targets = server
        .get("/v1/discovery/services/web/instances")
        .await
        .json();
    assert_eq!(targets.as_array().unwrap().len(), 1);
    assert_eq!(targets[0]["targets"], json!(["10.0.0.7:8080"]));
    let shown = server.get("/v1/discovery/services/web").await.json();
    assert_eq!(shown["instances"][1]["port"], 0);
    server.stop().await;
}
