//! The TLS of probes: profiles of the configuration, and a client for what a check says.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use waypost_core::{ProbeRules, TlsProbe, Unfit};
use waypost_dial::{Alpn, Authorities, Identity, TlsClient, Trust};

use crate::config::{HealthConfig, TlsProfile};

#[cfg(test)]
mod tests;

/// How many clients are kept; when there are more, all are made anew.
const CLIENTS_MAX: usize = 1_024;
/// Most bytes of a file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What probes need for TLS. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    profiles: BTreeMap<String, Profile>,
    /// Read with the first probe that needs it.
    system: OnceCell<Authorities>,
    /// Making a client reads the certificates of its check, which is not done for each probe.
    clients: Mutex<HashMap<(TlsProbe, Alpn), TlsClient>>,
}

/// A profile as it was read.
#[derive(Debug, Default)]
struct Profile {
    authorities: Option<Authorities>,
    identity: Option<Identity>,
}

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    /// The setting within `[health]`.
    pub field: String,
    /// The rule it breaks.
    pub rule: String,
}

impl Tls {
    /// Reads the files of every profile.
    ///
    /// # Errors
    /// Every profile that cannot be used.
    pub fn load(config: &HealthConfig) -> Result<Self, Vec<ProfileError>> {
        let mut profiles = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, profile) in &config.tls_profiles {
            if !TlsProbe::is_profile_name(name) {
                errors.push(ProfileError {
                    field: format!("tls_profiles.{name}"),
                    rule: "must have a name of 1 to 64 letters, digits, hyphens and underscores"
                        .to_owned(),
                });
                continue;
            }
            match Profile::load(profile) {
                Ok(profile) => drop(profiles.insert(name.clone(), profile)),
                Err((field, rule)) => errors.push(ProfileError {
                    field: format!("tls_profiles.{name}.{field}"),
                    rule,
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let shared = Shared {
            profiles,
            system: OnceCell::new(),
            clients: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Gives the client for what a check says within a time; the error is the reason of a failed report.
    pub(crate) async fn client(
        &self,
        tls: &TlsProbe,
        alpn: Alpn,
        timeout: Duration,
    ) -> Result<TlsClient, String> {
        let wanted = (tls.clone(), alpn);
        if let Some(client) = self.shared.clients().get(&wanted) {
            return Ok(client.clone());
        }
        let made = tokio::time::timeout(timeout, self.make(tls, alpn)).await;
        let client =
            made.map_err(|_| "the certificates of this machine were not read in time")??;
        let mut clients = self.shared.clients();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(wanted, client.clone());
        Ok(client)
    }

    async fn make(&self, tls: &TlsProbe, alpn: Alpn) -> Result<TlsClient, String> {
        let profile = self.profile(tls).map_err(|unfit| {
            let name = tls.profile.as_deref().unwrap_or_default();
            format!(
                "the check cannot be made: the TLS profile {name} {}",
                unfit.rule
            )
        })?;
        let trust = if tls.insecure {
            Trust::Anybody
        } else if let Some(pem) = &tls.ca_pem {
            let authorities = Authorities::from_pem(pem.as_bytes());
            Trust::Issuers(authorities.map_err(|error| format!("ca_pem {error}"))?)
        } else if let Some(authorities) = profile.and_then(|it| it.authorities.clone()) {
            Trust::Issuers(authorities)
        } else {
            Trust::Issuers(self.shared.system().await?)
        };
        let identity = profile.and_then(|it| it.identity.clone());
        let client = TlsClient::new(&trust, identity, alpn).map_err(|error| error.to_string())?;
        match tls.server_name.as_deref() {
            None => Ok(client),
            Some(name) => {
                let named = client.with_server_name(name);
                named.map_err(|error| error.to_string())
            }
        }
    }

    fn profile(&self, tls: &TlsProbe) -> Result<Option<&Profile>, Unfit> {
        let Some(name) = tls.profile.as_deref() else {
            return Ok(None);
        };
        match self.shared.profiles.get(name) {
            Some(profile) => Ok(Some(profile)),
            None => Err(Unfit {
                field: "profile",
                rule: format!(
                    "must be one of this server's configuration, {}",
                    self.known()
                ),
            }),
        }
    }

    fn known(&self) -> String {
        let names: Vec<&str> = self.shared.profiles.keys().map(String::as_str).collect();
        match *names {
            [] => "which has none ([health.tls_profiles.NAME])".to_owned(),
            _ => format!("which has {}", names.join(", ")),
        }
    }
}

impl ProbeRules for Tls {
    fn judge(&self, tls: &TlsProbe) -> Result<(), Unfit> {
        self.profile(tls)?;
        let Some(pem) = &tls.ca_pem else {
            return Ok(());
        };
        match Authorities::from_pem(pem.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(Unfit {
                field: "ca_pem",
                rule: error.to_string(),
            }),
        }
    }
}

impl Shared {
    async fn system(&self) -> Result<Authorities, String> {
        let read = || async {
            let read = tokio::task::spawn_blocking(Authorities::of_the_system).await;
            let read = read.map_err(|error| error.to_string())?;
            read.map_err(|error| format!("nobody is trusted: {error}; the check can say ca_pem"))
        };
        self.system.get_or_try_init(read).await.cloned()
    }

    /// The map is whole after every statement, so a panic elsewhere does not spoil it.
    fn clients(&self) -> MutexGuard<'_, HashMap<(TlsProbe, Alpn), TlsClient>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Profile {
    /// The error is the field with the rule that it breaks.
    fn load(profile: &TlsProfile) -> Result<Self, (&'static str, String)> {
        let authorities = match &profile.ca_file {
            None => None,
            Some(path) => Some(of("ca_file", path, Authorities::from_pem)?),
        };
        let identity = match (&profile.cert_file, &profile.key_file) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                let certificate = read(cert).map_err(|rule| ("cert_file", rule))?;
                Some(of("key_file", key, |key| {
                    Identity::from_pem(&certificate, key)
                })?)
            }
            (Some(_), None) => return Err(("key_file", "must be set beside cert_file".to_owned())),
            (None, Some(_)) => return Err(("cert_file", "must be set beside key_file".to_owned())),
        };
        if authorities.is_none() && identity.is_none() {
            let rule = "must be set, or cert_file and key_file";
            return Err(("ca_file", rule.to_owned()));
        }
        Ok(Self {
            authorities,
            identity,
        })
    }
}

/// Reads what a file of a profile holds.
fn of<T, E: fmt::Display>(
    field: &'static str,
    path: &Path,
    understand: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, (&'static str, String)> {
    let bytes = read(path).map_err(|rule| (field, rule))?;
    understand(&bytes).map_err(|error| (field, format!("{error} ({})", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("must be at most 1 MiB ({})", path.display()));
    }
    Ok(bytes)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("profiles", &self.shared.profiles)
            .finish_non_exhaustive()
    }
}
