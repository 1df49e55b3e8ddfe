//! `register` by arguments and from files.

use serde_json::{Value, json};

use super::canned::{Canned, Reply};
use super::example::{answer, server};
use super::{Ran, waypost, waypost_with_input};
use crate::Exit;

const WEB: &str = "/v1/namespaces/svc.internal/services/web/instances";

async fn from_input(server: &Canned, input: &str) -> Ran {
    waypost_with_input(server, "register -f -", input).await
}

/// Gives the calls in order of their text: those of a file are under way together.
fn sorted_calls(server: &Canned) -> Vec<String> {
    let mut calls = server.calls();
    calls.sort();
    calls
}

#[tokio::test]
async fn arguments_become_the_contracts_registration() {
    let server = server().await;
    let ran = waypost(
        &server,
        "register web web-1 --address 10.0.0.1 --port 8080 --tag a --tag b --attribute k=v=w \
         --weight 3 --check http:/ready?deep=1 --check tcp --check tcp --lease 30 --zone z --region r",
    )
    .await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(server.calls(), [format!("PUT {WEB}/web-1")]);
    assert_eq!(
        server.seen()[0].body,
        json!({
            "address": "10.0.0.1", "port": 8080, "tags": ["a", "b"], "attributes": {"k": "v=w"},
            "weight": 3, "lease_seconds": 30, "zone": "z", "region": "r",
            "checks": [
                {"id": "http", "kind": "http", "path": "/ready?deep=1"},
                {"id": "tcp", "kind": "tcp"}, {"id": "tcp-2", "kind": "tcp"}
            ]
        })
    );
}

#[tokio::test]
async fn checks_of_https_and_grpc_have_one_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, "-----BEGIN CERTIFICATE-----").unwrap();
    let server = server().await;
    let arguments = format!(
        "register web a --address 10.0.0.1 --check https:/up --check https --check grpc --check grpc:a.B \
         --check grpcs:a.B --check-tls ca={} --check-tls server-name=shop --check-tls profile=edge",
        ca.display()
    );
    let ran = waypost(&server, &arguments).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    let tls = json!({
        "ca_pem": "-----BEGIN CERTIFICATE-----", "server_name": "shop", "profile": "edge",
    });
    assert_eq!(
        server.seen()[0].body["checks"],
        json!([
            {"id": "https", "kind": "https", "path": "/up", "tls": tls},
            {"id": "https-2", "kind": "https", "path": "/health", "tls": tls},
            {"id": "grpc", "kind": "grpc"},
            {"id": "grpc-2", "kind": "grpc", "service": "a.B"},
            {"id": "grpc-3", "kind": "grpc", "service": "a.B", "tls": tls},
        ])
    );
    waypost(
        &server,
        "register web a --address a --check https:/ --check-tls insecure",
    )
    .await;
    assert_eq!(
        server.seen()[1].body["checks"][0]["tls"],
        json!({"insecure": true})
    );
}

#[tokio::test]
async fn tls_without_a_check_that_speaks_it_and_settings_that_are_not_known_are_refused() {
    let server = server().await;
    for (arguments, said) in [
        (
            "--check http:/ --check-tls insecure",
            "--check-tls is for checks of https:/PATH or grpcs:SERVICE",
        ),
        (
            "--check grpc:a --check-tls insecure",
            "--check-tls is for checks of https:/PATH or grpcs:SERVICE",
        ),
        (
            "--check https:/ --check-tls verify=no",
            "expected insecure, server-name=NAME, ca=FILE or profile=NAME",
        ),
        (
            "--check https:/ --check-tls ca=/there/is/none",
            "cannot read /there/is/none",
        ),
    ] {
        let ran = waypost(&server, &format!("register web a --address a {arguments}")).await;
        assert_eq!(ran.exit, Exit::Usage, "{arguments}");
        assert!(ran.err.contains(said), "{arguments}: {}", ran.err);
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn an_instance_without_an_id_is_named_by_where_it_is() {
    for (arguments, id) in [
        ("--address 10.0.0.1 --port 8080", "10.0.0.1%3A8080"),
        ("--address host.name", "host.name"),
        ("--address fd00::1 --port 8080", "fd00%3A%3A1-8080"),
    ] {
        let server = server().await;
        waypost(&server, &format!("register web {arguments}")).await;
        assert_eq!(server.calls(), [format!("PUT {WEB}/{id}")]);
    }
}

#[tokio::test]
async fn no_check_and_a_check_contradict_each_other() {
    let server = server().await;
    let ran = waypost(&server, "register web --address a --check none --check tcp").await;
    assert_eq!(ran.exit, Exit::Usage);
    let ran = waypost(&server, "register web --address a --check none").await;
    assert_eq!(ran.exit, Exit::Ok);
    assert_eq!(server.seen()[0].body, json!({"address": "a"}));
}

#[tokio::test]
async fn a_file_may_be_an_object_an_array_lines_or_toml() {
    let one = r#"{"service": "web", "id": "a", "address": "10.0.0.1", "later": [1]}"#;
    let two = r#"{"service": "web", "address": "10.0.0.2", "port": 80, "owner": "node/a"}"#;
    let three = r#"{"service": "web", "id": "c", "namespace": "shop", "address": "10.0.0.3"}"#;
    let toml = "[[instance]]\nservice = 'web'\nid = 'a'\naddress = '10.0.0.1'\nlater = [1]\n\
                [[instance]]\nservice = 'web'\naddress = '10.0.0.2'\nport = 80\nowner = 'node/a'\n\
                [[instance]]\nservice = 'web'\nid = 'c'\nnamespace = 'shop'\naddress = '10.0.0.3'\n";
    for input in [
        format!("[{one}, {two}, {three}]"),
        format!("{one}\n{two}\n\n{three}\n"),
        format!("\u{feff}{one}{two}{three}"),
        toml.to_owned(),
    ] {
        let server = server().await;
        let ran = from_input(&server, &input).await;
        assert_eq!(ran.exit, Exit::Ok, "{input}: {}", ran.err);
        assert_eq!(
            sorted_calls(&server),
            [
                "PUT /v1/namespaces/shop/services/web/instances/c".to_owned(),
                format!("PUT {WEB}/10.0.0.2%3A80?owner=node%2Fa"),
                format!("PUT {WEB}/a"),
            ]
        );
        let seen = server.seen();
        let first = seen
            .iter()
            .find(|seen| seen.call.ends_with("/a"))
            .expect("the first item");
        // What the server does not know is for the server to refuse, not for us to drop.
        assert_eq!(first.body, json!({"address": "10.0.0.1", "later": [1]}));
    }
}

#[tokio::test]
async fn a_file_is_read_from_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("web.toml");
    std::fs::write(
        &path,
        "# web\n[[instance]]\nservice = 'web'\nid = 'a'\naddress = 'x'\n",
    )
    .expect("written");
    let server = server().await;
    let ran = waypost(&server, &format!("register -f {}", path.display())).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(server.calls(), [format!("PUT {WEB}/a")]);
    let ran = waypost(&server, "register -f /nowhere/at/all.json").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.err.contains("cannot read /nowhere/at/all.json"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn every_item_is_reported() {
    let server = Canned::start(|seen| {
        if seen.call.contains("/bad") {
            Reply::Json(
                422,
                json!({
                    "detail": "refused", "field": "port", "value": "0", "rule": "must be 1 to 65535"
                }),
            )
        } else {
            answer(&seen.call)
        }
    })
    .await;
    let input = r#"[{"service": "web", "id": "a", "address": "x"}, {"service": "web", "id": "bad", "address": "x"}, {"id": "b"}, 7]"#;
    let ran = from_input(&server, input).await;
    assert_eq!(ran.exit, Exit::Usage, "all failures are of this kind");
    assert_eq!(
        ran.out,
        "\
ITEM   INSTANCE   RESULT       DETAIL
1      web/a      registered   10.0.0.1:8080
2      web/bad    failed       refused; port \"0\": must be 1 to 65535
3      -          failed       service is missing: expected the name of the service
4      -          failed       7 is not a registration: expected an object
"
    );
    assert_eq!(ran.err, "3 of 4 registrations failed\n");
    let ran = waypost_with_input(&server, "register -f - -o json", input).await;
    let shown: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(
        (&shown["registered"], &shown["failed"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(shown["results"][0]["instance"]["id"], "web-1");
    assert_eq!(shown["results"][1]["name"], "web/bad");
    let ran = waypost_with_input(&server, "register -f - -o jsonl", input).await;
    assert_eq!(ran.out.lines().count(), 4);
}

#[tokio::test]
async fn failures_of_several_kinds_are_a_failure() {
    let server = Canned::start(|seen| {
        let status = if seen.call.contains("/a") { 409 } else { 403 };
        Reply::Json(status, json!({"detail": "no"}))
    })
    .await;
    let input = r#"[{"service": "web", "id": "a", "address": "x"}, {"service": "web", "id": "b", "address": "x"}]"#;
    assert_eq!(from_input(&server, input).await.exit, Exit::Failure);
}

#[tokio::test]
async fn many_items_are_reported_in_their_order() {
    let server = server().await;
    let lines: Vec<String> = (0..100)
        .map(|number| format!(r#"{{"service":"web","id":"i{number}","address":"x"}}"#))
        .collect();
    let ran = waypost_with_input(&server, "register -f - -o jsonl", &lines.join("\n")).await;
    let names: Vec<String> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["name"].to_string())
        .collect();
    let expected: Vec<String> = (0..100)
        .map(|number| format!("\"web/i{number}\""))
        .collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_server_that_goes_away_ends_the_sending() {
    let server = Canned::always(Reply::HangUp).await;
    let lines: Vec<String> = (0..70)
        .map(|number| format!(r#"{{"service":"web","id":"i{number}","address":"x"}}"#))
        .collect();
    let ran = from_input(&server, &lines.join("\n")).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(ran.out.contains("not sent: cannot reach"), "{}", ran.out);
    assert_eq!(
        server.calls().len(),
        32 * 3,
        "the first group, three attempts each"
    );
}

#[tokio::test]
async fn input_that_is_no_registration_sends_nothing() {
    let server = server().await;
    for (input, said) in [
        ("", "no registration"),
        ("[]", "no registration"),
        ("{\"service\": \"web\"", "not JSON"),
        ("service: web", "not JSON"),
        ("[[instance]]\nservice = ", "not TOML"),
        (
            "[[instance]]\nservice = 'web'\n[other]\nx = 1",
            "\"other\" is not known here",
        ),
    ] {
        let ran = from_input(&server, input).await;
        assert_eq!(ran.exit, Exit::Usage, "{input}");
        assert!(ran.err.contains(said), "{input}: {}", ran.err);
    }
    assert_eq!(server.calls(), [""; 0]);
}

#[tokio::test]
async fn the_second_registration_of_an_instance_is_refused() {
    let server = server().await;
    let input = r#"[{"service": "web", "id": "a", "address": "x"}, {"service": "WEB", "id": "a", "address": "y", "namespace": "svc.internal"}]"#;
    let ran = from_input(&server, input).await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.out.contains("WEB/a is already item 1 of the input"),
        "{}",
        ran.out
    );
    assert_eq!(server.calls().len(), 1);
}
