//! Checks of the kinds `https` and `grpc` from the command line to the explanation.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, Setup, eventually_within};
use crate::skips::{peer, skipped};

pub(crate) mod secured;

use secured::{Authority, Pair, Secured};

const HEALTH: &str = include_str!("checks/health.py");
const INSTANCES: &str = "/v1/namespaces/svc.internal/services/web/instances";

/// Waits until the instance is as it should be, and gives what the explanation says of its check.
fn comes_to(server: &Server, instance: &str, health: &str, reason: &str) {
    let mut last = String::new();
    let described = format!("{instance} to be {health}: {reason}");
    eventually_within(3 * PATIENCE, &described, || {
        let explained = server.get(&format!("/v1/explain/web/{instance}")).json();
        last = explained.to_string();
        let is_said = explained["checks"].as_array().is_some_and(|checks| {
            let mut reasons = checks.iter().filter_map(|check| check["reason"].as_str());
            reasons.any(|said| said.contains(reason))
        });
        (is_said && explained["health"] == health).then_some(())
    });
}

fn check(kind: &str, more: &Value) -> Value {
    let mut check = json!({ "id": "it", "kind": kind, "interval_seconds": 1,
        "unhealthy_interval_seconds": 1, "unhealthy_after": 1, "healthy_after": 1 });
    let fields = check.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    check
}

fn register(server: &Server, instance: &str, port: u16, check: &Value) {
    let body = json!({ "address": "127.0.0.1", "port": port, "checks": [check] });
    server
        .put(&format!("{INSTANCES}/{instance}"), &body)
        .expect(201);
}

fn runs(server: &Server, arguments: &[&str]) {
    let output = server.cli(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

#[test]
fn https_checks_are_set_from_the_command_line_and_explained() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let target = Secured::start(&authority.issue("shop.internal"), None);
    let port = target.port().to_string();
    let ca = format!("ca={}", ca.display());
    let register = |id: &str, settings: &[&str]| {
        let given = [
            "register",
            "web",
            id,
            "--address",
            "127.0.0.1",
            "--port",
            &port,
        ];
        let mut arguments = given.to_vec();
        arguments.extend(["--check", "https:/up"]);
        for setting in settings {
            arguments.extend(["--check-tls", setting]);
        }
        runs(&server, &arguments);
    };
    register("right", &[&ca, "server-name=shop.internal"]);
    register("wrong-name", &[&ca, "server-name=mail.internal"]);
    register("unknown-issuer", &["server-name=shop.internal"]);
    register("insecure", &["insecure"]);
    comes_to(&server, "right", "Healthy", "HTTP status 200");
    comes_to(&server, "insecure", "Healthy", "HTTP status 200");
    let reason = "the certificate is not valid for mail.internal; it is for shop.internal";
    comes_to(&server, "wrong-name", "Unhealthy", reason);
    // A machine without authorities says that instead.
    comes_to(&server, "unknown-issuer", "Unhealthy", "");
    let explained = server.cli(&["explain", "web/wrong-name"]);
    let said = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(said.contains(reason), "{said}");
    // The certificates are shown as they were sent, and the other settings too.
    let shown = server.get(&format!("{INSTANCES}/right")).json();
    let tls = json!({ "server_name": "shop.internal", "ca_pem": authority.pem });
    assert_eq!(shown["checks"][0]["tls"], tls);
}

/// Writes a profile's files and gives its part of the configuration.
fn profile(folder: &Path, authority: &Authority, client: &Pair) -> String {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let (certificate, key) = client.write(folder, "client");
    format!(
        "[health.tls_profiles.edge]\nca_file = {ca:?}\ncert_file = {certificate:?}\nkey_file = {key:?}\n"
    )
}

#[test]
fn a_profile_has_the_client_certificate_and_a_check_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let toml = profile(folder.path(), &authority, &authority.issue("waypost"));
    let data = folder.path().join("data");
    let target = Secured::start(&authority.issue("127.0.0.1"), Some(&authority));
    let server = Setup::new().file(toml).data_dir(&data).start();
    let edge = check("https", &json!({ "tls": { "profile": "edge" } }));
    register(&server, "with", target.port(), &edge);
    let without = check("https", &json!({ "tls": { "ca_pem": authority.pem } }));
    register(&server, "without", target.port(), &without);
    comes_to(&server, "with", "Healthy", "HTTP status 200");
    comes_to(
        &server,
        "without",
        "Unhealthy",
        "a client certificate, and there is none",
    );
    let other = check("https", &json!({ "tls": { "profile": "other" } }));
    let body = json!({ "address": "127.0.0.1", "port": 1, "checks": [other] });
    let problem = server
        .put(&format!("{INSTANCES}/x"), &body)
        .expect(422)
        .json();
    let rule = "must be one of this server's configuration, which has edge";
    assert_eq!(
        (&problem["field"], &problem["value"], &problem["rule"]),
        (
            &json!("checks.it.tls.profile"),
            &json!("other"),
            &json!(rule)
        )
    );
    // What was registered stays when the configuration no longer has the profile, and fails with that reason.
    drop(server);
    let server = Setup::new().data_dir(&data).start();
    comes_to(
        &server,
        "with",
        "Unhealthy",
        "the TLS profile edge must be one of this server's",
    );
}

#[test]
fn a_profile_that_cannot_be_used_refuses_the_start_and_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let toml = profile(folder.path(), &authority, &authority.issue("waypost"));
    let (_, other) = authority.issue("other").write(folder.path(), "client");
    for (toml, field, rule) in [
        (
            toml.clone(),
            "health.tls_profiles.edge.key_file",
            "must be a key of the certificate",
        ),
        (
            toml.replace("ca.pem", "gone.pem"),
            "health.tls_profiles.edge.ca_file",
            "cannot read",
        ),
        (
            "[health.tls_profiles.edge]\nca = \"x\"\n".to_owned(),
            "health.tls_profiles.edge.ca",
            "",
        ),
    ] {
        // The key is that of another certificate from here on.
        let client = authority.issue("waypost");
        std::fs::write(folder.path().join("client.pem"), client.certificate).unwrap();
        let output = Setup::new().file(toml).refusal();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(field) && said.contains(rule), "{said}");
        let key = std::fs::read_to_string(&other).unwrap();
        let secret = key.lines().nth(1).unwrap();
        assert!(!said.contains(secret), "{said}");
    }
}

/// A gRPC server of gRPC's own making.
struct Health {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Health {
    fn start(python: &Path, arguments: &[&Path]) -> Self {
        let mut child = Command::new(python)
            .args(["-c", HEALTH])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It tells of every handshake that a test makes fail.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        Self {
            child,
            input,
            output,
            port,
        }
    }

    /// Sets the health of a service, `*` for the server as a whole, and waits until that is so.
    fn set(&mut self, service: &str, status: &str) {
        let line = format!("{service} {status}\n");
        self.input.write_all(line.as_bytes()).unwrap();
        let mut said = String::new();
        self.output.read_line(&mut said).unwrap();
        assert_eq!(said, line);
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn grpc_s_own_health_service_decides_and_flips() {
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(python) => python,
        Err(why) => return skipped("checks::grpc_s_own_health_service_decides_and_flips", &why),
    };
    let server = Server::start();
    let mut health = Health::start(&python, &[]);
    health.set("*", "SERVING");
    health.set("shop.v1.Cart", "SERVING");
    let cart = check("grpc", &json!({ "service": "shop.v1.Cart" }));
    register(&server, "cart", health.port, &cart);
    register(&server, "whole", health.port, &check("grpc", &json!({})));
    let nobody = check("grpc", &json!({ "service": "shop.v1.Nobody" }));
    register(&server, "nobody", health.port, &nobody);
    comes_to(&server, "cart", "Healthy", "gRPC health SERVING");
    comes_to(&server, "whole", "Healthy", "gRPC health SERVING");
    let unknown = "the server knows no health of shop.v1.Nobody (gRPC NOT_FOUND)";
    comes_to(&server, "nobody", "Unhealthy", unknown);
    health.set("shop.v1.Cart", "NOT_SERVING");
    comes_to(&server, "cart", "Unhealthy", "gRPC health NOT_SERVING");
    health.set("shop.v1.Cart", "SERVING");
    comes_to(&server, "cart", "Healthy", "gRPC health SERVING");
    comes_to(&server, "whole", "Healthy", "gRPC health SERVING");
    // From the command line, and with what only a name of a service can be.
    let port = health.port.to_string();
    let common = [
        "register",
        "web",
        "cli",
        "--address",
        "127.0.0.1",
        "--port",
        &port,
    ];
    runs(
        &server,
        &[&common[..], &["--check", "grpc:shop.v1.Cart"]].concat(),
    );
    comes_to(&server, "cli", "Healthy", "gRPC health SERVING");
}

#[test]
fn grpc_s_own_health_service_is_asked_inside_of_tls() {
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(python) => python,
        Err(why) => {
            return skipped(
                "checks::grpc_s_own_health_service_is_asked_inside_of_tls",
                &why,
            );
        }
    };
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority
        .issue("cart.internal")
        .write(folder.path(), "server");
    let mut health = Health::start(&python, &[&certificate, &key]);
    health.set("*", "SERVING");
    let named = |name: &str| {
        let tls = json!({ "server_name": name, "ca_pem": authority.pem });
        check("grpc", &json!({ "tls": tls }))
    };
    register(&server, "right", health.port, &named("cart.internal"));
    register(&server, "wrong", health.port, &named("shop.internal"));
    register(&server, "plain", health.port, &check("grpc", &json!({})));
    comes_to(&server, "right", "Healthy", "gRPC health SERVING");
    let reason = "the certificate is not valid for shop.internal; it is for cart.internal";
    comes_to(&server, "wrong", "Unhealthy", reason);
    comes_to(&server, "plain", "Unhealthy", "");
    health.set("*", "NOT_SERVING");
    comes_to(&server, "right", "Unhealthy", "gRPC health NOT_SERVING");
}
