//! The `[health]` section.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use waypost_core::{Check, CheckId, CheckKind, ProbeProtocol, ProbeSpec};

#[cfg(test)]
mod tests;

/// How Waypost probes, and what a probe check is when its registration names no values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Whether this process runs probes. Without them an instance with a probe check stays as it was last found, and a
    /// new one stays Unknown, which keeps it out of rotation.
    pub enabled: bool,
    /// Seconds between probes of a check that passes, when the registration does not say.
    #[serde(deserialize_with = "at_least_one")]
    pub interval_seconds: u32,
    /// Seconds between probes from the first failed report until the check passes again, when the registration does not
    /// say.
    #[serde(deserialize_with = "at_least_one")]
    pub unhealthy_interval_seconds: u32,
    /// Seconds that a probe may take in all, 1 to 60, when the registration does not say.
    #[serde(deserialize_with = "a_minute_at_most")]
    pub timeout_seconds: u32,
    /// Failed reports in a row that turn a passing check, when the registration does not say.
    #[serde(deserialize_with = "at_least_one")]
    pub unhealthy_after: u16,
    /// Passing reports in a row that turn a failed check, when the registration does not say.
    #[serde(deserialize_with = "at_least_one")]
    pub healthy_after: u16,
    /// How much sooner or later than its interval a probe runs, at random, in percent of the interval, 0 to 50.
    #[serde(deserialize_with = "half_at_most")]
    pub jitter_percent: u8,
    /// Seconds over which probes are spread when many known instances appear at once, as at start. A shorter interval
    /// counts instead; 0 spreads nothing.
    pub startup_spread_seconds: u32,
}

impl HealthConfig {
    /// Makes the probe of a check with the configured times, on the instance's first port.
    pub fn probe(&self, protocol: ProbeProtocol) -> ProbeSpec {
        ProbeSpec {
            interval_seconds: self.interval_seconds,
            unhealthy_interval_seconds: self.unhealthy_interval_seconds,
            timeout_milliseconds: self.timeout_seconds.saturating_mul(1_000),
            ..ProbeSpec::new(protocol)
        }
    }

    /// Makes a probe check with the configured times and thresholds.
    pub fn check(&self, id: CheckId, protocol: ProbeProtocol) -> Check {
        Check {
            unhealthy_after: self.unhealthy_after,
            healthy_after: self.healthy_after,
            ..Check::new(id, CheckKind::Probe(self.probe(protocol)))
        }
    }

    pub(crate) fn startup_spread(&self) -> Duration {
        Duration::from_secs(self.startup_spread_seconds.into())
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_seconds: 30,
            unhealthy_interval_seconds: 5,
            timeout_seconds: 5,
            unhealthy_after: 3,
            healthy_after: 2,
            jitter_percent: 10,
            startup_spread_seconds: 5,
        }
    }
}

fn at_least_one<'de, D, T>(deserializer: D) -> Result<T, D::Error>
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

fn a_minute_at_most<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let seconds = u32::deserialize(deserializer)?;
    if !(1..=60).contains(&seconds) {
        return Err(serde::de::Error::custom("must be 1 to 60"));
    }
    Ok(seconds)
}

fn half_at_most<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let percent = u8::deserialize(deserializer)?;
    if percent > 50 {
        return Err(serde::de::Error::custom("must be 0 to 50"));
    }
    Ok(percent)
}
