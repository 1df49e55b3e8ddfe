//! Lists of instances: filters, and pages that survive changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_core::{
    Access, Addresses, CheckState, Command, Dialect, InstanceId, Owner, RegistrationSpec,
    ServiceChange, ServiceKey,
};

use crate::support::{Running, start, start_with, with_secret};

async fn ids(server: &Running, path: &str) -> Vec<String> {
    let page = server.get(path).await;
    assert_eq!(page.status, 200, "{path} {page:?}");
    let page = page.json();
    assert_eq!(page["next"], Value::Null, "{path}");
    ids_of(&page)
}

fn ids_of(page: &Value) -> Vec<String> {
    let instances = page["instances"].as_array().unwrap().iter();
    let id = |it: &Value| {
        let word = |name: &str| it[name].as_str().unwrap().to_owned();
        let owner = word("owner");
        let id = format!("{}/{}/{}", word("namespace"), word("service"), word("id"));
        if owner.is_empty() {
            id
        } else {
            format!("{id}@{owner}")
        }
    };
    instances.map(id).collect()
}

async fn put(server: &Running, namespace: &str, service: &str, id: &str, body: &Value) {
    let path = format!("/v1/namespaces/{namespace}/services/{service}/instances/{id}");
    let put = server.put(&path, &body.to_string()).await;
    assert_eq!(put.status, 201, "{put:?}");
}

/// Three namespaces with some of everything.
async fn filled() -> Running {
    let server = start().await;
    let body = |zone: &str, version: &str, tags: &[&str]| {
        json!({"address": "10.0.0.1", "port": 80, "zone": zone, "tags": tags,
            "attributes": {"version": version, "team": "blue team"}})
    };
    put(
        &server,
        "a.internal",
        "cart",
        "c-1",
        &body("z1", "1", &["x", "y"]),
    )
    .await;
    put(
        &server,
        "a.internal",
        "web",
        "w-1",
        &body("z1", "2", &["x"]),
    )
    .await;
    put(
        &server,
        "a.internal",
        "web",
        "w-2?owner=node/a",
        &body("z2", "2", &[]),
    )
    .await;
    put(
        &server,
        "b.internal",
        "web",
        "w-1",
        &body("z2", "1", &["y"]),
    )
    .await;
    server.register("web", "s-1").await;
    server.register("web", "s-2").await;
    server
        .report("web", "s-1", CheckState::Passing, "answered 200")
        .await;
    let mode = "/v1/namespaces/b.internal/services/web/instances/w-1/mode";
    server.put(mode, r#"{"mode":"Draining"}"#).await;
    server
}

#[tokio::test]
async fn instances_of_all_services_are_listed_in_order_and_filtered() {
    let server = filled().await;
    let all = [
        "a.internal/cart/c-1",
        "a.internal/web/w-1",
        "a.internal/web/w-2@node/a",
        "b.internal/web/w-1",
        "svc.internal/web/s-1",
        "svc.internal/web/s-2",
    ];
    for (query, wanted) in [
        ("", &[0, 1, 2, 3, 4, 5][..]),
        ("?namespace=a.internal", &[0, 1, 2]),
        ("?namespace=A.internal", &[0, 1, 2]),
        ("?namespace=none", &[]),
        ("?service=web", &[1, 2, 3, 4, 5]),
        ("?service=web&namespace=b.internal", &[3]),
        ("?service=none", &[]),
        ("?health=Healthy", &[0, 1, 2, 3, 4]),
        ("?health=unknown", &[5]),
        ("?health=Unknown,Healthy", &[0, 1, 2, 3, 4, 5]),
        ("?mode=Draining", &[3]),
        ("?mode=Active&health=Unknown", &[5]),
        ("?tag=x", &[0, 1]),
        ("?tag=x&tag=y", &[0]),
        ("?version=2", &[1, 2]),
        ("?attribute.version=2", &[1, 2]),
        ("?attribute.team=blue+team&zone=z2", &[2, 3]),
        ("?zone=z1", &[0, 1]),
        ("?owner=node/a", &[2]),
        ("?owner=", &[0, 1, 3, 4, 5]),
        ("?attribute.none=", &[]),
    ] {
        let wanted: Vec<&str> = wanted.iter().map(|at| all[*at]).collect();
        assert_eq!(
            ids(&server, &format!("/v1/instances{query}")).await,
            wanted,
            "{query}"
        );
    }
    let web = "/v1/namespaces/a.internal/services/web/instances";
    for (query, wanted) in [
        ("?version=2&zone=z2", &[2][..]),
        ("?tag=x", &[1]),
        ("?health=Unhealthy", &[]),
    ] {
        let wanted: Vec<&str> = wanted.iter().map(|at| all[*at]).collect();
        assert_eq!(
            ids(&server, &format!("{web}{query}")).await,
            wanted,
            "{query}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn every_page_size_gives_the_same_list() {
    let server = filled().await;
    for query in [
        "",
        "service=web&",
        "namespace=a.internal&",
        "health=Healthy&",
    ] {
        let whole = ids(&server, &format!("/v1/instances?{query}")).await;
        for limit in 1..=7 {
            let mut seen = Vec::new();
            let mut after = String::new();
            loop {
                let path = format!("/v1/instances?{query}limit={limit}{after}");
                let page = server.get(&path).await.json();
                let ids = ids_of(&page);
                assert!(ids.len() <= limit);
                seen.extend(ids);
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, whole, "{query} {limit}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn filters_that_do_not_parse_say_where_and_what_is_expected() {
    let server = filled().await;
    let web = "/v1/namespaces/a.internal/services/web/instances";
    for (path, field, value, rule) in [
        (
            "/v1/instances?health=Healthy,Sick",
            "health",
            "Healthy,Sick",
            "at character 9: one of Healthy",
        ),
        (
            "/v1/instances?health=",
            "health",
            "",
            "at character 1: one of Healthy",
        ),
        (
            "/v1/instances?mode=Active,",
            "mode",
            "Active,",
            "at character 8: one of Active",
        ),
        (
            "/v1/instances?attribute.=x",
            "attribute.",
            "attribute.",
            "at character 11: the key",
        ),
        (
            "/v1/instances?colour=blue",
            "colour",
            "blue",
            "is not known; known are namespace, service, health",
        ),
        (
            "/v1/instances?zone=a&zone=b",
            "zone",
            "b",
            "must not be given twice",
        ),
        ("/v1/instances?limit=0", "limit", "0", "must be 1 to"),
        ("/v1/instances?owner=%20", "owner", " ", "must be"),
        ("/v1/instances?tag=", "tag", "", "must be 1 to 255 bytes"),
        (
            &format!("{web}?namespace=x"),
            "namespace",
            "x",
            "is not known; known are health",
        ),
        (&format!("{web}?colour"), "colour", "", "is not known"),
    ] {
        let problem = server.get(path).await.problem(422);
        assert_eq!(
            (&problem["field"], &problem["value"]),
            (&json!(field), &json!(value)),
            "{path}"
        );
        let said = problem["rule"].as_str().unwrap();
        assert!(said.starts_with(rule), "{path}: {said}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_token_of_another_query_or_history_is_refused() {
    let server = filled().await;
    let web = "/v1/namespaces/a.internal/services/web/instances";
    let next = |page: Value| page["next"].as_str().unwrap().to_owned();
    let token = next(server.get("/v1/instances?limit=1&zone=z1").await.json());
    let same = server
        .get(&format!("/v1/instances?zone=z1&after={token}&limit=5"))
        .await;
    assert_eq!(ids_of(&same.json()), ["a.internal/web/w-1"]);
    for path in [
        format!("/v1/instances?after={token}"),
        format!("/v1/instances?zone=z2&after={token}"),
        format!("{web}?zone=z1&after={token}"),
    ] {
        let problem = server.get(&path).await.problem(422);
        assert_eq!(problem["field"], "after");
        let rule = problem["rule"].as_str().unwrap();
        assert!(rule.starts_with("belongs to another query"), "{rule}");
    }
    for token in ["w-1", "", "%20"] {
        let problem = server
            .get(&format!("{web}?after={token}"))
            .await
            .problem(422);
        let rule = problem["rule"].as_str().unwrap();
        assert!(rule.starts_with("must be the next of a page"), "{rule}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_list_shows_what_the_token_may_see() {
    let server = start_with(with_secret(false)).await;
    let header = format!("Authorization: Bearer {}\r\n", crate::support::TOKEN);
    for service in ["cart", "web"] {
        let path = format!("/v1/namespaces/svc.internal/services/{service}/instances/i-1");
        let put = server
            .send("PUT", &path, &header, br#"{"address":"10.0.0.1"}"#)
            .await;
        assert_eq!(put.status, 201);
    }
    let scoped =
        r#"{"name":"web-only","grants":[{"verbs":["read"],"namespaces":"*","services":"web"}]}"#;
    let token = server
        .send("POST", "/v1/tokens", &header, scoped.as_bytes())
        .await
        .json();
    let header = format!(
        "Authorization: Bearer {}\r\n",
        token["secret"].as_str().unwrap()
    );
    for query in ["", "?namespace=svc.internal", "?service=web"] {
        let path = format!("/v1/instances{query}");
        let seen = server.send("GET", &path, &header, b"").await.json();
        assert_eq!(ids_of(&seen), ["svc.internal/web/i-1"], "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_has_the_page_gets_304() {
    let server = filled().await;
    for path in [
        "/v1/instances?zone=z1&limit=1",
        "/v1/instances?service=cart&namespace=a.internal",
    ] {
        let etag = server.get(path).await.header("etag").unwrap().to_owned();
        let header = format!("If-None-Match: {etag}\r\n");
        assert_eq!(
            server.send("GET", path, &header, b"").await.status,
            304,
            "{path}"
        );
    }
    server.stop().await;
}

fn register(service: &ServiceKey, id: &str, owner: &str) -> Command {
    let addresses = Addresses::parse("address", "10.0.0.1").unwrap();
    Command::Register {
        service: service.clone(),
        id: InstanceId::new(id).unwrap(),
        owner: Some(Owner::new(owner).unwrap()),
        spec: Arc::new(RegistrationSpec::new(addresses, 80, Dialect::Rest)),
        defaults: ServiceChange::default(),
    }
}

#[tokio::test]
async fn a_page_that_leaves_nearly_everything_out_ends_early_and_says_where_to_go_on() {
    let server = start().await;
    let access = Access::internal("test");
    for at in 0..51 {
        let service = ServiceKey::new("svc.internal", &format!("s-{at:02}")).unwrap();
        let commands = (0..1_000).map(|id| register(&service, &format!("i-{id}"), ""));
        let answers = server
            .registry
            .apply_each(&access, commands.collect())
            .await;
        assert!(answers.iter().all(Result::is_ok));
    }
    let last = ServiceKey::new("svc.internal", "z").unwrap();
    server
        .registry
        .apply(&access, register(&last, "i", "node/z"))
        .await
        .unwrap();
    let first = server.get("/v1/instances?owner=node/z").await.json();
    assert_eq!(first["instances"], json!([]));
    let next = first["next"].as_str().unwrap();
    let path = format!("/v1/instances?owner=node/z&after={next}");
    assert_eq!(ids(&server, &path).await, ["svc.internal/z/i@node/z"]);
    server.stop().await;
}

/// A change between two pages.
#[derive(Clone, Debug)]
struct Step {
    namespace: u8,
    service: u8,
    id: u8,
    owner: bool,
    removes: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (0..3u8, 0..3u8, 0..6u8, any::<bool>(), any::<bool>()).prop_map(
        |(namespace, service, id, owner, removes)| Step {
            namespace,
            service,
            id,
            owner,
            removes,
        },
    )
}

impl Step {
    fn command(&self, kept: bool) -> Command {
        let service = ServiceKey::new(
            &format!("n-{}.internal", self.namespace),
            &format!("s-{}", self.service),
        );
        let service = service.unwrap();
        // Kept ones and others stand between each other in order.
        let id = format!(
            "i-{}-{}",
            self.id,
            if kept { "kept" } else { "comes-and-goes" }
        );
        let owner = if self.owner { "node/a" } else { "" };
        if self.removes && !kept {
            return Command::Deregister {
                service,
                id: InstanceId::new(&id).unwrap(),
                owner: Some(Owner::new(owner).unwrap()),
            };
        }
        register(&service, &id, owner)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_changes_between_pages_what_is_there_all_the_time_is_shown_once(
        kept in proptest::collection::vec(step(), 0..25),
        changes in proptest::collection::vec(proptest::collection::vec(step(), 0..6), 1..30),
        limit in 1..7usize,
        query in prop_oneof![Just(""), Just("service=s-1&"), Just("namespace=n-1.internal&"), Just("owner=node/a&")],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(pages_beside_changes(kept, changes, limit, query));
    }
}

async fn pages_beside_changes(kept: Vec<Step>, changes: Vec<Vec<Step>>, limit: usize, query: &str) {
    let server = start().await;
    let access = Access::internal("test");
    for step in &kept {
        server
            .registry
            .apply(&access, step.command(true))
            .await
            .unwrap();
    }
    let before = server.get(&format!("/v1/instances?{query}")).await.json();
    let wanted: BTreeSet<String> = ids_of(&before).into_iter().collect();
    let mut changes = changes.into_iter();
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        for step in changes.next().unwrap_or_default() {
            // Removing what is not there is refused, and that is no news.
            let _ = server.registry.apply(&access, step.command(false)).await;
        }
        let path = format!("/v1/instances?{query}limit={limit}{after}");
        let page = server.get(&path).await.json();
        seen.extend(ids_of(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let shown: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(shown.len(), seen.len(), "nothing is shown twice");
    assert!(wanted.is_subset(&shown), "nothing is left out");
    server.stop().await;
}
