//! The `[dial]` section.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

#[cfg(test)]
mod tests;

/// Where Waypost may connect to, and how much of it at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialConfig {
    /// Networks that may be connected to, as CIDR (`10.0.0.0/8`, `fd00::/8`). Empty means every
    /// network that nothing else refuses. Link-local, cloud metadata and loopback addresses stay
    /// refused even when a network here contains them.
    pub allow: Vec<IpNet>,
    /// Networks that are never connected to, as CIDR. Wins over `allow`.
    pub deny: Vec<IpNet>,
    /// Whether loopback addresses may be connected to although the server listens elsewhere. A
    /// server that listens on loopback itself may always.
    pub allow_loopback: bool,
    /// The longest a host name may take to resolve, in seconds.
    #[serde(deserialize_with = "positive")]
    pub resolve_timeout_seconds: u64,
    /// The longest a connection may take to open, in seconds; the timeout of the call is the limit
    /// when it is shorter.
    #[serde(deserialize_with = "positive")]
    pub connect_timeout_seconds: u64,
    /// How many calls may be under way at once, to all targets together.
    #[serde(deserialize_with = "positive")]
    pub max_in_flight: usize,
    /// How many calls may be under way at once to one target address.
    #[serde(deserialize_with = "positive")]
    pub max_in_flight_per_host: usize,
}

impl DialConfig {
    /// Gives the longest a host name may take to resolve.
    pub fn resolve_timeout(&self) -> Duration {
        Duration::from_secs(self.resolve_timeout_seconds)
    }

    /// Gives the longest a connection may take to open.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds)
    }
}

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            allow_loopback: false,
            resolve_timeout_seconds: 2,
            connect_timeout_seconds: 2,
            max_in_flight: 2_048,
            max_in_flight_per_host: 8,
        }
    }
}

/// Reads a number that must not be zero: a limit of zero would stop every check without a word.
fn positive<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialEq,
{
    let number = T::deserialize(deserializer)?;
    if number == T::default() {
        return Err(serde::de::Error::custom("must be 1 or more"));
    }
    Ok(number)
}
