//! The report of `explain`.

use serde_json::{Value, json};

use super::canned::{Canned, Reply};
use super::example::{explanation, server};
use super::waypost;
use crate::Exit;

async fn explained(answer: Value) -> super::Ran {
    let server = Canned::always(Reply::Json(200, answer)).await;
    waypost(&server, "explain web/web-1").await
}

#[tokio::test]
async fn an_instance_that_is_out_is_explained_with_all_evidence() {
    let ran = explained(explanation(false)).await;
    assert_eq!(ran.exit, Exit::Unhealthy);
    assert_eq!(ran.err, "");
    assert_eq!(
        ran.out,
        "\
web/web-1 is OUT of rotation: check http failed 3 times: connection refused (10.0.0.2:8080), since 12 s ago

  namespace   svc.internal
  health      Unhealthy
  mode        Active
  tier        out
  lease       running, 300 s long, last heartbeat 10 s ago, ends in 290 s

Checks
  http   failing   http://10.0.0.2:8080/health
    since          12 s ago: connection refused
    last probe     2 s ago
    last answer    72 s ago: status 200, {\"status\":\"healthy\"}
    last failure   2 s ago: connection refused

History, latest first
  12 s ago     Healthy -> Unhealthy   check http failed 3 times: not ready
  60 min ago   Unknown -> Healthy     check http passed

Visible
  rest   no    GET /v1/discover/web             tier out
  rest   yes   GET /v1/discovery/services/web   lists all instances
"
    );
}

#[tokio::test]
async fn an_instance_that_is_in_is_a_success() {
    let ran = waypost(&server().await, "explain web/web-1").await;
    assert_eq!(ran.exit, Exit::Ok);
    assert!(
        ran.out
            .starts_with("web/web-1 is IN rotation: check http passes, since 12 s ago\n"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn failing_open_is_not_the_same_as_being_well() {
    let mut answer = explanation(true);
    answer["tier"] = json!("fail_open");
    let ran = explained(answer).await;
    assert_eq!(ran.exit, Exit::Ok);
    assert!(
        ran.out.contains("only because the service fails open"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn a_lease_is_told_by_where_it_stands() {
    for (lease, said) in [
        (Value::Null, "lease       none"),
        (
            json!({"state": "not_started", "duration_seconds": 300}),
            "lease       starts with the first heartbeat, 300 s long",
        ),
        (
            json!({"state": "over", "since": "2026-11-01T12:00:00Z", "last_heartbeat": null}),
            "lease       over, since 12 s ago\n",
        ),
        (
            json!({"state": "suspect", "since": "2026-11-01T12:00:00Z"}),
            "lease       late, held by protection, since 12 s ago\n",
        ),
    ] {
        let mut answer = explanation(false);
        answer["lease"] = lease;
        let ran = explained(answer).await;
        assert!(ran.out.contains(said), "{}", ran.out);
    }
}

#[tokio::test]
async fn an_owner_is_shown_and_asked_for() {
    let mut answer = explanation(true);
    answer["owner"] = json!("node/a");
    let server = Canned::always(Reply::Json(200, answer)).await;
    let ran = waypost(&server, "explain web/web-1 --owner node/a").await;
    assert!(ran.out.contains("  owner       node/a\n"), "{}", ran.out);
    assert_eq!(
        server.calls(),
        ["GET /v1/explain/web/web-1?namespace=svc.internal&owner=node%2Fa"]
    );
}

#[tokio::test]
async fn little_evidence_makes_a_short_report() {
    let answer = json!({
        "namespace": "svc.internal", "service": "web", "id": "web-1", "in_rotation": false, "reason": "never checked."
    });
    let ran = explained(answer).await;
    assert_eq!(
        ran.out,
        "\
web/web-1 is OUT of rotation: never checked

  namespace   svc.internal
  health      Unknown
  mode        Active
  tier        -
  lease       none
"
    );
}
