//! The example, in a machine of its own as far as names are concerned: user, network, mount and process namespaces.
//!
//! The test starts itself once more inside of them, where port 53 is free and `/etc/resolv.conf` names Waypost.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::Run;
use crate::connection::{Answer, Connection};
use crate::server::{Server, Setup, eventually_within};
use crate::skips::{peer, skipped};

const TEST: &str =
    "run::omnichannel::the_example_works_by_name_and_its_worker_leaves_dns_without_redis";
/// Set inside of the namespaces.
const INSIDE: &str = "OMNICHANNEL_INSIDE";
/// Python starts slowly on a busy machine, three services one after another.
const PATIENCE: Duration = Duration::from_secs(90);
/// All of it.
const LIMIT: Duration = Duration::from_secs(400);
const API: &str = "api.secure-api.local:8080";
const WORKER: &str = "worker.secure-api.local";
const WORKERS: [&str; 2] = ["127.0.1.20", "127.0.1.21"];
const REDIS: &str = "127.0.0.1:6379";

/// Makes a place in which names are asked of 127.0.0.1 alone, and runs what follows there as the process that all others
/// end with. `$0` is the folder.
const ENTER: &str = r#"
set -e
"$IP" link set lo up
mount --bind "$0/resolv.conf" /etc/resolv.conf
[ ! -e /etc/nsswitch.conf ] || mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf
exec "$@"
"#;

struct Peers {
    python: PathBuf,
    redis: PathBuf,
    ip: PathBuf,
    dig: PathBuf,
}

impl Peers {
    fn find() -> Result<Self, String> {
        Ok(Self {
            python: peer("WAYPOST_PEER_PYTHON")?,
            redis: peer("WAYPOST_PEER_REDIS_SERVER")?,
            ip: peer("WAYPOST_PEER_IP")?,
            dig: peer("WAYPOST_PEER_DIG")?,
        })
    }
}

#[test]
fn the_example_works_by_name_and_its_worker_leaves_dns_without_redis() {
    let peers = match Peers::find() {
        Ok(peers) => peers,
        Err(why) => return skipped(TEST, &why),
    };
    if std::env::var_os(INSIDE).is_some() {
        return inside(&peers);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    // Neither mDNS nor the machine's own resolver gets to see a name in .local.
    fs::write(path("nsswitch.conf"), "hosts: files dns\n").unwrap();
    if let Err(why) = namespaces_are_allowed(&path("resolv.conf")) {
        return skipped(TEST, &why);
    }
    let mut command = unshare();
    command
        .args(["sh", "-c", ENTER])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(INSIDE, "1")
        .env("IP", &peers.ip)
        .env("PATH", path_with(peers.python.parent().unwrap()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(fs::File::create(path("out")).unwrap())
        .stderr(fs::File::create(path("err")).unwrap());
    let mut namespace = Process(command.spawn().unwrap());
    let status = eventually_within(LIMIT, "the test inside ends", || {
        namespace.0.try_wait().unwrap()
    });
    let read = |name: &str| fs::read_to_string(path(name)).unwrap_or_default();
    let (out, err) = (read("out"), read("err"));
    assert!(status.success(), "{status}\n{out}\n{err}");
    assert!(out.contains("1 passed"), "{out}\n{err}");
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    // Whatever runs inside ends with `unshare`, however that ends.
    command.args(["-Urnmpf", "--kill-child", "--mount-proc"]);
    command
}

fn namespaces_are_allowed(file: &Path) -> Result<(), String> {
    let mut command = unshare();
    command.args(["mount", "--bind"]).arg(file);
    let output = command.arg("/etc/resolv.conf").output();
    let output = output.map_err(|error| format!("there is no unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("the kernel refuses namespaces: {said}"))
}

fn path_with(first: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(first.to_owned()).chain(std::env::split_paths(&rest));
    std::env::join_paths(paths).unwrap()
}

/// A program that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn inside(peers: &Peers) {
    let server = Setup::new().dns("127.0.0.1:53").start();
    let redis = start_redis(&peers.redis);
    let run = Run::start_in(
        &server,
        &["-f", stack().to_str().unwrap()],
        tempfile::tempdir().unwrap(),
    );
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        everything_works(&server, peers, redis);
    }));
    if let Err(panic) = outcome {
        eprintln!(
            "--- the services said:\n{}{}",
            run.read("out"),
            run.read("err")
        );
        std::panic::resume_unwind(panic);
    }
}

fn everything_works(server: &Server, peers: &Peers, redis: Process) {
    wait_for_workers(&WORKERS);
    wait("the API is in DNS", || API.to_socket_addrs().ok()?.next());
    dig_shows_both_workers(&peers.dig);
    a_message_is_delivered(&json!({"channel": "mail", "text": "now"}), "api");
    let later = json!({"channel": "mail", "text": "later", "after_seconds": 0.5});
    a_message_is_delivered(&later, "scheduler");

    drop(redis);
    wait("a worker says that it is not ready", || {
        (readiness(WORKERS[0])? == json!(["not_ready", false])).then_some(())
    });
    wait_for_workers(&[]);
    let answer = ask_dig(&peers.dig, &["+noall", "+comments", WORKER]);
    for expected in ["status: NOERROR", "ANSWER: 0", "no instance in rotation"] {
        assert!(answer.contains(expected), "{expected} is not in {answer}");
    }
    // They run on, and are there for those who look closer.
    assert_eq!(readiness(WORKERS[1]), Some(json!(["not_ready", false])));
    let reason = reason(server).unwrap_or_default();
    assert!(reason.contains("not_ready"), "{reason}");

    let _redis = start_redis(&peers.redis);
    wait_for_workers(&WORKERS);
    assert_eq!(readiness(WORKERS[0]), Some(json!(["ready", true])));
    wait("the API is in DNS again", || {
        API.to_socket_addrs().ok()?.next()
    });
    // This Redis has forgotten the stream and its readers.
    a_message_is_delivered(&json!({"channel": "mail", "text": "again"}), "api");
}

fn stack() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("examples/omnichannel/services.toml")
}

fn start_redis(program: &Path) -> Process {
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", "6379", "--save", ""]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let redis = Process(command.spawn().unwrap());
    let address: SocketAddr = REDIS.parse().unwrap();
    wait("redis listens", || Connection::open(address).ok());
    redis
}

fn wait<T>(description: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, description, look)
}

/// Asks the C library, as every program of the machine does.
fn wait_for_workers(expected: &[&str]) {
    wait(&format!("{WORKER} is {expected:?}"), || {
        let found = (WORKER, 8_080).to_socket_addrs().ok();
        let found = found.into_iter().flatten();
        let mut addresses: Vec<String> = found.map(|found| found.ip().to_string()).collect();
        addresses.sort();
        (addresses == expected).then_some(())
    });
}

/// Asks the server that `resolv.conf` names.
fn ask_dig(dig: &Path, arguments: &[&str]) -> String {
    let output = Command::new(dig).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn dig_shows_both_workers(dig: &Path) {
    let text = ask_dig(dig, &["+noall", "+answer", WORKER]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = text.lines().map(words).collect();
    lines.sort();
    assert_eq!(
        lines,
        WORKERS.map(|address| format!("{WORKER}. 10 IN A {address}"))
    );
}

/// Hands the API a message and asks it, which asks a worker by name, until it was delivered.
fn a_message_is_delivered(message: &Value, sent_by: &str) {
    let accepted = ask(API, "POST", "/messages", message).unwrap();
    let id = accepted.expect(202).json()["message_id"].clone();
    let path = format!("/messages/{}", id.as_str().unwrap());
    let outcome = wait(&format!("{message} is delivered"), || {
        let outcome = ask(API, "GET", &path, &Value::Null)?.expect(200).json();
        (outcome["status"] == "delivered").then_some(outcome)
    });
    assert_eq!(outcome["message"]["sent_by"], sent_by);
    assert_eq!(outcome["message"]["text"], message["text"]);
    assert!(outcome["answered_by"].is_string(), "{outcome}");
}

fn ask(host: &str, method: &str, path: &str, body: &Value) -> Option<Answer> {
    let address = host.to_socket_addrs().ok()?.next()?;
    let mut connection = Connection::open(address).ok()?;
    connection.ask(method, path, body).ok()
}

/// What a worker says of itself and of Redis.
fn readiness(address: &str) -> Option<Value> {
    let answer = ask(
        &format!("{address}:8080"),
        "GET",
        "/health/ready",
        &Value::Null,
    )?;
    let said = answer.expect(200).json();
    Some(json!([said["status"], said["checks"]["redis"]]))
}

/// Why the first worker is left out.
fn reason(server: &Server) -> Option<String> {
    let instances = super::instances(server, "worker");
    Some(instances.first()?["reason"].as_str()?.to_owned())
}
