//! Source 003's compose file, as it is for Waypost.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::root;
use crate::server::{Setup, waypost};
use crate::skips::{peer, skipped};

const READ: &str =
    "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
const SECRET: &str = "correct-horse-battery-staple";

/// The variables of a service, with the secret filled in as Compose does.
fn variables(service: &Value) -> BTreeMap<String, String> {
    let lines = service["environment"].as_array().unwrap().iter();
    let pair = |line: &Value| {
        let (name, value) = line.as_str().unwrap().split_once('=').unwrap();
        let value = match value.strip_prefix("${SERVICE_DISCOVERY_SECRET:?") {
            Some(_) => SECRET,
            None => value,
        };
        (name.to_owned(), value.to_owned())
    };
    lines.map(pair).collect()
}

#[test]
fn the_compose_file_of_source_003_wires_a_service_and_the_registry() {
    const TEST: &str = "the_compose_file_of_source_003_wires_a_service_and_the_registry";
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(python) => python,
        Err(why) => return skipped(TEST, &why),
    };
    let file = root().join("packaging/compose.yaml");
    let output = Command::new(python)
        .args(["-c", READ])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let compose: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (own, registry) = (
        &compose["services"]["my-service"],
        &compose["services"]["service-discovery"],
    );
    assert_eq!(registry["ports"], serde_json::json!(["3004:3004"]));
    for service in [own, registry] {
        assert_eq!(service["networks"], serde_json::json!(["mafia-platform"]));
    }
    assert!(compose["networks"].get("mafia-platform").is_some());
    let volume = registry["volumes"][0].as_str().unwrap();
    let (volume, path) = volume.split_once(':').unwrap();
    assert!(compose["volumes"].get(volume).is_some());
    assert_eq!(path, "/data");
    let context = registry["build"]["context"].as_str().unwrap();
    let dockerfile = registry["build"]["dockerfile"].as_str().unwrap();
    assert_eq!(
        context, "../target/package",
        "what `cargo xtask package` fills"
    );
    // A Dockerfile is named from the context; the context need not be there yet.
    let named = format!("packaging/{context}/{dockerfile}");
    assert_eq!(
        named,
        "packaging/../target/package/../../packaging/Dockerfile"
    );
    assert!(root().join("packaging/Dockerfile").exists());
    assert_eq!(
        own["depends_on"]["service-discovery"]["condition"],
        "service_healthy"
    );
    the_variables_are_in_force(&variables(own), &variables(registry));
}

/// Starts the registry with its variables and asks it with those of the service.
fn the_variables_are_in_force(
    of_service: &BTreeMap<String, String>,
    of_registry: &BTreeMap<String, String>,
) {
    let mut server = Setup::new();
    for (name, value) in of_registry {
        server = server.env(name, value);
    }
    let server = server.start();
    let url = of_service["SERVICE_DISCOVERY_URL"].as_str();
    assert_eq!(
        url, "http://service-discovery:3004",
        "name and port within the network"
    );
    let list = |secret: Option<&str>| {
        let mut command = waypost(["ls"]);
        // The name is the network's: here it is this server.
        command.env("SERVICE_DISCOVERY_URL", server.url());
        command.envs(secret.map(|secret| ("SERVICE_DISCOVERY_SECRET", secret)));
        command.output().unwrap()
    };
    let listed = list(Some(&of_service["SERVICE_DISCOVERY_SECRET"]));
    assert!(listed.status.success(), "{listed:?}");
    assert!(!list(None).status.success(), "the secret is in force");
    // The loader knows each: none is a word that nobody reads.
    let shown = waypost(["config", "show", "-o", "json"])
        .envs(of_registry)
        .output()
        .unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&shown.stdout).unwrap();
    for name in of_registry.keys() {
        assert!(
            rows.iter().any(|row| row["origin"] == name.as_str()),
            "{name}"
        );
    }
}
