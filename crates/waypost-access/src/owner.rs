//! Whom the configuration names, and where the requests of each are counted.

use std::sync::Arc;
use std::time::Duration;

use waypost_core::{Access, Dialect, Grant, Monotonic, Pattern};

use crate::caller::Found;
use crate::config::{AwsKeyConfig, CertificateConfig};
use crate::rate::{Meter, Meters, RequestRate};
use crate::sigv4::KeySecret;

/// A key pair of AWS's kind and what it allows.
#[derive(Debug)]
pub(crate) struct AwsKey {
    pub(crate) id: String,
    pub(crate) secret: KeySecret,
    pub(crate) account: String,
    pub(crate) access: Access,
    pub(crate) meter: Meter,
}

impl AwsKey {
    pub(crate) fn of(config: &AwsKeyConfig) -> Self {
        let access = if config.grants.is_empty() {
            Access::everything(&config.id, Dialect::Internal, None)
        } else {
            let grants = Arc::from(config.grants.as_slice());
            Access::granted(&config.id, Dialect::Internal, None, grants)
        };
        Self {
            id: config.id.clone(),
            secret: KeySecret {
                secret: config.secret.clone(),
                session_token: config.session_token.clone(),
            },
            account: config.account.clone(),
            access,
            meter: Meter::default(),
        }
    }
}

/// The owner of a client certificate.
#[derive(Debug)]
pub(crate) struct CertificateOwner {
    name: Pattern,
    grants: Option<Arc<[Grant]>>,
}

impl CertificateOwner {
    pub(crate) fn of(config: &CertificateConfig) -> Self {
        let grants = (!config.grants.is_empty()).then(|| Arc::from(config.grants.as_slice()));
        Self {
            name: config.name.clone(),
            grants,
        }
    }

    /// Host names are the same in whatever case, a URI's path is not (RFC 3986, section 6.2.2.1).
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let pattern = self.name.as_str();
        match pattern.strip_suffix('*') {
            _ if !name.contains(':') => self.name.covers(name),
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        }
    }

    pub(crate) fn access(&self, name: &str) -> Access {
        match &self.grants {
            None => Access::everything(name, Dialect::Internal, None),
            Some(grants) => Access::granted(name, Dialect::Internal, None, Arc::clone(grants)),
        }
    }
}

/// Where the requests of somebody are counted.
pub(crate) enum Metered<'a> {
    /// By the token.
    Token(Found),
    /// By the key pair.
    Key(&'a Meter),
    /// By the name of the certificate that a line of the configuration covers.
    Certificate(&'a Meters<String>, &'a str),
}

impl Metered<'_> {
    /// Counts a request; the error is how long to wait.
    pub(crate) fn take(&self, rate: RequestRate, now: Monotonic) -> Result<(), Duration> {
        match self {
            Self::Token(found) => found.meter().take(rate, now),
            Self::Key(meter) => meter.take(rate, now),
            Self::Certificate(meters, name) => meters.take(*name, rate, now),
        }
    }
}
