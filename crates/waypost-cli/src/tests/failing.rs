//! Exit codes, and what a failed command says.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::canned::{Canned, Reply};
use super::{execute, waypost};
use crate::Exit;

fn problem(status: u16) -> Reply {
    Reply::Json(
        status,
        json!({"status": status, "detail": "it is so", "code": "x"}),
    )
}

#[tokio::test]
async fn each_kind_of_error_has_its_exit_code() {
    for (status, exit, code) in [
        (500, Exit::Failure, 1),
        (422, Exit::Usage, 2),
        (404, Exit::NotFound, 3),
        (401, Exit::Denied, 5),
        (403, Exit::Denied, 5),
        (409, Exit::Conflict, 7),
        (504, Exit::Timeout, 8),
    ] {
        let server = Canned::always(problem(status)).await;
        for command in [
            "get web",
            "discover web",
            "deregister web/1",
            "explain web/1",
        ] {
            let ran = waypost(&server, command).await;
            assert_eq!(
                (ran.exit, ran.exit.code()),
                (exit, code),
                "{command} {status}"
            );
            assert!(ran.err.starts_with("error: it is so\n"), "{}", ran.err);
            assert_eq!(ran.out, "", "nothing but data goes to standard output");
        }
    }
}

#[tokio::test]
async fn an_unreachable_server_is_told_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = execute(&url, "ls", &mut std::io::empty(), &mut out, &mut err).await;
    assert_eq!((exit, exit.code()), (Exit::Unreachable, 6));
    assert_eq!(
        String::from_utf8(err).expect("UTF-8"),
        format!(
            "error: cannot reach {url}: connection refused\n\
             hint: is `waypost serve` running? --server or SERVICE_DISCOVERY_URL sets the address\n"
        )
    );
}

#[tokio::test]
async fn a_slow_server_is_a_timeout() {
    let server = Canned::always(Reply::Never).await;
    let ran = waypost(&server, "ls --timeout 0.1").await;
    assert_eq!((ran.exit, ran.exit.code()), (Exit::Timeout, 8));
    assert!(ran.err.contains("within 0.1 s"), "{}", ran.err);
    assert!(ran.err.contains("hint: --timeout SECONDS"), "{}", ran.err);
}

#[tokio::test]
async fn an_address_that_cannot_work_is_a_usage_error() {
    for url in ["ftp://host", "http://host:0", "nonsense://"] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = execute(url, "ls", &mut std::io::empty(), &mut out, &mut err).await;
        assert_eq!(exit, Exit::Usage, "{url}");
    }
}

#[tokio::test]
async fn a_refused_field_is_named_with_its_value_and_rule_once() {
    let refused = |detail: &str| {
        json!({
            "status": 422, "detail": detail, "field": "port", "value": "0", "rule": "must be 1 to 65535"
        })
    };
    for (answer, line) in [
        (
            refused("the registration is refused"),
            "error: the registration is refused; port \"0\": must be 1 to 65535\n",
        ),
        (
            refused("port must be 1 to 65535, got 0"),
            "error: port must be 1 to 65535, got 0\n",
        ),
        (
            json!({"status": 422, "detail": "two fields are refused", "errors": [
                {"field": "port", "value": "0", "rule": "must be 1 to 65535"},
                {"field": "tags[0]", "value": "", "rule": "must not be empty"}
            ]}),
            "error: two fields are refused; port \"0\": must be 1 to 65535; tags[0] \"\": must not be empty\n",
        ),
    ] {
        let server = Canned::always(Reply::Json(422, answer)).await;
        let ran = waypost(&server, "register web --address 10.0.0.1").await;
        assert_eq!(ran.exit, Exit::Usage);
        assert_eq!(ran.err, line);
    }
}

#[tokio::test]
async fn the_token_file_is_used_and_a_bad_one_is_named() {
    let server = Canned::always(Reply::Json(200, json!({"services": []}))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("token"), "s3cret\n").expect("written");
    std::fs::write(path("empty"), "\n").expect("written");
    std::fs::write(path("long"), "x".repeat(100_000)).expect("written");
    let ran = waypost(
        &server,
        &format!("ls --token-file {}", path("token").display()),
    )
    .await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(
        server.seen()[0].authorization.as_deref(),
        Some("Bearer s3cret")
    );
    for (name, said) in [
        ("empty", "is empty"),
        ("long", "longer than"),
        ("none", "cannot read"),
    ] {
        let ran = waypost(
            &server,
            &format!("ls --token-file {}", path(name).display()),
        )
        .await;
        assert_eq!(ran.exit, Exit::Usage, "{name}");
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_denied_call_says_what_is_missing() {
    for (status, said) in [
        (401, "hint: --token-file"),
        (403, "hint: the token is known"),
    ] {
        let server = Canned::always(problem(status)).await;
        let ran = waypost(&server, "ls").await;
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[tokio::test]
async fn an_owner_without_an_instance_is_a_usage_error() {
    let server = Canned::always(Reply::Json(200, Value::Null)).await;
    let ran = waypost(&server, "get web --owner node/a").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert_eq!(server.calls(), [""; 0]);
}
