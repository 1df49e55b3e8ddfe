//! A kept registration against a real server.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::canned::{Canned, Reply};
use crate::{Client, ErrorKind, InstanceRef, Registered, Registration, Standing};

const INSTANCE: &str = "/v1/namespaces/svc.internal/services/web/instances/web-1";

fn instance(lease_seconds: Option<u64>) -> Reply {
    let instance = json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1",
        "registration_id": "r-1", "lease_seconds": lease_seconds
    });
    Reply::Json(200, instance)
}

/// A lease so short that heartbeats come as fast as the client allows.
fn beat() -> Reply {
    Reply::Json(200, json!({"deadline_seconds": 0.01}))
}

fn refusal(status: u16) -> Reply {
    Reply::Json(status, json!({"detail": "no"}))
}

fn kept(server: &Canned, tasks: &mut JoinSet<()>) -> Registered {
    let client = Client::builder(&server.url).build().expect("a client");
    let registration = Registration::at("10.0.0.1", 8080);
    let (registered, upkeep) =
        client.keep_registered(InstanceRef::new("web", "web-1"), registration);
    tasks.spawn(upkeep);
    registered
}

fn method(call: &str) -> &str {
    call.split(' ').next().unwrap_or_default()
}

#[tokio::test]
async fn it_registers_beats_and_leaves() {
    let mut tasks = JoinSet::new();
    let mut server = Canned::start(|seen| match method(&seen.call) {
        "PUT" => instance(Some(1)),
        "POST" => beat(),
        _ => Reply::Bytes(204, Vec::new()),
    })
    .await;
    let mut registered = kept(&server, &mut tasks);
    registered.set_load(0.5);
    assert_eq!(registered.ready().await.expect("registered").id, "web-1");
    server.wait_for_calls(4).await;
    registered.close().await.expect("removed");
    tasks
        .join_next()
        .await
        .expect("a task")
        .expect("it ended by itself");

    let seen = server.seen();
    assert_eq!(seen[0].call, format!("PUT {INSTANCE}"));
    assert_eq!(
        seen[0].body["lease_seconds"], 30,
        "a lease is always asked for"
    );
    let beats: Vec<&Value> = seen[1..seen.len() - 1]
        .iter()
        .map(|seen| &seen.body)
        .collect();
    assert!(beats.len() >= 3);
    for beat in beats {
        assert_eq!(beat, &json!({"registration_id": "r-1", "load": 0.5}));
    }
    assert_eq!(seen[seen.len() - 1].call, format!("DELETE {INSTANCE}"));
}

#[tokio::test]
async fn it_registers_again_when_the_server_does_not_know_it() {
    for (status, expected) in [
        (404, ["PUT", "POST", "PUT", "POST"]),
        // The one in its place is at the very same place: that is itself, registered by another call.
        (409, ["PUT", "POST", "GET", "PUT"]),
    ] {
        let mut tasks = JoinSet::new();
        let mut server = Canned::start(move |seen| match (method(&seen.call), seen.index) {
            ("PUT" | "GET", _) => instance(Some(1)),
            ("POST", 1) => refusal(status),
            _ => beat(),
        })
        .await;
        let _registered = kept(&server, &mut tasks);
        server.wait_for_calls(4).await;
        let calls = server.calls();
        let methods: Vec<_> = calls.iter().map(|call| method(call)).collect();
        assert_eq!(methods, expected, "{status}");
    }
}

fn elsewhere() -> Reply {
    let instance = json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1", "ipv4": "10.0.0.9",
        "registration_id": "r-2", "health": "Healthy"
    });
    Reply::Json(200, instance)
}

#[tokio::test]
async fn it_stands_back_while_another_process_serves_under_its_id_and_leaves_that_alone() {
    let mut tasks = JoinSet::new();
    let server = Canned::start(|seen| match method(&seen.call) {
        "PUT" => instance(Some(1)),
        "GET" => elsewhere(),
        _ => refusal(409),
    })
    .await;
    let mut registered = kept(&server, &mut tasks);
    registered.ready().await.expect("registered");
    let standing = registered.changed().await.expect("it is driven");
    let Standing::Contested(other) = standing else {
        panic!("{standing:?}");
    };
    assert_eq!(other.ipv4.as_deref(), Some("10.0.0.9"));
    registered.close().await.expect("nothing to remove");
    let calls = server.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("DELETE")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn it_takes_its_id_back_when_the_other_process_is_gone() {
    let mut tasks = JoinSet::new();
    let mut server = Canned::start(|seen| match (method(&seen.call), seen.index) {
        ("PUT", _) => instance(Some(1)),
        ("POST", 1) => refusal(409),
        ("GET", _) => refusal(404),
        _ => beat(),
    })
    .await;
    let _registered = kept(&server, &mut tasks);
    server.wait_for_calls(5).await;
    let calls = server.calls();
    let methods: Vec<_> = calls.iter().map(|call| method(call)).collect();
    assert_eq!(methods, ["PUT", "POST", "GET", "PUT", "POST"]);
}

#[tokio::test]
async fn a_failed_heartbeat_is_shown_and_repeated() {
    let mut tasks = JoinSet::new();
    let server = Canned::start(|seen| match (method(&seen.call), seen.index) {
        ("PUT", _) => instance(Some(1)),
        ("POST", 1) => refusal(503),
        _ => beat(),
    })
    .await;
    let mut registered = kept(&server, &mut tasks);
    registered.ready().await.expect("registered");
    let standing = registered.changed().await.expect("it is driven");
    assert!(matches!(standing, Standing::Unconfirmed(_)), "{standing:?}");
    let standing = registered.changed().await.expect("it is driven");
    assert!(matches!(standing, Standing::Registered(_)), "{standing:?}");
    let calls = server.calls();
    assert!(
        calls.iter().filter(|call| call.starts_with("PUT")).count() == 1,
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let mut tasks = JoinSet::new();
    let server = Canned::start(|seen| match seen.index {
        0 => refusal(503),
        1 => refusal(401),
        _ => instance(Some(30)),
    })
    .await;
    let mut registered = kept(&server, &mut tasks);
    registered.ready().await.expect("the third attempt");
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_wrong_registration_ends_it() {
    let mut tasks = JoinSet::new();
    let server = Canned::always(refusal(422)).await;
    let mut registered = kept(&server, &mut tasks);
    let error = registered.ready().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Usage);
    tasks
        .join_next()
        .await
        .expect("a task")
        .expect("it ended by itself");
    assert_eq!(
        server.calls().len(),
        1,
        "what was never registered is not removed"
    );
    assert_eq!(
        registered.close().await.expect_err("refused").kind(),
        ErrorKind::Usage
    );
}

#[tokio::test]
async fn dropping_the_handle_removes_the_instance() {
    let mut tasks = JoinSet::new();
    let server = Canned::always(instance(Some(30))).await;
    let mut registered = kept(&server, &mut tasks);
    registered.ready().await.expect("registered");
    drop(registered);
    tasks
        .join_next()
        .await
        .expect("a task")
        .expect("it ended by itself");
    assert_eq!(server.calls()[1], format!("DELETE {INSTANCE}"));
}

#[tokio::test]
async fn removing_what_is_gone_already_is_no_error() {
    let mut tasks = JoinSet::new();
    let server = Canned::start(|seen| match method(&seen.call) {
        "PUT" => instance(Some(30)),
        _ => refusal(404),
    })
    .await;
    let mut registered = kept(&server, &mut tasks);
    registered.ready().await.expect("registered");
    registered.close().await.expect("it is gone");
}

#[tokio::test]
async fn a_failed_removal_is_told() {
    let mut tasks = JoinSet::new();
    let server = Canned::start(|seen| match method(&seen.call) {
        "PUT" => instance(Some(30)),
        _ => refusal(403),
    })
    .await;
    let mut registered = kept(&server, &mut tasks);
    registered.ready().await.expect("registered");
    assert_eq!(
        registered.close().await.expect_err("refused").kind(),
        ErrorKind::Denied
    );
}

#[tokio::test]
async fn a_future_that_nobody_drives_is_an_error_and_not_a_wait() {
    let client = Client::builder("http://127.0.0.1:9")
        .build()
        .expect("a client");
    let (mut registered, upkeep) = client.keep_registered(
        InstanceRef::new("web", "web-1"),
        Registration::at("10.0.0.1", 1),
    );
    drop(upkeep);
    assert!(
        registered
            .ready()
            .await
            .expect_err("not driven")
            .to_string()
            .contains("not driven")
    );
    assert!(
        registered
            .close()
            .await
            .expect_err("not driven")
            .to_string()
            .contains("not driven")
    );
}
