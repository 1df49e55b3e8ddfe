//! The `[health]` section.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

#[cfg(test)]
mod tests;

/// How Waypost probes. What a check is when its registration names no values, the adapter that registers says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Whether this process runs probes. Without them an instance with a probe check stays as it was last found, and a
    /// new one stays Unknown, which keeps it out of rotation.
    pub enabled: bool,
    /// How much sooner or later than its interval a probe runs, at random, in percent of the interval, 0 to 50.
    #[serde(deserialize_with = "half_at_most")]
    pub jitter_percent: u8,
    /// Seconds over which probes are spread when many known instances appear at once, as at start. A shorter interval
    /// counts instead; 0 spreads nothing.
    pub startup_spread_seconds: u32,
    /// TLS that a check can name (`"tls": {"profile": "NAME"}`): `[health.tls_profiles.NAME]`. The files are
    /// read at start, and again when they change.
    pub tls_profiles: BTreeMap<String, TlsProfile>,
}

/// Authorities and a client certificate of this server, for checks of the kinds `https` and `grpc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsProfile {
    /// Certificates, in PEM, of the only authorities that may have issued the instance's. Without it those that this
    /// machine trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate that probes show when they are asked for one, in PEM, with those that lead to its issuer.
    pub cert_file: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    pub key_file: Option<PathBuf>,
}

impl HealthConfig {
    pub(crate) fn startup_spread(&self) -> Duration {
        Duration::from_secs(self.startup_spread_seconds.into())
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            jitter_percent: 10,
            startup_spread_seconds: 5,
            tls_profiles: BTreeMap::new(),
        }
    }
}

fn half_at_most<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let percent = u8::deserialize(deserializer)?;
    if percent > 50 {
        return Err(serde::de::Error::custom("must be 0 to 50"));
    }
    Ok(percent)
}
