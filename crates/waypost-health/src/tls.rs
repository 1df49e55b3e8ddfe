//! The TLS of probes: profiles of the configuration, and a client for what a check says.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use waypost_core::{ProbeRules, TlsProbe, Unfit};
use waypost_dial::{Alpn, Authorities, TlsClient, Trust};

use crate::config::HealthConfig;

mod profile;
#[cfg(test)]
mod tests;

use profile::{Kept, Profile};

/// How many clients are kept; when there are more, all are made anew.
const CLIENTS_MAX: usize = 1_024;

/// What probes need for TLS. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    profiles: BTreeMap<String, Mutex<Kept>>,
    /// Read with the first probe that needs it.
    system: OnceCell<Authorities>,
    /// Making a client reads the certificates of its check, which is not done for each probe.
    clients: Mutex<HashMap<Wanted, TlsClient>>,
}

/// What a client is for: what the check says, what is spoken, and how often the profile was read again.
type Wanted = (TlsProbe, Alpn, u64);

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
            match Kept::load(profile) {
                Ok(kept) => drop(profiles.insert(name.clone(), Mutex::new(kept))),
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
        if let Some(name) = &tls.profile {
            self.refresh(name, timeout).await;
        }
        let wanted = (tls.clone(), alpn, self.generation(tls));
        if let Some(client) = locked(&self.shared.clients).get(&wanted) {
            return Ok(client.clone());
        }
        let made = tokio::time::timeout(timeout, self.make(tls, alpn)).await;
        let client =
            made.map_err(|_| "the certificates of this machine were not read in time")??;
        let mut clients = locked(&self.shared.clients);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(wanted, client.clone());
        Ok(client)
    }

    async fn make(&self, tls: &TlsProbe, alpn: Alpn) -> Result<TlsClient, String> {
        let profile = self.find(tls).map_err(|unfit| {
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
        } else if let Some(authorities) = profile.authorities {
            Trust::Issuers(authorities)
        } else {
            Trust::Issuers(self.shared.system().await?)
        };
        let client =
            TlsClient::new(&trust, profile.identity, alpn).map_err(|error| error.to_string())?;
        match tls.server_name.as_deref() {
            None => Ok(client),
            Some(name) => {
                let named = client.with_server_name(name);
                named.map_err(|error| error.to_string())
            }
        }
    }

    fn generation(&self, tls: &TlsProbe) -> u64 {
        let name = tls.profile.as_deref();
        let kept = name.and_then(|name| self.shared.profiles.get(name));
        kept.map_or(0, |kept| locked(kept).generation)
    }

    /// Gives the profile that a check names; one that names none has an empty one.
    fn find(&self, tls: &TlsProbe) -> Result<Profile, Unfit> {
        let Some(name) = tls.profile.as_deref() else {
            return Ok(Profile::default());
        };
        match self.shared.profiles.get(name) {
            Some(kept) => Ok(locked(kept).profile.clone()),
            None => Err(Unfit {
                field: "profile",
                rule: format!(
                    "must be one of this server's configuration, {}",
                    self.known()
                ),
            }),
        }
    }

    /// Reads a profile again when one of its files is another one, as it is when a certificate was renewed. What cannot
    /// be used leaves everything as it was.
    async fn refresh(&self, name: &str, timeout: Duration) {
        let shared = Arc::clone(&self.shared);
        let name = name.to_owned();
        let looking = tokio::task::spawn_blocking(move || {
            let Some(kept) = shared.profiles.get(&name) else {
                return;
            };
            match locked(kept).refresh() {
                Ok(false) => {}
                Ok(true) => {
                    let of_it = |tls: &TlsProbe| tls.profile.as_deref() == Some(&*name);
                    locked(&shared.clients).retain(|(tls, ..), _| !of_it(tls));
                    tracing::info!(profile = name, "a TLS profile was read again");
                }
                Err((field, rule)) => {
                    tracing::warn!(profile = name, field, rule, "a TLS profile stays as it was");
                }
            }
        });
        // A file system that does not answer leaves what was read before.
        let _ = tokio::time::timeout(timeout / 4, looking).await;
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
        self.find(tls)?;
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
}

/// What is behind a lock here is whole after every statement, so a panic elsewhere does not spoil it.
fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("profiles", &self.shared.profiles.keys())
            .finish_non_exhaustive()
    }
}
