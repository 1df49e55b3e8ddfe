//! The `[access]` section and the rules that hold at start-up.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use waypost_core::{Grant, Pattern, Verb};

use crate::rate::RequestRate;
use crate::secret::Secret;

/// Shortest secret that is taken.
const SECRET_BYTES_MIN: usize = 8;
/// Longest secret that is taken: it has to fit into a header beside others.
const SECRET_BYTES_MAX: usize = 1_024;
/// Secrets that stand in documentation and in everybody's word lists. Nacos shipped with a default secret and was
/// taken over by it for years (CVE-2021-29441 and what followed), so these refuse the start.
const KNOWN_SECRETS: [&str; 16] = [
    "your-secret-key",
    "your-secret",
    "your_secret_key",
    "yoursecretkey",
    "my-secret-key",
    "secret-key",
    "secretkey",
    "supersecret",
    "changeme",
    "change-me",
    "change_me",
    "password",
    "password1",
    "12345678",
    "123456789",
    "service-discovery-secret",
];

/// Who may use the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// The one token that allows everything, sent as `Authorization: Bearer <token>`: source 003's
    /// `SERVICE_DISCOVERY_SECRET`. 8 to 1,024 visible ASCII characters that no documentation prints.
    pub shared_secret: Option<Secret>,
    /// Key pairs of AWS's kind: whoever signs with one may do what its grants say.
    pub aws_keys: Vec<AwsKeyConfig>,
    /// Who the owners of client certificates are: needs `http.tls.client_authorities`.
    pub certificates: Vec<CertificateConfig>,
    /// How often somebody may ask.
    pub rates: RatesConfig,
    /// Whether requests without a token may read although a credential is configured (source 003's clients send
    /// none on their reads).
    pub public_reads: bool,
    /// Whether the server may listen elsewhere than on loopback although no credential is configured.
    pub allow_anonymous: bool,
}

/// How often somebody may ask; whoever asks more often is answered 429 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatesConfig {
    /// Requests of one address, or of one IPv6 network of 64 bits, whoever sends them. Probes of `/livez`, `/readyz` and
    /// `/health` do not count. A fleet behind one gateway or NAT wants `{ per_second = 20000, burst = 40000 }`.
    pub requests_per_address: RequestRate,
    /// Requests with one token, key or certificate. Where a whole fleet shares one: some ten for each instance and minute.
    pub requests_per_credential: RequestRate,
    /// The same two for whoever asks over loopback: the process next door is not a stranger.
    pub requests_per_loopback: RequestRate,
}

impl Default for RatesConfig {
    fn default() -> Self {
        Self {
            requests_per_address: RequestRate::new(2_000, 4_000),
            requests_per_credential: RequestRate::new(5_000, 10_000),
            requests_per_loopback: RequestRate::new(0, 0),
        }
    }
}

/// Who the owner of a client certificate is. Its subject's common name is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// A subject alternative name of the certificate (a DNS name or a URI such as `spiffe://prod/web`), one that ends in `*`,
    /// or `sha256:` with the fingerprint of the certificate in lower-case hex digits.
    pub name: Pattern,
    /// What it allows; without any, everything.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// Checks what `admin` is given for: whoever issues credentials can issue one for everything.
pub(crate) fn check_grants(grants: &[Grant]) -> Result<(), &'static str> {
    let narrow_admin = grants.iter().any(|grant| {
        let everywhere = grant.namespaces == Pattern::any() && grant.services == Pattern::any();
        grant.verbs.contains(&Verb::Admin) && !everywhere
    });
    if narrow_admin {
        return Err(ADMIN_IS_EVERYWHERE);
    }
    Ok(())
}

/// The rule that [`check_grants`] keeps.
const ADMIN_IS_EVERYWHERE: &str = "admin must be for all namespaces and services: who issues credentials can issue one for everything";

/// A key pair of AWS's kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsKeyConfig {
    /// The access key id: 16 to 128 letters, digits and underscores.
    pub id: String,
    /// The secret access key: 16 to 128 visible ASCII characters.
    pub secret: Secret,
    /// The session token that must be sent beside, for temporary credentials.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// The account in ARNs: 12 digits.
    #[serde(default = "default_account")]
    pub account: String,
    /// What it allows; without any, everything.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

fn default_account() -> String {
    "000000000000".to_owned()
}

impl AwsKeyConfig {
    fn validate(&self) -> Result<(), AccessError> {
        let refuse = |rule: &str| {
            Err(AccessError::Key {
                id: self.id.escape_default().take(40).collect(),
                rule: rule.to_owned(),
            })
        };
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(16..=128).contains(&self.id.len()) || !self.id.bytes().all(is_word) {
            return refuse("id must have 16 to 128 letters, digits and underscores");
        }
        let secret = self.secret.expose();
        let is_visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
        if !(16..=128).contains(&secret.len()) || !is_visible {
            return refuse("secret must have 16 to 128 visible ASCII characters");
        }
        if self.account.len() != 12 || !self.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("account must have 12 digits");
        }
        check_grants(&self.grants).or_else(refuse)
    }
}

/// Why a configuration of access is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The shared secret could be guessed, or could not be sent.
    #[error("shared_secret {rule}")]
    Secret {
        /// The rule it breaks; the secret itself is not repeated.
        rule: String,
    },
    /// A key pair breaks a rule.
    #[error("aws_keys {id}: {rule}")]
    Key {
        /// The access key id.
        id: String,
        /// The rule it breaks; the secret itself is not repeated.
        rule: String,
    },
    /// Another setting breaks a rule.
    #[error("{field} {rule}")]
    Setting {
        /// Which one.
        field: String,
        /// The rule it breaks.
        rule: String,
    },
    /// Anybody on the network could do anything.
    #[error(
        "listening on {listen} without any credential would let everybody on the network change everything: set a shared secret (SERVICE_DISCOVERY_SECRET), or access.allow_anonymous = true to accept that"
    )]
    Open {
        /// The address asked for.
        listen: IpAddr,
    },
}

impl AccessError {
    /// Returns the field below `access` that it is about.
    pub fn field(&self) -> &str {
        match self {
            Self::Secret { .. } => "shared_secret",
            Self::Key { .. } => "aws_keys",
            Self::Open { .. } => "allow_anonymous",
            Self::Setting { field, .. } => field.split([' ', ':']).next().unwrap_or_default(),
        }
    }
}

impl AccessConfig {
    /// Says whether any credential is configured.
    pub fn has_credentials(&self) -> bool {
        self.shared_secret.is_some() || !self.aws_keys.is_empty() || !self.certificates.is_empty()
    }

    /// Checks the rule that holds for an address to listen on: anonymous access stays on loopback. Where credentials were
    /// issued ([`Authenticator::has_issued`](crate::Authenticator::has_issued)) it does not matter.
    ///
    /// # Errors
    /// [`AccessError::Open`], a sentence for the operator.
    pub fn startup_check(&self, listen: IpAddr) -> Result<(), AccessError> {
        if listen.is_loopback() || self.allow_anonymous || self.has_credentials() {
            Ok(())
        } else {
            Err(AccessError::Open { listen })
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`AccessError::Secret`] for a secret that is short, well known, or cannot be sent in a header; [`AccessError::Key`]
    /// for a key pair that no AWS client could use, or one that is given twice.
    pub fn validate(&self) -> Result<(), AccessError> {
        self.shared_secret.as_ref().map_or(Ok(()), check_secret)?;
        for (at, key) in self.aws_keys.iter().enumerate() {
            key.validate()?;
            let mut earlier = self.aws_keys.iter().take(at);
            if earlier.any(|other| other.id == key.id) {
                return Err(AccessError::Key {
                    id: key.id.clone(),
                    rule: "is given twice".to_owned(),
                });
            }
        }
        self.check_certificates_and_rates()
    }

    fn check_certificates_and_rates(&self) -> Result<(), AccessError> {
        let refuse = |field: String, rule: &str| {
            Err(AccessError::Setting {
                field,
                rule: rule.to_owned(),
            })
        };
        for certificate in &self.certificates {
            if let Err(rule) = check_grants(&certificate.grants) {
                let field = format!("certificates {}: grants", certificate.name.as_str());
                return refuse(field, rule);
            }
            // Patterns are read from files unchecked.
            if let Err(error) = Pattern::new(certificate.name.as_str()) {
                return refuse("certificates: name".to_owned(), &error.to_string());
            }
        }
        let rates = [
            ("requests_per_address", self.rates.requests_per_address),
            (
                "requests_per_credential",
                self.rates.requests_per_credential,
            ),
            ("requests_per_loopback", self.rates.requests_per_loopback),
        ];
        match rates
            .into_iter()
            .find_map(|(name, rate)| Some((name, rate.broken_rule()?)))
        {
            Some((name, rule)) => refuse(format!("rates.{name}"), rule),
            None => Ok(()),
        }
    }
}

fn check_secret(secret: &Secret) -> Result<(), AccessError> {
    let text = secret.expose();
    let refuse = |rule: String| Err(AccessError::Secret { rule });
    if text.len() < SECRET_BYTES_MIN {
        return refuse(format!("must have at least {SECRET_BYTES_MIN} bytes"));
    }
    if text.len() > SECRET_BYTES_MAX {
        return refuse(format!("must have at most {SECRET_BYTES_MAX} bytes"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse(
            "must be visible ASCII without spaces, since it is sent in a header".to_owned(),
        );
    }
    if KNOWN_SECRETS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(text))
    {
        return refuse(
            "is one that documentation prints and everybody knows: make one with `openssl rand -hex 32`"
                .to_owned(),
        );
    }
    let first = text.as_bytes().first();
    if text.bytes().all(|byte| Some(&byte) == first) {
        return refuse("must not be one character repeated".to_owned());
    }
    Ok(())
}
