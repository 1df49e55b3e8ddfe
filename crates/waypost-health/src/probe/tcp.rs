//! The `tcp` probe: a connection that opens.

use std::time::Duration;

use waypost_core::{BoxFuture, CheckState, ProbeSpec};
use waypost_dial::{Dialer, Pinned};

use super::{Probe, ProbeReport};

/// Opens a connection and closes it.
#[derive(Debug, Clone)]
pub struct Tcp {
    dialer: Dialer,
}

impl Tcp {
    /// Makes the probe.
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }
}

impl Probe for Tcp {
    fn probe<'a>(
        &'a self,
        _spec: &'a ProbeSpec,
        target: &'a Pinned,
        timeout: Duration,
    ) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            match self.dialer.connect(target, timeout).await {
                Ok(_) => ProbeReport::new(CheckState::Passing, "connected"),
                Err(error) => ProbeReport::failed(&error),
            }
        })
    }
}
