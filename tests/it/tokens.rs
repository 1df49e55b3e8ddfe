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

#[test]
fn issued_tokens_are_enough_to_listen_beyond_loopback_and_without_any_the_start_is_refused() {
    let mut first = Server::start();
    let data_dir = first.data_dir().to_owned();
    first
        .put(INSTANCE, &json!({"address": "10.0.0.1"}))
        .expect(201);
    assert!(first.terminate().success());
    let everywhere = || Setup::new().http("0.0.0.0:0").data_dir(&data_dir);
    // There is a registry, and nobody has issued anything.
    let refused = everywhere().refusal();
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(
        told(&refused).contains("without any credential"),
        "{}",
        told(&refused)
    );
    first.restart();
    let admin = secret(&issued(&first, "", &["admin"]));
    assert!(first.terminate().success());
    let server = everywhere().start();
    let url = format!("http://127.0.0.1:{}", server.address().port());
    let ls = |token: &str| {
        let mut command = waypost(["ls"]);
        command
            .env("SERVICE_DISCOVERY_URL", &url)
            .env("WAYPOST_TOKEN", token);
        command.output().unwrap().status.code()
    };
    assert_eq!(ls(""), Some(5));
    assert_eq!(ls(&admin), Some(0));
}

const INSTANCE: &str = "/v1/namespaces/svc.internal/services/web/instances/a";
const SECRET: &str = "a-shared-secret-of-the-tests-0123456789";

#[test]
fn a_server_whose_last_token_has_ended_stays_closed_and_says_how_to_get_in() {
    let first = Setup::new().env("SERVICE_DISCOVERY_SECRET", SECRET);
    let mut server = first.start();
    let data_dir = server.data_dir().to_owned();
    let short = secret(&issued(&server, SECRET, &["short", "--expires", "2s"]));
    assert!(server.terminate().success());
    let mut open = Setup::new().data_dir(&data_dir).start();
    crate::server::eventually("it has ended", || {
        (cli(&open, &short, &["ls"]).0 == 5).then_some(())
    });
    open.restart();
    assert_eq!(cli(&open, "", &["ls"]).0, 5);
    let log = open.log();
    assert!(
        log.contains("start once with SERVICE_DISCOVERY_SECRET"),
        "{log}"
    );
    assert!(open.terminate().success());
    // That is the way in, and who revokes the last one opens the server.
    server.restart();
    let (code, said) = cli(
        &server,
        SECRET,
        &["token", "create", "admin", "-q", "-o", "json"],
    );
    assert_eq!(code, 0, "{said}");
    let admin: Value = serde_json::from_str(&said).unwrap();
    assert!(server.terminate().success());
    open.restart();
    assert!(!open.log().contains("none is left"), "{}", open.log());
    let id = admin["id"].as_str().unwrap();
    assert_eq!(cli(&open, &secret(&admin), &["token", "revoke", id]).0, 0);
    assert_eq!(cli(&open, "", &["ls"]).0, 0);
    open.restart();
    assert_eq!(cli(&open, "", &["ls"]).0, 0);
}

#[test]
fn a_token_that_cannot_be_read_any_more_opens_nothing() {
    let mut server = Server::start();
    issued(&server, "", &["admin"]);
    assert!(server.terminate().success());
    let file = server.data_dir().join("registry.sqlite");
    let database = rusqlite::Connection::open(file).unwrap();
    let damage = "UPDATE object SET crc = 1 WHERE kind = 'document' AND key LIKE 'access/token%'";
    assert_eq!(database.execute(damage, []), Ok(1));
    drop(database);
    server.restart();
    assert_eq!(cli(&server, "", &["ls"]).0, 5);
}

#[test]
fn a_token_that_is_revoked_holds_for_no_further_request_of_an_open_connection() {
    let server = Server::start();
    let admin = secret(&issued(&server, "", &["admin"]));
    let other = issued(&server, &admin, &["other"]);
    let bearer = format!("Bearer {}", secret(&other));
    let admins = format!("Bearer {admin}");
    let mut connection = server.connect();
    let mut ask = |bearer: &str| {
        let headers = [("Authorization", bearer)];
        connection
            .request("GET", "/v1/namespaces", &headers, b"")
            .unwrap()
            .status
    };
    assert_eq!([ask(&bearer), ask(&bearer)], [200, 200]);
    // Another one over the same connection, as a proxy sends it, and one that is nearly right.
    assert_eq!([ask(&admins), ask(&bearer)], [200, 200]);
    let nearly = format!("{}x", &bearer[..bearer.len() - 1]);
    assert_eq!(ask(&nearly), 401);
    assert_eq!(ask(&bearer), 200);
    let id = other["id"].as_str().unwrap();
    assert_eq!(cli(&server, &admin, &["token", "revoke", id]).0, 0);
    assert_eq!([ask(&bearer), ask(&admins)], [401, 200]);
}

#[test]
fn another_server_key_is_told_until_a_credential_is_issued_with_it() {
    let mut server = Server::start();
    issued(&server, "", &["admin"]);
    assert!(server.terminate().success());
    std::fs::remove_file(server.data_dir().join("server.key")).unwrap();
    let is_told = |server: &Server| server.log().contains("server.key is another one");
    let with_secret = Setup::new()
        .data_dir(server.data_dir())
        .env("SERVICE_DISCOVERY_SECRET", SECRET);
    let mut rescue = with_secret.start();
    assert!(is_told(&rescue), "{}", rescue.log());
    // A rotation issues one as well.
    let (_, listed) = cli(&rescue, SECRET, &["token", "ls", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let old = listed["tokens"][0]["id"].as_str().unwrap().to_owned();
    let (code, said) = cli(
        &rescue,
        SECRET,
        &["token", "rotate", &old, "-q", "-o", "json"],
    );
    assert_eq!(code, 0, "{said}");
    let admin = secret(&serde_json::from_str(&said).unwrap());
    assert!(rescue.terminate().success());
    server.restart();
    assert_eq!(cli(&server, &admin, &["ls"]).0, 0);
    let last = server.log();
    let last = last.rsplit("listening").next().unwrap_or_default();
    assert!(!last.contains("server.key is another one"), "{last}");
}
