use std::sync::Arc;
use std::time::Duration;

use waypost_core::{CheckState, HttpProbe, ProbeProtocol, ProbeSpec, text};
use waypost_dial::{AddressPolicy, Dialer, Resolver};

use super::{ProbeReport, Probes};
use crate::BODY_KEPT_BYTES;
use crate::testing::{Manner, Target, answer, dial, hangs, no_profiles, nobody};

mod grpc;
mod https;

async fn ask(address: std::net::SocketAddr, protocol: ProbeProtocol) -> ProbeReport {
    let probes = Probes::new(&Dialer::new(&dial()), &no_profiles());
    let resolver = Resolver::new(&dial(), AddressPolicy::new(&dial(), false));
    let target = resolver.pin(address).unwrap();
    let spec = ProbeSpec::new(protocol);
    let timeout = Duration::from_millis(300);
    probes
        .of(&spec.protocol)
        .probe(&spec, &target, timeout)
        .await
}

async fn ask_http(manner: Manner) -> (ProbeReport, Target) {
    let target = Target::new(manner).await;
    let protocol = ProbeProtocol::Http(HttpProbe::default());
    (ask(target.address, protocol).await, target)
}

#[tokio::test]
async fn the_status_and_then_the_body_decide() {
    let unhealthy = r#"{"status": "unhealthy", "custom_checks": {"db": false}}"#;
    let degraded = r#"{"status": "degraded", "load_percentage": 0.9}"#;
    let custom = r#"{"status": "healthy", "custom_checks": {"cache": false}}"#;
    for (status, body, state, reason) in [
        (200, "OK", CheckState::Passing, "HTTP status 200"),
        (204, "", CheckState::Passing, "HTTP status 204"),
        (
            503,
            "busy",
            CheckState::Failing,
            "HTTP status 503, expected 200-299",
        ),
        (
            200,
            unhealthy,
            CheckState::Failing,
            "body says unhealthy: custom check db failed",
        ),
        (200, degraded, CheckState::Warning, "body says degraded"),
        (
            200,
            custom,
            CheckState::Passing,
            "HTTP status 200; custom check cache failed",
        ),
        (
            503,
            r#"{"status": "healthy"}"#,
            CheckState::Failing,
            "HTTP status 503, expected 200-299",
        ),
        (
            500,
            unhealthy,
            CheckState::Failing,
            "HTTP status 500, expected 200-299; body says unhealthy: custom check db failed",
        ),
    ] {
        let (report, _) = ask_http(answer(status, body)).await;
        assert_eq!(
            (report.state, &*report.reason),
            (state, reason),
            "{status} {body}"
        );
        assert_eq!(report.status, Some(status));
        assert_eq!(report.body.as_deref().unwrap_or_default(), body);
    }
}

#[tokio::test]
async fn the_expected_range_is_the_check_s_own() {
    let target = Target::new(answer(401, "")).await;
    let http = HttpProbe {
        status_min: 401,
        status_max: 401,
        ..HttpProbe::default()
    };
    let report = ask(target.address, ProbeProtocol::Http(http.clone())).await;
    assert_eq!(report.state, CheckState::Passing);
    target.turns_to(answer(200, ""));
    let report = ask(target.address, ProbeProtocol::Http(http)).await;
    assert_eq!(&*report.reason, "HTTP status 200, expected 401");
}

#[tokio::test]
async fn a_redirect_to_a_metadata_address_is_a_failed_report_and_is_not_followed() {
    let head = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n";
    let (report, target) = ask_http(Manner::Says(head.into())).await;
    assert_eq!(report.state, CheckState::Failing);
    assert_eq!(&*report.reason, "HTTP status 302, expected 200-299");
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn of_a_large_body_4_kib_are_kept_and_the_rest_is_not_waited_for() {
    let (report, _) = ask_http(answer(200, &"x".repeat(1 << 20))).await;
    assert_eq!(report.state, CheckState::Passing);
    assert_eq!(report.body.unwrap().len(), BODY_KEPT_BYTES);
}

#[tokio::test]
async fn a_health_body_of_64_kib_is_still_understood_and_a_longer_one_is_just_a_body() {
    let of_length = |length: usize| {
        let start = r#"{"status": "unhealthy", "pad": ""#;
        let pad = "x".repeat(length - start.len() - 2);
        format!("{start}{pad}\"}}")
    };
    let (report, _) = ask_http(answer(200, &of_length(64 * 1_024))).await;
    assert_eq!(&*report.reason, "body says unhealthy");
    let (report, _) = ask_http(answer(200, &of_length(64 * 1_024 + 1))).await;
    assert_eq!(&*report.reason, "HTTP status 200");
}

#[tokio::test]
async fn a_server_that_hangs_or_sends_its_body_slowly_fails_in_time_and_says_how_far_it_came() {
    let (report, target) = ask_http(hangs()).await;
    let address = target.address;
    let expected = format!("{address} accepted the connection and sent no answer within 300 ms");
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*expected)
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    let (report, target) = ask_http(Manner::Stalls(head.into())).await;
    let expected = format!(
        "the answer from {} was not complete within 300 ms",
        target.address
    );
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*expected)
    );
}

#[tokio::test]
async fn refused_closed_and_garbled_connections_each_have_their_sentence() {
    let address = nobody().await;
    let refused = format!("connection refused by {address}");
    for protocol in [
        ProbeProtocol::Tcp,
        ProbeProtocol::Http(HttpProbe::default()),
    ] {
        let report = ask(address, protocol).await;
        assert_eq!(
            (report.state, &*report.reason),
            (CheckState::Failing, &*refused)
        );
    }
    let (report, target) = ask_http(Manner::Says(Vec::new())).await;
    let closed = format!(
        "{} closed the connection before it answered",
        target.address
    );
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Failing, &*closed)
    );
    let (report, target) = ask_http(Manner::Says(b"220 smtp ready\r\n\r\n".to_vec())).await;
    let garbled = format!("{} did not answer in HTTP", target.address);
    assert!(report.reason.starts_with(&garbled), "{}", report.reason);
    assert_eq!(report.state, CheckState::Failing);
}

#[tokio::test]
async fn a_tcp_probe_passes_when_the_connection_opens() {
    let target = Target::new(hangs()).await;
    let report = ask(target.address, ProbeProtocol::Tcp).await;
    assert_eq!(
        (report.state, &*report.reason),
        (CheckState::Passing, "connected")
    );
}

#[tokio::test]
async fn method_path_and_headers_are_the_check_s_own() {
    let http = HttpProbe {
        path: text("/ready?deep=1"),
        method: text("POST"),
        headers: Arc::from([(text("x-probe"), text("waypost"))]),
        ..HttpProbe::default()
    };
    let echo = Target::new(Manner::Echoes).await;
    let report = ask(echo.address, ProbeProtocol::Http(http)).await;
    let head = report.body.unwrap();
    assert!(
        head.starts_with("POST /ready?deep=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("x-probe: waypost\r\n"), "{head}");
}
