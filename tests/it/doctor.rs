//! `waypost doctor` against the real server: each problem is made on purpose, found and named, with a hint what to do.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::server::{Server, Setup, eventually, waypost};
use crate::skips::skipped;
use crate::target::{Reply, Target};

/// What the doctor said, and its exit code.
struct Told {
    code: i32,
    report: Value,
}

impl Told {
    fn of(output: &Output) -> Self {
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        Self {
            code: output.status.code().unwrap(),
            report: serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out} {err}")),
        }
    }

    /// Gives the findings of a check.
    fn checks(&self, category: &str, name: &str) -> Vec<&Value> {
        let categories = self.report["categories"].as_array().unwrap().iter();
        let found = categories
            .filter(|one| one["name"] == category)
            .flat_map(|one| one["checks"].as_array().unwrap())
            .filter(|check| check["name"] == name);
        found.collect()
    }

    /// Demands that a check found something of this kind with these words, and a hint with those.
    fn found(&self, (category, name): (&str, &str), result: &str, words: &str, hint: &str) {
        let checks = self.checks(category, name);
        let is_it = |check: &&Value| {
            let has = |field: &str, words: &str| {
                words.is_empty()
                    || check[field]
                        .as_str()
                        .is_some_and(|text| text.contains(words))
            };
            check["result"] == result && has("detail", words) && has("hint", hint)
        };
        assert!(
            checks.iter().any(is_it),
            "no {result} with {words:?} and {hint:?} in {category}, {name}: {checks:#?}"
        );
        let well = matches!(result, "ok" | "skipped");
        assert!(
            checks
                .iter()
                .all(|check| well || check["hint"].is_string() || check["result"] == "ok"),
            "{checks:#?}"
        );
    }

    fn count(&self, result: &str) -> usize {
        let categories = self.report["categories"].as_array().unwrap().iter();
        let checks = categories.flat_map(|one| one["checks"].as_array().unwrap());
        checks.filter(|check| check["result"] == result).count()
    }
}

/// Runs it with a token, or none.
fn examine(server: &Server, token: &str, arguments: &[&str]) -> Told {
    let whole = [&["doctor", "-o", "json"], arguments].concat();
    let mut command = waypost(whole);
    command
        .env("SERVICE_DISCOVERY_URL", server.url())
        .env("WAYPOST_TOKEN", token);
    Told::of(&command.output().unwrap())
}

fn put(server: &Server, instance: &str, body: &Value) {
    let (service, id) = instance.split_once('/').unwrap();
    let path = format!("/v1/namespaces/svc.internal/services/{service}/instances/{id}");
    assert!(server.put(&path, body).is_success(), "{instance}");
}

fn issue(server: &Server, token: &str, body: &Value) -> Value {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Content-Type", "application/json")];
    if !token.is_empty() {
        headers.push(("Authorization", &bearer));
    }
    let body = body.to_string();
    let answer = server.request("POST", "/v1/tokens", &headers, body.as_bytes());
    answer.expect(201).json()
}

fn secret(made: &Value) -> String {
    made["secret"].as_str().unwrap().to_owned()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a small set-up that is well has: category, check, words.
const WELL: [(&str, &str, &str); 15] = [
    ("server", "reachable", "answers in"),
    ("server", "ready", "takes writes"),
    ("server", "version", "server and program are version"),
    ("server", "clock", "agrees"),
    ("server", "transport", "nothing leaves this machine"),
    ("credential", "accepted", "asks for no credential"),
    ("store", "writes", "takes writes"),
    ("store", "commits", "durable within"),
    ("store", "journal", "keeps every line"),
    ("store", "data-directory", "only its owner"),
    (
        "dns",
        "answers",
        "answers for 1 namespace, over UDP and TCP",
    ),
    (
        "services",
        "listed",
        "2 services in svc.internal with 2 instances",
    ),
    ("services", "rotation", "every instance is in rotation"),
    ("services", "addresses", "registered twice"),
    ("services", "prometheus-labels", "label of its own"),
];

#[test]
fn a_small_healthy_setup_has_no_failure() {
    let server = Server::start();
    let target = Target::start();
    let checked = json!({
        "address": "127.0.0.1", "port": target.port(),
        "checks": [{ "id": "http", "kind": "http", "path": "/" }],
    });
    put(&server, "web/a", &checked);
    put(
        &server,
        "api/b",
        &json!({ "address": "127.0.0.1", "port": 8080 }),
    );
    let data = server.data_dir().to_str().unwrap().to_owned();
    mode(server.data_dir(), 0o700);
    let told = eventually("all are in rotation", || {
        let told = examine(&server, "", &["--data-dir", &data]);
        (told.code == 0).then_some(told)
    });
    assert_eq!(told.report["success"], true);
    assert_eq!(told.report["failures"], 0);
    assert_eq!(told.report["warnings"], told.count("warning"));
    for (category, name, words) in WELL {
        told.found((category, name), "ok", words, "");
    }
    // How fast a disk of tests is, and how many files they may open, is the machine's.
    assert_eq!(told.checks("store", "durable-write").len(), 1);
    assert!(
        told.checks("store", "durable-write")[0]["detail"]
            .as_str()
            .unwrap()
            .contains("half of 20")
    );
    let files = told.checks("limits", "open-files")[0];
    assert!(
        files["detail"].as_str().unwrap().contains("files open"),
        "{files}"
    );
}

#[test]
fn it_is_shown_in_every_form_and_for_one_service_or_all_namespaces() {
    let server = Server::start();
    for instance in ["web/a", "api/b"] {
        put(&server, instance, &json!({ "address": "127.0.0.1" }));
    }
    let text = server.cli(&["doctor"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.starts_with("server\n------\n[ok] http://127.0.0.1:"),
        "{text}"
    );
    assert!(
        text.lines().last().unwrap().starts_with("status: "),
        "{text}"
    );
    let lines = server.cli(&["doctor", "-o", "jsonl"]);
    let lines = String::from_utf8(lines.stdout).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["category"], "server");
    assert_eq!(lines[0]["name"], "reachable");
    let everywhere = examine(&server, "", &["--all"]);
    everywhere.found(("services", "listed"), "ok", "in all namespaces", "");
    let one = examine(&server, "", &["--service", "web"]);
    one.found(
        ("services", "listed"),
        "ok",
        "1 service in svc.internal with 1 instance",
        "",
    );
}

#[test]
fn a_server_that_is_not_there_ends_with_6_and_what_is_here_is_looked_at_all_the_same() {
    let mut server = Server::start();
    let url = server.url();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "a-token-of-somebody").unwrap();
    mode(&token, 0o644);
    assert!(server.terminate().success());
    let mut command = waypost(["doctor", "-o", "json", "--server", &url, "--token-file"]);
    let told = Told::of(&command.arg(&token).output().unwrap());
    assert_eq!(told.code, 6);
    assert_eq!(told.report["success"], false);
    told.found(
        ("server", "reachable"),
        "failure",
        "cannot reach",
        "is `waypost serve` running?",
    );
    told.found(("credential", "files"), "warning", "0644", "chmod 600");
    told.found(("services", "rotation"), "skipped", "does not answer", "");
    told.found(("dns", "answers"), "skipped", "does not answer", "");
}

#[test]
fn a_credential_that_is_missing_wrong_or_narrow_is_named() {
    let server = Server::start();
    let admin = secret(&issue(&server, "", &json!({ "name": "admin" })));
    let none = examine(&server, "", &[]);
    assert_eq!(none.code, 5);
    none.found(
        ("credential", "accepted"),
        "failure",
        "wants a credential, and none was given",
        "WAYPOST_TOKEN",
    );
    none.found(("server", "ready"), "ok", "", "");
    none.found(
        ("services", "listed"),
        "skipped",
        "refuses the credential",
        "",
    );
    let wrong = examine(&server, "wp_not-a-token-of-this-server", &[]);
    assert_eq!(wrong.code, 5);
    wrong.found(
        ("credential", "accepted"),
        "failure",
        "the credential is refused",
        "waypost token ls",
    );
    let whole = examine(&server, &admin, &[]);
    assert_eq!(whole.code, 0, "{}", whole.report);
    whole.found(("credential", "accepted"), "ok", "administrator's", "");

    let grants = json!([{ "verbs": ["read"], "services": "web*" }]);
    let reader = json!({ "name": "reader", "grants": grants, "expires_in_seconds": 90_000 });
    let reader = secret(&issue(&server, &admin, &reader));
    let narrow = examine(&server, &reader, &[]);
    assert_eq!(narrow.code, 0, "{}", narrow.report);
    narrow.found(("credential", "accepted"), "ok", "no administrator's", "");
    narrow.found(("store", "writes"), "skipped", "may read everything", "");
    narrow.found(
        ("credential", "tokens-ending"),
        "skipped",
        "administrators",
        "",
    );
    let whole = examine(&server, &admin, &[]);
    whole.found(
        ("credential", "tokens-ending"),
        "warning",
        "credential reader (",
        "waypost token rotate ",
    );
    assert_eq!(whole.code, 0);
    assert_eq!(examine(&server, &admin, &["--strict"]).code, 1);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, &admin).unwrap();
    for (bits, result) in [(0o640, "warning"), (0o600, "ok")] {
        mode(&file, bits);
        let told = examine(&server, "", &["--token-file", file.to_str().unwrap()]);
        told.found(("credential", "files"), result, "", "");
    }
}

#[test]
fn a_failing_check_is_named_with_its_reason_and_its_url() {
    let server = Server::start();
    let target = Target::replying(Reply::Answer(503, "not now".to_owned()));
    let url = format!("http://127.0.0.1:{}/ready", target.port());
    let failing = json!({
        "address": "127.0.0.1", "port": target.port(),
        "checks": [{ "id": "http", "kind": "http", "path": "/ready" }],
    });
    put(&server, "web/b", &failing);
    let told = eventually("it was asked", || {
        let told = examine(&server, "", &[]);
        let found = told.checks("services", "rotation");
        let asked = found
            .iter()
            .any(|check| check["detail"].as_str().unwrap().contains("503"));
        asked.then_some(told)
    });
    assert_eq!(told.code, 1);
    let rotation = ("services", "rotation");
    told.found(
        rotation,
        "failure",
        "nobody of web is in rotation",
        "waypost ls web",
    );
    told.found(rotation, "warning", &url, &format!("curl -i {url}"));
    // With another one beside it, it is a warning alone.
    put(
        &server,
        "web/a",
        &json!({ "address": "127.0.0.1", "port": 8080 }),
    );
    let told = examine(&server, "", &[]);
    assert_eq!(told.code, 0, "{}", told.report);
    told.found(rotation, "warning", "web/b is out of rotation", "");
    let moved = server.cli(&["maintenance", "web/a", "--reason", "a new disk"]);
    assert!(moved.status.success(), "{moved:?}");
    let told = examine(&server, "", &[]);
    assert_eq!(told.code, 1);
    told.found(rotation, "warning", "a new disk", "waypost resume web/a");
}

#[test]
fn addresses_that_are_shared_or_contested_are_named() {
    let server = Server::start();
    let at = |port: u16| json!({ "address": "127.0.0.1", "port": port });
    put(&server, "web/a", &at(8080));
    put(&server, "web/b", &at(8080));
    put(&server, "web/c", &at(8081));
    put(&server, "api/d", &at(8081));
    let told = examine(&server, "", &[]);
    assert_eq!(told.code, 0, "{}", told.report);
    let check = ("services", "addresses");
    let several = "127.0.0.1:8080 is registered by several instances of one service: web/a, web/b";
    told.found(check, "warning", several, "one id for each process");
    let contested =
        "127.0.0.1:8081 is contested: several services are registered there: api/d, web/c";
    told.found(check, "warning", contested, "waypost deregister");
}

#[test]
fn a_namespace_that_ends_in_local_is_a_warning() {
    let server = Server::start();
    server
        .put(
            "/v1/namespaces/secure-api.local",
            &json!({ "kind": "PrivateDns" }),
        )
        .expect(201);
    let told = examine(&server, "", &[]);
    told.found(
        ("dns", "multicast"),
        "warning",
        "secure-api.local",
        ".internal",
    );
}

#[test]
fn a_heart_that_beats_too_slowly_is_a_warning() {
    let server = Server::start();
    put(
        &server,
        "web/a",
        &json!({ "address": "127.0.0.1", "lease_seconds": 8 }),
    );
    assert!(server.cli(&["heartbeat", "web/a"]).status.success());
    let told = eventually("half of the lease is over", || {
        let told = examine(&server, "", &[]);
        (told.checks("services", "heartbeats")[0]["result"] == "warning").then_some(told)
    });
    let words = "web/a: beats come less than twice in a lease of 8 s";
    told.found(
        ("services", "heartbeats"),
        "warning",
        words,
        "send one every 2 s",
    );
}

#[test]
fn attributes_that_become_one_label_are_named() {
    let server = Server::start();
    let attributes = json!({ "build.id": "1", "build-id": "2" });
    put(
        &server,
        "web/a",
        &json!({ "address": "127.0.0.1", "attributes": attributes }),
    );
    let told = examine(&server, "", &[]);
    let words =
        "the attributes build-id, build.id become the label __meta_waypost_attribute_build_id";
    told.found(
        ("services", "prometheus-labels"),
        "warning",
        words,
        "name them apart",
    );
}

#[test]
fn a_key_that_others_may_read_fails() {
    let server = Server::start();
    let data = server.data_dir().to_str().unwrap().to_owned();
    mode(server.data_dir(), 0o755);
    mode(&server.data_dir().join("server.key"), 0o644);
    let told = examine(&server, "", &["--data-dir", &data]);
    assert_eq!(told.code, 1);
    let check = ("store", "data-directory");
    told.found(
        check,
        "failure",
        "server.key: its mode is 0644",
        "chmod 600",
    );
    told.found(check, "warning", "its mode is 0755", "chmod 700");
    let elsewhere = tempfile::tempdir().unwrap();
    let told = examine(
        &server,
        "",
        &["--data-dir", elsewhere.path().to_str().unwrap()],
    );
    told.found(check, "failure", "has no server.key", "--data-dir");
}

#[test]
fn what_is_not_there_is_named() {
    let server = Server::start();
    let told = examine(&server, "", &["--service", "nobody"]);
    assert_eq!(told.code, 1);
    told.found(("services", "listed"), "failure", "nobody", "waypost ls");
    let told = examine(&server, "", &["-n", "nowhere.internal"]);
    assert_eq!(told.code, 1);
    told.found(
        ("services", "listed"),
        "failure",
        "nowhere.internal",
        "waypost ls",
    );
}

#[test]
fn it_changes_nothing_and_looks_at_no_more_than_its_bounds_which_it_says() {
    let server = Server::start();
    let item = |number: u32| {
        let registration = json!({ "address": "127.0.0.1", "port": 1_000 + number });
        json!({ "service": format!("s{number:03}"), "id": "a", "registration": registration })
    };
    let items: Vec<Value> = (0..201).map(item).collect();
    let made = server.post("/v1/batch/register", &json!({ "items": items }));
    assert!(made.is_success(), "{}", made.text());
    let changes = || {
        let page = server.get("/v1/audit?kind=changed&limit=1").expect(200);
        page.json()["lines"][0]["sequence"].clone()
    };
    let before = changes();
    let told = examine(&server, "", &[]);
    let text = told.report.to_string();
    assert!(text.contains("only the first 200 services"), "{text}");
    let one = examine(&server, "", &["--service", "s200"]);
    one.found(("services", "listed"), "ok", "1 service", "");
    assert_eq!(changes(), before);
}

#[test]
fn a_file_that_cannot_be_read_is_a_wrong_option() {
    let server = Server::start();
    let output = server.cli(&["doctor", "--token-file", "/nowhere/token"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/nowhere/token"), "{said}");
}

/// An address of this machine that is not of loopback.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses from where it would be.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn a_server_of_others_is_asked_for_more() {
    let name = "doctor::a_server_of_others_is_asked_for_more";
    let Some(own) = own_address() else {
        return skipped(name, "this machine has no address but loopback");
    };
    let server = Setup::new()
        .http("0.0.0.0:0")
        .env("WAYPOST__ACCESS__ALLOW_ANONYMOUS", "true")
        .start();
    let port = server.address().port();
    let path = "/v1/namespaces/svc.internal/services/web/instances/a";
    let body = json!({ "address": "127.0.0.1", "port": 8080 });
    assert!(server.put(path, &body).is_success());
    let url = format!("http://{own}:{port}");
    let told = Told::of(
        &waypost(["doctor", "-o", "json", "--server", &url])
            .output()
            .unwrap(),
    );
    told.found(
        ("server", "transport"),
        "warning",
        "without TLS",
        "https://",
    );
    told.found(
        ("credential", "accepted"),
        "warning",
        "asks for no credential",
        "waypost token create admin",
    );
    told.found(
        ("dns", "answers"),
        "warning",
        "its own machine reaches",
        "dns.listen",
    );
    told.found(
        ("services", "reachable-addresses"),
        "warning",
        "web/a is registered at 127.0.0.1",
        "the address that others reach it at",
    );
}
