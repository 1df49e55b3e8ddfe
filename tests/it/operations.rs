//! What an operator meets: probes of the server itself, metrics, logs, configuration and credentials.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use waypost_telemetry::lint_metric_names;

use crate::connection::Answer;
use crate::server::{Server, Setup, eventually, waypost};
use crate::target::Target;

const SECRET: &str = "correct-horse-battery-staple";
const OPENMETRICS: (&str, &str) = ("Accept", "application/openmetrics-text; version=1.0.0");

/// The metrics of the first issue with the labels that each must have.
const METRICS: [(&str, &[&str]); 12] = [
    ("waypost_instances", &["namespace", "service", "health"]),
    ("waypost_registrations_total", &["protocol"]),
    ("waypost_deregistrations_total", &["reason"]),
    ("waypost_heartbeats_total", &[]),
    ("waypost_health_checks_total", &["type", "result"]),
    ("waypost_health_check_duration_seconds_bucket", &["type"]),
    ("waypost_health_transitions_total", &["from", "to"]),
    (
        "waypost_discovery_request_duration_seconds_bucket",
        &["protocol"],
    ),
    ("waypost_store_commit_duration_seconds_bucket", &[]),
    ("waypost_build_info", &["version", "commit"]),
    ("waypost_namespaces", &[]),
    ("waypost_services", &[]),
];

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn with_token(server: &Server, method: &str, path: &str, token: &str) -> Answer {
    let token = format!("Bearer {token}");
    server.request(method, path, &[("Authorization", &token)], b"")
}

/// Lets everything happen once that is counted.
fn busy(server: &Server) -> Target {
    let target = Target::start();
    for (path, id) in [
        ("/v1/discovery", "instance_id"),
        ("/service-discovery", "instance_id"),
    ] {
        let registration = json!({
            "service_name": "web", id: path.trim_start_matches('/'), "host": "127.0.0.1", "port": target.port(),
        });
        server
            .post(&format!("{path}/register"), &registration)
            .expect(200);
    }
    let ours = "/v1/namespaces/svc.internal/services/web/instances";
    for id in ["kept", "gone"] {
        let body = json!({ "address": "127.0.0.1", "port": target.port(), "checks": [{ "id": "tcp", "kind": "tcp" }] });
        server.put(&format!("{ours}/{id}"), &body).expect(201);
    }
    server.delete(&format!("{ours}/gone")).expect(204);
    let beat = json!({ "service_name": "web", "instance_id": "v1/discovery" });
    server.post("/v1/discovery/heartbeat", &beat).expect(200);
    eventually("all are healthy", || {
        let service = server.get("/v1/namespaces/svc.internal/services/web");
        (service.json()["instances"]["healthy"] == 3).then_some(())
    });
    server.get("/v1/discovery/services/web/healthy").expect(200);
    server.get("/v1/discover/web").expect(200);
    server.get("/service-discovery/discover/web").expect(200);
    target
}

#[test]
fn the_server_says_whether_it_lives_and_is_ready() {
    let server = Server::start();
    assert_eq!(server.get("/livez").expect(200).text(), "ok\n");
    assert_eq!(server.get("/readyz").expect(200).text(), "ok\n");
    let verbose = server.get("/readyz?verbose").expect(200).text();
    for line in ["[+]serving ok", "[+]store-writes ok", "readyz check passed"] {
        assert!(verbose.contains(line), "{verbose}");
    }
}

#[test]
fn readiness_ends_before_the_server_does() {
    let mut server = Server::start();
    // A request in flight keeps the server from ending; a connection that was there is still answered.
    let mut held = server.connect();
    let body = br#"{"service_name":"web","instance_id":"a","host":"127.0.0.1","port":1}"#;
    let head = format!(
        "POST /v1/discovery/register HTTP/1.1\r\nHost: waypost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    held.send_raw(head.as_bytes()).unwrap();
    held.send_raw(&body[..5]).unwrap();
    server.get("/livez").expect(200);
    server.ask_to_end();
    eventually("no new connection is taken", || {
        std::net::TcpStream::connect(server.address()).err()
    });
    held.send_raw(&body[5..]).unwrap();
    assert_eq!(held.answer("POST").unwrap().status, 200);
    assert!(server.wait_for_end().success());
    server.restart();
    server.get("/v1/discovery/services/web").expect(200);
}

#[test]
fn both_signals_that_end_it_end_it_in_order() {
    let mut server = Server::start();
    for signal in ["-TERM", "-INT"] {
        server.signal(signal);
        let status = server.wait_for_end();
        assert!(status.success(), "{signal}: {status}");
        assert!(server.log().contains("stopped"), "{}", server.log());
        server.restart();
    }
}

#[test]
fn every_metric_has_prefix_unit_and_help_and_the_promised_ones_are_there() {
    let server = Server::start();
    let _target = busy(&server);
    let answer = server
        .request("GET", "/metrics", &[OPENMETRICS], b"")
        .expect(200);
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text();
    assert_eq!(lint_metric_names(&text), [] as [&str; 0]);
    for (name, labels) in METRICS {
        let start = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let line = text.lines().find(start);
        let line = line.unwrap_or_else(|| panic!("{name} is missing in\n{text}"));
        for label in labels {
            assert!(line.contains(&format!("{label}=\"")), "{label} in {line}");
        }
    }
    for line in [
        r#"waypost_instances{namespace="svc.internal",service="web",health="Healthy"} 3"#,
        r#"waypost_registrations_total{protocol="discovery"} 1"#,
        r#"waypost_registrations_total{protocol="rest"} 2"#,
        "waypost_namespaces 1",
        "waypost_services 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    let instances: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("instance_id"))
        .collect();
    assert_eq!(
        instances,
        [] as [&str; 0],
        "no instance has a series of its own"
    );

    let plain = server.get("/metrics").expect(200);
    let kind = plain.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
}

/// Every operation of the OpenAPI document, with some value for each parameter.
fn operations(document: &Value) -> Vec<(String, String)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part });
        let mut path = parts.collect::<Vec<_>>().join("/");
        if path == "/v1/watch" {
            // A stream would not end: whoever is let in is told of a parameter that there is not.
            path.push_str("?unknown=1");
        }
        for method in methods.as_object().unwrap().keys() {
            operations.push((method.to_uppercase(), path.clone()));
        }
    }
    operations
}

#[test]
fn with_a_secret_every_path_asks_for_it_and_probes_do_not() {
    let server = Setup::new().env("SERVICE_DISCOVERY_SECRET", SECRET).start();
    let document = with_token(&server, "GET", "/openapi.json", SECRET)
        .expect(200)
        .json();
    let operations = operations(&document);
    let changing = operations
        .iter()
        .filter(|(method, _)| method != "GET")
        .count();
    assert!(changing >= 9, "{operations:?}");
    for (method, path) in &operations {
        if path == "/health" {
            continue;
        }
        let missing = server.request(method, path, &[], b"");
        assert_eq!(missing.status, 401, "{method} {path} without a token");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
        let problem = missing.json();
        assert_eq!(problem["success"], false);
        assert_eq!(problem["code"], "unauthenticated");
        let wrong = with_token(&server, method, path, "wrong-horse-battery-staple");
        assert_eq!(wrong.status, 401, "{method} {path} with a wrong token");
        let known = with_token(&server, method, path, SECRET);
        assert_ne!(known.status, 401, "{method} {path} with the token");
    }
    for path in ["/livez", "/readyz", "/health"] {
        server.get(path).expect(200);
    }
    server.get("/docs").expect(401);
    assert!(server.banner().contains("a token is needed"));
}

#[test]
fn public_reads_opens_reads_and_nothing_else() {
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_SECRET", SECRET)
        .env("WAYPOST__ACCESS__PUBLIC_READS", "true")
        .start();
    // Source 003's clients send no token when they read.
    let document = server.get("/openapi.json").expect(200).json();
    for (method, path) in operations(&document) {
        let answer = server.request(&method, &path, &[], b"");
        if method == "GET" {
            assert_ne!(answer.status, 401, "{method} {path}");
        } else {
            assert_eq!(answer.status, 401, "{method} {path}");
        }
    }
    // Who sends a token believes to be known.
    with_token(&server, "GET", "/v1/discovery/services", "wrong-horse").expect(401);
}

#[test]
fn a_server_for_everybody_starts_only_when_that_is_meant() {
    let (code, said) = serve_everywhere(&[]);
    assert_eq!(code, Some(2), "{said}");
    for part in ["0.0.0.0", "SERVICE_DISCOVERY_SECRET", "allow_anonymous"] {
        assert!(said.contains(part), "{said}");
    }
    let (code, said) = serve_everywhere(&[("WAYPOST__ACCESS__ALLOW_ANONYMOUS", "true")]);
    assert_eq!(code, None, "it ended: {said}");
    let (code, said) = serve_everywhere(&[("SERVICE_DISCOVERY_SECRET", SECRET)]);
    assert_eq!(code, None, "it ended: {said}");
    assert!(said.contains("a token is needed"), "{said}");
}

/// Runs `serve` on all addresses and gives what it says: its banner, or how it ended and why.
fn serve_everywhere(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = waypost(["serve", "--http", "0.0.0.0:0", "--dns", "off", "--data-dir"]);
    command
        .arg(folder.path().join("data"))
        .current_dir(folder.path());
    command.envs(variables.iter().copied());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut banner = String::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map(Result::unwrap) {
        banner.push_str(&line);
        banner.push('\n');
        if line.contains(" explain ") {
            child.kill().unwrap();
            child.wait().unwrap();
            return (None, banner);
        }
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), errors(&output))
}

#[test]
fn a_secret_that_everybody_knows_refuses_the_start() {
    for secret in ["your-secret-key", "short"] {
        let output = Setup::new()
            .env("SERVICE_DISCOVERY_SECRET", secret)
            .refusal();
        assert_eq!(output.status.code(), Some(2));
        let why = errors(&output);
        assert!(why.contains("access.shared_secret"), "{why}");
        assert!(why.contains("SERVICE_DISCOVERY_SECRET"), "{why}");
        assert!(!why.contains(secret), "{why}");
    }
}

#[test]
fn the_mode_of_source_004_chooses_the_store() {
    let register = |server: &Server| {
        let registration = json!({
            "service_name": "web", "instance_id": "a", "host": "127.0.0.1", "port": 8080,
        });
        server
            .post("/v1/discovery/register", &registration)
            .expect(200);
    };
    let mode = |mode: &str| Setup::new().env("SERVICE_DISCOVERY_MODE", mode);
    let mut hybrid = mode("hybrid").start();
    assert!(hybrid.banner().contains("durable"), "{}", hybrid.banner());
    register(&hybrid);
    hybrid.kill9();
    hybrid.restart();
    hybrid.get("/v1/discovery/services/web").expect(200);

    let mut memory = mode("memory_only").start();
    assert!(
        memory.banner().contains("memory only"),
        "{}",
        memory.banner()
    );
    assert!(!memory.data_dir().exists(), "a file was written");
    register(&memory);
    memory.restart();
    memory.get("/v1/discovery/services/web").expect(404);

    for refused in ["redis_backed", "something"] {
        let output = mode(refused).refusal();
        assert_eq!(output.status.code(), Some(2));
        let why = errors(&output);
        for part in ["SERVICE_DISCOVERY_MODE", "hybrid", "memory_only"] {
            assert!(why.contains(part), "{why}");
        }
        assert!(
            refused != "redis_backed" || why.contains("redis_backed"),
            "{why}"
        );
    }
}

#[test]
fn every_error_of_a_configuration_is_told_at_once_with_its_origin() {
    let toml = "[http]\nlisten_to = \"127.0.0.1:1\"\nconnections_max = 0\n\n[health]\njitter_percent = \"often\"\n\n[helth]\nenabled = true\n";
    let output = Setup::new()
        .file(toml)
        .env("WAYPOST__REST__PAGE_SIZE", "5")
        .env("SERVICE_DISCOVERY_MODE", "redis_backed")
        .refusal();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let why = errors(&output);
    for part in [
        "errors:",
        "http.listen_to",
        "waypost.toml:2",
        "health.jitter_percent",
        "waypost.toml:6",
        "helth",
        "WAYPOST__REST__PAGE_SIZE",
        "SERVICE_DISCOVERY_MODE",
    ] {
        assert!(why.contains(part), "{part} is missing in {why}");
    }
    // What breaks a rule between settings is told in one go as well.
    let output = Setup::new()
        .file("[http]\nconnections_max = 0\n\n[rest]\npage_size_max = 0\n")
        .refusal();
    assert_eq!(output.status.code(), Some(2));
    let why = errors(&output);
    for part in [
        "http.connections_max = 0",
        "rest.page_size_max = 0",
        "waypost.toml:5",
    ] {
        assert!(why.contains(part), "{part} is missing in {why}");
    }
}

#[test]
fn config_show_tells_every_value_with_its_origin_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waypost.toml");
    fs::write(&file, "[health]\njitter_percent = 7\n").unwrap();
    let show = |form: &str| {
        let mut command = waypost([
            "config",
            "show",
            "-o",
            form,
            "--http",
            "127.0.0.1:4000",
            "--config",
        ]);
        command
            .arg(&file)
            .env("SERVICE_DISCOVERY_SECRET", SECRET)
            .env("WAYPOST__DIAL__DENY", "10.0.0.0/8");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(SECRET), "{text}");
        text
    };
    let rows: Value = serde_json::from_str(&show("json")).unwrap();
    let rows = rows.as_array().unwrap();
    let row = |key: &str| {
        let row = rows.iter().find(|row| row["key"] == key);
        row.unwrap_or_else(|| panic!("{key} is not shown"))
    };
    for (key, value, origin) in [
        ("http.listen", json!("127.0.0.1:4000"), "--http".to_owned()),
        (
            "health.jitter_percent",
            json!(7),
            format!("{}:2", file.display()),
        ),
        (
            "dial.deny",
            json!(["10.0.0.0/8"]),
            "WAYPOST__DIAL__DENY".to_owned(),
        ),
        (
            "access.shared_secret",
            json!("***"),
            "SERVICE_DISCOVERY_SECRET".to_owned(),
        ),
        (
            "health.startup_spread_seconds",
            json!(5),
            "default".to_owned(),
        ),
    ] {
        assert_eq!(row(key)["value"], value, "{key}");
        assert_eq!(row(key)["origin"], origin, "{key}");
    }
    let table = show("table");
    assert!(table.starts_with("SETTING"), "{table}");
    assert_eq!(table.lines().count(), rows.len() + 1);
}

#[test]
fn logs_are_lines_of_json_when_that_is_asked_for() {
    let mut server = Setup::new()
        .env("WAYPOST__TELEMETRY__LOG_FORMAT", "json")
        .env("SERVICE_HEARTBEAT_INTERVAL", "60")
        .start();
    assert!(server.terminate().success());
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect();
    assert!(!lines.is_empty());
    for line in &lines {
        for field in ["timestamp", "level"] {
            assert!(line[field].is_string(), "{field} in {line}");
        }
    }
    // A variable of the sources that only a later feature uses is accepted and said so.
    assert!(log.contains("SERVICE_HEARTBEAT_INTERVAL"), "{log}");
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn no_secret_appears_in_logs_metrics_or_answers() {
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_SECRET", SECRET)
        .env("WAYPOST__TELEMETRY__LOG_FILTER", "trace")
        .start();
    let secret = format!("Bearer {SECRET}");
    let wrong = "Bearer another-secret-of-somebody";
    let body = br#"{"service_name":"web","instance_id":"a","host":"127.0.0.1","port":1}"#;
    let register = |token: &str| {
        let headers = [
            ("Authorization", token),
            ("Content-Type", "application/json"),
        ];
        server.request("POST", "/v1/discovery/register", &headers, body)
    };
    register(&secret).expect(200);
    let refused = register(wrong).expect(401);
    server.get("/metrics").expect(401);
    let metrics = server.request("GET", "/metrics", &[("Authorization", &secret)], b"");
    let read = with_token(&server, "GET", "/v1/explain/web/a", SECRET);
    let log = server.log();
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "the log is silent"
    );
    for text in [
        log,
        refused.text(),
        metrics.expect(200).text(),
        read.expect(200).text(),
    ] {
        for secret in [SECRET, "another-secret-of-somebody"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let files = fs::read_dir(server.data_dir()).unwrap();
    for file in files
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
    {
        let bytes = fs::read(&file).unwrap();
        let found = bytes
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes());
        assert!(!found, "the secret is in {}", file.display());
    }
}

#[test]
fn the_server_takes_as_many_files_as_the_system_allows() {
    let folder = tempfile::tempdir().unwrap();
    let serve =
        "ulimit -Sn 256; exec \"$0\" serve --http 127.0.0.1:0 --dns 127.0.0.1:0 --data-dir data";
    let mut child = std::process::Command::new("sh")
        .args(["-c", serve, env!("CARGO_BIN_EXE_waypost")])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/limits", child.id());
    eventually("the bound is raised", || {
        let limits = fs::read_to_string(&path).ok()?;
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[3] == words[4] && words[3] != "256").then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
}
