//! Checks: what is configured, what a report says, and the counting between them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::RegistryError;
use crate::name::CheckId;
use crate::text::Text;

mod probe;
#[cfg(test)]
mod tests;
mod tls;

pub use tls::{CA_PEM_BYTES_MAX, ProbeRules, TlsProbe, Unfit};

/// Most checks of one service, and of one instance.
pub const CHECKS_MAX: usize = 16;

/// A configured check. It is set on the service, or on the instance, where an equal id replaces the service's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Check {
    /// Which one, within the service or instance.
    pub id: CheckId,
    /// What it does.
    pub kind: CheckKind,
    /// Consecutive failing reports that turn a passing check; at least 1.
    pub unhealthy_after: u16,
    /// Consecutive passing reports that turn a failing check; at least 1. The very first pass counts at once.
    pub healthy_after: u16,
    /// What it is taken to say before its first report.
    pub initial: CheckState,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub enum CheckKind {
    /// Waypost asks the instance.
    Probe(ProbeSpec),
    /// The instance says that it lives.
    Heartbeat {
        /// It fails when no heartbeat came for so many seconds.
        within_seconds: u32,
    },
    /// Somebody reports the state by API.
    Reported,
    /// Traffic is watched; it makes Warning at most.
    Observed,
}

/// How Waypost asks an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct ProbeSpec {
    /// The protocol and its own settings.
    pub protocol: ProbeProtocol,
    /// The name of the instance's port to ask; none is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Text>,
    /// Seconds between probes while it passes.
    pub interval_seconds: u32,
    /// Seconds between probes from the first failing report on.
    pub unhealthy_interval_seconds: u32,
    /// Milliseconds a probe may take in all.
    pub timeout_milliseconds: u32,
}

/// The protocol of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub enum ProbeProtocol {
    /// An HTTP/1.1 request.
    Http(HttpProbe),
    /// The same inside of TLS.
    Https(HttpsProbe),
    /// A call of `grpc.health.v1.Health/Check`.
    Grpc(GrpcProbe),
    /// A TCP connection that opens.
    Tcp,
}

/// The request of an HTTP probe and what counts as passing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct HttpProbe {
    /// The path with its query, from `/`.
    pub path: Text,
    /// The method, in capitals.
    pub method: Text,
    /// Further headers.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub headers: Arc<[(Text, Text)]>,
    /// The lowest status that passes.
    pub status_min: u16,
    /// The highest status that passes.
    pub status_max: u16,
}

/// An HTTP probe inside of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct HttpsProbe {
    /// What is asked there.
    pub request: HttpProbe,
    /// Whom the probe takes for the instance.
    #[serde(default)]
    pub tls: TlsProbe,
}

/// A probe by gRPC's own health service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct GrpcProbe {
    /// The name of the service that is asked about; none asks about the server as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Text>,
    /// Whom the probe takes for the instance; none speaks without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsProbe>,
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self {
            path: "/health".into(),
            method: "GET".into(),
            headers: Arc::default(),
            status_min: 200,
            status_max: 299,
        }
    }
}

impl ProbeSpec {
    /// Returns a probe with the default times: every 30 s, 5 s when failing, 5 s at most.
    pub fn new(protocol: ProbeProtocol) -> Self {
        Self {
            protocol,
            port: None,
            interval_seconds: 30,
            unhealthy_interval_seconds: 5,
            timeout_milliseconds: 5_000,
        }
    }

    /// Returns the time a probe may take in all.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_milliseconds.into())
    }
}

impl ProbeProtocol {
    /// Returns its word: `http`, `https`, `grpc` or `tcp`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Https(_) => "https",
            Self::Grpc(_) => "grpc",
            Self::Tcp => "tcp",
        }
    }

    /// Returns the HTTP request that is sent, with or without TLS.
    pub fn request(&self) -> Option<&HttpProbe> {
        match self {
            Self::Http(request) => Some(request),
            Self::Https(https) => Some(&https.request),
            Self::Grpc(_) | Self::Tcp => None,
        }
    }

    /// Returns the settings of TLS, if it is spoken.
    pub fn tls(&self) -> Option<&TlsProbe> {
        match self {
            Self::Https(https) => Some(&https.tls),
            Self::Grpc(grpc) => grpc.tls.as_ref(),
            Self::Http(_) | Self::Tcp => None,
        }
    }
}

impl Check {
    /// Returns a check with the default thresholds: 3 failing, 2 passing.
    pub fn new(id: CheckId, kind: CheckKind) -> Self {
        Self {
            id,
            kind,
            unhealthy_after: 3,
            healthy_after: 2,
            initial: CheckState::Unknown,
        }
    }

    /// Returns the word for its kind: `http`, `https`, `grpc`, `tcp`, `heartbeat`, `reported` or `observed`.
    pub fn kind_word(&self) -> &'static str {
        match &self.kind {
            CheckKind::Probe(spec) => spec.protocol.word(),
            CheckKind::Heartbeat { .. } => "heartbeat",
            CheckKind::Reported => "reported",
            CheckKind::Observed => "observed",
        }
    }

    /// Says whether Waypost asks the instance.
    pub fn is_probe(&self) -> bool {
        matches!(self.kind, CheckKind::Probe(_))
    }

    /// Checks the check.
    ///
    /// # Errors
    /// `Invalid` with the field, the value and the rule.
    pub fn validate(&self) -> Result<(), RegistryError> {
        let field = |name: &str| format!("checks.{}.{name}", self.id);
        at_least_one(field("unhealthy_after"), self.unhealthy_after.into())?;
        at_least_one(field("healthy_after"), self.healthy_after.into())?;
        match &self.kind {
            CheckKind::Heartbeat { within_seconds } => {
                at_least_one(field("within_seconds"), *within_seconds)
            }
            CheckKind::Probe(spec) => probe::validate(spec, field),
            CheckKind::Reported | CheckKind::Observed => Ok(()),
        }
    }

    /// Checks that this server can make the check.
    ///
    /// # Errors
    /// `Invalid` with what the server lacks.
    pub fn judge(&self, rules: &dyn ProbeRules) -> Result<(), RegistryError> {
        let CheckKind::Probe(spec) = &self.kind else {
            return Ok(());
        };
        let field = |name: &str| format!("checks.{}.{name}", self.id);
        let tls = spec.protocol.tls();
        tls.map_or(Ok(()), |tls| tls.judge(rules, field))
    }
}

fn at_least_one(field: String, value: u32) -> Result<(), RegistryError> {
    if value == 0 {
        Err(RegistryError::invalid(field, value, "must be at least 1"))
    } else {
        Ok(())
    }
}

/// Checks a list of checks: at most 16, no id twice, each valid.
///
/// # Errors
/// `Invalid` or `TooLarge`.
pub fn validate_checks(checks: &[Check]) -> Result<(), RegistryError> {
    if checks.len() > CHECKS_MAX {
        return Err(RegistryError::TooLarge {
            field: "checks".into(),
            rule: format!("at most {CHECKS_MAX} checks"),
        });
    }
    for (at, check) in checks.iter().enumerate() {
        check.validate()?;
        if checks.iter().take(at).any(|other| other.id == check.id) {
            return Err(RegistryError::invalid(
                "checks",
                &check.id,
                "the id is used twice",
            ));
        }
    }
    Ok(())
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
pub enum CheckState {
    /// All is well.
    Passing,
    /// It works, but not well.
    Warning,
    /// Nothing is known yet.
    Unknown,
    /// It does not work.
    Failing,
}

impl CheckState {
    /// Returns the word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Failing => "failing",
        }
    }
}

/// Counts reports of one check between its edges. It is the checker's memory and is never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    failing: u16,
    passing: u16,
}

impl Tally {
    /// Takes one report in and returns the state that the check now has.
    ///
    /// From Unknown the first passing or warning report counts at once; then `unhealthy_after` failing reports in a
    /// row make it Failing and `healthy_after` others in a row end that. Passing and Warning follow each other at once.
    pub fn observe(
        &mut self,
        check: &Check,
        current: CheckState,
        report: CheckState,
    ) -> CheckState {
        match report {
            CheckState::Failing => {
                self.passing = 0;
                self.failing = self.failing.saturating_add(1);
                let turned =
                    current == CheckState::Failing || self.failing >= check.unhealthy_after;
                if turned { CheckState::Failing } else { current }
            }
            CheckState::Passing | CheckState::Warning => {
                self.failing = 0;
                self.passing = self.passing.saturating_add(1);
                let held = current == CheckState::Failing && self.passing < check.healthy_after;
                if held { current } else { report }
            }
            CheckState::Unknown => current,
        }
    }

    /// Returns how many failing reports came in a row.
    pub fn failing(&self) -> u16 {
        self.failing
    }
}
