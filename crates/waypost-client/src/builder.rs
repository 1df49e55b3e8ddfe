//! The settings of a client, checked together.

use std::time::Duration;

use http::HeaderValue;

use crate::address::Address;
use crate::transport::{Transport, TransportSettings};
use crate::{Client, ClientError, Secret};

/// The namespace that source 003's and 004's paths mean, and the server's default.
pub(crate) const DEFAULT_NAMESPACE: &str = "svc.internal";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_ATTEMPTS: u32 = 3;
const MOST_ATTEMPTS: u32 = 10;

/// Collects the settings of a [`Client`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until build() is called"]
pub struct ClientBuilder {
    url: String,
    token: Option<Secret>,
    namespace: String,
    timeout: Duration,
    attempts: u32,
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Secret)>,
}

impl ClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            token: None,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            attempts: DEFAULT_ATTEMPTS,
            authorities: None,
            identity: None,
        }
    }

    /// Sends `token` as `Authorization: Bearer` with every call.
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets the namespace that service names are in. Without it: `svc.internal`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets how long one call may take, its repetitions and its answer's body included. Without it: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how often a call whose connection failed is sent, the first time included: 1 to 10, else the
    /// nearer of the two. Without it: 3.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Trusts the authorities of these certificates, in PEM, and no others. Without it: those that the system trusts.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// Shows a certificate to the server that asks for one: the certificate with its chain and its key, in PEM.
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: Secret) -> Self {
        self.identity = Some((certificate.into(), key));
        self
    }

    /// Checks the settings and makes the client. No connection is opened yet.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for an address that is not `http://host:port`, an empty
    /// namespace, a zero timeout, a token that cannot be sent in a header, or certificates that cannot be used.
    pub fn build(self) -> Result<Client, ClientError> {
        if self.namespace.is_empty() {
            return Err(ClientError::usage("the namespace must not be empty"));
        }
        if self.timeout.is_zero() {
            return Err(ClientError::usage(
                "the timeout must be longer than 0 seconds",
            ));
        }
        let address = Address::parse(&self.url)?;
        let tls = crate::tls::config(
            address.is_secured(),
            self.authorities.as_deref(),
            self.identity.as_ref().map(|(chain, key)| (&**chain, key)),
        )?;
        let transport = Transport::new(TransportSettings {
            address,
            tls,
            authorization: self.token.as_ref().map(authorization).transpose()?,
            timeout: self.timeout,
            attempts: self.attempts.clamp(1, MOST_ATTEMPTS),
        });
        Ok(Client::new(transport, &self.namespace))
    }
}

fn authorization(token: &Secret) -> Result<HeaderValue, ClientError> {
    let token = token.reveal();
    // The token itself stays out of the message.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClientError::usage(
            "the token is not usable: it must be one or more visible ASCII characters",
        ));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| ClientError::usage("the token cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
