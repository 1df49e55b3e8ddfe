//! What the other side asked of the client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use crate::error::DialError;

/// Shows the client's certificate and remembers whether it was asked for one: a server that misses it may just close.
#[derive(Debug)]
pub(crate) struct Asked {
    pair: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Asked {
    pub(super) fn new(pair: Option<Arc<CertifiedKey>>) -> Self {
        Self {
            pair,
            asked: AtomicBool::new(false),
        }
    }

    /// Says what is known better than from the error alone.
    pub(crate) fn explain(&self, error: DialError) -> DialError {
        if !self.asked.load(Ordering::Relaxed) || self.pair.is_some() {
            return error;
        }
        match error {
            DialError::Tls {
                address,
                alerted: true,
                ..
            } => tls(
                address,
                "it asks for a client certificate, and there is none",
            ),
            DialError::Closed { address, .. } | DialError::Other { address, .. } => tls(
                address,
                "it closed the connection after asking for a client certificate, and there is none",
            ),
            other => other,
        }
    }
}

fn tls(address: SocketAddr, reason: &str) -> DialError {
    DialError::Tls {
        address,
        reason: reason.to_owned(),
        alerted: true,
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.pair.clone()
    }

    fn has_certs(&self) -> bool {
        // Also without a certificate, or it would not be asked.
        true
    }
}
