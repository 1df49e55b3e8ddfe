//! The `[cloudmap]` section.

use serde::{Deserialize, Serialize};

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
    /// A path under which the API is served as well, such as `/aws`: what stands behind host and port in the endpoint of
    /// clients. It is signed, so that no proxy can take it off.
    pub base_path: Option<String>,
}

impl CloudMapConfig {
    /// Says whether the base path can stand before the paths of the API.
    pub fn has_sound_base_path(&self) -> bool {
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
