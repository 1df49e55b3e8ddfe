//! Credentials that the server issues: tokens and key pairs, with scopes, over the CLI and in every dialect.

use std::process::Output;

use serde_json::{Value, json};

use crate::server::{Server, Setup, waypost};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs the CLI with a token.
fn cli(server: &Server, token: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = waypost(arguments);
    command
        .env("SERVICE_DISCOVERY_URL", server.url())
        .env("WAYPOST_TOKEN", token);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), told(&output))
}

fn issued(server: &Server, token: &str, arguments: &[&str]) -> Value {
    let whole = [&["token", "create"], arguments, &["-q", "-o", "json"]].concat();
    let (code, said) = cli(server, token, &whole);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap()
}

fn secret(made: &Value) -> String {
    made["secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_closes_an_open_server_holds_over_a_restart_and_ends_when_it_is_revoked() {
    let mut server = Setup::new().start();
    let register = [
        "register",
        "web",
        "a",
        "--address",
        "127.0.0.1",
        "--port",
        "80",
    ];
    assert_eq!(
        cli(&server, "", &register).0,
        0,
        "an open server asks for none"
    );
    // The first one must be able to issue the next.
    let (code, said) = cli(
        &server,
        "",
        &["token", "create", "first", "--allow", "read"],
    );
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("grants"), "{said}");
    let admin = secret(&issued(&server, "", &["admin"]));
    assert!(admin.starts_with("wp_"), "{admin}");
    let (code, said) = cli(&server, "", &["ls"]);
    assert_eq!(code, 5, "{said}");
    assert_eq!(cli(&server, &admin, &["ls"]).0, 0);
    let reader = issued(
        &server,
        &admin,
        &["reader", "--allow", "read:svc.internal/web*"],
    );
    let (id, reader) = (reader["id"].as_str().unwrap(), secret(&reader));
    assert_eq!(cli(&server, &reader, &["discover", "web"]).0, 0);
    assert_eq!(cli(&server, &reader, &register).0, 5);
    assert_eq!(cli(&server, &reader, &["token", "create", "more"]).0, 5);
    let (_, listed) = cli(&server, &admin, &["token", "ls"]);
    assert!(listed.contains("read:svc.internal/web*"), "{listed}");
    assert!(
        !listed.contains(&admin) && !listed.contains(&reader),
        "{listed}"
    );
    let log = server.log();
    assert!(!log.contains(&admin) && !log.contains(&reader), "{log}");
    server.kill9();
    server.restart();
    assert_eq!(cli(&server, &reader, &["discover", "web"]).0, 0);
    let (code, said) = cli(&server, &admin, &["token", "revoke", id]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(cli(&server, &reader, &["discover", "web"]).0, 5);
    assert_eq!(cli(&server, &admin, &["token", "revoke", id]).0, 3);
}

#[test]
fn a_token_ends_on_time() {
    let server = Setup::new().start();
    let admin = secret(&issued(&server, "", &["admin"]));
    let short = secret(&issued(&server, &admin, &["short", "--expires", "1s"]));
    crate::server::eventually("it has ended", || {
        (cli(&server, &short, &["ls"]).0 == 5).then_some(())
    });
    assert_eq!(cli(&server, &admin, &["ls"]).0, 0);
}

#[test]
fn what_a_credential_cannot_be_is_told() {
    let server = Setup::new().start();
    let post = |body: Value| {
        let mut connection = server.connect();
        let headers = [("Content-Type", "application/json")];
        let body = body.to_string();
        let answer = connection.request("POST", "/v1/tokens", &headers, body.as_bytes());
        let answer = answer.unwrap();
        (answer.status, answer.json())
    };
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a b" }), "name"),
        (
            json!({ "name": "x", "aws": true, "account": "12" }),
            "account",
        ),
        (json!({ "name": "x", "grants": [{ "verbs": [] }] }), "verbs"),
        (
            json!({ "name": "x", "grants": [{ "verbs": ["read"], "services": "a*b" }] }),
            "scope",
        ),
        (
            json!({ "name": "x", "expires_in_seconds": 0 }),
            "expires_in_seconds",
        ),
    ] {
        let (status, problem) = post(body);
        assert_eq!(status, 422, "{problem}");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let (_, listed) = cli(&server, "", &["token", "ls", "-o", "json"]);
    assert!(listed.contains("\"tokens\": []"), "{listed}");
}
