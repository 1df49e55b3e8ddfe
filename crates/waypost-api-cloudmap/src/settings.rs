//! The `[cloudmap]` section.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::model::OPERATIONS;

/// How the AWS Cloud Map API behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudMapConfig {
    /// Whether the API is served.
    pub enabled: bool,
    /// `strict` refuses what AWS refuses; `lenient` takes what emulators take.
    pub validation: Validation,
    /// Which instances DiscoverInstances returns when the request does not say.
    pub discover_default: DiscoverDefault,
    /// Days that operations can be looked up.
    pub operation_days: u32,
    /// Most operations that can be looked up; the oldest go first.
    pub operations_max: usize,
    /// Region in ARNs for callers whose request names none.
    pub region: String,
    /// Account in ARNs for callers whose key has none.
    pub account: String,
    /// A DNS name of this server, such as `servicediscovery.internal`. The DNS server answers for it, and for the name with
    /// `data-` before it, to which SDKs send discoveries.
    pub api_name: Option<String>,
    /// Seconds until a custom health status counts, as AWS waits about 30; 0 is at once.
    pub custom_health_delay_seconds: u32,
    /// AWS's quotas on numbers of things; none holds unless it is set.
    pub quotas: Quotas,
    /// Requests per second by operation and account, such as `rates.DiscoverInstances = { per_second = 1000, burst = 2000 }`;
    /// an operation without one has no limit.
    pub rates: BTreeMap<String, Rate>,
    /// A path under which the API is served as well, such as `/aws`: what stands behind host and port in the endpoint of
    /// clients. It is signed, so that no proxy can take it off.
    pub base_path: Option<String>,
}

/// Most things that may be made through this API. AWS's own: 50 namespaces, 1,000 instances of a service, 2,000 of a
/// namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Most namespaces.
    pub namespaces: Option<usize>,
    /// Most instances of one service.
    pub instances_per_service: Option<usize>,
    /// Most instances of the services of one namespace.
    pub instances_per_namespace: Option<usize>,
}

/// How many requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests per second over time.
    pub per_second: NonZeroU32,
    /// Requests at once after a pause; a second's worth unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
}

impl Rate {
    pub(crate) fn burst(self) -> u32 {
        self.burst.unwrap_or(self.per_second).get()
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// Which one, below `cloudmap`.
    pub field: String,
    /// What it must be.
    pub rule: String,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

/// Longest delay of a custom health status.
const DELAY_SECONDS_MAX: u32 = 3_600;

impl CloudMapConfig {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first setting that cannot be, and the rule.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let is_operation = |name: &str| OPERATIONS.iter().any(|operation| operation.name == name);
        if let Some(unknown) = self.rates.keys().find(|name| !is_operation(name)) {
            return Err(InvalidSetting {
                field: format!("rates.{unknown}"),
                rule: "must be the name of an operation, such as DiscoverInstances".to_owned(),
            });
        }
        if self.custom_health_delay_seconds > DELAY_SECONDS_MAX {
            return Err(InvalidSetting {
                field: "custom_health_delay_seconds".to_owned(),
                rule: format!("must be 0 to {DELAY_SECONDS_MAX}"),
            });
        }
        if !self.has_sound_base_path() {
            return Err(InvalidSetting {
                field: "base_path".to_owned(),
                rule: "must be a path such as /aws, of letters, digits and -_.~, without a slash at its end"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Says whether the base path can stand before the paths of the API.
    fn has_sound_base_path(&self) -> bool {
        let is_segment = |segment: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain)
        };
        self.base_path.as_ref().is_none_or(|path| {
            let segments = path.strip_prefix('/').map(|rest| rest.split('/'));
            segments.is_some_and(|mut segments| segments.all(is_segment))
        })
    }
}

/// How inputs are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// By AWS's rules.
    Strict,
    /// By AWS's rules but for those that emulators leave out.
    Lenient,
}

/// Which instances are returned when the request does not say. AWS does not document its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DiscoverDefault {
    /// Healthy ones.
    Healthy,
    /// All of them.
    All,
    /// Healthy ones, or all if none is healthy.
    HealthyOrElseAll,
}

impl Default for CloudMapConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            validation: Validation::Strict,
            discover_default: DiscoverDefault::HealthyOrElseAll,
            operation_days: 7,
            operations_max: 20_000,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            api_name: None,
            custom_health_delay_seconds: 0,
            quotas: Quotas::default(),
            rates: BTreeMap::new(),
            base_path: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_plain_segments_and_no_slash_at_its_end() {
        let is_sound = |path: &str| {
            let base_path = Some(path.to_owned());
            let config = CloudMapConfig {
                base_path,
                ..CloudMapConfig::default()
            };
            config.has_sound_base_path()
        };
        assert!(CloudMapConfig::default().has_sound_base_path());
        for path in ["/aws", "/aws/cloud-map_1.0~"] {
            assert!(is_sound(path), "{path}");
        }
        for path in [
            "", "/", "aws", "/aws/", "//aws", "/a/../b", "/{aws}", "/a%20b", "/a b", "/a?b",
        ] {
            assert!(!is_sound(path), "{path}");
        }
    }
}
