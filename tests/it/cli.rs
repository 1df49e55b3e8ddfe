//! The command line against the running binary: what it prints, where, and how it ends.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::server::{Server, Setup, eventually, waypost};
use crate::target::{Reply, Target};

const SECRET: &str = "a-secret-for-the-command-line";

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Checks how a command ended and gives what it printed.
fn ended(output: &Output, exit: i32) -> String {
    assert_eq!(
        output.status.code(),
        Some(exit),
        "stdout: {}\nstderr: {}",
        out(output),
        err(output)
    );
    out(output)
}

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(parsed).collect()
}

/// Registers `web/web-1` with every flag and gives what is printed in this form.
fn register(server: &Server, form: &str) -> String {
    ended(
        &server.cli(&[
            "register",
            "web",
            "web-1",
            "--address",
            "127.0.0.1",
            "--port",
            "8080",
            "--tag",
            "blue",
            "--attribute",
            "version=1.2",
            "--weight",
            "3",
            "--zone",
            "a",
            "--region",
            "north",
            "--lease",
            "60",
            "-o",
            form,
        ]),
        0,
    )
}

#[test]
fn an_instance_is_registered_with_every_flag_in_every_form() {
    let server = Server::start();
    let text = register(&server, "table");
    assert_eq!(
        text,
        "registered web/web-1 in svc.internal at 127.0.0.1:8080; heartbeat at least every 60 s\n"
    );
    let stored = server
        .get("/v1/namespaces/svc.internal/services/web/instances/web-1")
        .expect(200)
        .json();
    for (field, value) in [
        ("ipv4", json!("127.0.0.1")),
        ("tags", json!(["blue"])),
        ("attributes", json!({ "version": "1.2" })),
        ("weight", json!(3)),
        ("zone", json!("a")),
        ("region", json!("north")),
        ("lease_seconds", json!(60)),
    ] {
        assert_eq!(stored[field], value, "{field}");
    }
    assert_eq!(parsed(&register(&server, "json"))["id"], "web-1");
    assert_eq!(lines(&register(&server, "jsonl")).len(), 1);
}

#[test]
fn an_instance_is_renewed_and_removed_in_every_form() {
    let server = Server::start();
    register(&server, "table");
    let beat = ended(&server.cli(&["heartbeat", "web/web-1"]), 0);
    assert!(
        beat.starts_with("web/web-1: the next heartbeat is due within "),
        "{beat}"
    );
    let beat = ended(
        &server.cli(&["heartbeat", "web/web-1", "--load", "0.5", "-o", "json"]),
        0,
    );
    let deadline = parsed(&beat)["deadline_seconds"].as_f64().unwrap();
    assert!((50.0..=60.0).contains(&deadline), "{deadline}");

    let gone = ended(&server.cli(&["deregister", "web/web-1"]), 0);
    assert_eq!(gone, "deregistered web/web-1\n");
    register(&server, "table");
    let gone = ended(&server.cli(&["deregister", "web/web-1", "-o", "json"]), 0);
    assert_eq!(parsed(&gone)["deregistered"], true);
    register(&server, "table");
    let gone = ended(&server.cli(&["deregister", "web/web-1", "-o", "jsonl"]), 0);
    assert_eq!(lines(&gone).len(), 1);
    let missing = server.get("/v1/namespaces/svc.internal/services/web/instances/web-1");
    missing.expect(404);
}

#[test]
fn what_is_there_is_shown_in_every_form_as_the_server_says_it() {
    let server = Server::start();
    for id in ["web-1", "web-2"] {
        let arguments = [
            "register",
            "web",
            id,
            "--address",
            "127.0.0.1",
            "--port",
            "8080",
        ];
        ended(&server.cli(&arguments), 0);
    }
    let service = "/v1/namespaces/svc.internal/services/web";
    for (arguments, path, columns, per_line) in [
        (
            &["ls"][..],
            "/v1/namespaces/svc.internal/services",
            "SERVICE",
            1,
        ),
        (
            &["ls", "web"],
            &*format!("{service}/instances"),
            "INSTANCE",
            2,
        ),
        (&["get", "web"], service, "in rotation", 1),
        (
            &["get", "web/web-1"],
            &format!("{service}/instances/web-1"),
            "127.0.0.1",
            1,
        ),
        (&["discover", "web"], "/v1/discover/web", "INSTANCE", 2),
        (
            &["explain", "web/web-1"],
            "/v1/explain/web/web-1",
            "IN rotation",
            1,
        ),
    ] {
        let shown = ended(&server.cli(arguments), 0);
        assert!(shown.contains(columns), "{arguments:?}: {shown}");
        let form = |form: &'static str| {
            let arguments = [arguments, &["-o", form]].concat();
            ended(&server.cli(&arguments), 0)
        };
        let answer = server.get(path).expect(200).json();
        assert_eq!(parsed(&form("json")), answer, "{arguments:?}");
        assert_eq!(lines(&form("jsonl")).len(), per_line, "{arguments:?}");
    }
}

#[test]
fn a_check_given_as_an_argument_is_run() {
    let server = Server::start();
    let target = Target::start();
    let port = target.port().to_string();
    let arguments = ["register", "web", "--address", "127.0.0.1", "--port", &port];
    ended(
        &server.cli(&[&arguments[..], &["--check", "http:/ready"]].concat()),
        0,
    );
    let name = format!("web/127.0.0.1:{port}");
    eventually("the check passes", || {
        server
            .cli(&["explain", &name])
            .status
            .success()
            .then_some(())
    });
    assert!(target.requests()[0].starts_with("GET /ready "));
}

#[test]
fn files_register_many_and_report_each() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let json = file(
        "two.json",
        r#"[{"service":"a","id":"1","address":"10.0.0.1","port":1},{"service":"b","address":"10.0.0.2","port":2}]"#,
    );
    let text = ended(&server.cli(&["register", "-f", &json]), 0);
    assert!(
        text.contains("a/1") && text.contains("b/10.0.0.2:2"),
        "{text}"
    );
    let toml = file(
        "one.toml",
        "[[instance]]\nservice = \"c\"\nid = \"1\"\naddress = \"10.0.0.3\"\n",
    );
    let whole = parsed(&ended(
        &server.cli(&["register", "-f", &toml, "-o", "json"]),
        0,
    ));
    assert_eq!(whole["registered"], 1);
    let services = parsed(&ended(&server.cli(&["ls", "-o", "json"]), 0));
    assert_eq!(services["services"].as_array().unwrap().len(), 3);

    // One that is refused does not keep the other away, and the exit code is the refusal's.
    let mixed = file(
        "mixed.jsonl",
        "{\"service\":\"d\",\"id\":\"1\",\"address\":\"10.0.0.4\"}\n{\"service\":\"e\",\"id\":\"1\",\"address\":\"10.0.0.5\",\"port\":0}\n",
    );
    let output = server.cli(&["register", "-f", &mixed, "-o", "jsonl"]);
    let outcomes = lines(&out(&output));
    assert_eq!(outcomes[0]["registered"], true);
    assert_eq!(outcomes[1]["registered"], false);
    assert!(outcomes[1]["error"].as_str().unwrap().contains("port"));
    assert_ne!(output.status.code(), Some(0));
    ended(&server.cli(&["get", "d/1"]), 0);
    ended(&server.cli(&["get", "e/1"]), 3);
}

#[test]
fn each_way_to_fail_has_its_exit_code_and_leaves_standard_output_alone() {
    let server = Setup::new().env("SERVICE_DISCOVERY_SECRET", SECRET).start();
    let with_token = |arguments: &[&str]| {
        let mut command = waypost(arguments);
        command
            .env("SERVICE_DISCOVERY_URL", server.url())
            .env("WAYPOST_TOKEN", SECRET);
        run(command)
    };
    let target = Target::replying(Reply::Answer(503, String::new()));
    let port = target.port().to_string();
    let address = ["--address", "127.0.0.1", "--port", &port];
    let checked = [
        &["register", "web", "a"],
        &address[..],
        &["--check", "http"],
    ]
    .concat();
    ended(&with_token(&checked), 0);

    for (arguments, exit, told) in [
        (&["get", "nothing"][..], 3, "nothing"),
        (&["get", "web/nothing"], 3, "nothing"),
        (&["discover", "nothing"], 3, "nothing"),
        (&["deregister", "web/nothing"], 3, "nothing"),
        (&["heartbeat", "web/nothing"], 3, "nothing"),
        (&["explain", "web/nothing"], 3, "nothing"),
        (
            &["discover", "web"],
            4,
            "no instance of web may be sent traffic",
        ),
        (&["register", "web"], 2, "--address"),
        (
            &["register", "web", "--address", "a", "--port", "0"],
            2,
            "--port",
        ),
        (&["no-such-command"], 2, "no-such-command"),
        (&["heartbeat", "web"], 2, "web"),
        (&["ls", "--server", "ftp://127.0.0.1:1"], 2, "http or https"),
    ] {
        let output = with_token(arguments);
        let shown = ended(&output, exit);
        assert_eq!(shown, "", "{arguments:?} prints on standard output");
        assert!(
            err(&output).contains(told),
            "{arguments:?}: {}",
            err(&output)
        );
    }
    // That an instance is out is an answer and no failure to answer, so it is printed.
    assert!(ended(&with_token(&["explain", "web/a"]), 4).contains("OUT of rotation"));

    let denied = server.cli(&["ls"]);
    ended(&denied, 5);
    assert!(err(&denied).contains("WAYPOST_TOKEN"), "{}", err(&denied));
    let mut wrong = waypost(["ls"]);
    wrong
        .env("SERVICE_DISCOVERY_URL", server.url())
        .env("WAYPOST_TOKEN", "another-secret");
    ended(&run(wrong), 5);

    let unreachable = with_token(&["ls", "--server", "http://127.0.0.1:1"]);
    ended(&unreachable, 6);
    assert!(
        err(&unreachable).contains("127.0.0.1:1"),
        "{}",
        err(&unreachable)
    );

    let mute = Target::replying(Reply::Hang);
    let url = format!("http://127.0.0.1:{}", mute.port());
    let late = with_token(&["ls", "--server", &url, "--timeout", "0.3"]);
    ended(&late, 8);
    assert!(err(&late).contains("--timeout"), "{}", err(&late));
}

#[test]
fn what_disagrees_with_the_registry_is_a_conflict() {
    let server = Server::start();
    for owner in ["node/a", "node/b"] {
        let arguments = [
            "register",
            "web",
            "a",
            "--address",
            "127.0.0.1",
            "--owner",
            owner,
        ];
        ended(&server.cli(&arguments), 0);
    }
    // Two owners keep an instance of that name, and none is named here.
    let output = server.cli(&["deregister", "web/a"]);
    ended(&output, 7);
    let told = err(&output);
    assert!(told.contains("node/a") && told.contains("node/b"), "{told}");
    ended(
        &server.cli(&["deregister", "web/a", "--owner", "node/a"]),
        0,
    );
    ended(&server.cli(&["deregister", "web/a"]), 0);
}

#[test]
fn the_environment_says_where_the_server_is_who_asks_and_in_which_namespace() {
    let server = Setup::new().env("SERVICE_DISCOVERY_SECRET", SECRET).start();
    let asking = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = waypost(arguments);
        command.env("SERVICE_DISCOVERY_URL", server.url());
        command.envs(variables.iter().copied());
        run(command)
    };
    let secret = ("SERVICE_DISCOVERY_SECRET", SECRET);
    let token = ("WAYPOST_TOKEN", SECRET);
    ended(&asking(&[secret], &["ls"]), 0);
    ended(&asking(&[token], &["ls"]), 0);
    // Ours wins over the source's.
    let wrong = ("SERVICE_DISCOVERY_SECRET", "not-the-secret");
    ended(&asking(&[wrong, token], &["ls"]), 0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let from_file = ("WAYPOST_TOKEN_FILE", file.to_str().unwrap());
    ended(&asking(&[from_file], &["ls"]), 0);

    let namespace = ("SERVICE_NAMESPACE", "shop.internal");
    let register = ["register", "cart", "1", "--address", "127.0.0.1"];
    let text = ended(&asking(&[token, namespace], &register), 0);
    assert!(text.contains("in shop.internal"), "{text}");
    ended(&asking(&[token], &["get", "cart/1"]), 3);
    ended(&asking(&[token, namespace], &["get", "cart/1"]), 0);
    ended(
        &asking(&[token], &["get", "cart/1", "-n", "shop.internal"]),
        0,
    );
    ended(&asking(&[token], &["ls", "-n", "nowhere.internal"]), 3);
}

#[test]
fn a_secret_is_no_argument() {
    for argument in ["--token", "--secret"] {
        let output = run(waypost(["ls", argument, SECRET]));
        ended(&output, 2);
        assert!(!err(&output).contains(SECRET), "{}", err(&output));
    }
}

#[test]
fn completions_and_version_need_no_server() {
    for shell in ["bash", "zsh", "fish"] {
        let script = ended(&run(waypost(["completions", shell])), 0);
        // These ask the program each time: see `completions`.
        assert!(script.contains("WAYPOST_COMPLETE"), "{shell}: {script}");
    }
    for shell in ["elvish", "powershell"] {
        let script = ended(&run(waypost(["completions", shell])), 0);
        for command in ["serve", "deregister", "explain"] {
            assert!(script.contains(command), "{shell}: no {command}");
        }
    }
    let version = ended(&run(waypost(["version"])), 0);
    assert_eq!(version, format!("waypost {}\n", env!("CARGO_PKG_VERSION")));
    let version = parsed(&ended(&run(waypost(["version", "-o", "json"])), 0));
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let help = ended(&run(waypost(["--help"])), 0);
    for command in [
        "serve",
        "ls",
        "get",
        "discover",
        "register",
        "deregister",
        "heartbeat",
        "explain",
        "config",
        "completions",
        "version",
    ] {
        assert!(help.contains(command), "{command} is not in the help");
    }
}

#[test]
fn the_banner_of_serve_names_a_first_command_that_works() {
    let server = Server::start();
    let banner = server.banner();
    assert!(banner.contains(&server.url()), "{banner}");
    assert!(
        banner.contains(&server.data_dir().display().to_string()),
        "{banner}"
    );
    let tried: Vec<&str> = banner
        .lines()
        .filter_map(|line| line.split_once("waypost --server ").map(|(_, rest)| rest))
        .collect();
    assert_eq!(tried.len(), 2, "{banner}");
    let [register, explain] = [0, 1].map(|at| {
        let words = format!("--server {}", tried[at]);
        run(waypost(words.split_whitespace()))
    });
    ended(&register, 0);
    // Whether something listens on that port is this machine's affair.
    assert!(matches!(explain.status.code(), Some(0 | 4)));
    let text = out(&explain);
    assert!(text.starts_with("web/127.0.0.1:8080 is "), "{text}");
}
