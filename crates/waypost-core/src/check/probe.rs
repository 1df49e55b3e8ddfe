//! What a probe may be told.

use crate::error::RegistryError;
use crate::text::Text;

use super::{GrpcProbe, HttpProbe, ProbeProtocol, ProbeSpec, at_least_one};

/// Most headers of one probe.
const PROBE_HEADERS_MAX: usize = 16;

/// Headers that only the connection itself may set.
const FRAMING: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
];
/// Most bytes of the name of a gRPC service.
const GRPC_SERVICE_BYTES_MAX: usize = 256;

/// Checks a probe; `field` gives the whole name of one of its fields.
pub(super) fn validate(
    spec: &ProbeSpec,
    field: impl Fn(&str) -> String,
) -> Result<(), RegistryError> {
    at_least_one(field("interval_seconds"), spec.interval_seconds)?;
    at_least_one(
        field("unhealthy_interval_seconds"),
        spec.unhealthy_interval_seconds,
    )?;
    if !(1..=60_000).contains(&spec.timeout_milliseconds) {
        return Err(RegistryError::invalid(
            field("timeout_seconds"),
            f64::from(spec.timeout_milliseconds) / 1_000.0,
            "must be more than 0 and at most 60",
        ));
    }
    if let Some(request) = spec.protocol.request() {
        validate_http(request, &field)?;
    }
    if let ProbeProtocol::Grpc(grpc) = &spec.protocol {
        validate_grpc(grpc, &field)?;
    }
    spec.protocol
        .tls()
        .map_or(Ok(()), |tls| tls.validate(&field))
}

fn validate_http(http: &HttpProbe, field: impl Fn(&str) -> String) -> Result<(), RegistryError> {
    let visible = http.path.bytes().all(|byte| byte.is_ascii_graphic());
    if !http.path.starts_with('/') || http.path.len() > 2_048 || !visible {
        return Err(RegistryError::invalid(
            field("path"),
            &http.path,
            "must start with / and be at most 2048 bytes of visible ASCII",
        ));
    }
    if matches!(&*http.method, "CONNECT" | "TRACE") {
        let rule = "must be a method that asks for an answer: not CONNECT, not TRACE";
        return Err(RegistryError::invalid(field("method"), &http.method, rule));
    }
    if http.path.contains('#') {
        let rule = "must not contain #: a fragment is never sent";
        return Err(RegistryError::invalid(field("path"), &http.path, rule));
    }
    if http.method.is_empty()
        || http.method.len() > 16
        || !http.method.bytes().all(|b| b.is_ascii_uppercase())
    {
        return Err(RegistryError::invalid(
            field("method"),
            &http.method,
            "must be a method in capitals",
        ));
    }
    if http.status_min < 100 || http.status_max > 599 || http.status_min > http.status_max {
        return Err(RegistryError::invalid(
            field("expected_status"),
            format!("{}-{}", http.status_min, http.status_max),
            "must be a range within 100-599",
        ));
    }
    validate_headers(&http.headers, &field("headers"))
}

fn validate_headers(headers: &[(Text, Text)], field: &str) -> Result<(), RegistryError> {
    if headers.len() > PROBE_HEADERS_MAX {
        return Err(RegistryError::TooLarge {
            field: field.to_owned().into(),
            rule: format!("at most {PROBE_HEADERS_MAX} headers"),
        });
    }
    for (name, value) in headers {
        if FRAMING
            .iter()
            .any(|framing| framing.eq_ignore_ascii_case(name))
        {
            let rule = "must not be a header that frames the message or the connection";
            return Err(RegistryError::invalid(field.to_owned(), name, rule));
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if name.is_empty()
            || !name.bytes().all(token)
            || !value.bytes().all(plain)
            || value.len() > 1_024
        {
            return Err(RegistryError::invalid(
                field.to_owned(),
                name.escape_debug(),
                "must be a header name with a value of at most 1024 bytes of visible ASCII",
            ));
        }
    }
    Ok(())
}

fn validate_grpc(grpc: &GrpcProbe, field: impl Fn(&str) -> String) -> Result<(), RegistryError> {
    match &grpc.service {
        Some(service)
            if service.is_empty()
                || service.len() > GRPC_SERVICE_BYTES_MAX
                || !service.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            let rule = "must be a name of 1 to 256 visible ASCII characters; leave it out to ask about the whole server";
            Err(RegistryError::invalid(field("service"), service, rule))
        }
        _ => Ok(()),
    }
}
