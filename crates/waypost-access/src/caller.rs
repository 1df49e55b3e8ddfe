//! What a request shows of whoever sent it.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use subtle::ConstantTimeEq as _;
use waypost_core::Access;

use crate::Secret;
use crate::book::Entry;
use crate::credential::Credential;
use crate::rate::Meter;

/// What a request shows of its sender.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// The names in the client certificate that its connection was made with, its fingerprint among them; none without.
    pub certificate: &'a [Box<str>],
    /// The address it came from.
    pub peer: IpAddr,
    /// What is known from earlier requests of the same connection.
    pub last: Option<&'a LastToken>,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Caller")
            .field("bearer", &self.bearer.map(|_| "***"))
            .field("certificate", &self.certificate)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Caller<'_> {
    /// Makes a caller that shows nothing but its address.
    pub fn nobody(peer: IpAddr) -> Self {
        Self {
            bearer: None,
            certificate: &[],
            peer,
            last: None,
        }
    }
}

/// The token that a connection sent last and that was good, with whose it is: the next request with it costs no keyed hash.
///
/// A proxy may send many clients' requests over one connection: it is compared in constant time.
#[derive(Default)]
pub struct LastToken(Mutex<Option<(Secret, Found)>>);

/// Whose a token is.
#[derive(Clone)]
pub(crate) enum Found {
    /// A credential of the configuration.
    Configured(Arc<Credential>),
    Issued(Arc<Entry>),
}

impl Found {
    pub(crate) fn access(&self) -> &Access {
        match self {
            Self::Configured(credential) => &credential.access,
            Self::Issued(entry) => entry.access(),
        }
    }

    pub(crate) fn meter(&self) -> &Meter {
        match self {
            Self::Configured(credential) => &credential.meter,
            Self::Issued(entry) => entry.meter(),
        }
    }
}

impl LastToken {
    pub(crate) fn of(&self, token: &str) -> Option<Found> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, found) = known.as_ref()?;
        bool::from(last.expose().as_bytes().ct_eq(token.as_bytes())).then(|| found.clone())
    }

    pub(crate) fn keep(&self, token: &str, found: Found) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Secret::new(token), found));
    }
}

impl fmt::Debug for LastToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LastToken").finish_non_exhaustive()
    }
}
