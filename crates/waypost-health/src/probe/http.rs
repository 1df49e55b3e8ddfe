//! The `http` and `https` probes: a request whose status, and then its body, decide.

use std::time::Duration;

use waypost_core::{BoxFuture, CheckState, HttpProbe, ProbeProtocol, ProbeSpec, text};
use waypost_dial::{Alpn, Answer, DialError, Dialer, HttpCall, Pinned};

use super::{Probe, ProbeReport};
use crate::body::{HealthBody, Said, kept};
use crate::tls::Tls;

/// Sends one HTTP/1.1 request. A redirect is an answer like any other and is never followed.
#[derive(Debug, Clone)]
pub struct Http {
    dialer: Dialer,
}

impl Http {
    /// Makes the probe.
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }
}

impl Probe for Http {
    fn probe<'a>(
        &'a self,
        spec: &'a ProbeSpec,
        target: &'a Pinned,
        timeout: Duration,
    ) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let ProbeProtocol::Http(http) = &spec.protocol else {
                return ProbeReport::new(CheckState::Failing, "this is no HTTP check");
            };
            let answer = async { call(http)?.send(&self.dialer, target, timeout).await };
            match answer.await {
                Ok(answer) => judge(http, &answer),
                Err(error) => ProbeReport::failed(&error),
            }
        })
    }
}

/// Sends the same request inside of TLS.
#[derive(Debug, Clone)]
pub struct Https {
    dialer: Dialer,
    tls: Tls,
}

impl Https {
    /// Makes the probe.
    pub fn new(dialer: Dialer, tls: Tls) -> Self {
        Self { dialer, tls }
    }
}

impl Probe for Https {
    fn probe<'a>(
        &'a self,
        spec: &'a ProbeSpec,
        target: &'a Pinned,
        timeout: Duration,
    ) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            let ProbeProtocol::Https(https) = &spec.protocol else {
                return ProbeReport::new(CheckState::Failing, "this is no HTTPS check");
            };
            let tls = match self.tls.client(&https.tls, Alpn::Http1, timeout).await {
                Ok(tls) => tls,
                Err(reason) => return ProbeReport::new(CheckState::Failing, &reason),
            };
            let call = call(&https.request);
            let answer = async {
                call?
                    .send_secured(&self.dialer, &tls, target, timeout)
                    .await
            };
            match answer.await {
                Ok(answer) => judge(&https.request, &answer),
                Err(error) => ProbeReport::failed(&error),
            }
        })
    }
}

fn call(http: &HttpProbe) -> Result<HttpCall, DialError> {
    let call = HttpCall::new(&http.method, &http.path)?;
    let mut headers = http.headers.iter();
    headers.try_fold(call, |call, (name, value)| call.with_header(name, value))
}

/// The status decides first; a body can make a good status worse and a bad one no better.
fn judge(http: &HttpProbe, answer: &Answer) -> ProbeReport {
    let status = answer.status.as_u16();
    let body = HealthBody::read(&answer.body);
    let says = body.sentence();
    let expected = (http.status_min..=http.status_max).contains(&status);
    let (state, reason) = match (expected, body.said) {
        (false, _) => {
            let range = Range(http.status_min, http.status_max);
            let reason = format!("HTTP status {status}, expected {range}");
            (CheckState::Failing, joined(reason, says))
        }
        (true, Said::Unhealthy(word)) => {
            let reason = says.unwrap_or_else(|| format!("body says {word}"));
            (CheckState::Failing, reason)
        }
        (true, Said::Degraded(word)) => {
            let reason = says.unwrap_or_else(|| format!("body says {word}"));
            (CheckState::Warning, reason)
        }
        (true, Said::Nothing) => {
            let reason = format!("HTTP status {status}");
            (CheckState::Passing, joined(reason, says))
        }
    };
    ProbeReport {
        state,
        reason: text(&reason),
        status: Some(status),
        body: kept(&answer.body),
        load: body.load,
        dependencies: body.dependencies.into(),
        refused: false,
        resolved: None,
    }
}

fn joined(reason: String, says: Option<String>) -> String {
    match says {
        Some(says) => format!("{reason}; {says}"),
        None => reason,
    }
}

struct Range(u16, u16);

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == self.1 {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{}-{}", self.0, self.1)
        }
    }
}
