//! Completions of names that are there, as shells ask for them.

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use crate::server::{Server, waypost};

fn filled() -> Server {
    let server = Server::start();
    let body = json!({"address": "127.0.0.1", "port": 80});
    for service in ["web", "worker", "api"] {
        let path = format!("/v1/namespaces/svc.internal/services/{service}/instances/one");
        assert!(server.put(&path, &body).is_success());
    }
    let path = "/v1/namespaces/shop.internal/services/cart/instances/two";
    assert!(server.put(path, &body).is_success());
    server
}

/// Sources the script in a real bash, as its completion calls it.
const BASH: &str = r#"
source <("$0" completions bash)
function="$(complete -p waypost | sed 's/.*-F \([^ ]*\).*/\1/')"
COMP_WORDS=("$@")
COMP_CWORD=$(( $# - 1 ))
COMP_TYPE=9
waypost() { command "$WAYPOST" "$@"; }
"$function" waypost "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

fn in_bash(url: &str, line: &str) -> Vec<String> {
    let program = env!("CARGO_BIN_EXE_waypost");
    let output = Command::new("bash")
        .args(["-c", BASH, program])
        .args(line.split(' '))
        .env("WAYPOST", program)
        .env("SERVICE_DISCOVERY_URL", url)
        .env_remove("SERVICE_NAMESPACE")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_services_instances_and_namespaces() {
    let server = filled();
    for (line, expected) in [
        ("waypost dr", vec!["drain"]),
        ("waypost ls w", vec!["web", "worker"]),
        ("waypost watch web wo", vec!["worker"]),
        ("waypost explain wor", vec!["worker/"]),
        ("waypost drain web/", vec!["web/one"]),
        ("waypost get ap", vec!["api/"]),
        (
            "waypost namespace get s",
            vec!["shop.internal", "svc.internal"],
        ),
        ("waypost ls -n shop", vec!["shop.internal"]),
        ("waypost ls -n shop.internal c", vec!["cart"]),
        (
            "waypost --namespace=shop.internal drain cart/",
            vec!["cart/two"],
        ),
    ] {
        assert_eq!(in_bash(&server.url(), line), expected, "{line}");
    }
}

#[test]
fn zsh_and_fish_get_what_their_scripts_ask_for() {
    let server = filled();
    for shell in ["zsh", "fish"] {
        let script = server.cli(&["completions", shell]);
        let script = String::from_utf8(script.stdout).unwrap();
        assert!(
            script.contains(&format!("WAYPOST_COMPLETE={shell}"))
                || script.contains("WAYPOST_COMPLETE=\""),
            "{script}"
        );
        let output = waypost(["--", "waypost", "ls", "w"])
            .env("WAYPOST_COMPLETE", shell)
            .env("_CLAP_COMPLETE_INDEX", "2")
            .env("_CLAP_IFS", "\n")
            .env("SERVICE_DISCOVERY_URL", server.url())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let names: Vec<&str> = text
            .lines()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(names, ["web", "worker"], "{shell}");
    }
}

#[test]
fn without_a_server_there_are_no_names_and_no_noise() {
    // A port that nobody listens at any more.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    assert_eq!(in_bash(&nowhere, "waypost ls w"), [""]);
    assert_eq!(in_bash(&nowhere, "waypost dr"), ["drain"]);
}
