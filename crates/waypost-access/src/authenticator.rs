//! A token, or none, becomes an access.

use std::net::IpAddr;
use std::sync::Arc;

use waypost_core::{Access, Dialect, Grant, Pattern, RegistryError, Verb};

use crate::config::{AccessConfig, AccessError};
use crate::credential::Credential;
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
    /// What everybody may do, on a server that is open.
    open: Option<Access>,
    /// What may be done without a token although there are credentials.
    public: Option<Access>,
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
            digest: server_key.digest(secret.expose()),
            access: Access::everything(SHARED_SECRET, Dialect::Internal, None),
        });
        let credentials: Vec<Credential> = shared.collect();
        let read_all = Grant {
            verbs: vec![Verb::Read],
            namespaces: Pattern::any(),
            services: Pattern::any(),
        };
        let open = credentials.is_empty() && (loopback_listener || config.allow_anonymous);
        let public = || {
            let grants = Arc::from([read_all]);
            Access::granted(PUBLIC_READER, Dialect::Internal, None, grants)
        };
        Ok(Self {
            open: open.then(|| Access::everything(ANONYMOUS, Dialect::Internal, None)),
            key: server_key,
            credentials,
            public: config.public_reads.then(public),
        })
    }

    /// Says whether every request needs a credential, reads perhaps excepted.
    pub fn needs_credentials(&self) -> bool {
        self.open.is_none()
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
        let access = match (&self.open, bearer, &self.public) {
            (Some(open), _, _) => open,
            (None, Some(token), _) => {
                let credential = self.credential_of(token);
                &credential
                    .ok_or_else(|| refuse("the token is not valid"))?
                    .access
            }
            (None, None, Some(public)) if is_read => public,
            (None, None, _) => return Err(refuse("send the header Authorization: Bearer <token>")),
        };
        Ok(access.of_request(dialect, peer))
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
