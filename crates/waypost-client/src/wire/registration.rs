//! What an owner says about an instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Check;

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
