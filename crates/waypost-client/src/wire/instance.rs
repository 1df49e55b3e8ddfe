//! An instance as the server shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Check, Health, Mode, Port, Tier};

/// An instance: what its owner registered, and what the server knows about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of the namespace.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Id in its service.
    pub id: String,
    /// Who keeps it registered; empty: itself.
    #[serde(default)]
    pub owner: String,
    /// IPv4 address.
    #[serde(default)]
    pub ipv4: Option<String>,
    /// IPv6 address.
    #[serde(default)]
    pub ipv6: Option<String>,
    /// Host name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Ports; the first is the default one.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Free text by key.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Words.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Share of the traffic relative to the other instances of the service.
    #[serde(default = "one")]
    pub weight: u32,
    /// Region that it runs in.
    #[serde(default)]
    pub region: Option<String>,
    /// Zone that it runs in.
    #[serde(default)]
    pub zone: Option<String>,
    /// Its checks.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Length of its lease.
    #[serde(default)]
    pub lease_seconds: Option<u64>,
    /// New at each registration.
    #[serde(default)]
    pub registration_id: String,
    /// When it was registered.
    #[serde(default)]
    pub registered_at: String,
    /// The protocol that registered it.
    #[serde(default)]
    pub dialect: String,
    /// The verdict in one word.
    #[serde(default)]
    pub health: Health,
    /// What an operator or the process says.
    #[serde(default)]
    pub mode: Mode,
    /// Since when its health is what it is.
    #[serde(default)]
    pub since: String,
    /// Whether it may be sent traffic.
    #[serde(default)]
    pub in_rotation: bool,
    /// Its place in the rotation.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// One sentence: why it is in rotation or out.
    #[serde(default)]
    pub reason: String,
    /// When it was last heard of.
    #[serde(default)]
    pub last_heartbeat: Option<String>,
    /// When it was last asked.
    #[serde(default)]
    pub last_probe: Option<String>,
    /// Load that it reported, 0 to 1.
    #[serde(default)]
    pub load: Option<f64>,
    /// Position of its latest change in the server's history, `epoch.revision`.
    #[serde(default)]
    pub revision: String,
}

impl Instance {
    /// Gives where to reach it: IPv4, else IPv6, else host name, each with the default port when it has one.
    pub fn address(&self) -> Option<String> {
        let host = match (&self.ipv4, &self.ipv6, &self.hostname) {
            (Some(ipv4), _, _) => ipv4.clone(),
            (None, Some(ipv6), _) if self.ports.is_empty() => ipv6.clone(),
            (None, Some(ipv6), _) => format!("[{ipv6}]"),
            (None, None, Some(hostname)) => hostname.clone(),
            (None, None, None) => return None,
        };
        Some(match self.ports.first() {
            Some(port) => format!("{host}:{}", port.number),
            None => host,
        })
    }
}

fn one() -> u32 {
    1
}

/// Body of a heartbeat.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeartbeatBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<f64>,
}

/// Answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// Seconds until the lease is over unless the next heartbeat comes; `None`: there is no lease.
    pub deadline_seconds: Option<f64>,
}

/// Body of a change of mode.
#[derive(Debug, Serialize)]
pub(crate) struct ModeBody<'a> {
    /// `Active`, `Draining` or `Maintenance`.
    pub(crate) mode: &'a str,
    /// Why.
    pub(crate) reason: &'a str,
    /// The registration whose own process says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration_id: Option<&'a str>,
}
