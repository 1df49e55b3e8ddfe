use std::collections::BTreeMap;
use std::sync::Arc;

use waypost_core::{
    Check, CheckId, CheckKind, GrpcProbe, HttpProbe, HttpsProbe, ProbeProtocol, ProbeSpec,
    RegistryError, Text, TlsProbe, text,
};

use crate::wire::own::{Check as WireCheck, CheckKindWord, CheckTls, Seconds};

/// Reads a check; what its kind does not have is refused.
pub(crate) fn check_from_wire(wire: &WireCheck) -> Result<Check, RegistryError> {
    refuse_unreportable(wire)?;
    refuse_foreign_fields(wire)?;
    check_port_name(wire)?;
    let kind = match wire.kind {
        CheckKindWord::Http => {
            CheckKind::Probe(probe(wire, ProbeProtocol::Http(http_probe(wire)?)))
        }
        CheckKindWord::Https => {
            let https = HttpsProbe {
                request: http_probe(wire)?,
                tls: wire.tls.as_ref().map(tls_probe).unwrap_or_default(),
            };
            CheckKind::Probe(probe(wire, ProbeProtocol::Https(https)))
        }
        CheckKindWord::Grpc => {
            let grpc = GrpcProbe {
                service: wire.service.as_deref().map(text),
                tls: wire.tls.as_ref().map(tls_probe),
            };
            CheckKind::Probe(probe(wire, ProbeProtocol::Grpc(grpc)))
        }
        CheckKindWord::Tcp => CheckKind::Probe(probe(wire, ProbeProtocol::Tcp)),
        CheckKindWord::Heartbeat => CheckKind::Heartbeat {
            within_seconds: wire.within_seconds.ok_or_else(|| {
                RegistryError::invalid(field(wire, "within_seconds"), "", "is missing")
            })?,
        },
        CheckKindWord::Reported => CheckKind::Reported,
        CheckKindWord::Observed => CheckKind::Observed,
    };
    let mut check = Check::new(CheckId::new(&wire.id)?, kind);
    check.unhealthy_after = wire.unhealthy_after.unwrap_or(check.unhealthy_after);
    check.healthy_after = wire.healthy_after.unwrap_or(check.healthy_after);
    Ok(check)
}

fn field(wire: &WireCheck, name: &str) -> String {
    format!("checks.{}.{name}", wire.id)
}

/// Nobody could say what such a check finds, so that its instance would be out for good.
fn refuse_unreportable(wire: &WireCheck) -> Result<(), RegistryError> {
    let word = match wire.kind {
        CheckKindWord::Observed => "observed",
        CheckKindWord::Http
        | CheckKindWord::Https
        | CheckKindWord::Grpc
        | CheckKindWord::Tcp
        | CheckKindWord::Heartbeat
        | CheckKindWord::Reported => return Ok(()),
    };
    let rule = "cannot be observed yet; use http, https, grpc, tcp, heartbeat or reported";
    Err(RegistryError::invalid(field(wire, "kind"), word, rule))
}

fn refuse_foreign_fields(wire: &WireCheck) -> Result<(), RegistryError> {
    let http = [
        ("path", wire.path.is_some()),
        ("method", wire.method.is_some()),
        ("headers", !wire.headers.is_empty()),
        ("expected_status", wire.expected_status.is_some()),
    ];
    let probe = [
        ("port", wire.port.is_some()),
        ("interval_seconds", wire.interval_seconds.is_some()),
        (
            "unhealthy_interval_seconds",
            wire.unhealthy_interval_seconds.is_some(),
        ),
        ("timeout_seconds", wire.timeout_seconds.is_some()),
    ];
    let beat = [("within_seconds", wire.within_seconds.is_some())];
    let kind = wire.kind;
    let foreign = |fields: &[(&'static str, bool)], fits: bool| {
        fields
            .iter()
            .find(|(_, given)| *given && !fits)
            .map(|(name, _)| *name)
    };
    let tls = [("tls", wire.tls.is_some())];
    let grpc = [("service", wire.service.is_some())];
    let asks_http = matches!(kind, CheckKindWord::Http | CheckKindWord::Https);
    let may_have_tls = matches!(kind, CheckKindWord::Https | CheckKindWord::Grpc);
    let is_probe = asks_http || matches!(kind, CheckKindWord::Grpc | CheckKindWord::Tcp);
    let found = foreign(&http, asks_http)
        .or_else(|| foreign(&tls, may_have_tls))
        .or_else(|| foreign(&grpc, kind == CheckKindWord::Grpc))
        .or_else(|| foreign(&probe, is_probe))
        .or_else(|| foreign(&beat, kind == CheckKindWord::Heartbeat));
    found.map_or(Ok(()), |name| {
        let rule = "is not a field of this kind of check";
        Err(RegistryError::invalid(field(wire, name), "", rule))
    })
}

/// A name that no port can have would only ever be explained as a port that is not there.
fn check_port_name(wire: &WireCheck) -> Result<(), RegistryError> {
    let legal = |name: &String| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match &wire.port {
        Some(name) if !legal(name) => Err(RegistryError::invalid(
            field(wire, "port"),
            name.escape_debug(),
            "must be 1 to 64 visible ASCII characters",
        )),
        _ => Ok(()),
    }
}

fn probe(wire: &WireCheck, protocol: ProbeProtocol) -> ProbeSpec {
    let default = ProbeSpec::new(protocol);
    ProbeSpec {
        port: wire.port.as_deref().map(text),
        interval_seconds: wire.interval_seconds.unwrap_or(default.interval_seconds),
        unhealthy_interval_seconds: wire
            .unhealthy_interval_seconds
            .unwrap_or(default.unhealthy_interval_seconds),
        timeout_milliseconds: wire
            .timeout_seconds
            .map_or(default.timeout_milliseconds, |timeout| timeout.milliseconds),
        ..default
    }
}

fn http_probe(wire: &WireCheck) -> Result<HttpProbe, RegistryError> {
    let default = HttpProbe::default();
    let headers: Vec<(Text, Text)> = wire
        .headers
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let (status_min, status_max) = match &wire.expected_status {
        Some(range) => statuses(range).ok_or_else(|| {
            let rule = "must be a status or a range of them, such as 200 or 200-299";
            RegistryError::invalid(field(wire, "expected_status"), range, rule)
        })?,
        None => (default.status_min, default.status_max),
    };
    Ok(HttpProbe {
        path: wire.path.as_deref().map_or(default.path, text),
        method: wire.method.as_deref().map_or(default.method, text),
        headers: Arc::from(headers),
        status_min,
        status_max,
    })
}

fn tls_probe(wire: &CheckTls) -> TlsProbe {
    let optional = |value: &Option<String>| value.as_deref().map(text);
    TlsProbe {
        server_name: optional(&wire.server_name),
        ca_pem: optional(&wire.ca_pem),
        profile: optional(&wire.profile),
        insecure: wire.insecure,
    }
}

fn statuses(range: &str) -> Option<(u16, u16)> {
    let (least, most) = range.split_once('-').unwrap_or((range, range));
    Some((least.trim().parse().ok()?, most.trim().parse().ok()?))
}

/// Shows a check the way it can be sent again.
pub(crate) fn check_to_wire(check: &Check) -> WireCheck {
    let mut wire = WireCheck {
        id: check.id.as_str().to_owned(),
        kind: CheckKindWord::Reported,
        path: None,
        method: None,
        headers: BTreeMap::new(),
        expected_status: None,
        tls: None,
        service: None,
        port: None,
        within_seconds: None,
        interval_seconds: None,
        unhealthy_interval_seconds: None,
        timeout_seconds: None,
        unhealthy_after: Some(check.unhealthy_after),
        healthy_after: Some(check.healthy_after),
    };
    match &check.kind {
        CheckKind::Probe(spec) => show_probe(&mut wire, spec),
        CheckKind::Heartbeat { within_seconds } => {
            wire.kind = CheckKindWord::Heartbeat;
            wire.within_seconds = Some(*within_seconds);
        }
        CheckKind::Reported => wire.kind = CheckKindWord::Reported,
        CheckKind::Observed => wire.kind = CheckKindWord::Observed,
    }
    wire
}

fn show_probe(wire: &mut WireCheck, spec: &ProbeSpec) {
    wire.port = spec.port.as_ref().map(ToString::to_string);
    wire.interval_seconds = Some(spec.interval_seconds);
    wire.unhealthy_interval_seconds = Some(spec.unhealthy_interval_seconds);
    wire.timeout_seconds = Some(Seconds {
        milliseconds: spec.timeout_milliseconds,
    });
    wire.tls = spec.protocol.tls().map(|tls| {
        let optional = |value: &Option<Text>| value.as_ref().map(ToString::to_string);
        CheckTls {
            server_name: optional(&tls.server_name),
            ca_pem: optional(&tls.ca_pem),
            profile: optional(&tls.profile),
            insecure: tls.insecure,
        }
    });
    match &spec.protocol {
        ProbeProtocol::Http(request) => {
            wire.kind = CheckKindWord::Http;
            show_request(wire, request);
        }
        ProbeProtocol::Https(https) => {
            wire.kind = CheckKindWord::Https;
            show_request(wire, &https.request);
        }
        ProbeProtocol::Grpc(grpc) => {
            wire.kind = CheckKindWord::Grpc;
            wire.service = grpc.service.as_ref().map(ToString::to_string);
        }
        ProbeProtocol::Tcp => wire.kind = CheckKindWord::Tcp,
    }
}

fn show_request(wire: &mut WireCheck, http: &HttpProbe) {
    wire.path = Some(http.path.to_string());
    wire.method = Some(http.method.to_string());
    let headers = http.headers.iter();
    wire.headers = headers
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    wire.expected_status = Some(if http.status_min == http.status_max {
        http.status_min.to_string()
    } else {
        format!("{}-{}", http.status_min, http.status_max)
    });
}
