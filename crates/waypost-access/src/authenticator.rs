//! A token, or none, becomes an access.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use waypost_core::{
    Access, Command, Dialect, Document, Grant, Pattern, RegistryError, Snapshot, Snapshots,
    Timestamp, Verb,
};

use crate::book::Book;
use crate::caller::{Caller, Found, LastToken};
use crate::config::{AccessConfig, AccessError, RatesConfig};
use crate::credential::Credential;
use crate::issued::{self, Issued, Made, Wanted};
use crate::owner::{AwsKey, CertificateOwner, Metered};
use crate::rate::{Meter, Meters, party};
use crate::server_key::ServerKey;
use crate::sigv4::{Claim, KeySecret, SigV4Error, SignedRequest, SigningKeys};

/// The subject of requests to a server without credentials.
pub const ANONYMOUS: &str = "anonymous";
/// The subject of reads without a token where `public_reads` is set: it sees everything and changes nothing.
pub const PUBLIC_READER: &str = "public-reader";
/// The subject of refused requests whose credential nobody knows.
pub(crate) const UNKNOWN: &str = "unknown";
/// The subject of requests with the shared secret.
pub const SHARED_SECRET: &str = "shared-secret";

const OF_LOOPBACK: &str = "access.rates.requests_per_loopback";
/// What is hashed to recognise the server key, see [`Authenticator::key_mark`].
const KEY_MARK: &str = "waypost: which server key is this";

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
    credentials: Vec<Arc<Credential>>,
    aws_keys: Vec<AwsKey>,
    certificates: Vec<CertificateOwner>,
    /// One meter for each name that a line of `certificates` covers.
    certificate_names: Meters<String>,
    rates: RatesConfig,
    addresses: Meters<IpAddr>,
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
        let shared = config.shared_secret.iter().map(|secret| {
            Arc::new(Credential {
                digest: server_key.digest(secret.expose()),
                access: Access::everything(SHARED_SECRET, Dialect::Internal, None),
                meter: Meter::default(),
            })
        });
        let credentials = shared.collect();
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
            certificates: config
                .certificates
                .iter()
                .map(CertificateOwner::of)
                .collect(),
            rates: config.rates,
            addresses: Meters::default(),
            certificate_names: Meters::default(),
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

    /// Makes the credential that takes the place of another one, and the commands that do it: the new one holds and the
    /// old one ends, at once or after `grace`.
    ///
    /// # Errors
    /// `NotFound` when there is no such credential; `Unavailable` when the system gives no random bytes.
    pub fn rotate(
        &self,
        id: &str,
        grace: Duration,
        now: Timestamp,
    ) -> Result<(Made, [Command; 2]), RegistryError> {
        let found = self.issued.get().and_then(|book| book.named(id));
        let (document, issued) =
            found.ok_or_else(|| RegistryError::not_found(format!("credential {id}")))?;
        let made = self.issue(Wanted::in_place_of(&issued, now), now)?;
        let put = Command::PutDocument {
            document: Arc::new(Document::clone(&made.document)),
            expected: issued::NEW,
        };
        let ending = issued::ending(&document, grace, now);
        Ok((made, [put, ending]))
    }

    /// Returns what tells this server key from another and says nothing of it: kept beside the first credential.
    pub fn key_mark(&self) -> Document {
        issued::mark(&self.key.digest(KEY_MARK))
    }

    /// Says whether the credentials of a registry were made with another server key, so that none of them can be used.
    pub fn is_of_another_key(&self, snapshot: &Snapshot) -> bool {
        let mark = self.key_mark();
        let known = snapshot.document(&mark.key);
        known.is_some_and(|(known, _)| known.bytes != mark.bytes)
    }

    /// Says when each issued credential was used last, by its id, since the process started.
    pub fn uses(&self) -> Vec<(String, Timestamp)> {
        self.issued.get().map(Book::uses).unwrap_or_default()
    }

    /// Says whether somebody else than the issued credentials can issue others: the configuration says who. Key pairs cannot,
    /// since nobody signs where credentials are issued.
    pub fn has_configured_admin(&self) -> bool {
        let mut owners = self.certificates.iter();
        !self.credentials.is_empty()
            || owners.any(|owner| owner.access("").allows_everywhere(Verb::Admin))
    }

    /// Says whether credentials were issued, and the last of them was not revoked: who has none is let in nowhere then, also
    /// when every one has ended since.
    pub fn has_issued(&self) -> bool {
        self.issued.get().is_some_and(|book| !book.is_empty())
    }

    /// Says whether nobody can get in: credentials are asked for, and there is none that could be shown.
    pub fn is_locked(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        self.needs_credentials()
            && self.credentials.is_empty()
            && self.aws_keys.is_empty()
            && self.certificates.is_empty()
            && Issued::all(snapshot).all(|(_, issued)| issued.has_ended(now))
    }

    /// Says whether the server would be open to its callers without any issued credential.
    pub fn is_open_without_issued(&self) -> bool {
        self.open.is_some()
    }

    /// Names whoever shows a credential, for audit lines; `unknown` when it is none, `anonymous` when none was shown.
    pub fn subject_of(&self, caller: &Caller<'_>) -> String {
        if self.open_access().is_some() {
            // What is shown to an open server is not looked at.
            return ANONYMOUS.to_owned();
        }
        let digest = caller.bearer.map(|token| self.key.digest(token));
        let configured = digest.and_then(|digest| {
            let mut all = self.credentials.iter();
            all.find(|credential| bool::from(credential.matches(&digest)))
        });
        let issued = || self.issued.get()?.token(&digest?);
        match (configured, caller.bearer) {
            (Some(credential), _) => credential.access.subject().to_string(),
            (None, Some(_)) => {
                issued().map_or_else(|| UNKNOWN.to_owned(), |entry| entry.issued().name.clone())
            }
            (None, None) => match self.owner_of(caller.certificate) {
                Some((_, name)) => name.to_owned(),
                None => ANONYMOUS.to_owned(),
            },
        }
    }

    /// Counts a request of an address before anything else is looked at.
    ///
    /// # Errors
    /// How long to wait until one would be let in, and the setting that says so.
    pub fn admit(&self, peer: IpAddr) -> Result<(), (Duration, &'static str)> {
        let (rate, setting) = if peer.to_canonical().is_loopback() {
            (self.rates.requests_per_loopback, OF_LOOPBACK)
        } else {
            let setting = "access.rates.requests_per_address";
            (self.rates.requests_per_address, setting)
        };
        // An open server on loopback, and most others there, have no bound: then nobody looks at the clock.
        if rate.per_second == 0 {
            return Ok(());
        }
        let Some(now) = self.issued.get().map(Book::monotonic) else {
            return Ok(());
        };
        let taken = self.addresses.take(&party(peer), rate, now);
        taken.map_err(|wait| (wait, setting))
    }

    /// Counts a request with a credential.
    fn meter(&self, metered: &Metered<'_>, peer: IpAddr) -> Result<(), RegistryError> {
        let (rate, setting) = if peer.to_canonical().is_loopback() {
            (self.rates.requests_per_loopback, OF_LOOPBACK)
        } else {
            let setting = "access.rates.requests_per_credential";
            (self.rates.requests_per_credential, setting)
        };
        if rate.per_second == 0 {
            return Ok(());
        }
        let Some(now) = self.issued.get().map(Book::monotonic) else {
            return Ok(());
        };
        metered
            .take(rate, now)
            .map_err(|_| RegistryError::Throttled {
                what: format!(
                    "this credential sends more than {} requests per second ({setting})",
                    rate.per_second
                ),
            })
    }

    /// Says whether every request needs a credential, reads perhaps excepted.
    pub fn needs_credentials(&self) -> bool {
        self.open_access().is_none()
    }

    /// Returns what everybody may do: nothing as soon as there is any credential.
    fn open_access(&self) -> Option<&Access> {
        self.open.as_ref().filter(|_| !self.has_issued())
    }

    /// Returns what the sender of a request may do: by its token, by its certificate, or without either.
    ///
    /// A wrong token is refused even where none would be needed: its sender believes something that is not so.
    ///
    /// # Errors
    /// `Unauthenticated`, which never says how close a token came; `Throttled` when a credential asks too often.
    pub fn authenticate(
        &self,
        caller: &Caller<'_>,
        dialect: Dialect,
        is_read: bool,
    ) -> Result<Access, RegistryError> {
        let (access, metered) = self.judge(caller, dialect, is_read)?;
        if let Some(metered) = metered {
            self.meter(&metered, caller.peer)?;
        }
        Ok(access)
    }

    /// Returns what the sender of a request that is being answered may still do, which counts as no request.
    ///
    /// # Errors
    /// `Unauthenticated` when the credential does not hold any more.
    pub fn authenticate_again(
        &self,
        caller: &Caller<'_>,
        dialect: Dialect,
        is_read: bool,
    ) -> Result<Access, RegistryError> {
        let (access, _) = self.judge(caller, dialect, is_read)?;
        Ok(access)
    }

    /// Finds what the sender of a request may do, and where its requests are counted.
    fn judge<'a>(
        &'a self,
        caller: &Caller<'a>,
        dialect: Dialect,
        is_read: bool,
    ) -> Result<(Access, Option<Metered<'a>>), RegistryError> {
        let peer = caller.peer;
        if let Some(open) = self.open_access() {
            return Ok((open.of_request(dialect, peer), None));
        }
        if let Some(token) = caller.bearer {
            let found = self.bearer(token, caller.last)?;
            let access = found.access().of_request(dialect, peer);
            return Ok((access, Some(Metered::Token(found))));
        }
        if let Some((owner, name)) = self.owner_of(caller.certificate) {
            let access = owner.access(name).of_request(dialect, peer);
            let metered = Metered::Certificate(&self.certificate_names, name);
            return Ok((access, Some(metered)));
        }
        match &self.public {
            Some(public) if is_read => Ok((public.of_request(dialect, peer), None)),
            _ => Err(refuse(match caller.certificate.first() {
                Some(_) => {
                    "no name of your certificate is in access.certificates; or send the header Authorization: Bearer <token>"
                }
                None => "send the header Authorization: Bearer <token>",
            })),
        }
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
        let issued = match configured {
            Some(_) => None,
            None => self.issued.get().and_then(|book| book.key(&claim.key_id)),
        };
        let known = match (configured, &issued) {
            (Some(key), _) => Some((key.secret.clone(), &key.account, &key.access, &key.meter)),
            (None, Some(entry)) => {
                let secret = KeySecret {
                    secret: issued::aws_secret(&self.key, &claim.key_id),
                    session_token: None,
                };
                let issued = entry.issued();
                Some((secret, &issued.account, entry.access(), entry.meter()))
            }
            (None, None) => None,
        };
        let secret = known.as_ref().map(|(secret, ..)| secret);
        claim.verify(request, (service, secret), now, &self.signing_keys)?;
        // Only a known key is verified.
        let (_, account, access, meter) = known.ok_or(SigV4Error::Unknown)?;
        if let Some(entry) = &issued {
            entry.used(now);
        }
        self.meter(&Metered::Key(meter), peer)
            .map_err(|_| SigV4Error::Throttled)?;
        Ok(Signer {
            access: access.of_request(dialect, peer),
            account: account.clone(),
            region: claim.region,
        })
    }

    /// Finds whose a token is, as the connection knows it or anew.
    fn bearer(&self, token: &str, last: Option<&LastToken>) -> Result<Found, RegistryError> {
        let known = last.and_then(|last| last.of(token));
        if let Some(found) = known.filter(|found| self.still_holds(found)) {
            return Ok(found);
        }
        let found = self.find(token);
        let found = found.ok_or_else(|| refuse("the token is not valid"))?;
        if let Some(last) = last {
            last.keep(token, found.clone());
        }
        Ok(found)
    }

    /// Finds whose a token is.
    fn find(&self, token: &str) -> Option<Found> {
        let digest = self.key.digest(token);
        // Looks at every one, so that the time does not tell which was meant.
        let mut configured = None;
        for credential in &self.credentials {
            if bool::from(credential.matches(&digest)) {
                configured = Some(Found::Configured(Arc::clone(credential)));
            }
        }
        // Issued tokens are found by their keyed hash, which tells nobody anything of the token.
        let issued = || self.issued.get()?.token(&digest).map(Found::Issued);
        configured.or_else(issued)
    }

    /// Says whether a token that was found before is still the same one's; of an issued one notes that it was used.
    fn still_holds(&self, found: &Found) -> bool {
        match found {
            Found::Configured(_) => true,
            Found::Issued(entry) => self.issued.get().is_some_and(|book| book.uses_again(entry)),
        }
    }

    /// Finds the first owner that a name of the certificate belongs to.
    fn owner_of<'a>(&self, names: &'a [Box<str>]) -> Option<(&CertificateOwner, &'a str)> {
        self.certificates.iter().find_map(|owner| {
            let covered = names.iter().find(|name| owner.is_named(name))?;
            Some((owner, &**covered))
        })
    }
}

fn refuse(why: &str) -> RegistryError {
    RegistryError::Unauthenticated {
        why: why.to_owned(),
    }
}
