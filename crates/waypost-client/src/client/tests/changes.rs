//! Changes of a part, under a condition, and several at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{client, instance, service, web_1};
use crate::canned::{Canned, Reply};
use crate::{
    Condition, ErrorKind, Health, Heartbeat, InstanceFilter, InstanceRef, Mode, NamespaceSettings,
    Registration,
};

fn answer(call: &str) -> Reply {
    let (method, path) = call.split_once(' ').expect("a method and a path");
    match (method, path) {
        ("DELETE", _) => Reply::Bytes(204, Vec::new()),
        (_, path) if path.contains("/instances/") => Reply::Json(200, instance()),
        (_, path) if path.contains("/services/") => Reply::Json(200, service()),
        (_, path) if path.starts_with("/v1/batch/") => Reply::Json(
            200,
            json!({"failed": 1, "results": [
                {"status": 201, "outcome": "created", "registration_id": "00000000000000aa"},
                {"status": 422, "problem": {"status": 422, "message": "no", "field": "registration.weight"}},
            ]}),
        ),
        (_, path) if path.starts_with("/v1/instances") => {
            Reply::Json(200, json!({"instances": [instance()], "next": null}))
        }
        _ => Reply::Json(200, json!({"name": "shop"})),
    }
}

#[tokio::test]
async fn parts_are_changed_under_conditions_and_without() {
    let server = Canned::start(|seen| answer(&seen.call)).await;
    let client = client(&server);
    let patch = json!({"attributes": {"a": null}});
    client.patch_instance(&web_1(), &patch).await.expect("done");
    let seen = Condition::Unchanged("00000000000000a1.7".to_owned());
    let careful = client.only_if(seen);
    careful.patch_service("web", &patch).await.expect("done");
    careful.patch_namespace("shop", &patch).await.expect("done");
    careful.deregister(&web_1()).await.expect("done");
    let settings = NamespaceSettings {
        kind: Some("Http".to_owned()),
        ..NamespaceSettings::default()
    };
    let create = client.only_if(Condition::Absent);
    create.put_namespace("shop", &settings).await.expect("done");
    let change = client.only_if(Condition::Present);
    let registration = Registration::at("10.0.0.1", 80);
    change
        .register(&web_1(), &registration)
        .await
        .expect("done");
    client.delete_namespace("shop").await.expect("done");
    let instance = "/v1/namespaces/svc.internal/services/web/instances/web-1";
    let calls: Vec<String> = server
        .seen()
        .into_iter()
        .map(|seen| format!("{} {}", seen.call, seen.condition.unwrap_or_default()))
        .collect();
    assert_eq!(
        calls,
        [
            format!("PATCH {instance} "),
            "PATCH /v1/namespaces/svc.internal/services/web if-match: W/\"00000000000000a1.7\""
                .to_owned(),
            "PATCH /v1/namespaces/shop if-match: W/\"00000000000000a1.7\"".to_owned(),
            format!("DELETE {instance} if-match: W/\"00000000000000a1.7\""),
            "PUT /v1/namespaces/shop if-none-match: *".to_owned(),
            format!("PUT {instance} if-match: *"),
            "DELETE /v1/namespaces/shop ".to_owned(),
        ]
    );
    assert_eq!(server.seen()[0].body, patch);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_tells_the_revision_that_would() {
    let problem = json!({"status": 409, "code": "conflict", "detail": "changed", "revision": "00000000000000a1.9"});
    let server = Canned::always(Reply::Json(409, problem)).await;
    let client = client(&server).only_if(Condition::Unchanged("00000000000000a1.7".to_owned()));
    let error = client
        .patch_instance(&web_1(), &json!({}))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let problem = error.problem().expect("a problem");
    assert_eq!(problem.revision.as_deref(), Some("00000000000000a1.9"));
}

#[tokio::test]
async fn a_change_under_a_condition_is_not_sent_twice() {
    let server = Canned::always(Reply::HangUp).await;
    let careful = client(&server).only_if(Condition::Present);
    let error = careful
        .patch_instance(&web_1(), &json!({}))
        .await
        .expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(
        error
            .to_string()
            .ends_with("whether it was carried out is not known"),
        "{error}"
    );
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn batches_take_the_contracts_paths_and_bodies() {
    let server = Canned::start(|seen| answer(&seen.call)).await;
    let client = client(&server);
    let owned = InstanceRef::new("web", "web-2").owned_by("node/a");
    let items = [
        (web_1(), Registration::at("10.0.0.1", 80)),
        (owned.clone(), Registration::at("10.0.0.2", 80)),
    ];
    let answer = client.register_batch(&items).await.expect("an answer");
    assert_eq!((answer.failed, answer.results.len()), (1, 2));
    assert!(answer.results[0].check().is_ok());
    assert_eq!(
        answer.results[0].registration_id.as_deref(),
        Some("00000000000000aa")
    );
    let error = answer.results[1].check().expect_err("a problem");
    assert_eq!(error.kind(), ErrorKind::Usage);
    client.register_all(&items).await.expect("an answer");
    client
        .deregister_batch(std::slice::from_ref(&owned))
        .await
        .expect("an answer");
    client.deregister_all(&[owned]).await.expect("an answer");
    let beat = Heartbeat {
        instance: web_1(),
        registration_id: Some("00000000000000aa".to_owned()),
        load: Some(0.5),
    };
    client.heartbeat_batch(&[beat]).await.expect("an answer");
    assert_eq!(
        server.calls(),
        [
            "POST /v1/batch/register",
            "POST /v1/batch/register",
            "POST /v1/batch/deregister",
            "POST /v1/batch/deregister",
            "POST /v1/batch/heartbeat",
        ]
    );
    let seen: Vec<Value> = server.seen().into_iter().map(|seen| seen.body).collect();
    let name =
        json!({"namespace": "svc.internal", "service": "web", "id": "web-2", "owner": "node/a"});
    let mut second = name.clone();
    second["registration"] = json!({"address": "10.0.0.2", "port": 80});
    assert_eq!(seen[0]["items"][1], second);
    assert_eq!(
        (&seen[0]["atomic"], &seen[1]["atomic"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(seen[2], json!({"items": [name]}));
    assert_eq!(
        seen[4]["items"][0],
        json!({"namespace": "svc.internal", "service": "web", "id": "web-1",
            "registration_id": "00000000000000aa", "load": 0.5})
    );
}

#[tokio::test]
async fn a_filter_is_written_as_the_query_that_the_server_reads() {
    let server = Canned::start(|seen| answer(&seen.call)).await;
    let client = client(&server);
    let all = client.all_instances(&InstanceFilter::default()).await;
    assert_eq!(all.expect("instances").len(), 1);
    let filter = InstanceFilter {
        namespace: Some("shop".to_owned()),
        service: Some("web".to_owned()),
        health: vec![Health::Healthy, Health::Warning],
        modes: vec![Mode::Active],
        tags: vec!["a".to_owned(), "b&c".to_owned()],
        attributes: BTreeMap::from([("team name".to_owned(), "blue".to_owned())]),
        zone: Some("z1".to_owned()),
        owner: Some(String::new()),
    };
    client.all_instances(&filter).await.expect("instances");
    assert_eq!(
        server.calls(),
        [
            "GET /v1/instances",
            "GET /v1/instances?namespace=shop&service=web&health=Healthy%2CWarning&mode=Active&zone=z1&owner=\
             &tag=a&tag=b%26c&attribute.team%20name=blue",
        ]
    );
}
