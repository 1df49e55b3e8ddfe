//! Services and namespaces as the server shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Check;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its id, `ns-...`.
    #[serde(default)]
    pub id: String,
    /// `PrivateDns`, `PublicDns` or `Http`.
    #[serde(default)]
    pub kind: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Time to live of the zone's SOA record.
    #[serde(default)]
    pub soa_ttl_seconds: Option<u32>,
    /// Number of its services.
    #[serde(default)]
    pub services: u64,
    /// Position of its latest change in the server's history.
    #[serde(default)]
    pub revision: String,
}

/// Settings of a namespace; `None` is not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamespaceSettings {
    /// `PrivateDns`, `PublicDns` or `Http`; it cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Time to live of the zone's SOA record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soa_ttl_seconds: Option<u32>,
}

/// A service with its settings and counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Name of the namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its id, `srv-...`.
    #[serde(default)]
    pub id: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// `explicit`: somebody created it. `implied`: a registration did.
    #[serde(default)]
    pub origin: String,
    /// Whether failing instances are served when no other is left.
    #[serde(default)]
    pub fail_open: bool,
    /// Seconds after the end of its lease at which an instance is removed.
    #[serde(default)]
    pub remove_after_seconds: Option<u64>,
    /// Lease of instances that do not say one.
    #[serde(default)]
    pub lease_seconds: Option<u64>,
    /// Checks of every instance.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// How it appears in DNS; without it: A, AAAA and SRV, the whole rotation.
    #[serde(default)]
    pub dns: Option<DnsSettings>,
    /// Seconds that its DNS answers may be kept; none where it is not looked up by DNS.
    #[serde(default)]
    pub dns_ttl_seconds: Option<u32>,
    /// Free text by key.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Words.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How many instances are in which health.
    #[serde(default)]
    pub instances: InstanceCounts,
    /// Position of its latest change in the server's history, `epoch.revision`.
    #[serde(default)]
    pub revision: String,
}

/// How a service appears in DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSettings {
    /// `Multivalue`: up to eight instances an answer; `Weighted`: one, by weight.
    pub routing: String,
    /// The records it has.
    pub records: Vec<DnsRecord>,
}

/// One kind of record of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsRecord {
    /// `A`, `AAAA`, `SRV` or `CNAME`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds that an answer may be kept.
    pub ttl_seconds: u32,
}

/// Where a server answers DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsServer {
    /// Addresses with ports; empty when DNS is off.
    pub listen: Vec<String>,
    /// Seconds that an answer may be kept, unless the service says otherwise.
    pub ttl_seconds: u32,
    /// Zones of addresses, such as `10.in-addr.arpa`, for which it answers.
    #[serde(default)]
    pub reverse_zones: Vec<String>,
}

/// How many instances a service has, by health.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceCounts {
    /// All.
    pub total: u64,
    /// Those that may be sent traffic.
    pub in_rotation: u64,
    /// Those that pass.
    pub healthy: u64,
    /// Those that pass with reservations.
    pub warning: u64,
    /// Those of which nothing is known yet.
    pub unknown: u64,
    /// Those that fail.
    pub unhealthy: u64,
}

/// Settings of a service; `None` is not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether failing instances are served when no other is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_open: Option<bool>,
    /// Seconds after the end of its lease at which an instance is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_after_seconds: Option<u64>,
    /// Lease of instances that do not say one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
    /// How it appears in DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsSettings>,
    /// Checks of every instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<Check>>,
    /// Free text by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
    /// Words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}
