//! `waypost run` with real commands: registered while they work, gone before they stop.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, Setup, eventually, eventually_within, waypost};

mod omnichannel;
mod rolling;

const NAMESPACE: &str = "secure-api.local";

/// A running `waypost run`. Dropping it kills it; its command dies with the group.
struct Run {
    child: Child,
    folder: TempDir,
}

impl Run {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(server, arguments, folder)
    }

    fn start_in(server: &Server, arguments: &[&str], folder: TempDir) -> Self {
        let mut command = waypost(["run", "-n", NAMESPACE]);
        command
            .env("SERVICE_DISCOVERY_URL", server.url())
            .args(arguments)
            .current_dir(folder.path())
            .stdout(fs::File::create(folder.path().join("out")).unwrap())
            .stderr(fs::File::create(folder.path().join("err")).unwrap());
        Self {
            child: command.spawn().unwrap(),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn signal(&self, signal: &str) {
        kill(signal, i64::from(self.child.id()));
    }

    fn wait(&mut self) -> ExitStatus {
        let limit = Duration::from_secs(20);
        eventually_within(limit, "waypost run ends", || self.child.try_wait().unwrap())
    }

    /// Waits until the command has written its process id.
    fn pid(&self) -> i64 {
        eventually("the command says its pid", || {
            self.read("pid").trim().parse().ok()
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        // A command that was left behind by a wrapper that was killed.
        if let Ok(pid) = self.read("pid").trim().parse::<i64>() {
            kill("KILL", pid);
        }
    }
}

fn kill(signal: &str, pid: i64) {
    let mut command = std::process::Command::new("kill");
    command.args([&format!("-{signal}"), &pid.to_string()]);
    drop(command.stderr(Stdio::null()).status());
}

fn is_alive(pid: i64) -> bool {
    // A zombie has ended.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Serves files, writes its pid, and notes when it is asked to end.
const SERVES: &str = r#"
import http.server, os, signal, sys
def end(number, frame):
    open("asked", "w").write(str(number))
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
server = http.server.HTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler)
open("pid", "w").write(str(os.getpid()))
server.serve_forever()
"#;

fn service(server: &Server, name: &str) -> Value {
    server
        .get(&format!("/v1/namespaces/{NAMESPACE}/services/{name}"))
        .json()
}

fn instances(server: &Server, name: &str) -> Vec<Value> {
    let path = format!("/v1/namespaces/{NAMESPACE}/services/{name}/instances");
    let answer = server.get(&path);
    if answer.status == 404 {
        return Vec::new();
    }
    answer.json()["instances"].as_array().unwrap().clone()
}

fn in_rotation(server: &Server, name: &str) -> usize {
    instances(server, name)
        .iter()
        .filter(|instance| instance["in_rotation"] == true)
        .count()
}

fn wait_for_rotation(server: &Server, name: &str, count: usize) {
    let limit = Duration::from_secs(15);
    eventually_within(limit, &format!("{count} of {name} in rotation"), || {
        (in_rotation(server, name) == count).then_some(())
    });
}

#[test]
fn a_command_is_in_rotation_from_its_first_passing_check_and_gone_after_it_stops() {
    let server = Server::start();
    let mut run = Run::start(
        &server,
        &[
            "--name",
            "worker",
            "--check",
            "http:/",
            "--drain",
            "1s",
            "--tag",
            "blue",
            "--attribute",
            "version=7",
            "--weight",
            "3",
            "--",
            "python3",
            "-c",
            SERVES,
        ],
    );
    wait_for_rotation(&server, "worker", 1);
    let instance = &instances(&server, "worker")[0];
    assert_eq!(instance["tags"], serde_json::json!(["blue"]));
    assert_eq!(instance["attributes"]["version"], "7");
    assert_eq!(instance["weight"], 3);
    run.signal("TERM");
    // Out of rotation, and still working for those who asked before.
    eventually("it is draining", || {
        let instances = instances(&server, "worker");
        (instances.first()?["mode"] == "Draining").then_some(())
    });
    assert!(
        !run.path("asked").exists(),
        "it was asked to stop before the drain was over"
    );
    assert!(is_alive(run.pid()));
    assert_eq!(run.wait().code(), Some(0), "{}", run.read("err"));
    assert_eq!(run.read("asked"), "15");
    assert!(instances(&server, "worker").is_empty());
}

#[test]
fn a_crash_deregisters_at_once_and_the_exit_code_is_the_commands() {
    let server = Server::start();
    let mut run = Run::start(
        &server,
        &["--name", "worker", "--", "python3", "-c", SERVES],
    );
    wait_for_rotation(&server, "worker", 1);
    kill("KILL", run.pid());
    assert_eq!(run.wait().code(), Some(128 + 9));
    assert!(instances(&server, "worker").is_empty());
    assert!(
        run.read("err").contains("ended with signal 9"),
        "{}",
        run.read("err")
    );
    let mut run = Run::start(
        &server,
        &[
            "--name", "worker", "--check", "none", "--", "sh", "-c", "exit 7",
        ],
    );
    assert_eq!(run.wait().code(), Some(7));
    assert!(
        run.read("err").contains("ended with code 7 after 0."),
        "{}",
        run.read("err")
    );
    assert!(instances(&server, "worker").is_empty());
}

#[test]
fn a_command_that_cannot_be_started_leaves_nothing_registered() {
    let server = Server::start();
    let mut missing = Run::start(&server, &["--name", "a", "--", "./nothing"]);
    assert_eq!(missing.wait().code(), Some(127));
    assert!(
        missing.read("err").contains("./nothing cannot be started"),
        "{}",
        missing.read("err")
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "no program").unwrap();
    let mut no_program = Run::start_in(&server, &["--name", "a", "--", "./text"], folder);
    assert_eq!(no_program.wait().code(), Some(126));
    assert!(instances(&server, "a").is_empty());
}

#[test]
fn a_command_that_never_passes_its_check_is_stopped_with_the_reason() {
    let server = Server::start();
    let mut run = Run::start(
        &server,
        &[
            "--name",
            "a",
            "--check",
            "http:/missing",
            "--startup",
            "6s",
            "--",
            "python3",
            "-c",
            SERVES,
        ],
    );
    assert_eq!(run.wait().code(), Some(1));
    let said = run.read("err");
    assert!(
        said.contains("has not passed within 6 s") && said.contains("404"),
        "{said}"
    );
    assert_eq!(run.read("asked"), "15");
    assert!(instances(&server, "a").is_empty());
}

#[test]
fn a_command_that_ignores_the_signal_is_killed_after_its_grace_with_all_it_started() {
    let server = Server::start();
    let script = "trap '' TERM; sleep 300 & echo $! >pid; while :; do sleep 1; done";
    let mut run = Run::start(
        &server,
        &[
            "--name", "a", "--check", "none", "--drain", "0", "--grace", "1s", "--", "sh", "-c",
            script,
        ],
    );
    wait_for_rotation(&server, "a", 1);
    let stray = run.pid();
    run.signal("TERM");
    assert_eq!(run.wait().code(), Some(128 + 9));
    assert!(
        run.read("err").contains("did not end within 1 s"),
        "{}",
        run.read("err")
    );
    eventually("what it started is gone", || {
        (!is_alive(stray)).then_some(())
    });
}

#[test]
fn signals_are_passed_on_also_while_a_command_drains_and_has_its_grace() {
    let server = Server::start();
    let script = "trap 'echo usr1 >>got' USR1; trap 'echo hup >>got' HUP; trap 'echo term >>got' TERM; \
                  trap 'exit 5' USR2; echo $$ >pid; while :; do sleep 0.05; done";
    let mut run = Run::start(
        &server,
        &[
            "--name", "a", "--check", "none", "--drain", "60s", "--grace", "60s", "--", "sh", "-c",
            script,
        ],
    );
    wait_for_rotation(&server, "a", 1);
    run.pid();
    run.signal("TERM");
    eventually("it is draining", || {
        let instances = instances(&server, "a");
        (instances.first()?["mode"] == "Draining").then_some(())
    });
    let gets = |signal: &str, got: &str| {
        run.signal(signal);
        eventually(got, || (run.read("got") == got).then_some(()));
    };
    gets("USR1", "usr1\n");
    gets("TERM", "usr1\nterm\n");
    gets("HUP", "usr1\nterm\nhup\n");
    run.signal("USR2");
    assert_eq!(run.wait().code(), Some(5), "{}", run.read("err"));
}

#[test]
fn what_a_command_leaves_behind_when_it_goes_into_the_background_is_ended() {
    let server = Server::start();
    let script = "sleep 300 >/dev/null 2>&1 & echo $! >pid";
    let mut run = Run::start(
        &server,
        &["--name", "a", "--check", "none", "--", "sh", "-c", script],
    );
    assert_eq!(run.wait().code(), Some(0));
    assert!(!is_alive(run.pid()));
    assert!(instances(&server, "a").is_empty());
}

#[test]
fn a_registry_that_is_killed_and_comes_back_finds_the_command_registered_again_and_untouched() {
    let http = free_port();
    let folder = tempfile::tempdir().unwrap();
    let memory = || {
        Setup::new()
            .env("SERVICE_DISCOVERY_MODE", "memory_only")
            .http(&format!("127.0.0.1:{http}"))
            .data_dir(folder.path())
    };
    let mut server = memory().start();
    let mut run = Run::start(
        &server,
        &[
            "--name", "worker", "--lease", "2", "--drain", "0", "--", "python3", "-c", SERVES,
        ],
    );
    wait_for_rotation(&server, "worker", 1);
    let pid = run.pid();
    server.kill9();
    drop(server);
    // A registry in memory has forgotten everything.
    let server = memory().start();
    wait_for_rotation(&server, "worker", 1);
    assert!(is_alive(pid));
    assert_eq!(run.pid(), pid);
    run.signal("TERM");
    assert_eq!(run.wait().code(), Some(0));
    assert!(instances(&server, "worker").is_empty());
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_wrapper_that_is_killed_leaves_an_instance_that_its_lease_ends() {
    let server = Server::start();
    let run = Run::start(
        &server,
        &[
            "--name", "worker", "--check", "none", "--lease", "2", "--", "python3", "-c", SERVES,
        ],
    );
    wait_for_rotation(&server, "worker", 1);
    run.signal("KILL");
    eventually("the lease ends", || {
        (in_rotation(&server, "worker") == 0).then_some(())
    });
    let reason = instances(&server, "worker")[0]["reason"].clone();
    assert!(
        reason.as_str().unwrap().starts_with("lease ended"),
        "{reason}"
    );
}

#[test]
fn a_command_finds_its_place_the_registry_and_every_service_in_its_environment() {
    let server = Server::start();
    server.put(
        &format!("/v1/namespaces/{NAMESPACE}/services/user-api"),
        &serde_json::json!({}),
    );
    let mut run = Run::start(
        &server,
        &[
            "--name",
            "worker",
            "--check",
            "none",
            "--port",
            "4321",
            "--address",
            "127.0.0.5",
            "--",
            "sh",
            "-c",
            "env; echo at {address}:{port} {replica}",
        ],
    );
    run.wait();
    let said = run.read("out");
    for expected in [
        "SERVICE_NAMESPACE=secure-api.local",
        "WORKER_SERVICE_HOST=worker.secure-api.local",
        "USER_API_SERVICE_HOST=user-api.secure-api.local",
        &format!("SERVICE_DISCOVERY_URL={}", server.url()),
        "PORT=4321",
        "at 127.0.0.5:4321 1",
    ] {
        assert!(
            said.lines().any(|line| line == expected),
            "{expected} is not in\n{said}"
        );
    }
}

#[test]
fn a_service_that_fails_is_started_again_under_the_same_id_and_port() {
    let server = Server::start();
    let run = Run::start(
        &server,
        &[
            "--name",
            "worker",
            "--restart",
            "on-failure",
            "--drain",
            "0",
            "--",
            "python3",
            "-c",
            SERVES,
        ],
    );
    wait_for_rotation(&server, "worker", 1);
    let first = instances(&server, "worker")[0].clone();
    let pid = run.pid();
    kill("KILL", pid);
    eventually("it is out", || {
        instances(&server, "worker").is_empty().then_some(())
    });
    wait_for_rotation(&server, "worker", 1);
    let second = instances(&server, "worker")[0].clone();
    assert_eq!(
        (&first["id"], &first["ports"]),
        (&second["id"], &second["ports"])
    );
    assert_ne!(run.pid(), pid);
}

#[test]
fn two_that_want_one_id_do_not_take_it_from_each_other_for_ever() {
    let server = Server::start();
    let arguments = [
        "--name", "worker", "--id", "one", "--lease", "1", "--drain", "0", "--", "python3", "-c",
        SERVES,
    ];
    let first = Run::start(&server, &arguments);
    wait_for_rotation(&server, "worker", 1);
    let port = instances(&server, "worker")[0]["ports"][0]["number"].clone();
    let mut second = Run::start(&server, &arguments);
    eventually("the first is told", || {
        first
            .read("err")
            .contains("is held by another process")
            .then_some(())
    });
    let held = instances(&server, "worker")[0]["ports"][0]["number"].clone();
    assert_ne!(held, port);
    // Only a process that serves has said what it does when it is asked to end.
    wait_for_rotation(&server, "worker", 1);
    second.signal("TERM");
    assert_eq!(second.wait().code(), Some(0));
    eventually("the first has it back", || {
        let instances = instances(&server, "worker");
        (instances.first()?["ports"][0]["number"] == port).then_some(())
    });
    assert!(is_alive(first.pid()));
}

#[test]
fn a_stack_is_started_in_order_and_stopped_in_reverse_with_a_name_before_each_line() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("serves.py"),
        SERVES
            .replace("\"pid\"", "\"pid-\" + os.environ[\"WHO\"]")
            .replace(
                "open(\"asked\", \"w\").write(str(number))",
                "open(\"asked\", \"a\").write(os.environ[\"WHO\"] + \" \")",
            )
            .replace(
                "server.serve_forever()",
                "print('hello', flush=True)\nserver.serve_forever()",
            ),
    )
    .unwrap();
    let stack = r#"
        namespace = "secure-api.local"
        [services.front]
        command = ["python3", "serves.py"]
        environment = { WHO = "front" }
        drain = "0"
        depends_on = ["back"]
        [services.back]
        command = ["python3", "serves.py"]
        environment = { WHO = "back" }
        drain = "0"
        check = "http:/"
    "#;
    fs::write(folder.path().join("services.toml"), stack).unwrap();
    let mut run = Run::start_in(&server, &["-f", "services.toml"], folder);
    wait_for_rotation(&server, "front", 1);
    wait_for_rotation(&server, "back", 1);
    let since = |name: &str| {
        instances(&server, name)[0]["registered_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(since("back") <= since("front"));
    eventually("both have said hello", || {
        let said = run.read("out");
        (said.contains("back | hello\n") && said.contains("front | hello\n")).then_some(())
    });
    run.signal("TERM");
    assert_eq!(run.wait().code(), Some(0), "{}", run.read("err"));
    assert_eq!(run.read("asked"), "front back ");
    assert_eq!(service(&server, "front")["instances"]["total"], 0);
    assert_eq!(service(&server, "back")["instances"]["total"], 0);
}

#[test]
fn a_flood_of_output_is_held_back_at_its_source() {
    let server = Server::start();
    let mut command = waypost([
        "run",
        "-n",
        NAMESPACE,
        "--name",
        "a",
        "--check",
        "none",
        "--replicas",
        "2",
        "--drain",
        "0",
        "--grace",
        "0",
        "--",
        "sh",
        "-c",
        "echo $$ >pid; exec yes",
    ]);
    let folder = tempfile::tempdir().unwrap();
    command
        .env("SERVICE_DISCOVERY_URL", server.url())
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("a.") && line.ends_with(" | y"), "{line}");
    // Nobody reads on: what is not taken must not pile up.
    wait_for_rotation(&server, "a", 2);
    let resident = resident_kibibytes(child.id());
    assert!(resident < 64 * 1_024, "{resident} KiB");
    kill("TERM", i64::from(child.id()));
    // What waits to be written is taken, so that it can end.
    let drained = std::thread::spawn(move || lines.for_each(drop));
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(128 + 15));
    drained.join().unwrap();
}

fn resident_kibibytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn bad_arguments_are_refused_before_anything_runs() {
    let server = Server::start();
    for (arguments, rule) in [
        (
            vec!["--name", "a", "--check", "icmp", "--", "true"],
            "http:/PATH, https:/PATH, grpc:SERVICE, grpcs:SERVICE, tcp or none",
        ),
        (
            vec![
                "--name",
                "a",
                "--port",
                "80",
                "--replicas",
                "2",
                "--",
                "true",
            ],
            "cannot share port 80",
        ),
        (
            vec!["--name", "a", "--grace", "soon", "--", "true"],
            "length of time",
        ),
        (vec!["--name", "a"], "COMMAND"),
        (vec!["-f", "nothing.toml"], "cannot be read"),
    ] {
        let mut run = Run::start(&server, &arguments);
        assert_eq!(run.wait().code(), Some(2), "{arguments:?}");
        assert!(
            run.read("err").contains(rule),
            "{rule:?} is not in {}",
            run.read("err")
        );
    }
}

#[test]
fn as_the_first_process_of_a_container_it_reaps_what_others_leave_and_passes_signals_on() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_waypost");
    // A grandchild whose parent ends at once is inherited by process 1.
    let script = "(sleep 1 & echo orphaned >orphan); trap 'echo usr1 >got' USR1; echo ready >pid; while :; do sleep 0.1; done";
    let mut command = std::process::Command::new("unshare");
    command
        .args([
            "-Urpf",
            "--mount-proc",
            program,
            "run",
            "-n",
            NAMESPACE,
            "--name",
            "a",
            "--check",
            "none",
            "--drain",
            "0",
        ])
        .args(["--grace", "2s", "--", "sh", "-c", script])
        .env("SERVICE_DISCOVERY_URL", server.url())
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("err")).unwrap());
    let Ok(mut child) = command.spawn() else {
        return crate::skips::skipped("run as process 1", "there is no unshare");
    };
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let outcome = eventually("the command runs, or namespaces are refused", || {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(Err(status));
        }
        file("pid").contains("ready").then_some(Ok(()))
    });
    if let Err(status) = outcome {
        let said = file("err");
        assert!(said.contains("unshare"), "{status}: {said}");
        return crate::skips::skipped("run as process 1", "the kernel refuses namespaces");
    }
    let first = only_child(child.id());
    eventually("the orphan is reaped", || {
        let zombies = children(first).into_iter().filter(|pid| !is_alive(*pid));
        (zombies.count() == 0 && file("orphan").contains("orphaned")).then_some(())
    });
    kill("USR1", first);
    eventually("the signal is passed on", || {
        file("got").contains("usr1").then_some(())
    });
    kill("TERM", first);
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(128 + 15), "{}", file("err"));
    assert!(instances(&server, "a").is_empty());
}

fn children(pid: i64) -> Vec<i64> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(Path::new(&path)).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn only_child(pid: u32) -> i64 {
    eventually("unshare has forked", || {
        children(i64::from(pid)).first().copied()
    })
}
