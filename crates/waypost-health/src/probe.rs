//! Probes: one kind of check against one judged address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use waypost_core::{BoxFuture, CheckState, Dependency, ProbeProtocol, ProbeSpec, Text};
use waypost_dial::{DialError, Dialer, Pinned};

use crate::tls::Tls;

mod grpc;
mod http;
mod tcp;
#[cfg(test)]
mod tests;

pub use grpc::Grpc;
pub use http::{Http, Https};
pub use tcp::Tcp;

/// What a probe found.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeReport {
    /// Passing, Warning or Failing.
    pub state: CheckState,
    /// Why, in one sentence without a full stop.
    pub reason: Text,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// The first 4 KiB of the body, if there was one.
    pub body: Option<Text>,
    /// The load that the instance spoke of: a ratio, 0 to 1.
    pub load: Option<f32>,
    /// What the body says of what the instance itself depends on.
    pub dependencies: Box<[Dependency]>,
    /// Whether the address policy refused every address, so that nothing was asked.
    pub refused: bool,
    /// The addresses that the host name of the instance has, sorted, if it was looked up and has any.
    pub resolved: Option<Box<[IpAddr]>>,
}

impl ProbeReport {
    /// Makes a report with nothing but its state and reason.
    pub fn new(state: CheckState, reason: &str) -> Self {
        Self {
            state,
            reason: Text::from(reason),
            status: None,
            body: None,
            load: None,
            dependencies: Box::default(),
            refused: false,
            resolved: None,
        }
    }

    /// Makes the failed report of a call that did not succeed.
    pub fn failed(error: &DialError) -> Self {
        Self {
            refused: matches!(error, DialError::Policy { .. }),
            ..Self::new(CheckState::Failing, &error.to_string())
        }
    }
}

/// A kind of probe.
pub trait Probe: Send + Sync + fmt::Debug + 'static {
    /// Asks the target as `spec` says and completes within `timeout`, with a failed report when there is no answer.
    fn probe<'a>(
        &'a self,
        spec: &'a ProbeSpec,
        target: &'a Pinned,
        timeout: Duration,
    ) -> BoxFuture<'a, ProbeReport>;
}

/// The probes by protocol.
#[derive(Debug, Clone)]
pub struct Probes {
    /// For `ProbeProtocol::Http`.
    pub http: Arc<dyn Probe>,
    /// For `ProbeProtocol::Https`.
    pub https: Arc<dyn Probe>,
    /// For `ProbeProtocol::Grpc`.
    pub grpc: Arc<dyn Probe>,
    /// For `ProbeProtocol::Tcp`.
    pub tcp: Arc<dyn Probe>,
}

impl Probes {
    /// Makes the real ones, which connect through `dialer` and take what TLS they need from `tls`.
    pub fn new(dialer: &Dialer, tls: &Tls) -> Self {
        Self {
            http: Arc::new(Http::new(dialer.clone())),
            https: Arc::new(Https::new(dialer.clone(), tls.clone())),
            grpc: Arc::new(Grpc::new(dialer.clone(), tls.clone())),
            tcp: Arc::new(Tcp::new(dialer.clone())),
        }
    }

    pub(crate) fn of(&self, protocol: &ProbeProtocol) -> &Arc<dyn Probe> {
        match protocol {
            ProbeProtocol::Http(_) => &self.http,
            ProbeProtocol::Https(_) => &self.https,
            ProbeProtocol::Grpc(_) => &self.grpc,
            ProbeProtocol::Tcp => &self.tcp,
        }
    }
}
