//! Programs of other projects against the running binary.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::server::{Server, Setup, eventually_within};
use crate::skips::{long_forms, peer, skipped};
use crate::target::{Reply, Target};

/// Prometheus asks every second here; its start takes longer on a busy machine.
const PROMETHEUS_PATIENCE: Duration = Duration::from_secs(60);
/// Test cases per operation.
const CASES: &str = "25";
const CASES_LONG: &str = "400";
const SCHEMATHESIS_MAX: Duration = Duration::from_secs(300);
const SCHEMATHESIS_MAX_LONG: Duration = Duration::from_secs(3_600);

/// What Schemathesis takes for a refusal and for an acceptance, in its own terms: its lists do not know that 413 refuses
/// what is too long, or too much together, which a schema cannot say. Nor can it say that the checks and ports of one
/// list have different names, that a patch must leave an address, or which query the token of a page belongs to, so that
/// what is valid may still be refused. An item of a batch that is not valid fails alone, and the batch is answered.
const SCHEMATHESIS_TOML: &str = r#"
hooks = "hooks"

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "413", "429", "5xx"]

[[operations]]
include-name = [
    "PUT /v1/namespaces/{namespace}/services/{service}",
    "PUT /v1/namespaces/{namespace}/services/{service}/instances/{id}",
    "PATCH /v1/namespaces/{namespace}/services/{service}",
    "PATCH /v1/namespaces/{namespace}/services/{service}/instances/{id}",
    "GET /v1/namespaces/{namespace}/services/{service}/instances",
    "GET /v1/instances",
    "POST /v1/batch/register",
    "PUT /v1/namespaces/{namespace}/services/{service}/instances/{id}/mode",
    "DELETE /v1/namespaces/{namespace}/services/{service}/instances/{id}",
]
[operations.checks.positive_data_acceptance]
enabled = false

[[operations]]
include-name = ["POST /v1/batch/register", "POST /v1/batch/heartbeat", "POST /v1/batch/deregister"]
[operations.checks.negative_data_rejection]
enabled = false

[[operations]]
include-name = ["GET /v1/discover/{service}", "GET /v1/explain/{service}/{id}"]
parameters = { "path.service" = "found", "path.id" = "a", "query.namespace" = "svc.internal", "query.owner" = "" }
"#;

/// Schemathesis 4.32 takes the quoting off a path once too often: a name that holds a `%` may arrive as another name, and
/// the refusal of that is counted against us. Such names are not tried.
const SCHEMATHESIS_HOOKS: &str = r#"
import re

import schemathesis


@schemathesis.hook
def map_query(context, query):
    # It sends back revisions that it was given: then a wait is held until it is over.
    if query and re.fullmatch("[1-9][0-9]?s?", str(query.get("wait", ""))):
        query["wait"] = "1"
    return query


@schemathesis.hook
def before_call(context, case, kwargs):
    # It takes an empty condition for none, whatever the document says.
    for name in ("If-Match", "If-None-Match"):
        if case.headers and case.headers.get(name) == "":
            del case.headers[name]
    # OpenAPI cannot say that two headers exclude each other.
    if case.headers and case.headers.get("If-Match") and case.headers.get("If-None-Match"):
        del case.headers["If-None-Match"]


@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    values = (path_parameters or {}).values()
    return not any("%25" in str(value) for value in values)
"#;

/// A program that ends with the test.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the peer said:\n{}", self.log());
        }
    }
}

/// A running Prometheus that scrapes what the URL names.
struct Prometheus {
    process: Process,
    address: SocketAddr,
}

impl Prometheus {
    fn start(program: &Path, folder: &Path, url: &str) -> Self {
        let config = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s" },
            "scrape_configs": [{
                "job_name": "found-by-http-sd",
                "http_sd_configs": [{ "url": url, "refresh_interval": "1s" }],
            }],
        });
        // JSON is YAML too.
        let file = folder.join("prometheus.yml");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program);
        command
            .arg("--config.file")
            .arg(&file)
            .arg("--storage.tsdb.path")
            .arg(folder.join("data"))
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(folder);
        let process = Process::start(&mut command, folder.join("prometheus.log"));
        let address = eventually_within(PROMETHEUS_PATIENCE, "Prometheus listens", || {
            listens_on(&process.log())
        });
        Self { process, address }
    }

    /// Asks the API; it answers 503 until it has read its files.
    fn get(&self, path: &str) -> Option<Value> {
        let mut connection = Connection::open(self.address).unwrap();
        let answer = connection.request("GET", path, &[], b"").unwrap();
        answer.is_success().then(|| answer.json())
    }

    /// Waits until the API shows what is looked for.
    fn wait<T>(&self, description: &str, path: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        eventually_within(PROMETHEUS_PATIENCE, description, || {
            look(&self.get(path)?["data"])
        })
    }
}

impl Prometheus {
    fn wait_for_up(&self, id: &str, value: &str) {
        let path = format!("/api/v1/query?query=up%7Binstance%3D%22{id}%22%7D");
        // A target whose status changed has several series for a while.
        self.wait(&format!("up of {id} is {value}"), &path, |data| {
            let mut series = data["result"].as_array()?.iter();
            series
                .any(|series| series["value"][1] == value)
                .then_some(())
        });
    }
}

/// Finds the port that the system chose in the log.
fn listens_on(log: &str) -> Option<SocketAddr> {
    let line = log
        .lines()
        .find(|line| line.contains("msg=\"Listening on\""))?;
    let (_, address) = line.split_once("address=")?;
    address.split_whitespace().next()?.parse().ok()
}

/// Metadata with keys that are no labels. Prometheus drops every target for one label name that it does not take; keys
/// that the registry refuses are left out.
fn odd_metadata(server: &Server, port: u16) -> Value {
    let odd = json!({
        "build-id": "7", "1st": "one", "gr\u{f6}\u{df}e": "xl", "__address__": "127.0.0.1:1",
        "__scheme__": "https", "status": "mine", "instance": "mine", "a.b c": "dots", "a_b_c": "legal",
        "version": "1.0.0", "": "nameless", "quote\"": "\"\\\n",
    });
    let mut accepted = serde_json::Map::new();
    for (key, value) in odd.as_object().unwrap() {
        let one = json!({
            "service_name": "probe", "instance_id": "one", "host": "127.0.0.1", "port": port,
            "metadata": { key.as_str(): value },
        });
        if server.post("/v1/discovery/register", &one).status == 200 {
            accepted.insert(key.clone(), value.clone());
        }
    }
    for key in [
        "build-id",
        "1st",
        "__address__",
        "status",
        "instance",
        "a.b c",
    ] {
        assert!(accepted.contains_key(key), "{key} is refused");
    }
    Value::Object(accepted)
}

/// Fast checks for instances of the sources' paths.
fn fast() -> Setup {
    Setup::new()
        .env("WAYPOST__REST__CHECK_INTERVAL_SECONDS", "1")
        .env("WAYPOST__REST__CHECK_UNHEALTHY_INTERVAL_SECONDS", "1")
        .env("WAYPOST__REST__CHECK_UNHEALTHY_AFTER", "1")
}

#[test]
fn prometheus_scrapes_what_http_service_discovery_gives_it() {
    let program = match peer("WAYPOST_PEER_PROMETHEUS") {
        Ok(program) => program,
        Err(why) => {
            return skipped(
                "peers::prometheus_scrapes_what_http_service_discovery_gives_it",
                &why,
            );
        }
    };
    let server = fast().start();
    let good = Target::replying(Reply::Answer(200, "games_played_total 42\n".to_owned()));
    let bad = Target::replying(Reply::Answer(503, String::new()));
    for (id, target, metadata) in [
        ("game-1", &good, odd_metadata(&server, good.port())),
        ("game-2", &bad, json!({})),
    ] {
        let registration = json!({
            "service_name": "game", "instance_id": id, "host": "127.0.0.1", "port": target.port(),
            "health_endpoint": "/metrics", "metadata": metadata,
        });
        server
            .post("/v1/discovery/register", &registration)
            .expect(200);
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/v1/discovery/services/game/instances", server.url());
    let prometheus = Prometheus::start(&program, folder.path(), &url);

    let path = "/api/v1/targets?state=active";
    let labels = prometheus.wait("game-1 is up, game-2 is down", path, |data| {
        let targets = data["activeTargets"].as_array()?;
        let one = |id: &str| targets.iter().find(|it| it["labels"]["instance"] == id);
        let (first, second) = (one("game-1")?, one("game-2")?);
        let is_so = first["health"] == "up"
            && first["labels"]["status"] == "healthy"
            && second["health"] == "down"
            && second["labels"]["status"] == "unhealthy";
        is_so.then(|| first["labels"].clone())
    });
    for (label, value) in [
        ("job", "found-by-http-sd"),
        ("service_name", "game"),
        ("load_percentage", "0.0"),
        ("version", "1.0.0"),
        ("build_id", "7"),
        ("_1st", "one"),
        ("a_b_c", "legal"),
        ("a_b_c_2", "dots"),
        ("status_2", "mine"),
        ("instance_2", "mine"),
        ("attribute__address__", "127.0.0.1:1"),
        ("attribute__scheme__", "https"),
    ] {
        assert_eq!(labels[label], value, "{label} in {labels:#}");
    }
    prometheus.wait_for_up("game-1", "1");
    prometheus.wait_for_up("game-2", "0");
    let played = "/api/v1/query?query=games_played_total";
    prometheus.wait("what the target counts is there", played, |data| {
        (data["result"][0]["value"][1] == "42").then_some(())
    });

    // Prometheus keeps what it knew while it cannot read an answer; an instance that left must go.
    server
        .delete("/v1/discovery/unregister/game/game-2")
        .expect(200);
    prometheus.wait("game-2 is forgotten", path, |data| {
        let targets = data["activeTargets"].as_array()?;
        (targets.len() == 1).then_some(())
    });
    let log = prometheus.process.log();
    assert!(!log.contains("Unable to refresh target groups"), "{log}");
}

#[test]
fn prometheus_finds_everything_at_one_address_with_what_is_known_for_relabelling() {
    let name =
        "peers::prometheus_finds_everything_at_one_address_with_what_is_known_for_relabelling";
    let program = match peer("WAYPOST_PEER_PROMETHEUS") {
        Ok(program) => program,
        Err(why) => return skipped(name, &why),
    };
    let server = Server::start();
    // Prometheus takes two at one address for one.
    for (service, tag, address) in [
        ("web", "scraped", "127.0.0.1"),
        ("api", "scraped", "127.0.0.2"),
        ("db", "other", "127.0.0.3"),
    ] {
        let body = json!({
            "address": address, "port": server.address().port(), "tags": [tag], "attributes": {"te-am": service},
        });
        let path = format!("/v1/namespaces/svc.internal/services/{service}/instances/one");
        assert!(server.put(&path, &body).is_success());
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/sd/prometheus?tag=scraped", server.url());
    let prometheus = Prometheus::start(&program, folder.path(), &url);
    let path = "/api/v1/targets?state=active";
    let found = prometheus.wait("both are found", path, |data| {
        let targets = data["activeTargets"].as_array()?;
        (targets.len() == 2).then(|| targets.clone())
    });
    for target in found {
        let labels = &target["discoveredLabels"];
        assert_eq!(
            labels["__meta_waypost_namespace"], "svc.internal",
            "{target:#}"
        );
        assert_eq!(labels["__meta_waypost_tag_scraped"], "true");
        assert_eq!(
            labels["__meta_waypost_attribute_te_am"],
            labels["__meta_waypost_service"]
        );
    }
    let log = prometheus.process.log();
    assert!(!log.contains("Unable to refresh target groups"), "{log}");
}

#[test]
fn prometheus_reads_our_own_metrics() {
    let program = match peer("WAYPOST_PEER_PROMETHEUS") {
        Ok(program) => program,
        Err(why) => return skipped("peers::prometheus_reads_our_own_metrics", &why),
    };
    let server = Server::start();
    let ours = json!({
        "service_name": "waypost", "instance_id": "itself", "host": "127.0.0.1", "port": server.address().port(),
        "health_endpoint": "/livez",
    });
    server.post("/v1/discovery/register", &ours).expect(200);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/v1/discovery/services/waypost/instances", server.url());
    let prometheus = Prometheus::start(&program, folder.path(), &url);
    let path = "/api/v1/query?query=waypost_registrations_total%7Bprotocol%3D%22discovery%22%7D";
    prometheus.wait("our counter is there", path, |data| {
        (data["result"][0]["value"][1] == "1").then_some(())
    });
}

#[test]
fn schemathesis_finds_nothing_in_what_the_openapi_document_promises() {
    let name = "peers::schemathesis_finds_nothing_in_what_the_openapi_document_promises";
    let program = match peer("WAYPOST_PEER_SCHEMATHESIS") {
        Ok(program) => program,
        Err(why) => return skipped(name, &why),
    };
    // Thousands of made-up instances are registered: nobody is to be asked for their health.
    let server = Setup::new()
        .env("WAYPOST__HEALTH__ENABLED", "false")
        .start();
    // Some operations show something only of what is there.
    let found = "/v1/namespaces/svc.internal/services/found/instances/a";
    server
        .put(found, &json!({ "address": "127.0.0.1" }))
        .expect(201);
    let folder = tempfile::tempdir().unwrap();
    let (cases, limit) = if long_forms() {
        (CASES_LONG, SCHEMATHESIS_MAX_LONG)
    } else {
        (CASES, SCHEMATHESIS_MAX)
    };
    fs::write(folder.path().join("schemathesis.toml"), SCHEMATHESIS_TOML).unwrap();
    fs::write(folder.path().join("hooks.py"), SCHEMATHESIS_HOOKS).unwrap();
    let mut command = Command::new(program);
    command
        .args(["--no-color", "run", "--workers", "1", "--seed", "1"])
        .args(["--generation-database", "none", "--max-examples", cases])
        .args([
            "--continue-on-failure",
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
        ])
        // The first credential would close the server to everything that follows, and a stream does not end.
        .args(["--exclude-path-regex", "^/v1/(tokens|watch)"])
        .arg(format!("{}/openapi.json", server.url()))
        .env("NO_PROXY", "*")
        .env("PYTHONPATH", folder.path())
        .current_dir(folder.path());
    let mut process = Process::start(&mut command, folder.path().join("schemathesis.log"));
    let status = eventually_within(limit, "schemathesis ends", || {
        process.child.try_wait().unwrap()
    });
    assert!(status.success(), "{}", process.log());
    // A run that found no operation would pass too.
    let log = process.log();
    let count = log.lines().find_map(|line| {
        let (count, rest) = line.trim().split_once(" generated, ")?;
        rest.contains("passed")
            .then(|| count.parse::<u32>().unwrap())
    });
    assert!(count.is_some_and(|count| count > 500), "{log}");
    server.get("/livez").expect(200);
}
