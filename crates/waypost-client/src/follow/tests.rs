//! A copy of what a server tells, over connections that break anywhere.

use serde_json::json;
use tokio::task::JoinSet;

use crate::canned::{Canned, Reply};
use crate::{Client, ErrorKind, Followed, Follower};

fn followed(server: &Canned, tasks: &mut JoinSet<()>) -> Follower {
    let client = Client::builder(&server.url).build().expect("a client");
    let (follower, upkeep) = client.follow(&[]).expect("a follower");
    tasks.spawn(upkeep);
    follower
}

fn service(id: u32, name: &str, port: u16) -> String {
    let instance = json!({"namespace": "n", "id": "a", "service": name, "in_rotation": true, "ports": [{"name": "default", "number": port}]});
    let update =
        json!({"service": {"namespace": "n", "name": name}, "tier": 0, "instances": [instance]});
    format!("id: e.{id}\nevent: service\ndata: {update}\n\n")
}

fn gone(name: &str) -> String {
    let gone = json!({"namespace": "n", "service": name});
    format!("event: gone\ndata: {gone}\n\n")
}

fn synced(id: u32) -> String {
    format!("id: e.{id}\nevent: synced\ndata: {{}}\n\n")
}

const RESET: &str = "retry: 1000\n\nevent: reset\ndata: {\"reason\": \"because\"}\n\n";

/// Answers the first connection with the first text, and so on; then nobody answers.
async fn telling(texts: Vec<String>) -> Canned {
    Canned::start(move |seen| match texts.get(seen.index) {
        Some(text) => Reply::Bytes(200, text.clone().into_bytes()),
        None => Reply::Never,
    })
    .await
}

fn names(copy: &Followed) -> Vec<String> {
    let names = copy.services().map(|update| {
        let port = update.instances.first().and_then(|it| it.ports.first());
        let port = port.expect("a port").number;
        format!("{}:{port}", update.service.name)
    });
    names.collect()
}

async fn until(follower: &mut Follower, wanted: &[&str]) {
    while names(&follower.current()) != wanted {
        follower.changed().await.expect("it goes on");
    }
}

#[test]
fn what_these_tests_tell_is_understood() {
    let text = service(1, "a", 1);
    let data = text
        .lines()
        .nth(2)
        .and_then(|line| line.strip_prefix("data: "));
    let update: crate::ServiceUpdate =
        serde_json::from_str(data.expect("data")).expect("an update");
    assert_eq!(update.in_rotation().count(), 1);
}

#[tokio::test]
async fn a_reset_that_breaks_in_the_middle_goes_on_and_sweeps_at_its_end() {
    let mut tasks = JoinSet::new();
    let first = [
        RESET,
        &service(1, "a", 1),
        &service(2, "b", 1),
        &service(3, "c", 1),
        &synced(4),
    ];
    let second = [RESET, &service(5, "a", 2)];
    // What went before the break is told as gone, what went while it was away is not told at all.
    let third = [gone("nobody"), service(6, "d", 2), synced(7)];
    let mut server = telling(vec![first.concat(), second.concat(), third.concat()]).await;
    let mut follower = followed(&server, &mut tasks);
    assert!(follower.age().is_none());
    let copy = follower.complete().await.expect("complete");
    assert_eq!(names(&copy), ["a:1", "b:1", "c:1"]);
    until(&mut follower, &["a:2", "d:2"]).await;
    server.wait_for_calls(4).await;
    let ids: Vec<Option<String>> = server
        .seen()
        .into_iter()
        .map(|seen| seen.condition)
        .collect();
    let id = |id: &str| Some(format!("last-event-id: {id}"));
    assert_eq!(ids, [None, id("e.4"), id("e.5"), id("e.7")]);
}

#[tokio::test]
async fn the_copy_stays_while_the_server_is_away_and_says_how_old_it_is() {
    let mut tasks = JoinSet::new();
    let server = telling(vec![[RESET, &service(1, "a", 1), &synced(2)].concat()]).await;
    let mut follower = followed(&server, &mut tasks);
    follower.complete().await.expect("complete");
    let copy = loop {
        let copy = follower.current();
        if copy.lost().is_some() {
            break copy;
        }
        follower.changed().await.expect("it goes on");
    };
    assert_eq!(
        copy.lost().map(crate::ClientError::kind),
        Some(ErrorKind::Unreachable)
    );
    assert_eq!(copy.in_rotation("n", "a").count(), 1);
    let age = follower.age().expect("an age");
    let older = loop {
        tokio::task::yield_now().await;
        let now = follower.age().expect("an age");
        if now > age {
            break now;
        }
    };
    assert!(older > age);
}

#[tokio::test]
async fn half_of_a_batch_is_not_shown_and_not_forgotten() {
    let mut tasks = JoinSet::new();
    let first = [RESET, &service(1, "a", 1), &service(2, "b", 1), &synced(2)];
    let second = [service(3, "a", 2)];
    let third = [service(4, "b", 2), synced(4)];
    let server = telling(vec![first.concat(), second.concat(), third.concat()]).await;
    let mut follower = followed(&server, &mut tasks);
    let mut shown = vec![];
    while shown.last() != Some(&vec!["a:2".to_owned(), "b:2".to_owned()]) {
        let copy = follower.changed().await.expect("it goes on");
        shown.push(names(&copy));
    }
    shown.dedup();
    assert_eq!(shown, [vec!["a:1", "b:1"], vec!["a:2", "b:2"]]);
}

#[tokio::test]
async fn a_credential_that_is_revoked_ends_it_and_leaves_the_copy() {
    let mut tasks = JoinSet::new();
    let text = [RESET, &service(1, "a", 1), &synced(2)].concat();
    let server = Canned::start(move |seen| match seen.index {
        0 => Reply::Bytes(200, text.clone().into_bytes()),
        _ => Reply::Json(401, json!({"detail": "revoked"})),
    })
    .await;
    let mut follower = followed(&server, &mut tasks);
    let error = loop {
        match follower.changed().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Denied, "revoked")
    );
    assert_eq!(names(&follower.current()), ["a:1"]);
    tasks.join_next().await.expect("a task").expect("it ended");
    let again = follower.changed().await.expect_err("it has ended");
    assert_eq!(again.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn dropping_the_handle_ends_the_work() {
    let mut tasks = JoinSet::new();
    let server = Canned::always(Reply::Never).await;
    let follower = followed(&server, &mut tasks);
    drop(follower);
    tasks.join_next().await.expect("a task").expect("it ended");
}
