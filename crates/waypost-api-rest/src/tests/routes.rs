use std::sync::Arc;

use waypost_access::{AccessConfig, Authenticator, ServerKey};
use waypost_core::{
    Epoch, MemoryJournal, MemoryStore, Parts, Policy, Registry, SoleOwner, SystemClock,
    random_seeds,
};

use crate::{DnsFacts, RestConfig, RestContext, RestMetrics, router};

async fn context() -> RestContext {
    let parts = Parts {
        store: Arc::new(MemoryStore::new(Epoch(1))),
        journal: Arc::new(MemoryJournal::new(16)),
        clock: Arc::new(SystemClock::new()),
        ownership: Arc::new(SoleOwner),
        projections: Vec::new(),
        policy: Policy::default(),
        seeds: random_seeds(),
    };
    let key = ServerKey::from_bytes(&[1; 32]);
    let opened = Registry::open(parts).await.unwrap();
    RestContext {
        registry: opened.registry,
        snapshots: opened.snapshots,
        authenticator: Arc::new(Authenticator::new(&AccessConfig::default(), key, true).unwrap()),
        config: RestConfig::default(),
        version: "1.2.3".to_owned(),
        metrics: RestMetrics::default(),
        dns: DnsFacts::default(),
        stopping: tokio::sync::watch::channel(false).1,
    }
}

#[tokio::test]
async fn the_openapi_document_has_exactly_the_routes_of_the_router() {
    let routes = router(context().await).routes();
    let mut served: Vec<String> = routes
        .iter()
        .map(|route| format!("{} {}", route.method, route.pattern))
        .collect();
    let document = crate::openapi::document("1.2.3");
    let mut described: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    served.sort();
    described.sort();
    assert_eq!(served, described);
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                found.extend(
                    members
                        .get("$ref")
                        .and_then(|it| it.as_str())
                        .map(str::to_owned),
                );
                members.values().for_each(|value| references(value, found));
            }
            serde_json::Value::Array(items) => {
                items.iter().for_each(|value| references(value, found))
            }
            _ => {}
        }
    }
    let document = crate::openapi::document("1.2.3");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn operation_ids_are_unique() {
    let document = crate::openapi::document("1.2.3");
    let paths = document["paths"].as_object().unwrap();
    let mut ids: Vec<&str> = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn only_health_is_open() {
    let open: Vec<String> = router(context().await)
        .routes()
        .into_iter()
        .filter(|route| route.is_open)
        .map(|route| route.pattern)
        .collect();
    assert_eq!(open, ["/health"]);
}

#[test]
fn checks_that_cannot_be_sent_are_described_where_they_are_shown_only() {
    let document = crate::openapi::document("1.2.3");
    let schemas = &document["components"]["schemas"];
    let kinds = |schema: &str| -> Vec<&str> {
        let kinds = schemas[schema]["oneOf"].as_array().unwrap().iter();
        kinds.map(|kind| kind["title"].as_str().unwrap()).collect()
    };
    assert_eq!(
        kinds("Check"),
        ["http", "https", "grpc", "tcp", "heartbeat", "reported"]
    );
    let shown = [
        "http",
        "https",
        "grpc",
        "tcp",
        "heartbeat",
        "reported",
        "observed",
    ];
    assert_eq!(kinds("CheckShown"), shown);
    let checks_of = |schema: &str| schemas[schema]["properties"]["checks"].to_string();
    for (schema, named) in [
        ("Service", "CheckShown\""),
        ("Instance", "CheckShown\""),
        ("ServiceSettings", "Check\""),
        ("Registration", "Check\""),
    ] {
        let checks = checks_of(schema);
        assert!(checks.contains(&format!("schemas/{named}")), "{checks}");
    }
}

#[test]
fn the_id_that_leaves_the_service_discover_is_described_as_an_id() {
    let document = crate::openapi::document("1.2.3");
    let path = &document["paths"]["/service-discovery/discover/{service_name}"];
    let length = |method: &str| path[method]["parameters"][0]["schema"]["maxLength"].clone();
    assert_eq!((length("delete"), length("get")), (64.into(), 127.into()));
    assert_eq!(path["delete"]["parameters"][0]["name"], "service_name");
}
