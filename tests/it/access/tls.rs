//! TLS on the listener: what it speaks, and with which certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use tempfile::TempDir;

use crate::server::{Server, Setup, eventually, eventually_within, waypost};

mod clients;
mod stalled;

use clients::Secured;

/// An authority with the certificates that it issued, as files.
struct Certificates {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        let made = Self { folder, issuer };
        made.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes `NAME.pem` and `NAME.key`.
    fn issue(&self, name: &str, san: SanType) {
        self.sign(name, san, |_| {});
    }

    fn sign(&self, name: &str, san: SanType, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![san];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// Writes `NAME.pem` and `NAME.key` of a certificate that ends so soon.
    fn issue_for(&self, name: &str, san: SanType, length: Duration) {
        self.sign(name, san, |params| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (now + length);
        });
    }

    fn section(&self) -> String {
        format!(
            "[http.tls]\ncertificate = {:?}\nkey = {:?}\n",
            self.text("server.pem"),
            self.text("server.key")
        )
    }

    fn with_clients(&self, access: &str) -> String {
        format!(
            "{}client_authorities = {:?}\n{access}",
            self.section(),
            self.text("ca.pem")
        )
    }
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn url(server: &Server) -> String {
    format!("https://{}", server.address())
}

/// Runs the CLI over TLS; gives the code and what was said.
fn cli(server: &Server, ca: &Path, more: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let mut command = waypost(arguments);
    command
        .env("SERVICE_DISCOVERY_URL", url(server))
        .env("WAYPOST_CA_FILE", ca);
    command.envs(more.iter().copied());
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(told).unwrap(),
    )
}

/// Asks with curl; gives the status and the body.
fn curl(server: &Server, path: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["-s", "-S", "-m", "20", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("{}{path}", url(server)))
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap_or((&text, ""));
    (status.to_owned(), body.to_owned())
}

/// Gives the value of a metric whose line begins so; 0 where there is none.
fn figure(server: &Server, files: &Certificates, name: &str) -> u64 {
    let (status, metrics) = curl(server, "/metrics", &["--cacert", &files.text("ca.pem")]);
    assert_eq!(status, "200", "{metrics}");
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn the_listener_speaks_tls_to_curl_and_to_our_own_command_line_and_tells_who_does_not() {
    let files = Certificates::new();
    let server = Setup::new().file(files.section()).start();
    assert!(server.banner().contains("https://"), "{}", server.banner());
    let ca = files.text("ca.pem");
    let (status, body) = curl(&server, "/readyz", &["--cacert", &ca]);
    assert_eq!((status.as_str(), body.as_str()), ("200", "ok\n"));
    let (code, told) = cli(&server, &files.path("ca.pem"), &[], &["ls"]);
    assert_eq!(code, 0, "{told}");
    // Whoever does not know the authority is told what is wrong, and goes away.
    let (code, told) = cli(&server, &Certificates::new().path("ca.pem"), &[], &["ls"]);
    assert_eq!(code, 6, "{told}");
    assert!(told.contains("certificate"), "{told}");
    // Plain HTTP to this port gets an answer in plain HTTP.
    let answer = server.request("GET", "/readyz", &[], b"").expect(400);
    assert!(answer.text().contains("https"), "{}", answer.text());
    for version in ["1.2", "1.3"] {
        let (status, _) = curl(&server, "/livez", &["--cacert", &ca, "--tls-max", version]);
        assert_eq!(status, "200", "TLS {version}");
    }
    let (_, metrics) = curl(&server, "/metrics", &["--cacert", &ca]);
    assert!(metrics.contains("reason=\"tls_expected\"} 1"), "{metrics}");
    assert!(metrics.contains("reason=\"tls_handshake\"}"), "{metrics}");
}

#[test]
fn the_doctor_tells_what_is_wrong_between_http_and_https() {
    let files = Certificates::new();
    let server = Setup::new().file(files.section()).start();
    let (code, told) = cli(&server, &files.path("ca.pem"), &[], &["doctor"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("[ok] the server is asked by TLS"), "{told}");
    let strange = Certificates::new();
    let (code, told) = cli(&server, &strange.path("ca.pem"), &[], &["doctor"]);
    assert_eq!(code, 6, "{told}");
    assert!(told.contains("hint: --ca-file FILE names"), "{told}");
    let plain = [("SERVICE_DISCOVERY_URL", &*server.url())];
    let (code, told) = cli(&server, &files.path("ca.pem"), &plain, &["doctor"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("hint: ask https://"), "{told}");
    let foreign = crate::target::Target::start();
    let plain = [(
        "SERVICE_DISCOVERY_URL",
        &*format!("http://127.0.0.1:{}", foreign.port()),
    )];
    let (code, told) = cli(&server, &files.path("ca.pem"), &plain, &["doctor"]);
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("[xx] what answers there is no Waypost server"),
        "{told}"
    );
}

#[test]
fn old_versions_of_tls_and_names_of_others_are_refused() {
    let files = Certificates::new();
    let server = Setup::new().file(files.section()).start();
    let ca = files.text("ca.pem");
    let port = server.address().port();
    let other = format!("other.internal:{port}:127.0.0.1");
    let output = Command::new("curl")
        .args(["-s", "-S", "-m", "20", "--cacert", &ca, "--resolve", &other])
        .arg(format!("https://other.internal:{port}/livez"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let (status, told) = curl(
        &server,
        "/livez",
        &[
            "--cacert",
            &ca,
            "--tls-max",
            "1.1",
            "--ciphers",
            "DEFAULT@SECLEVEL=0",
        ],
    );
    assert_ne!(status, "200", "{told}");
}

/// Gives the certificate that the server shows.
fn shown(server: &Server) -> String {
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", &server.address().to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let (_, rest) = text
        .split_once("-----BEGIN CERTIFICATE-----")
        .unwrap_or_else(|| panic!("{text}"));
    rest.split("-----END").next().unwrap().to_owned()
}

#[test]
fn a_certificate_that_is_renewed_is_seen_by_new_connections_without_a_restart() {
    let files = Certificates::new();
    let server = Setup::new().file(files.section()).start();
    let before = shown(&server);
    // A pair that does not belong together changes nothing.
    let (old, key) = (
        fs::read(files.path("server.pem")).unwrap(),
        fs::read(files.path("server.key")).unwrap(),
    );
    fs::write(
        files.path("server.key"),
        KeyPair::generate().unwrap().serialize_pem(),
    )
    .unwrap();
    hang_up(&server);
    eventually("the fault is told", || {
        server
            .log()
            .contains("must be the key of the certificate")
            .then_some(())
    });
    assert_eq!(shown(&server), before);
    fs::write(files.path("server.key"), key).unwrap();
    fs::write(files.path("server.pem"), old).unwrap();
    let mut open = Secured::open(&server, &files, "server");
    assert_eq!(open.status_of("/livez"), "200");
    files.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
    hang_up(&server);
    eventually("the new certificate is shown", || {
        (shown(&server) != before).then_some(())
    });
    let (status, _) = curl(&server, "/livez", &["--cacert", &files.text("ca.pem")]);
    assert_eq!(status, "200");
    assert_eq!(open.status_of("/livez"), "200", "it goes on");
}

/// Its files are looked at every 10 s.
#[test]
fn a_certificate_that_is_renewed_is_seen_although_nobody_says_so() {
    let files = Certificates::new();
    let server = Setup::new().file(files.section()).start();
    let before = shown(&server);
    files.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
    let limit = Duration::from_secs(30);
    eventually_within(limit, "the new certificate is shown", || {
        (shown(&server) != before).then_some(())
    });
    eventually("it is told", || {
        server
            .log()
            .contains("the certificate was read again")
            .then_some(())
    });
}

/// Sends SIGHUP.
fn hang_up(server: &Server) {
    let sent = Command::new("kill")
        .args(["-HUP", &server.pid().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn files_that_cannot_be_used_refuse_the_start_with_their_name_and_the_rule() {
    let files = Certificates::new();
    let other = Certificates::new();
    let pair = |certificate: &str, key: &str| {
        format!("[http.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
    };
    for (toml, told) in [
        (
            pair(&files.text("none.pem"), &files.text("server.key")),
            "http.tls.certificate",
        ),
        (
            pair(&files.text("server.key"), &files.text("server.key")),
            "BEGIN CERTIFICATE",
        ),
        (
            pair(&files.text("server.pem"), &other.text("server.key")),
            "must be the key of the certificate",
        ),
        (
            "[[access.certificates]]\nname = \"x\"\n".to_owned(),
            "http.tls.client_authorities",
        ),
    ] {
        let refused = Setup::new().file(toml).refusal();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn the_end_of_the_certificate_and_a_renewal_that_failed_are_measured_and_told_by_the_doctor() {
    let files = Certificates::new();
    let day = Duration::from_secs(86_400);
    files.issue_for(
        "server",
        SanType::IpAddress([127, 0, 0, 1].into()),
        day * 10,
    );
    let server = Setup::new().file(files.section()).start();
    let ca = files.path("ca.pem");
    let figure = |name: &str| figure(&server, &files, name);
    let ends = figure("waypost_http_certificate_not_after_timestamp_seconds");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(
        (now + 9 * 86_400..=now + 10 * 86_400).contains(&ends),
        "{ends}"
    );
    assert_eq!(figure("waypost_http_certificate_reload_failed"), 0);
    let (code, told) = cli(&server, &ca, &[], &["doctor"]);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("[!!] the server's certificate ends in 9 days"),
        "{told}"
    );
    // One that cannot be used.
    let before = fs::read(files.path("server.pem")).unwrap();
    fs::write(files.path("server.pem"), "no certificate").unwrap();
    // SIGHUP would refuse the whole configuration; it is found when the files are looked at.
    let limit = Duration::from_secs(30);
    eventually_within(limit, "the fault is measured", || {
        (figure("waypost_http_certificate_reload_failed") == 1).then_some(())
    });
    let (code, told) = cli(&server, &ca, &[], &["doctor"]);
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("[xx] the server's certificate was renewed and cannot be used"),
        "{told}"
    );
    // The one before, and then another.
    fs::write(files.path("server.pem"), before).unwrap();
    hang_up(&server);
    eventually("it is well again", || {
        (figure("waypost_http_certificate_reload_failed") == 0).then_some(())
    });
    files.issue_for(
        "server",
        SanType::IpAddress([127, 0, 0, 1].into()),
        day * 90,
    );
    hang_up(&server);
    eventually("the new end is measured", || {
        let ends = figure("waypost_http_certificate_not_after_timestamp_seconds");
        (ends > now + 80 * 86_400).then_some(())
    });
    let (_, told) = cli(&server, &ca, &[], &["doctor"]);
    assert!(
        told.contains("[ok] the server's certificate is good for 89 days"),
        "{told}"
    );
}
