//! The `grpc` probe: `Check` of gRPC's health service (grpc.health.v1), whose two messages are small enough to be written
//! and read here.

use std::time::Duration;

use waypost_core::{BoxFuture, CheckState, GrpcProbe, ProbeProtocol, ProbeSpec};
use waypost_dial::{Alpn, Dialer, Pinned, UnaryAnswer, UnaryCall};

use super::{Probe, ProbeReport};
use crate::tls::Tls;

#[cfg(test)]
mod tests;

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// `HealthCheckRequest.service`, field 1: length and bytes.
const SERVICE: u8 = 0x0a;
/// `HealthCheckResponse.status`, field 1: a number.
const STATUS: u64 = 0x08;

/// The codes of gRPC in their order.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const NOT_FOUND: u32 = 5;
const UNIMPLEMENTED: u32 = 12;

/// Asks a gRPC server how it is, or how one of its services is.
#[derive(Debug, Clone)]
pub struct Grpc {
    dialer: Dialer,
    tls: Tls,
}

impl Grpc {
    /// Makes the probe.
    pub fn new(dialer: Dialer, tls: Tls) -> Self {
        Self { dialer, tls }
    }

    async fn ask(
        &self,
        grpc: &GrpcProbe,
        target: &Pinned,
        timeout: Duration,
    ) -> Result<UnaryAnswer, ProbeReport> {
        let tls = match &grpc.tls {
            None => None,
            Some(tls) => {
                let client = self.tls.client(tls, Alpn::Http2, timeout).await;
                Some(client.map_err(|reason| ProbeReport::new(CheckState::Failing, &reason))?)
            }
        };
        let message = request(grpc.service.as_deref().unwrap_or_default());
        let call = UnaryCall::new(METHOD, message.into());
        let call = call.map_err(|error| ProbeReport::failed(&error))?;
        let answer = call.send(&self.dialer, tls.as_ref(), target, timeout);
        answer.await.map_err(|error| ProbeReport::failed(&error))
    }
}

impl Probe for Grpc {
    fn probe<'a>(
        &'a self,
        spec: &'a ProbeSpec,
        target: &'a Pinned,
        timeout: Duration,
    ) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let ProbeProtocol::Grpc(grpc) = &spec.protocol else {
                return ProbeReport::new(CheckState::Failing, "this is no gRPC check");
            };
            match self.ask(grpc, target, timeout).await {
                Err(report) => report,
                Ok(answer) => match judge(grpc.service.as_deref(), &answer) {
                    Ok(reason) => ProbeReport::new(CheckState::Passing, &reason),
                    Err(reason) => ProbeReport::new(CheckState::Failing, &reason),
                },
            }
        })
    }
}

/// Writes `HealthCheckRequest`; an empty name is the default, which is not written.
fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 3);
    if service.is_empty() {
        return message;
    }
    message.push(SERVICE);
    let mut length = service.len();
    while length > 0x7f {
        message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or_default());
    message.extend_from_slice(service.as_bytes());
    message
}

/// Gives the reason of a passing report, or of a failed one.
fn judge(service: Option<&str>, answer: &UnaryAnswer) -> Result<String, String> {
    if !answer.speaks_grpc() && answer.status.is_none() {
        let kind = answer.content_type.as_deref().unwrap_or("none");
        let status = answer.http_status.as_u16();
        return Err(format!(
            "it does not speak gRPC: HTTP status {status}, content type {kind}"
        ));
    }
    match answer.status {
        Some(0) => {}
        Some(UNIMPLEMENTED) => {
            return Err("the server has no grpc.health.v1.Health (gRPC UNIMPLEMENTED)".to_owned());
        }
        Some(NOT_FOUND) => {
            let of = service.unwrap_or("the server as a whole");
            return Err(format!(
                "the server knows no health of {of} (gRPC NOT_FOUND)"
            ));
        }
        Some(code) => return Err(failed(code, &answer.detail)),
        None => return Err("the answer ended without a gRPC status".to_owned()),
    }
    let message = answer.message.as_deref();
    let message = message.ok_or("the answer has no message, although its gRPC status is OK")?;
    match status(message) {
        Some(1) => Ok("gRPC health SERVING".to_owned()),
        Some(2) => Err("gRPC health NOT_SERVING".to_owned()),
        Some(3) => Err("gRPC health SERVICE_UNKNOWN".to_owned()),
        Some(0) => Err("gRPC health UNKNOWN".to_owned()),
        Some(other) => Err(format!("gRPC health {other}, which is no status")),
        None => Err("the answer is no HealthCheckResponse".to_owned()),
    }
}

fn failed(code: u32, detail: &str) -> String {
    let name = usize::try_from(code).ok().and_then(|code| CODES.get(code));
    let name = name.copied().unwrap_or("no code that is known");
    if detail.is_empty() {
        format!("gRPC status {code} ({name})")
    } else {
        format!("gRPC status {code} ({name}): {detail}")
    }
}

/// Reads the status of a `HealthCheckResponse`; none when it is no message. Fields that are not known are skipped, the
/// last of several counts, and one that is missing is 0.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = varint(&mut message)?;
                if key == STATUS {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
