//! A token, or none, becomes an access.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use waypost_core::{Access, Dialect, Grant, Pattern, RegistryError, Snapshots, Timestamp, Verb};

use crate::config::{AccessConfig, AccessError, AwsKeyConfig};
use crate::credential::Credential;
use crate::issued::{self, Book, Made, Wanted};
use crate::server_key::{DIGEST_BYTES, ServerKey};
use crate::sigv4::{Claim, KeySecret, SigV4Error, SignedRequest, SigningKeys};

/// The subject of requests to a server without credentials.
pub const ANONYMOUS: &str = "anonymous";
/// The subject of reads without a token where `public_reads` is set: it sees everything and changes nothing.
pub const PUBLIC_READER: &str = "public-reader";
/// The subject of requests with the shared secret.
pub const SHARED_SECRET: &str = "shared-secret";

/// A key pair of AWS's kind and what it allows.
#[derive(Clone, Debug)]
struct AwsKey {
    id: String,
    secret: KeySecret,
    account: String,
    access: Access,
}

impl AwsKey {
    fn of(config: &AwsKeyConfig) -> Self {
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
        }
    }
}

/// Whoever signed a request.
#[derive(Clone, Debug)]
pub struct Signer {
    /// What may be done.
    pub access: Access,
    /// The account of the key.
    pub account: String,
    /// The region that was signed for.
    pub region: String,
}

/// Says what a request may do.
#[derive(Debug)]
pub struct Authenticator {
    key: ServerKey,
    credentials: Vec<Credential>,
    aws_keys: Vec<AwsKey>,
    /// What was issued, once the registry is open.
    issued: OnceLock<Book>,
    signing_keys: SigningKeys,
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
        let open = !config.has_credentials() && (loopback_listener || config.allow_anonymous);
        let public = || {
            let grants = Arc::from([read_all]);
            Access::granted(PUBLIC_READER, Dialect::Internal, None, grants)
        };
        Ok(Self {
            open: open.then(|| Access::everything(ANONYMOUS, Dialect::Internal, None)),
            key: server_key,
            credentials,
            aws_keys: config.aws_keys.iter().map(AwsKey::of).collect(),
            issued: OnceLock::new(),
            signing_keys: SigningKeys::default(),
            public: config.public_reads.then(public),
        })
    }

    /// Takes in what the registry has issued, now and from now on.
    pub fn follow(&self, snapshots: Snapshots) {
        // There is one registry, which is followed once.
        let _known = self.issued.set(Book::new(snapshots));
    }

    /// Makes a credential, which holds as soon as the registry keeps its document.
    ///
    /// # Errors
    /// `Unavailable` when the system gives no random bytes.
    pub fn issue(&self, wanted: Wanted, now: Timestamp) -> Result<Made, RegistryError> {
        issued::make(&self.key, wanted, now).map_err(|error| RegistryError::Unavailable {
            why: format!("the system gives no random bytes: {error}"),
        })
    }

    /// Says whether every request needs a credential, reads perhaps excepted.
    pub fn needs_credentials(&self) -> bool {
        self.open_access().is_none()
    }

    /// Returns what everybody may do: nothing as soon as there is any credential.
    fn open_access(&self) -> Option<&Access> {
        let is_closed = self.issued.get().is_some_and(|book| !book.is_empty());
        self.open.as_ref().filter(|_| !is_closed)
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
        let access = match (self.open_access(), bearer, &self.public) {
            (Some(open), _, _) => open,
            (None, Some(token), _) => {
                let digest = self.key.digest(token);
                let access = self.access_of(&digest);
                let access = access.ok_or_else(|| refuse("the token is not valid"))?;
                return Ok(access.of_request(dialect, peer));
            }
            (None, None, Some(public)) if is_read => public,
            (None, None, _) => return Err(refuse("send the header Authorization: Bearer <token>")),
        };
        Ok(access.of_request(dialect, peer))
    }

    /// Returns what the signer of a request may do; `service` is the one that must be in the scope.
    ///
    /// # Errors
    /// [`SigV4Error`] with AWS's code and words.
    pub fn authenticate_signed(
        &self,
        request: &SignedRequest<'_>,
        service: &str,
        (peer, dialect): (IpAddr, Dialect),
        now: Timestamp,
    ) -> Result<Signer, SigV4Error> {
        let claim = Claim::read(request.headers)?;
        let configured = self.aws_keys.iter().find(|key| key.id == claim.key_id);
        let configured =
            configured.map(|key| (key.secret.clone(), key.account.clone(), key.access.clone()));
        let issued = || self.issued.get()?.key(&claim.key_id, &self.key, now);
        let known = configured.or_else(issued);
        let secret = known.as_ref().map(|(secret, _, _)| secret);
        claim.verify(request, (service, secret), now, &self.signing_keys)?;
        // Only a known key is verified.
        let (_, account, access) = known.ok_or(SigV4Error::Unknown)?;
        Ok(Signer {
            access: access.of_request(dialect, peer),
            account,
            region: claim.region,
        })
    }

    /// Looks at every credential, so that the time does not tell which one was meant.
    fn access_of(&self, digest: &[u8; DIGEST_BYTES]) -> Option<Access> {
        let mut found = None;
        for credential in &self.credentials {
            if bool::from(credential.matches(digest)) {
                found = Some(credential.access.clone());
            }
        }
        // Issued tokens are found by their keyed hash, which tells nobody anything of the token.
        found.or_else(|| self.issued.get()?.token(digest))
    }
}

fn refuse(why: &str) -> RegistryError {
    RegistryError::Unauthenticated {
        why: why.to_owned(),
    }
}
