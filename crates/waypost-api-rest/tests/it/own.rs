//! Our own paths.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use waypost_core::{
    Access, Addresses, Check, CheckId, CheckKind, CheckState, Command, Dialect, InstanceId,
    RegistrationSpec, ServiceChange, ServiceKey,
};

use crate::support::start;

const SERVICE: &str = "/v1/namespaces/shop.internal/services/cart";
const INSTANCE: &str = "/v1/namespaces/shop.internal/services/cart/instances/cart-1";
const REGISTRATION: &str = r#"{
    "address": "10.0.0.1", "port": 8080, "attributes": {"version": "2"}, "tags": ["blue", "api"], "weight": 5,
    "zone": "a", "lease_seconds": 30,
    "checks": [{"id": "web", "kind": "http", "path": "/up", "timeout_seconds": 0.5, "expected_status": "204"}]
}"#;

#[tokio::test]
async fn an_instance_is_put_shown_renewed_and_deleted() {
    let server = start().await;
    let put = server.put(INSTANCE, REGISTRATION).await;
    assert_eq!(put.status, 201, "{put:?}");
    let id = put.json()["registration_id"].as_str().unwrap().to_owned();
    let mut shown = server.get(INSTANCE).await.json();
    assert_eq!(shown, put.json());
    let revision = shown["revision"].take();
    assert!(revision.as_str().unwrap().starts_with("00000000000000a1."));
    let expected = json!({
        "namespace": "shop.internal", "service": "cart", "id": "cart-1", "owner": "",
        "ipv4": "10.0.0.1", "ipv6": null, "hostname": null,
        "ports": [{"name": "default", "number": 8080, "protocol": "http", "path": ""}],
        "attributes": {"version": "2"}, "tags": ["api", "blue"], "weight": 5, "region": null, "zone": "a",
        "checks": [{
            "id": "web", "kind": "http", "path": "/up", "method": "GET", "expected_status": "204",
            "interval_seconds": 30, "unhealthy_interval_seconds": 5, "timeout_seconds": 0.5,
            "unhealthy_after": 3, "healthy_after": 2
        }],
        "lease_seconds": 30, "registration_id": id, "registered_at": "2024-01-15T10:30:00Z", "dialect": "rest",
        "health": "Unknown", "mode": "Active", "since": "2024-01-15T10:30:00Z", "in_rotation": false, "tier": "out",
        "reason": "check web has not passed yet; never checked since it was registered at 2024-01-15T10:30:00Z",
        "last_heartbeat": "2024-01-15T10:30:00Z", "last_probe": null, "load": null, "revision": null
    });
    assert_eq!(shown, expected);
    let beat = server.post(&format!("{INSTANCE}/heartbeat"), "").await;
    assert_eq!(
        (beat.status, beat.json()),
        (200, json!({"deadline_seconds": 30.0}))
    );
    let body = format!(r#"{{"registration_id":"{id}","load":0.25}}"#);
    assert_eq!(
        server
            .post(&format!("{INSTANCE}/heartbeat"), &body)
            .await
            .status,
        200
    );
    server.clock.advance(Duration::from_secs(2));
    assert_eq!(server.get(INSTANCE).await.json()["load"], 0.25);
    let deleted = server.delete(INSTANCE).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    server.delete(INSTANCE).await.problem(404);
    server.get(INSTANCE).await.problem(404);
    let problem = server
        .post(&format!("{INSTANCE}/heartbeat"), "{}")
        .await
        .problem(404);
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .ends_with("register it again with PUT")
    );
    server.stop().await;
}

#[tokio::test]
async fn the_same_content_is_no_new_registration_and_other_content_is() {
    let server = start().await;
    let first = server.put(INSTANCE, REGISTRATION).await.json();
    let again = server.put(INSTANCE, REGISTRATION).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["registration_id"], first["registration_id"]);
    assert_eq!(again.json()["revision"], first["revision"]);
    let other = server
        .put(INSTANCE, r#"{"address":"10.0.0.2","port":8080}"#)
        .await;
    assert_eq!(other.status, 200);
    assert_ne!(other.json()["registration_id"], first["registration_id"]);
    let body = json!({"registration_id": first["registration_id"]}).to_string();
    let problem = server
        .post(&format!("{INSTANCE}/heartbeat"), &body)
        .await
        .problem(409);
    assert_eq!(problem["code"], "conflict");
    server.stop().await;
}

#[tokio::test]
async fn a_service_is_put_shown_and_deleted_when_it_is_empty() {
    let server = start().await;
    let settings = r#"{"description":"carts","fail_open":true,"lease_seconds":60,"remove_after_seconds":10,
        "checks":[{"id":"beat","kind":"heartbeat","within_seconds":15}],"attributes":{"team":"shop"},"tags":["x","k=v"]}"#;
    let put = server.put(SERVICE, settings).await;
    assert_eq!(put.status, 201, "{put:?}");
    let mut shown = server.get(SERVICE).await.json();
    assert!(shown["id"].take().as_str().unwrap().starts_with("srv-"));
    shown["revision"].take();
    let expected = json!({
        "namespace": "shop.internal", "name": "cart", "id": null, "description": "carts", "origin": "explicit",
        "fail_open": true, "remove_after_seconds": 10, "lease_seconds": 60,
        "checks": [{"id": "beat", "kind": "heartbeat", "within_seconds": 15, "unhealthy_after": 3, "healthy_after": 2}],
        "dns": null, "dns_ttl_seconds": 10, "attributes": {"team": "shop"}, "tags": ["k=v", "x"],
        "instances": {"total": 0, "in_rotation": 0, "healthy": 0, "warning": 0, "unknown": 0, "unhealthy": 0},
        "revision": null
    });
    assert_eq!(shown, expected);
    let changed = server
        .put(SERVICE, r#"{"fail_open":false,"lease_seconds":null}"#)
        .await;
    assert_eq!(
        (changed.status, &changed.json()["description"]),
        (200, &json!("carts"))
    );
    assert_eq!(changed.json()["lease_seconds"], json!(null));
    server.put(INSTANCE, r#"{"address":"10.0.0.1"}"#).await;
    assert_eq!(server.delete(SERVICE).await.problem(409)["code"], "in_use");
    server.delete(INSTANCE).await;
    assert_eq!(server.delete(SERVICE).await.status, 204);
    server.get(SERVICE).await.problem(404);
    server.stop().await;
}

#[tokio::test]
async fn an_instance_without_a_lease_of_its_own_has_the_services() {
    let server = start().await;
    server.put(SERVICE, r#"{"lease_seconds":45}"#).await;
    let put = server
        .put(INSTANCE, r#"{"address":"10.0.0.1"}"#)
        .await
        .json();
    assert_eq!(put["lease_seconds"], 45);
    assert_eq!(put["reason"], "no check configured");
    server.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = start().await;
    for id in ["b", "a", "c"] {
        let path = format!("/v1/namespaces/shop.internal/services/{id}/instances/{id}");
        assert_eq!(
            server
                .put(&path, r#"{"address":"10.0.0.1","port":1}"#)
                .await
                .status,
            201
        );
        let path = format!("/v1/namespaces/shop.internal/services/a/instances/{id}-1");
        server
            .put(&path, r#"{"address":"10.0.0.1","port":1}"#)
            .await;
    }
    let list = "/v1/namespaces/shop.internal/services";
    let names = |page: &serde_json::Value, list: &str, name: &str| -> Vec<String> {
        page[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it[name].as_str().unwrap().to_owned())
            .collect()
    };
    let page = server.get(&format!("{list}?limit=2")).await.json();
    assert_eq!(
        (names(&page, "services", "name"), &page["next"]),
        (vec!["a".to_owned(), "b".to_owned()], &json!("b"))
    );
    let page = server.get(&format!("{list}?limit=2&after=b")).await.json();
    assert_eq!(
        (names(&page, "services", "name"), &page["next"]),
        (vec!["c".to_owned()], &json!(null))
    );
    let page = server
        .get(&format!("{list}/a/instances?limit=1"))
        .await
        .json();
    assert_eq!(names(&page, "instances", "id"), ["a"]);
    let next = page["next"].as_str().unwrap();
    let page = server
        .get(&format!("{list}/a/instances?limit=3&after={next}"))
        .await
        .json();
    assert_eq!(names(&page, "instances", "id"), ["a-1", "b-1", "c-1"]);
    assert_eq!(page["next"], json!(null));
    let all = server.get("/v1/namespaces").await.json();
    assert_eq!(names(&all, "namespaces", "name"), ["shop.internal"]);
    assert_eq!(
        (
            &all["namespaces"][0]["services"],
            &all["namespaces"][0]["kind"]
        ),
        (&json!(3), &json!("PrivateDns"))
    );
    server
        .get("/v1/namespaces/none.internal/services")
        .await
        .problem(404);
    server
        .get(&format!("{list}/none/instances"))
        .await
        .problem(404);
    server.stop().await;
}

#[tokio::test]
async fn two_owners_of_one_id_are_told_apart() {
    let server = start().await;
    let body = r#"{"address":"10.0.0.1","port":1}"#;
    for owner in ["node/a", "node/b"] {
        assert_eq!(
            server
                .put(&format!("{INSTANCE}?owner={owner}"), body)
                .await
                .status,
            201
        );
    }
    let problem = server.get(INSTANCE).await.problem(409);
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .contains("node/a, node/b")
    );
    let path = format!("{SERVICE}/instances?limit=1");
    let page = server.get(&path).await.json();
    let next = page["next"].as_str().unwrap();
    let page = server.get(&format!("{path}&after={next}")).await.json();
    assert_eq!(page["instances"][0]["owner"], "node/b");
    assert_eq!(
        server
            .delete(&format!("{INSTANCE}?owner=node/a"))
            .await
            .status,
        204
    );
    assert_eq!(server.get(INSTANCE).await.json()["owner"], "node/b");
    server.stop().await;
}

#[tokio::test]
async fn the_rotation_says_its_tier() {
    let server = start().await;
    server.get("/v1/discover/web").await.problem(404);
    server.register("web", "web-1").await;
    let empty = server.get("/v1/discover/web").await.json();
    let expected =
        json!({"namespace": "svc.internal", "service": "web", "tier": null, "instances": []});
    assert_eq!(empty, expected);
    server
        .report("web", "web-1", CheckState::Passing, "answered 200")
        .await;
    let fit = server
        .get("/v1/discover/web?namespace=svc.internal")
        .await
        .json();
    assert_eq!(
        (&fit["tier"], &fit["instances"][0]["tier"]),
        (&json!(0), &json!(0))
    );
    server
        .report("web", "web-1", CheckState::Failing, "answered 500")
        .await;
    server
        .put(
            "/v1/namespaces/svc.internal/services/web",
            r#"{"fail_open":true}"#,
        )
        .await;
    let open = server.get("/v1/discover/web").await.json();
    assert_eq!(
        (&open["tier"], &open["instances"][0]["health"]),
        (&json!("fail_open"), &json!("Unhealthy"))
    );
    server.stop().await;
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let server = start().await;
    for (body, field) in [
        (r#"{"address":"10.0.0.1","ipv4":"10.0.0.1"}"#, "address"),
        (r#"{"address":"10.0.0.1","port":1,"ports":[]}"#, "port"),
        (r#"{"ipv4":"::1"}"#, "ipv4"),
        (r#"{"ipv6":"10.0.0.1"}"#, "ipv6"),
        (r#"{}"#, "address"),
        (r#"{"address":"10.0.0.1","weight":65536}"#, "weight"),
        (
            r#"{"address":"10.0.0.1","lease_seconds":0}"#,
            "lease_seconds",
        ),
        (
            r#"{"address":"10.0.0.1","checks":[{"id":"t","kind":"tcp","path":"/"}]}"#,
            "checks.t.path",
        ),
        (
            r#"{"address":"10.0.0.1","checks":[{"id":"t","kind":"tcp","port":"ä"}]}"#,
            "checks.t.port",
        ),
        (
            r#"{"address":"10.0.0.1","checks":[{"id":"h","kind":"heartbeat"}]}"#,
            "checks.h.within_seconds",
        ),
        (
            r#"{"address":"10.0.0.1","checks":[{"id":"h","kind":"http","timeout_seconds":61}]}"#,
            "checks.h.timeout_seconds",
        ),
    ] {
        let problem = server.put(INSTANCE, body).await.problem(422);
        assert_eq!(problem["field"], field, "{body}");
    }
    let problem = server
        .post(&format!("{INSTANCE}/heartbeat"), r#"{"load":1.5}"#)
        .await
        .problem(422);
    assert_eq!(
        (&problem["field"], &problem["value"]),
        (&json!("load"), &json!("1.5"))
    );
    server.stop().await;
}

#[tokio::test]
async fn an_id_with_a_slash_is_one_segment_when_it_is_escaped() {
    let server = start().await;
    let path = "/v1/namespaces/shop.internal/services/cart/instances/rack%2F1";
    assert_eq!(
        server.put(path, r#"{"address":"10.0.0.1"}"#).await.status,
        201
    );
    assert_eq!(server.get(path).await.json()["id"], "rack/1");
    assert_eq!(
        server
            .get("/v1/explain/cart/rack%2F1?namespace=shop.internal")
            .await
            .status,
        200
    );
    server.stop().await;
}

#[tokio::test]
async fn the_documents_about_the_interface_are_served() {
    let server = start().await;
    let document = server.get("/openapi.json").await;
    assert_eq!(document.json()["info"]["version"], "0.0.0-test");
    let page = server.get("/docs").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_write_that_was_applied_succeeds_whatever_is_removed_after_it() {
    let server = Arc::new(start().await);
    let mut sent = tokio::task::JoinSet::new();
    for turn in 0..400_usize {
        let server = Arc::clone(&server);
        let path = if turn % 4 < 2 { INSTANCE } else { SERVICE };
        let body = if turn % 4 < 2 { REGISTRATION } else { "{}" };
        sent.spawn(async move {
            if turn % 2 == 1 {
                let _ = server.delete(path).await;
                return None;
            }
            Some(server.put(path, body).await)
        });
    }
    let mut puts = 0;
    while let Some(answered) = sent.join_next().await {
        let Some(answered) = answered.unwrap() else {
            continue;
        };
        assert!([200, 201].contains(&answered.status), "{answered:?}");
        assert_eq!(answered.json()["namespace"], "shop.internal");
        puts += 1;
    }
    assert_eq!(puts, 200);
    Arc::into_inner(server).unwrap().stop().await;
}

#[tokio::test]
async fn checks_that_nobody_can_report_are_refused_and_are_shown() {
    let server = start().await;
    let kind = "observed";
    let checks = format!(r#""checks":[{{"id":"said","kind":"{kind}"}}]"#);
    let instance = format!(r#"{{"address":"10.0.0.1",{checks}}}"#);
    for (path, body) in [(INSTANCE, instance), (SERVICE, format!("{{{checks}}}"))] {
        let problem = server.put(path, &body).await.problem(422);
        assert_eq!(
            (&problem["field"], &problem["value"], &problem["rule"]),
            (
                &json!("checks.said.kind"),
                &json!(kind),
                &json!("cannot be observed yet; use http, https, grpc, tcp, heartbeat or reported")
            )
        );
    }
    let id = CheckId::new("said").unwrap();
    let checks =
        [CheckKind::Reported, CheckKind::Observed].map(|kind| Check::new(id.clone(), kind));
    let [reported, observed] = checks;
    for (check, kind) in [(reported, "reported"), (observed, "observed")] {
        let change = ServiceChange {
            checks: Some(vec![check.clone()].into()),
            ..ServiceChange::default()
        };
        let addresses = Addresses::parse("address", "10.0.0.1").unwrap();
        let spec = RegistrationSpec {
            checks: vec![check].into(),
            ..RegistrationSpec::new(addresses, 80, Dialect::Rest)
        };
        let service = ServiceKey::new("svc.internal", kind).unwrap();
        let command = Command::Register {
            service,
            id: InstanceId::new("a").unwrap(),
            owner: None,
            spec: spec.into(),
            defaults: change,
        };
        let access = Access::internal("test");
        server.registry.apply(&access, command).await.unwrap();
        let path = format!("/v1/namespaces/svc.internal/services/{kind}");
        for path in [path.clone(), format!("{path}/instances/a")] {
            let shown = server.get(&path).await.json();
            assert_eq!(shown["checks"][0]["kind"], kind);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_load_of_minus_zero_is_zero() {
    let server = start().await;
    server.put(INSTANCE, REGISTRATION).await;
    let path = format!("{INSTANCE}/heartbeat");
    let beat = server.post(&path, r#"{"load":-0.0}"#).await;
    assert_eq!(beat.status, 200);
    let shown = server.get(INSTANCE).await.body;
    assert!(shown.contains(r#""load":0.0,"#), "{shown}");
    server.register("web", "web-1").await;
    server.probed("web", "web-1", (200, ""), Some(-0.0));
    let shown = server.get("/v1/discovery/services/web").await.body;
    assert!(shown.contains(r#""load_percentage":0.0,"#), "{shown}");
    server.stop().await;
}

#[tokio::test]
async fn dns_settings_are_put_shown_and_taken_away() {
    let server = start().await;
    let dns = json!({"routing": "Weighted", "records": [{"type": "A", "ttl_seconds": 3}, {"type": "SRV", "ttl_seconds": 4}]});
    let put = server
        .put(SERVICE, &json!({ "dns": dns }).to_string())
        .await;
    assert_eq!((put.status, &put.json()["dns"]), (201, &dns));
    assert_eq!(put.json()["dns_ttl_seconds"], 4);
    let kept = server.put(SERVICE, r#"{"fail_open":true}"#).await.json();
    assert_eq!(kept["dns"], dns);
    // Without records it is not looked up by DNS.
    let hidden = json!({ "routing": "Multivalue", "records": [] });
    let put = json!({ "dns": hidden }).to_string();
    assert_eq!(server.put(SERVICE, &put).await.json()["dns"], hidden);
    let gone = server.put(SERVICE, r#"{"dns":null}"#).await.json();
    assert_eq!(
        (&gone["dns"], &gone["dns_ttl_seconds"]),
        (&json!(null), &json!(10))
    );
    server.stop().await;
}

#[tokio::test]
async fn dns_settings_that_no_name_can_have_are_refused_with_the_rule() {
    let server = start().await;
    let record = |kind: &str| json!({"type": kind, "ttl_seconds": 1});
    for (routing, records, field, rule) in [
        (
            "Weighted",
            vec![record("A"), record("A")],
            "dns.records.type",
            "twice",
        ),
        (
            "Weighted",
            vec![record("CNAME"), record("A")],
            "dns.records.type",
            "alone",
        ),
        (
            "Multivalue",
            vec![record("CNAME")],
            "dns.routing",
            "must be Weighted",
        ),
    ] {
        let body = json!({"dns": {"routing": routing, "records": records}});
        let problem = server.put(SERVICE, &body.to_string()).await.problem(422);
        assert_eq!(problem["field"], field, "{problem}");
        assert!(
            problem["message"].as_str().unwrap().contains(rule),
            "{problem}"
        );
    }
    server.get(SERVICE).await.problem(404);
    server.stop().await;
}

#[tokio::test]
async fn a_service_that_is_no_dns_label_is_refused_in_a_namespace_that_dns_shows() {
    let server = start().await;
    let put = server
        .put("/v1/namespaces/shop.internal/services/a:b", "{}")
        .await;
    assert_eq!(put.problem(422)["field"], "service_name");
    server
        .put("/v1/namespaces/shop.internal", r#"{"kind":"PrivateDns"}"#)
        .await;
    assert_eq!(
        server
            .put("/v1/namespaces/by-api", r#"{"kind":"Http"}"#)
            .await
            .status,
        201
    );
    assert_eq!(
        server
            .put("/v1/namespaces/by-api/services/a:b", "{}")
            .await
            .status,
        201
    );
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_is_put_shown_and_deleted_and_keeps_its_kind() {
    let server = start().await;
    let namespace = "/v1/namespaces/shop.internal";
    let settings = r#"{"kind":"PublicDns","description":"shops","soa_ttl_seconds":30}"#;
    let put = server.put(namespace, settings).await;
    assert_eq!(put.status, 201, "{put:?}");
    let shown = server.get(namespace).await.json();
    assert_eq!(
        (
            &shown["kind"],
            &shown["description"],
            &shown["soa_ttl_seconds"]
        ),
        (&json!("PublicDns"), &json!("shops"), &json!(30))
    );
    let changed = server.put(namespace, r#"{"soa_ttl_seconds":null}"#).await;
    assert_eq!(
        (changed.status, &changed.json()["soa_ttl_seconds"]),
        (200, &json!(null))
    );
    let problem = server
        .put(namespace, r#"{"kind":"Http"}"#)
        .await
        .problem(409);
    assert!(
        problem["message"].as_str().unwrap().contains("PublicDns"),
        "{problem}"
    );
    server.put("/v1/namespaces/a%20b", "{}").await.problem(422);
    server.put(&format!("{namespace}/services/web"), "{}").await;
    assert_eq!(
        server.delete(namespace).await.problem(409)["code"],
        "in_use"
    );
    server.delete(&format!("{namespace}/services/web")).await;
    assert_eq!(server.delete(namespace).await.status, 204);
    server.get(namespace).await.problem(404);
    server.stop().await;
}

#[tokio::test]
async fn a_process_takes_itself_out_of_rotation_until_its_registration_ends() {
    let server = start().await;
    let mode = format!("{INSTANCE}/mode");
    let first = server.put(INSTANCE, REGISTRATION).await.json();
    let draining = json!({"mode": "Draining", "reason": "stopping", "registration_id": first["registration_id"]});
    let put = server.put(&mode, &draining.to_string()).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(
        (&put.json()["mode"], &put.json()["in_rotation"]),
        (&json!("Draining"), &json!(false))
    );
    let again = server
        .put(INSTANCE, r#"{"address":"10.0.0.2"}"#)
        .await
        .json();
    assert_eq!(
        again["mode"], "Active",
        "a new registration is a new process"
    );
    let problem = server.put(&mode, &draining.to_string()).await.problem(409);
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .contains("not its registration"),
        "{problem}"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_an_operator_says_of_an_instance_outlives_registrations_and_processes() {
    let server = start().await;
    let mode = format!("{INSTANCE}/mode");
    let first = server.put(INSTANCE, REGISTRATION).await.json();
    server
        .put(&mode, r#"{"mode":"Maintenance","reason":"disk"}"#)
        .await;
    let active = json!({"mode": "Active", "registration_id": first["registration_id"]});
    let put = server.put(&mode, &active.to_string()).await;
    assert_eq!(
        put.json()["mode"],
        "Maintenance",
        "a process does not overrule an operator"
    );
    server.put(INSTANCE, r#"{"address":"10.0.0.2"}"#).await;
    assert_eq!(server.get(INSTANCE).await.json()["mode"], "Maintenance");
    assert_eq!(server.delete(&mode).await.status, 204);
    assert_eq!(server.get(INSTANCE).await.json()["mode"], "Active");
    // A mode outlives its instance, but none is set for one that is not there.
    let maintenance = r#"{"mode":"Maintenance"}"#;
    assert_eq!(server.put(&mode, maintenance).await.status, 200);
    assert_eq!(server.delete(INSTANCE).await.status, 204);
    server.put(&mode, maintenance).await.problem(404);
    server.put(INSTANCE, r#"{"address":"10.0.0.2"}"#).await;
    assert_eq!(server.get(INSTANCE).await.json()["mode"], "Maintenance");
    assert_eq!(server.delete(&mode).await.status, 204);
    server.put(&mode, r#"{"mode":"Asleep"}"#).await.problem(422);
    server
        .delete(&format!("{SERVICE}/instances/nobody/mode"))
        .await
        .problem(404);
    server.stop().await;
}

#[tokio::test]
async fn the_server_tells_where_dns_is_answered() {
    let server = start().await;
    let dns = server.get("/v1/dns").await.json();
    assert_eq!(
        dns,
        json!({"listen": [], "ttl_seconds": 10, "reverse_zones": []})
    );
    server.stop().await;
}

#[tokio::test]
async fn every_field_of_a_registration_comes_back_as_it_was_sent() {
    let server = start().await;
    let sent = json!({
        "ipv4": "10.0.0.1", "ipv6": "fd00::1", "hostname": "cart-1.example",
        "ports": [
            {"name": "api", "number": 8080, "protocol": "grpc", "path": ""},
            {"name": "admin", "number": 9090, "protocol": "https", "path": "/admin"},
        ],
        "attributes": {"version": "2", "note": "ä, ö"}, "tags": ["api", "blue"], "weight": 7,
        "region": "eu", "zone": "eu-1", "lease_seconds": 45,
        "checks": [
            {"id": "web", "kind": "http", "path": "/up?x=1", "method": "HEAD", "headers": {"x-a": "b"},
                "expected_status": "200-204", "port": "admin", "interval_seconds": 10, "unhealthy_interval_seconds": 2,
                "timeout_seconds": 1.5, "unhealthy_after": 4, "healthy_after": 1},
            {"id": "tcp", "kind": "tcp", "port": "api", "interval_seconds": 20, "unhealthy_interval_seconds": 5,
                "timeout_seconds": 2, "unhealthy_after": 3, "healthy_after": 2},
            {"id": "beat", "kind": "heartbeat", "within_seconds": 60, "unhealthy_after": 3, "healthy_after": 2},
        ],
    });
    let path = format!("{INSTANCE}?owner=node/a");
    let put = server.put(&path, &sent.to_string()).await;
    assert_eq!(put.status, 201, "{put:?}");
    for shown in [put.json(), server.get(&path).await.json()] {
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(shown[name], *value, "{name}");
        }
        assert_eq!(shown["owner"], "node/a");
    }
    let again = server.put(&path, &sent.to_string()).await.json();
    assert_eq!(again["revision"], put.json()["revision"]);
    server.stop().await;
}
