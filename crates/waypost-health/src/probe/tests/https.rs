//! The `https` probe against servers inside of TLS.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use waypost_core::{HttpsProbe, TlsProbe};

use super::*;
use crate::testing::tls::{Authority, Manners, Pair, SecuredTarget};
use crate::{HealthConfig, Tls, TlsProfile};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Patient, since a handshake on a busy machine takes its time.
const PATIENT: Duration = Duration::from_secs(20);

async fn ask_with(tls: &Tls, probe: TlsProbe, to: SocketAddr, timeout: Duration) -> ProbeReport {
    let resolver = Resolver::new(&dial(), AddressPolicy::new(&dial(), false));
    ask_at(tls, probe, resolver.pin(to).unwrap(), timeout).await
}

async fn ask_at(
    tls: &Tls,
    probe: TlsProbe,
    target: waypost_dial::Pinned,
    timeout: Duration,
) -> ProbeReport {
    let probes = Probes::new(&Dialer::new(&dial()), tls);
    let https = HttpsProbe {
        request: HttpProbe::default(),
        tls: probe,
    };
    let spec = ProbeSpec::new(ProbeProtocol::Https(https));
    let probe = probes.of(&spec.protocol);
    probe.probe(&spec, &target, timeout).await
}

async fn ask_secured(probe: TlsProbe, to: SocketAddr) -> ProbeReport {
    ask_with(&no_profiles(), probe, to, PATIENT).await
}

fn by(authority: &Authority) -> TlsProbe {
    TlsProbe {
        ca_pem: Some(text(&authority.pem)),
        ..TlsProbe::default()
    }
}

fn named(authority: &Authority, name: &str) -> TlsProbe {
    TlsProbe {
        server_name: Some(text(name)),
        ..by(authority)
    }
}

fn insecure() -> TlsProbe {
    TlsProbe {
        insecure: true,
        ..TlsProbe::default()
    }
}

#[track_caller]
fn assert_failed(report: &ProbeReport, address: SocketAddr, reason: &str) {
    let reason = format!("TLS with {address} failed: {reason}");
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*reason)
    );
}

#[tokio::test]
async fn a_certificate_of_the_check_s_own_authority_passes() {
    let authority = Authority::new();
    let manners = Manners::of(authority.server(&["127.0.0.1"]));
    let target = SecuredTarget::new(manners, OK).await;
    let report = ask_secured(by(&authority), target.address).await;
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Passing, "HTTP status 200")
    );
    assert_eq!(
        (report.status, report.body.as_deref()),
        (Some(200), Some("ok"))
    );
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut manners = Manners::of(authority.server(&["127.0.0.1"]));
        manners.version = Some(version);
        let target = SecuredTarget::new(manners, OK).await;
        for probe in [by(&authority), insecure()] {
            let report = ask_secured(probe, target.address).await;
            assert_eq!(
                report.state,
                CheckState::Passing,
                "{version:?}: {}",
                report.reason
            );
        }
    }
}

#[tokio::test]
async fn the_status_decides_inside_of_tls_too() {
    let authority = Authority::new();
    let manners = Manners::of(authority.server(&["127.0.0.1"]));
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    let target = SecuredTarget::new(manners, busy).await;
    let report = ask_secured(by(&authority), target.address).await;
    assert_eq!(&*report.reason, "HTTP status 503, expected 200-299");
}

#[tokio::test]
async fn the_server_name_is_asked_for_and_is_the_host_and_must_be_in_the_certificate() {
    let authority = Authority::new();
    let echo = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{host} {name}";
    let manners = Manners::of(authority.server(&["shop.example"]));
    let target = SecuredTarget::new(manners, echo).await;
    let port = target.address.port();
    let report = ask_secured(named(&authority, "shop.example"), target.address).await;
    assert_eq!(report.state, CheckState::Passing, "{}", report.reason);
    let seen = format!("shop.example:{port} shop.example");
    assert_eq!(report.body.as_deref(), Some(&*seen));
    let report = ask_secured(named(&authority, "mail.example"), target.address).await;
    let reason = "the certificate is not valid for mail.example; it is for shop.example";
    assert_failed(&report, target.address, reason);
    let report = ask_secured(by(&authority), target.address).await;
    let reason = "the certificate is not valid for 127.0.0.1; it is for shop.example";
    assert_failed(&report, target.address, reason);
}

#[tokio::test]
async fn without_a_server_name_it_is_the_host_name_of_the_instance() {
    let authority = Authority::new();
    let echo = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{name}";
    let manners = Manners::of(authority.server(&["localhost"]));
    let target = SecuredTarget::new(manners, echo).await;
    let resolver = Resolver::new(&dial(), AddressPolicy::new(&dial(), false));
    let pinned = resolver
        .resolve("localhost", target.address.port())
        .await
        .unwrap();
    let report = ask_at(&no_profiles(), by(&authority), pinned, PATIENT).await;
    assert_eq!(
        report.body.as_deref(),
        Some("localhost"),
        "{}",
        report.reason
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_right_says_what_is_wrong() {
    let authority = Authority::named("ours");
    let at = ["127.0.0.1"];
    for (pair, reason) in [
        (authority.expired(&at), "the certificate has expired"),
        (
            authority.of_the_future(&at),
            "the certificate is not valid yet",
        ),
        (authority.client(), "the certificate is not one for servers"),
        (
            Authority::new().server(&at),
            "the certificate is from an unknown issuer",
        ),
        (
            Authority::named("ours").server(&at),
            "the certificate is not signed by the authority that it names, or its key is not the server's",
        ),
        (
            authority.server(&[]),
            "the certificate is not valid for 127.0.0.1; it names nobody",
        ),
    ] {
        let target = SecuredTarget::new(Manners::of(pair), OK).await;
        assert_failed(
            &ask_secured(by(&authority), target.address).await,
            target.address,
            reason,
        );
        // Whoever takes any certificate takes these.
        let report = ask_secured(insecure(), target.address).await;
        assert_eq!(
            report.state,
            CheckState::Passing,
            "{reason}: {}",
            report.reason
        );
    }
}

#[tokio::test]
async fn the_certificate_of_an_authority_is_no_server_s() {
    let pair = Pair::self_signed_authority(&["127.0.0.1"]);
    let target = SecuredTarget::new(Manners::of(pair.clone()), OK).await;
    let probe = TlsProbe {
        ca_pem: Some(text(&pair.certificate)),
        ..TlsProbe::default()
    };
    let reason =
        "the certificate is that of an authority (CA:TRUE), which cannot be a server's own";
    assert_failed(
        &ask_secured(probe, target.address).await,
        target.address,
        reason,
    );
}

/// The authorities of this machine know nothing of one that was made just now; a machine without any says so.
#[tokio::test]
async fn without_an_authority_of_its_own_the_machine_s_are_asked() {
    let manners = Manners::of(Authority::new().server(&["127.0.0.1"]));
    let target = SecuredTarget::new(manners, OK).await;
    let report = ask_secured(TlsProbe::default(), target.address).await;
    assert_eq!(report.state, CheckState::Failing);
    let known = [
        "the certificate is from an unknown issuer",
        "nobody is trusted: this machine has no",
    ];
    assert!(
        known.iter().any(|part| report.reason.contains(part)),
        "{}",
        report.reason
    );
}

fn profiles(folder: &std::path::Path, client: &Pair, authority: &Authority) -> Tls {
    let write = |name: &str, pem: &str| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        Some(path)
    };
    let profile = TlsProfile {
        ca_file: write("ca.pem", &authority.pem),
        cert_file: write("client.pem", &client.certificate),
        key_file: write("client.key", &client.key),
    };
    let config = HealthConfig {
        tls_profiles: [("edge".to_owned(), profile)].into(),
        ..HealthConfig::default()
    };
    Tls::load(&config).unwrap()
}

#[tokio::test]
async fn a_client_certificate_is_shown_by_the_profile_that_has_it() {
    let authority = Authority::new();
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let right = profiles(folder.path(), &authority.client(), &authority);
    let wrong = profiles(other.path(), &Authority::new().client(), &authority);
    let edge = || TlsProbe {
        profile: Some(text("edge")),
        ..TlsProbe::default()
    };
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let manners = Manners {
            clients_of: Some(authority.pem.clone()),
            version: Some(version),
            ..Manners::of(authority.server(&["127.0.0.1"]))
        };
        let target = SecuredTarget::new(manners, OK).await;
        let report = ask_with(&right, edge(), target.address, PATIENT).await;
        assert_eq!(
            report.state,
            CheckState::Passing,
            "{version:?}: {}",
            report.reason
        );
        let report = ask_secured(by(&authority), target.address).await;
        assert_eq!(report.state, CheckState::Failing);
        let reason = &report.reason;
        assert!(
            reason.contains("a client certificate, and there is none"),
            "{version:?}: {reason}"
        );
        let report = ask_with(&wrong, edge(), target.address, PATIENT).await;
        assert_eq!(report.state, CheckState::Failing, "{version:?}");
    }
}

#[tokio::test]
async fn a_profile_whose_files_are_renewed_is_read_again_and_one_that_cannot_be_used_stays() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    // A client of nobody: what it is replaced by decides.
    let tls = profiles(folder.path(), &Authority::new().client(), &authority);
    let manners = Manners {
        clients_of: Some(authority.pem.clone()),
        ..Manners::of(authority.server(&["127.0.0.1"]))
    };
    let target = SecuredTarget::new(manners, OK).await;
    let ask = || async {
        let edge = TlsProbe {
            profile: Some(text("edge")),
            ..TlsProbe::default()
        };
        ask_with(&tls, edge, target.address, PATIENT).await
    };
    assert_eq!(ask().await.state, CheckState::Failing);
    let right = authority.client();
    let write = |name: &str, pem: &str| std::fs::write(folder.path().join(name), pem).unwrap();
    // A certificate without its key yet.
    write("client.pem", &format!("\n{}", right.certificate));
    assert_eq!(ask().await.state, CheckState::Failing);
    write("client.key", &format!("\n{}", right.key));
    let report = ask().await;
    assert_eq!(report.state, CheckState::Passing, "{}", report.reason);
    write("client.pem", "nothing");
    std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
    let report = ask().await;
    assert_eq!(report.state, CheckState::Passing, "{}", report.reason);
}

#[tokio::test]
async fn a_check_whose_profile_is_gone_fails_and_says_so() {
    let target = SecuredTarget::new(Manners::of(Authority::new().server(&[])), OK).await;
    let probe = TlsProbe {
        profile: Some(text("edge")),
        ..TlsProbe::default()
    };
    let report = ask_secured(probe, target.address).await;
    let reason = "the check cannot be made: the TLS profile edge must be one of this server's configuration, which has \
                  none ([health.tls_profiles.NAME])";
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, reason)
    );
}

#[tokio::test]
async fn a_server_that_is_silent_after_the_greeting_fails_in_time_and_says_how_far_it_came() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let (tls, short) = (no_profiles(), Duration::from_millis(300));
    let asking = ask_with(&tls, insecure(), address, short);
    let holding = async {
        let (mut stream, _) = silent.accept().await.unwrap();
        let mut greeting = [0; 1_024];
        let read = stream.read(&mut greeting).await.unwrap();
        // A record of the handshake, with a ClientHello.
        assert_eq!((greeting[0], greeting[5]), (22, 1), "{read} bytes");
        // Until the probe gives up.
        let _ = stream.read(&mut greeting).await;
    };
    let (report, ()) = tokio::join!(asking, holding);
    let reason = format!(
        "{address} accepted the connection and did not finish the TLS handshake within 300 ms"
    );
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*reason)
    );
}

#[tokio::test]
async fn a_server_without_tls_says_so() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let answering = async {
        let (mut stream, _) = plain.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    let (report, ()) = tokio::join!(ask_secured(insecure(), address), answering);
    assert_failed(&report, address, "it does not speak TLS");
}

#[tokio::test]
async fn a_connection_that_closes_in_the_handshake_says_so() {
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closing.local_addr().unwrap();
    let closed = async {
        let (mut stream, _) = closing.accept().await.unwrap();
        let mut greeting = [0; 1_024];
        let _ = stream.read(&mut greeting).await.unwrap();
    };
    let (report, ()) = tokio::join!(ask_secured(insecure(), address), closed);
    let reason = format!("{address} closed the connection before the TLS handshake was finished");
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*reason)
    );
}

#[tokio::test]
async fn http_1_1_is_offered_and_a_server_of_http_2_alone_refuses() {
    let authority = Authority::new();
    for (alpn, passes) in [(&b"http/1.1"[..], true), (b"h2", false)] {
        let mut manners = Manners::of(authority.server(&["127.0.0.1"]));
        manners.alpn = Some(alpn);
        let target = SecuredTarget::new(manners, OK).await;
        let report = ask_secured(by(&authority), target.address).await;
        if passes {
            assert_eq!(report.state, CheckState::Passing, "{}", report.reason);
        } else {
            let reason = "it speaks none of the protocols that were offered (ALPN)";
            assert_failed(&report, target.address, reason);
        }
    }
}

/// As Python's `http.server` does it: no length, and no leave taken in TLS.
#[tokio::test]
async fn an_answer_without_a_length_ends_with_the_connection_and_one_with_a_length_is_held_to_it() {
    let authority = Authority::new();
    let blunt = || Manners {
        takes_leave: false,
        ..Manners::of(authority.server(&["127.0.0.1"]))
    };
    let target = SecuredTarget::new(blunt(), "HTTP/1.0 200 OK\r\n\r\nall is well").await;
    let report = ask_secured(by(&authority), target.address).await;
    assert_eq!(
        report.body.as_deref(),
        Some("all is well"),
        "{}",
        report.reason
    );
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nall";
    let target = SecuredTarget::new(blunt(), cut).await;
    let report = ask_secured(by(&authority), target.address).await;
    let reason = format!(
        "{} closed the connection before its answer was complete",
        target.address
    );
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*reason)
    );
}
