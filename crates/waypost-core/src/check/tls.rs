//! TLS of a probe: whom it takes for the instance.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::RegistryError;
use crate::text::Text;

/// Most bytes of the certificates that a check carries.
pub const CA_PEM_BYTES_MAX: usize = 64 * 1_024;
/// Most bytes of the name of a profile.
const PROFILE_BYTES_MAX: usize = 64;

/// Whom a probe takes for the instance, and as whom it comes.
///
/// What is secret is never part of a check, which every reader of the service sees: a client certificate and its key
/// are files of the server, and a check says the name that the server's configuration gives them. Nor does a check
/// name files, which would let whoever registers find out what the server can read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct TlsProbe {
    /// The name that the certificate must be for; none is the host name or address that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Text>,
    /// The certificates, in PEM, of the only authorities that may have issued it. None is those of the profile, and
    /// without such those that the server's machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<Text>,
    /// The name of a profile in the server's configuration, which may have authorities and a client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Text>,
    /// Whether any certificate will do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

/// Why settings of TLS can never work on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which of them: `ca_pem` or `profile`.
    pub field: &'static str,
    /// The rule it breaks.
    pub rule: String,
}

/// What this server can probe, as far as a check does not say it itself. It is asked when a check is set.
pub trait ProbeRules: fmt::Debug + Send + Sync + 'static {
    /// Judges settings of TLS, without a look at a network or a file.
    ///
    /// # Errors
    /// When no probe with them can pass.
    fn judge(&self, tls: &TlsProbe) -> Result<(), Unfit>;
}

impl TlsProbe {
    /// Says whether a profile can have this name: letters, digits, hyphens and underscores, at most 64.
    pub fn is_profile_name(name: &str) -> bool {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=PROFILE_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal)
    }

    pub(super) fn validate(&self, field: impl Fn(&str) -> String) -> Result<(), RegistryError> {
        let of = |name: &str| field(&format!("tls.{name}"));
        if let Some(name) = &self.server_name
            && !is_host(name)
        {
            let rule = "must be a host name or an address, without a port";
            return Err(RegistryError::invalid(of("server_name"), name, rule));
        }
        if let Some(pem) = &self.ca_pem {
            if pem.len() > CA_PEM_BYTES_MAX {
                return Err(RegistryError::TooLarge {
                    field: of("ca_pem").into(),
                    rule: format!("at most {CA_PEM_BYTES_MAX} bytes"),
                });
            }
            if self.insecure {
                let rule = "must not be given with insecure, which takes any certificate";
                return Err(RegistryError::invalid(of("ca_pem"), shown(pem), rule));
            }
        }
        match &self.profile {
            Some(profile) if !Self::is_profile_name(profile) => {
                let rule = "must be 1 to 64 letters, digits, hyphens and underscores";
                Err(RegistryError::invalid(of("profile"), profile, rule))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn judge(
        &self,
        rules: &dyn ProbeRules,
        field: impl Fn(&str) -> String,
    ) -> Result<(), RegistryError> {
        rules.judge(self).map_err(|unfit| {
            let value = match (unfit.field, &self.ca_pem, &self.profile) {
                ("ca_pem", Some(pem), _) => shown(pem),
                ("profile", _, Some(profile)) => profile.to_string(),
                _ => String::new(),
            };
            RegistryError::invalid(field(&format!("tls.{}", unfit.field)), value, unfit.rule)
        })
    }
}

/// Certificates are long and say nothing to a reader.
fn shown(pem: &str) -> String {
    format!("{} bytes", pem.len())
}

/// Certificates name hosts by labels of letters, digits and hyphens; underscores are common inside of networks.
fn is_host(name: &str) -> bool {
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name that ends in digits would be read as an address that is none.
    let ends_in_digits = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(is_label) && !ends_in_digits
}
