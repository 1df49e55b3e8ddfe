//! Who shows a certificate is who a line of the settings says, for as long as it lasts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Certificates, cli, curl, uri, url};
use crate::server::{Server, Setup, eventually};

#[test]
fn a_certificate_of_a_client_is_who_it_is_and_no_more() {
    let files = Certificates::new();
    files.issue("deployer", uri("spiffe://prod/deployer"));
    files.issue("stranger", uri("spiffe://test/deployer"));
    // The path of a URI is another in another case, and no authority can write a fingerprint.
    files.issue("shouting", uri("spiffe://PROD/deployer"));
    files.issue("pretender", uri(&format!("sha256:{}", "0".repeat(64))));
    let access = "[[access.certificates]]\nname = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n\
        [[access.certificates]]\nname = \"spiffe://prod/*\"\n\
        grants = [{ verbs = [\"read\", \"register\"], namespaces = \"svc.internal\", services = \"web*\" }]\n\
        [access]\nshared_secret = \"only-for-this-test\"\n";
    let server = Setup::new().file(files.with_clients(access)).start();
    let ca = files.path("ca.pem");
    let as_client = |name: &str, arguments: &[&str]| {
        let (certificate, key) = (
            files.text(&format!("{name}.pem")),
            files.text(&format!("{name}.key")),
        );
        let more = [
            ("WAYPOST_CERTIFICATE", certificate.as_str()),
            ("WAYPOST_KEY_FILE", key.as_str()),
        ];
        cli(&server, &ca, &more, arguments)
    };
    let register = |service: &'static str| {
        [
            "register",
            service,
            "a",
            "--address",
            "127.0.0.1",
            "--port",
            "9",
        ]
    };
    let (code, told) = as_client("deployer", &register("web"));
    assert_eq!(code, 0, "{told}");
    let (code, told) = as_client("deployer", &register("api"));
    assert_eq!(code, 5, "{told}");
    // The authority issued this one too, and nobody said what it may do.
    // A URI that has no scheme is no host name.
    files.issue("host", uri("spiffe.prod"));
    for name in ["shouting", "pretender", "host"] {
        assert_eq!(as_client(name, &["ls"]).0, 5, "{name}");
    }
    let (code, told) = as_client("stranger", &["ls"]);
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("access.certificates"), "{told}");
    // Without one a token does, and neither does not.
    assert_eq!(
        cli(
            &server,
            &ca,
            &[("WAYPOST_TOKEN", "only-for-this-test")],
            &["ls"]
        )
        .0,
        0
    );
    assert_eq!(cli(&server, &ca, &[], &["ls"]).0, 5);
    let (_, audit) = cli(
        &server,
        &ca,
        &[("WAYPOST_TOKEN", "only-for-this-test")],
        &["audit", "-o", "json"],
    );
    let page: Value = serde_json::from_str(&audit).unwrap();
    let subjects: Vec<&str> = page["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line["subject"].as_str())
        .collect();
    assert!(subjects.contains(&"spiffe://prod/deployer"), "{subjects:?}");
}

#[test]
fn a_certificate_is_who_the_first_line_that_covers_it_says_and_a_token_beside_it_counts_instead() {
    let files = Certificates::new();
    files.issue("shop", uri("spiffe://prod/shop/1"));
    files.issue("known", uri("spiffe://test/known"));
    let printed = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(files.path("known.pem"))
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let (_, digits) = printed.trim().split_once('=').unwrap();
    let fingerprint = digits.replace(':', "").to_ascii_lowercase();
    let line = |name: &str, services: &str| {
        let grants = format!("[{{ verbs = [\"read\", \"register\"], services = \"{services}\" }}]");
        format!("[[access.certificates]]\nname = \"{name}\"\ngrants = {grants}\n")
    };
    let access = [
        line("spiffe://prod/shop/*", "shop*"),
        line("spiffe://prod/*", "*"),
        line(&format!("sha256:{fingerprint}"), "known"),
        "[access]\nshared_secret = \"only-for-this-test\"\n".to_owned(),
    ];
    let server = Setup::new()
        .file(files.with_clients(&access.concat()))
        .start();
    let register = |name: &str, token: &str, service: &str| {
        let pair = [
            files.text(&format!("{name}.pem")),
            files.text(&format!("{name}.key")),
        ];
        let mut more = vec![
            ("WAYPOST_CERTIFICATE", pair[0].as_str()),
            ("WAYPOST_KEY_FILE", pair[1].as_str()),
        ];
        if !token.is_empty() {
            more.push(("WAYPOST_TOKEN", token));
        }
        let arguments = [
            "register",
            service,
            "a",
            "--address",
            "127.0.0.1",
            "--port",
            "9",
        ];
        cli(&server, &files.path("ca.pem"), &more, &arguments).0
    };
    assert_eq!(register("shop", "", "shop-api"), 0);
    assert_eq!(
        register("shop", "", "other"),
        5,
        "the second line covers it, too"
    );
    assert_eq!(register("known", "", "known"), 0, "by its fingerprint");
    assert_eq!(register("known", "", "other"), 5);
    assert_eq!(register("shop", "only-for-this-test", "other"), 0);
    assert_eq!(register("shop", "wp_WRONG", "shop-api"), 5);
}

#[test]
fn where_a_certificate_is_required_nobody_without_one_gets_as_far_as_a_request() {
    let files = Certificates::new();
    files.issue("deployer", uri("spiffe://prod/deployer"));
    let others = Certificates::new();
    others.issue("deployer", uri("spiffe://prod/deployer"));
    let access = "client_certificates = \"required\"\n[[access.certificates]]\nname = \"spiffe://prod/deployer\"\n";
    let server = Setup::new().file(files.with_clients(access)).start();
    let ca = files.text("ca.pem");
    let shown = |files: &Certificates| {
        let pair = [files.text("deployer.pem"), files.text("deployer.key")];
        curl(
            &server,
            "/v1/namespaces",
            &["--cacert", &ca, "--cert", &pair[0], "--key", &pair[1]],
        )
        .0
    };
    assert_eq!(shown(&files), "200");
    assert_ne!(shown(&others), "200", "an authority that nobody named");
    let (status, _) = curl(&server, "/livez", &["--cacert", &ca]);
    assert_ne!(status, "200");
}

/// One connection by `openssl s_client`, over which many requests go.
pub(super) struct Secured(Child, BufReader<ChildStdout>);

impl Secured {
    pub(super) fn open(server: &Server, files: &Certificates, name: &str) -> Self {
        let mut child = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-connect",
                &server.address().to_string(),
            ])
            .args(["-CAfile", &files.text("ca.pem")])
            .args(["-cert", &files.text(&format!("{name}.pem"))])
            .args(["-key", &files.text(&format!("{name}.key"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self(child, output)
    }

    pub(super) fn status_of(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: waypost\r\n\r\n");
        let input = self.0.stdin.as_mut().unwrap();
        input.write_all(request.as_bytes()).unwrap();
        let mut line = || {
            let mut line = String::new();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "it was closed");
            line.trim_end().to_owned()
        };
        let status = line();
        let mut length = 0;
        loop {
            let header = line().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.1.read_exact(&mut body).unwrap();
        status.split(' ').nth(1).unwrap().to_owned()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_certificate_of_a_client_that_ends_while_its_connection_is_open_is_nobody_from_then_on() {
    let files = Certificates::new();
    files.issue_for("shop", uri("spiffe://test/shop"), Duration::from_secs(6));
    let access = "[[access.certificates]]\nname = \"spiffe://test/shop\"\ngrants = [{ verbs = [\"read\"] }]\n";
    let server = Setup::new().file(files.with_clients(access)).start();
    let mut connection = Secured::open(&server, &files, "shop");
    let path = "/v1/namespaces";
    assert_eq!(connection.status_of(path), "200");
    let refused = eventually("the certificate ends", || {
        let status = connection.status_of(path);
        (status != "200").then_some(status)
    });
    assert_eq!(refused, "401");
    assert_eq!(connection.status_of("/livez"), "200");
}

#[test]
fn each_certificate_has_its_own_rate_under_one_line_of_the_settings() {
    let files = Certificates::new();
    for name in ["one", "two"] {
        files.issue(name, uri(&format!("spiffe://test/{name}")));
    }
    let settings = "[access.rates]\nrequests_per_loopback = { per_second = 1, burst = 20 }\n\
        [[access.certificates]]\nname = \"spiffe://test/*\"\ngrants = [{ verbs = [\"read\"] }]\n";
    let server = Setup::new().file(files.with_clients(settings)).start();
    // Each from an address of its own, since addresses have the same rate.
    let answered = |name: &str, address: &str, requests: usize| {
        let output = Command::new("curl")
            .args(["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}\n"])
            .args(["--cacert", &files.text("ca.pem"), "--interface", address])
            .args(["--cert", &files.text(&format!("{name}.pem"))])
            .args(["--key", &files.text(&format!("{name}.key"))])
            .arg(format!(
                "{}/v1/namespaces?limit=1&after=a[1-{requests}]",
                url(&server)
            ))
            .output()
            .unwrap();
        let codes = String::from_utf8(output.stdout).unwrap();
        codes.lines().filter(|code| *code == "200").count()
    };
    let first = answered("one", "127.0.0.2", 60);
    assert!((20..40).contains(&first), "{first}");
    assert_eq!(answered("two", "127.0.0.3", 15), 15);
}
