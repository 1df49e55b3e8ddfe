//! What each command prints.

use serde_json::{Value, json};

use super::canned::{Canned, Reply};
use super::example::{explanation, instance, rotation, server, service};
use super::{Broken, execute, waypost};
use crate::Exit;

const EVERY_COMMAND: [&str; 11] = [
    "ls",
    "ls web",
    "get web",
    "get web/web-1",
    "discover web",
    "register web --address 10.0.0.1 --port 8080",
    "deregister web/web-1",
    "heartbeat web/web-1",
    "explain web/web-1",
    "completions bash",
    "version",
];

#[tokio::test]
async fn every_command_speaks_json() {
    let server = server().await;
    for command in EVERY_COMMAND {
        let ran = waypost(&server, &format!("{command} -o json")).await;
        assert_eq!(ran.exit, Exit::Ok, "{command}: {}", ran.err);
        let value: Value = serde_json::from_str(&ran.out).expect(command);
        assert!(value.is_object(), "{command}: {value}");
        assert!(ran.out.ends_with("}\n"), "{command}");
    }
}

#[tokio::test]
async fn every_command_speaks_json_lines() {
    let server = server().await;
    for command in EVERY_COMMAND {
        let ran = waypost(&server, &format!("{command} -o jsonl")).await;
        assert_eq!(ran.exit, Exit::Ok, "{command}: {}", ran.err);
        let expected = if command.starts_with("ls") { 2 } else { 1 };
        assert_eq!(ran.out.lines().count(), expected, "{command}");
        for line in ran.out.lines() {
            let value: Value = serde_json::from_str(line).expect(command);
            assert!(value.is_object(), "{command}: {line}");
        }
    }
}

#[tokio::test]
async fn json_is_the_servers_own_object() {
    let server = server().await;
    for (command, expected) in [
        ("get web/web-1", instance("web-1", true)),
        ("get web", service("web")),
        ("discover web", rotation(&[instance("web-1", true)])),
        ("explain web/web-1", explanation(true)),
        ("register web --address 10.0.0.1", instance("web-1", true)),
        (
            "ls",
            json!({
                "namespace": "svc.internal", "services": [service("shop"), service("web")], "next": null
            }),
        ),
    ] {
        let ran = waypost(&server, &format!("{command} -o json")).await;
        let shown: Value = serde_json::from_str(&ran.out).expect(command);
        assert_eq!(shown, expected, "{command}");
    }
    let ran = waypost(&server, "ls web -o jsonl").await;
    let lines: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines, [instance("web-1", true), instance("web-2", false)]);
}

#[tokio::test]
async fn services_are_listed_in_columns() {
    let ran = waypost(&server().await, "ls").await;
    assert_eq!(
        ran.out,
        "\
SERVICE   IN ROTATION   HEALTHY   WARNING   UNKNOWN   UNHEALTHY   TAGS
shop      1/2           1         0         0         1           blue
web       1/2           1         0         0         1           blue
"
    );
    assert_eq!(ran.err, "");
}

#[tokio::test]
async fn instances_are_listed_with_the_reason() {
    let ran = waypost(&server().await, "ls web").await;
    assert_eq!(
        ran.out,
        "\
INSTANCE   ADDRESS         HEALTH      MODE     ROTATION   SINCE   REASON
web-1      10.0.0.1:8080   Healthy     Active   in         12s     check http passes
web-2      10.0.0.2:8080   Unhealthy   Active   out        12s     check http failed 3 times: connection refused (10.0.0.2:8080)
"
    );
}

#[tokio::test]
async fn a_service_is_shown_in_pairs() {
    let ran = waypost(&server().await, "get web").await;
    assert_eq!(
        ran.out,
        "\
service         web
namespace       svc.internal
id              srv-abc
description     The shop's front
origin          implied
instances       1 of 2 in rotation; 1 healthy, 0 warning, 0 unknown, 1 unhealthy
fails open      no
lease           -
removed after   300 s
dns             -
checks          alive (tcp)
tags            blue
attributes      -
revision        1.7
"
    );
}

#[tokio::test]
async fn an_instance_is_shown_in_pairs() {
    let ran = waypost(&server().await, "get web/web-1").await;
    assert_eq!(
        ran.out,
        "\
instance         web/web-1
namespace        svc.internal
owner            -
rotation         in
reason           check http passes
health           Healthy
since            12 s ago
mode             Active
addresses        10.0.0.1
ports            8080 (http)
weight           1
region           -
zone             a
checks           http /health
lease            300 s
last heartbeat   never
last probe       2 s ago
load             0.3
tags             blue, canary
attributes       version=1.0.0
registered       60 min ago over rest
revision         1.7
"
    );
}

#[tokio::test]
async fn the_rotation_is_listed_in_columns() {
    let ran = waypost(&server().await, "discover web").await;
    assert_eq!(
        ran.out,
        "\
INSTANCE   ADDRESS         HEALTH    TIER   WEIGHT   ZONE
web-1      10.0.0.1:8080   Healthy   0      1        a
"
    );
}

#[tokio::test]
async fn changes_are_confirmed_in_a_line() {
    let server = server().await;
    for (command, line) in [
        (
            "register web --address 10.0.0.1 --port 8080",
            "registered web/web-1 in svc.internal at 10.0.0.1:8080; heartbeat at least every 300 s\n",
        ),
        ("deregister web/web-1", "deregistered web/web-1\n"),
        (
            "heartbeat web/web-1",
            "web/web-1: the next heartbeat is due within 299.9 s\n",
        ),
        (
            "version",
            concat!("waypost ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
    ] {
        assert_eq!(waypost(&server, command).await.out, line);
    }
}

#[tokio::test]
async fn completions_know_the_commands_or_ask_the_program() {
    let server = server().await;
    let asking = ["bash", "zsh", "fish"].map(|shell| (shell, "WAYPOST_COMPLETE"));
    let knowing = ["elvish", "powershell"].map(|shell| (shell, "deregister"));
    for (shell, word) in asking.into_iter().chain(knowing) {
        let ran = waypost(&server, &format!("completions {shell}")).await;
        assert!(ran.out.contains(word), "{shell}");
        assert!(!ran.out.contains("discovery-secret"), "{shell}");
    }
    assert_eq!(server.calls(), [""; 0], "completions need no server");
}

#[tokio::test]
async fn what_services_answered_cannot_steer_the_terminal() {
    let mut evil = instance("web-1", true);
    evil["reason"] = json!("\u{1b}]0;owned\u{7}\u{202e}line\nbreak");
    let server = Canned::always(Reply::Json(200, json!({"instances": [evil]}))).await;
    let ran = waypost(&server, "ls web").await;
    assert_eq!(ran.out.lines().count(), 2);
    let line = ran.out.lines().nth(1).expect("a row");
    assert!(
        line.ends_with(r"\u{1b}]0;owned\u{7}\u{202e}line break"),
        "{line}"
    );
}

#[tokio::test]
async fn colours_are_added_only_when_asked_for_and_keep_the_columns() {
    let server = server().await;
    let plain = waypost(&server, "ls web").await.out;
    let colored = waypost(&server, "ls web --color always").await.out;
    assert!(colored.contains("\x1b[32mHealthy\x1b[0m"), "{colored:?}");
    assert!(colored.contains("\x1b[31mUnhealthy\x1b[0m"), "{colored:?}");
    let mut stripped = colored;
    for code in [
        "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m",
    ] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
}

#[tokio::test]
async fn a_new_server_is_empty_and_says_how_to_start() {
    let missing = Reply::Json(404, json!({"detail": "there is no namespace svc.internal"}));
    let server = Canned::always(missing).await;
    let ran = waypost(&server, "ls").await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, ""));
    assert!(ran.err.contains("waypost register web"), "{}", ran.err);
    let ran = waypost(&server, "ls -q").await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Ok, ""));
    let ran = waypost(&server, "ls -n shop").await;
    assert_eq!(
        ran.exit,
        Exit::NotFound,
        "a namespace that the user named has to be there"
    );
}

#[tokio::test]
async fn an_empty_rotation_is_unhealthy_and_still_data() {
    let server = Canned::always(Reply::Json(200, rotation(&[]))).await;
    let ran = waypost(&server, "discover web").await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Unhealthy, ""));
    assert_eq!(
        ran.err,
        "error: no instance of web may be sent traffic\nhint: `waypost ls web` shows why each one is out\n"
    );
    let ran = waypost(&server, "discover web -o json").await;
    assert_eq!(ran.exit, Exit::Unhealthy);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out).expect("JSON"),
        rotation(&[])
    );
}

#[tokio::test]
async fn failing_open_is_said() {
    let mut answer = rotation(&[instance("web-2", false)]);
    answer["tier"] = json!("fail_open");
    let server = Canned::always(Reply::Json(200, answer)).await;
    let ran = waypost(&server, "discover web").await;
    assert_eq!(ran.exit, Exit::Ok);
    assert!(ran.err.contains("fails open"), "{}", ran.err);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let server = server().await;
    for (kind, exit) in [
        (std::io::ErrorKind::BrokenPipe, Exit::Ok),
        (std::io::ErrorKind::StorageFull, Exit::Failure),
    ] {
        let mut err = Vec::new();
        let ended = execute(
            &server.url,
            "ls",
            &mut std::io::empty(),
            &mut Broken(kind),
            &mut err,
        )
        .await;
        assert_eq!(ended, exit, "{kind}");
        assert_eq!(err.is_empty(), exit == Exit::Ok, "{kind}");
    }
}
