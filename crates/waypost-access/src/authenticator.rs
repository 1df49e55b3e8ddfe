//! A token, or none, becomes an access.

use std::net::IpAddr;
use std::sync::Arc;

use waypost_core::{Access, Dialect, Grant, Pattern, RegistryError, Verb};

use crate::config::{AccessConfig, AccessError};
use crate::credential::{Allowed, Credential};
use crate::server_key::ServerKey;

/// The subject of requests to a server without credentials.
pub const ANONYMOUS: &str = "anonymous";
/// The subject of reads without a token where `public_reads` is set: it sees everything and changes nothing.
pub const PUBLIC_READER: &str = "public-reader";
/// The subject of requests with the shared secret.
pub const SHARED_SECRET: &str = "shared-secret";

/// Says what a request may do.
#[derive(Debug)]
pub struct Authenticator {
    key: ServerKey,
    credentials: Vec<Credential>,
    /// Whether requests may do everything without a credential.
    is_open: bool,
    /// What may be done without a token although there are credentials.
    public: Option<Allowed>,
}

impl Authenticator {
    /// Makes an authenticator of a configuration. `loopback_listener` says that only this machine can connect: then,
    /// or with `allow_anonymous`, a server without credentials is open; else it lets nobody in.
    ///
    /// # Errors
    /// [`AccessError::Secret`] when the shared secret breaks a rule.
    pub fn new(
        config: &AccessConfig,
        server_key: ServerKey,
        loopback_listener: bool,
    ) -> Result<Self, AccessError> {
        config.validate()?;
        let shared = config.shared_secret.iter().map(|secret| Credential {
            name: SHARED_SECRET,
            digest: server_key.digest(secret.expose()),
            allowed: Allowed::Everything,
        });
        let credentials: Vec<Credential> = shared.collect();
        let read_all = Grant {
            verbs: vec![Verb::Read],
            namespaces: Pattern::any(),
            services: Pattern::any(),
        };
        Ok(Self {
            is_open: credentials.is_empty() && (loopback_listener || config.allow_anonymous),
            key: server_key,
            credentials,
            public: config
                .public_reads
                .then(|| Allowed::Grants(Arc::from([read_all]))),
        })
    }

    /// Says whether every request needs a credential, reads perhaps excepted.
    pub fn needs_credentials(&self) -> bool {
        !self.is_open
    }

    /// Returns what the bearer of a token may do, or what may be done without one.
    ///
    /// A wrong token is refused even where none would be needed: its sender believes something that is not so.
    ///
    /// # Errors
    /// `Unauthenticated`, which never says how close a token came.
    pub fn authenticate(
        &self,
        bearer: Option<&str>,
        peer: IpAddr,
        dialect: Dialect,
        is_read: bool,
    ) -> Result<Access, RegistryError> {
        if self.is_open {
            return Ok(Access::everything(ANONYMOUS, dialect, Some(peer)));
        }
        match (bearer, &self.public) {
            (Some(token), _) => {
                let credential = self
                    .credential_of(token)
                    .ok_or_else(|| refuse("the token is not valid"))?;
                Ok(credential.allowed.access(credential.name, dialect, peer))
            }
            (None, Some(allowed)) if is_read => Ok(allowed.access(PUBLIC_READER, dialect, peer)),
            (None, _) => Err(refuse("send the header Authorization: Bearer <token>")),
        }
    }

    /// Looks at every credential, so that the time does not tell which one was meant.
    fn credential_of(&self, token: &str) -> Option<&Credential> {
        let digest = self.key.digest(token);
        let mut found = None;
        for credential in &self.credentials {
            if bool::from(credential.matches(&digest)) {
                found = Some(credential);
            }
        }
        found
    }
}

fn refuse(why: &str) -> RegistryError {
    RegistryError::Unauthenticated {
        why: why.to_owned(),
    }
}
