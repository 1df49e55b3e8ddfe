use std::sync::Arc;

use super::*;
use crate::text::text;

fn with(protocol: ProbeProtocol) -> Check {
    let id = CheckId::new("web").unwrap();
    Check::new(id, CheckKind::Probe(ProbeSpec::new(protocol)))
}

fn https(tls: TlsProbe) -> Check {
    let request = HttpProbe::default();
    with(ProbeProtocol::Https(HttpsProbe { request, tls }))
}

fn grpc(service: &str) -> Check {
    let service = Some(text(service));
    with(ProbeProtocol::Grpc(GrpcProbe { service, tls: None }))
}

fn named(server_name: &str) -> Check {
    https(TlsProbe {
        server_name: Some(text(server_name)),
        ..TlsProbe::default()
    })
}

fn profiled(profile: &str) -> Check {
    https(TlsProbe {
        profile: Some(text(profile)),
        ..TlsProbe::default()
    })
}

fn refused_field(check: &Check) -> Option<String> {
    check
        .validate()
        .err()
        .map(|error| error.subject().to_owned())
}

#[test]
fn a_server_name_is_a_host_name_or_an_address() {
    for good in [
        "a.example",
        "a.example.",
        "db_1.internal",
        "10.0.0.1",
        "fd00::1",
        "xn--bcher-kva.example",
    ] {
        named(good).validate().unwrap();
    }
    let long = format!("{}.example", "x".repeat(64));
    for bad in [
        "",
        ".",
        "a..b",
        "a:443",
        "https://a",
        "*.example",
        "-a.example",
        "1.2.3",
        "[::1]",
        "b\u{fc}cher",
        &long,
    ] {
        let field = refused_field(&named(bad));
        assert_eq!(
            field.as_deref(),
            Some("checks.web.tls.server_name"),
            "{bad}"
        );
    }
}

#[test]
fn certificates_are_bounded_and_pointless_beside_insecure() {
    let of = |length: usize, insecure| {
        https(TlsProbe {
            ca_pem: Some(text(&"x".repeat(length))),
            insecure,
            ..TlsProbe::default()
        })
    };
    of(CA_PEM_BYTES_MAX, false).validate().unwrap();
    for check in [of(CA_PEM_BYTES_MAX + 1, false), of(1, true)] {
        assert_eq!(
            refused_field(&check).as_deref(),
            Some("checks.web.tls.ca_pem")
        );
    }
    let error = of(1, true).validate().unwrap_err().to_string();
    assert!(error.contains("1 bytes"), "{error}");
}

#[test]
fn a_profile_is_named_and_never_a_path() {
    profiled("edge-1_a").validate().unwrap();
    for bad in [
        "",
        "../../etc/shadow",
        "/etc/ssl/key.pem",
        "a.b",
        &"x".repeat(65),
    ] {
        let field = refused_field(&profiled(bad));
        assert_eq!(field.as_deref(), Some("checks.web.tls.profile"), "{bad}");
    }
}

#[test]
fn the_service_of_a_grpc_check_is_a_name() {
    grpc("shop.v1.Cart").validate().unwrap();
    for bad in ["", "a b", "\n", "\u{e4}", &"x".repeat(257)] {
        assert_eq!(
            refused_field(&grpc(bad)).as_deref(),
            Some("checks.web.service"),
            "{bad}"
        );
    }
}

#[test]
fn the_request_of_an_https_check_has_the_rules_of_http() {
    let request = HttpProbe {
        method: text("CONNECT"),
        ..HttpProbe::default()
    };
    let tls = TlsProbe::default();
    let check = with(ProbeProtocol::Https(HttpsProbe { request, tls }));
    assert_eq!(refused_field(&check).as_deref(), Some("checks.web.method"));
}

#[derive(Debug)]
struct NoProfiles;

impl ProbeRules for NoProfiles {
    fn judge(&self, tls: &TlsProbe) -> Result<(), Unfit> {
        let rule = "must be configured".to_owned();
        let unfit = Unfit {
            field: "profile",
            rule,
        };
        tls.profile.as_ref().map_or(Ok(()), |_| Err(unfit))
    }
}

#[test]
fn what_the_server_lacks_is_refused_with_field_and_value() {
    let policy = crate::command::Policy {
        probe_rules: Some(Arc::new(NoProfiles)),
        ..crate::command::Policy::default()
    };
    policy.judge(&[named("a.example"), grpc("a")]).unwrap();
    let error = policy.judge(&[profiled("edge")]).unwrap_err();
    let RegistryError::Invalid { field, value, rule } = &error else {
        panic!("{error}");
    };
    let found = (field.to_string(), &**value, &**rule);
    assert_eq!(
        found,
        (
            "checks.web.tls.profile".to_owned(),
            "edge",
            "must be configured"
        )
    );
}

/// What an engine has from before there was TLS.
#[test]
fn checks_written_before_are_read_and_written_as_they_were() {
    for written in [
        r#"{"Probe":{"protocol":"Tcp","interval_seconds":30,"unhealthy_interval_seconds":5,"timeout_milliseconds":5000}}"#,
        r#"{"Probe":{"protocol":{"Http":{"path":"/health","method":"GET","status_min":200,"status_max":299}},"interval_seconds":30,"unhealthy_interval_seconds":5,"timeout_milliseconds":5000}}"#,
    ] {
        let kind: CheckKind = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&kind).unwrap(), written);
    }
}

#[test]
fn the_new_kinds_are_written_without_what_is_not_said() {
    for (check, written) in [
        (grpc("a.B"), r#"{"Grpc":{"service":"a.B"}}"#),
        (
            https(TlsProbe {
                insecure: true,
                ..TlsProbe::default()
            }),
            r#"{"Https":{"request":{"path":"/health","method":"GET","status_min":200,"status_max":299},"tls":{"insecure":true}}}"#,
        ),
    ] {
        let CheckKind::Probe(spec) = check.kind else {
            panic!("no probe");
        };
        assert_eq!(serde_json::to_string(&spec.protocol).unwrap(), written);
        let read: ProbeProtocol = serde_json::from_str(written).unwrap();
        assert_eq!(read, spec.protocol);
    }
}
