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

#[tokio::test]
async fn everything_is_a_target_with_what_is_known_in_meta_labels() {
    let server = start().await;
    let web = "/v1/namespaces/svc.internal/services/web/instances/web-1";
    let body = json!({
        "ipv6": "2001:db8::1", "ports": [{"name": "http", "number": 80}, {"name": "metrics", "number": 9100}],
        "tags": ["blue", "a b"], "attributes": {"version": "1.2", "team.name": "x"}, "weight": 5, "zone": "z1", "region": "r1",
    });
    assert_eq!(server.put(web, &body.to_string()).await.status, 201);
    let other = "/v1/namespaces/other.internal/services/api/instances/a";
    let body = r#"{"address":"10.0.0.2","port":81}"#;
    assert_eq!(server.put(other, body).await.status, 201);
    let portless = "/v1/namespaces/other.internal/services/api/instances/b";
    assert_eq!(
        server
            .put(portless, r#"{"address":"10.0.0.3"}"#)
            .await
            .status,
        201
    );
    let all = server.get("/sd/prometheus").await;
    assert_eq!(all.header("content-type"), Some("application/json"));
    let all = all.json();
    assert_eq!(
        all.as_array().unwrap().len(),
        2,
        "one without a port is no target"
    );
    let expected = json!({
        "targets": ["[2001:db8::1]:9100"],
        "labels": {
            "__meta_waypost_namespace": "svc.internal", "__meta_waypost_service": "web",
            "__meta_waypost_instance_id": "web-1", "__meta_waypost_owner": "",
            "__meta_waypost_health": "Healthy", "__meta_waypost_mode": "Active", "__meta_waypost_tier": "0",
            "__meta_waypost_version": "1.2", "__meta_waypost_region": "r1", "__meta_waypost_zone": "z1",
            "__meta_waypost_port_name": "metrics", "__meta_waypost_weight": "5",
            "__meta_waypost_tags": ",a b,blue,",
            "__meta_waypost_tag_blue": "true", "__meta_waypost_tag_a_b": "true",
            "__meta_waypost_attribute_version": "1.2", "__meta_waypost_attribute_team_name": "x",
        }
    });
    assert_eq!(all[1], expected, "{all:#}");
    for (query, targets) in [
        ("service=web", json!(["[2001:db8::1]:9100"])),
        ("tag=blue", json!(["[2001:db8::1]:9100"])),
        ("service=web&port=http", json!(["[2001:db8::1]:80"])),
        ("namespace=other.internal", json!(["10.0.0.2:81"])),
        (
            "namespace=other.internal&service=api&service=web",
            json!(["10.0.0.2:81"]),
        ),
    ] {
        let found = server.get(&format!("/sd/prometheus?{query}")).await.json();
        assert_eq!(found[0]["targets"], targets, "{query}");
        assert_eq!(found.as_array().unwrap().len(), 1, "{query}");
    }
    for query in [
        "service=none",
        "tag=red",
        "namespace=none.internal",
        "tag=blue&namespace=other.internal",
    ] {
        let found = server.get(&format!("/sd/prometheus?{query}")).await;
        assert_eq!((found.status, found.body.as_str()), (200, "[]"), "{query}");
    }
    let problem = server.get("/sd/prometheus?services=web").await.problem(422);
    assert_eq!(problem["value"], "services");
    server.stop().await;
}
