//! What an owner says about an instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::CheckKind;

/// What an owner says about an instance: where it is, and how it is checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// An IPv4 or IPv6 address or a host name; the server sorts it into the right one of the next three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// IPv6 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The only port, 1 to 65535; instead of `ports`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Named ports; the first is the default one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Free text by key: at most 30, 5,000 bytes together.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Words: at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Share of the traffic relative to the other instances of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Region that the instance runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Zone that the instance runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Checks of this instance: added to those of the service, or replacing the one with the same id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Seconds after the latest heartbeat at which the instance leaves the rotation; `None`: no lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
}

impl Registration {
    /// A registration with one address and one port.
    pub fn at(address: impl Into<String>, port: u16) -> Self {
        Self {
            address: Some(address.into()),
            port: Some(port),
            ..Self::default()
        }
    }
}

/// A port with a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Name that checks and callers use; `default` for the only one.
    #[serde(default)]
    pub name: String,
    /// 1 to 65535.
    pub number: u16,
    /// What is spoken there, such as `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Path in front of everything that is served there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How an instance is checked. What is `None` is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Name of the check, unique in its instance.
    pub id: String,
    /// How it finds out.
    pub kind: CheckKind,
    /// Path and query asked by an `http` check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Method used by an `http` check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers sent by an `http` check.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Statuses that pass, such as `200-299`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<String>,
    /// Name of the port that is asked; the default one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Seconds within which a `heartbeat` check has to hear of the instance.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub within_seconds: Option<f64>,
    /// Seconds between two probes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub interval_seconds: Option<f64>,
    /// Seconds between two probes from the first failed one on.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub unhealthy_interval_seconds: Option<f64>,
    /// Seconds after which a probe without an answer has failed.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds"
    )]
    pub timeout_seconds: Option<f64>,
    /// Failed probes in a row that make the check fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_after: Option<u32>,
    /// Passed probes in a row that make the check pass again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_after: Option<u32>,
}

impl Check {
    /// An `http` check of `path` on the default port.
    pub fn http(path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::of("http", CheckKind::Http)
        }
    }

    /// A `tcp` check of the default port.
    pub fn tcp() -> Self {
        Self::of("tcp", CheckKind::Tcp)
    }

    fn of(id: &str, kind: CheckKind) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            ..Self::default()
        }
    }
}

/// Writes whole seconds as an integer: `5`, not `5.0`, which a reader of integers would refuse.
fn seconds<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match *seconds {
        Some(seconds)
            if seconds.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&seconds) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and in range"
            )]
            let whole = seconds as u32;
            serializer.serialize_u32(whole)
        }
        seconds => seconds.serialize(serializer),
    }
}
