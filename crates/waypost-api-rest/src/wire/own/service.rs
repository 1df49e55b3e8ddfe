use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Check;
use crate::wire::{number, object};

/// A service with its settings and counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its id, `srv-...`; empty when it was removed before the answer to `PUT` was made.
    pub(crate) id: String,
    /// Free text.
    pub(crate) description: String,
    /// `explicit`: somebody created it. `implied`: a registration did, and it goes 24 hours after its last instance.
    pub(crate) origin: &'static str,
    /// Whether failing instances are served when no other is left.
    pub(crate) fail_open: bool,
    /// Seconds after the end of its lease at which an instance is removed.
    pub(crate) remove_after_seconds: u32,
    /// Lease of instances that are registered over these paths and do not say one.
    pub(crate) lease_seconds: Option<u32>,
    /// Checks of every instance.
    pub(crate) checks: Vec<Check>,
    /// How it appears in DNS; null: A, AAAA and SRV with the server's time to live, the whole rotation.
    pub(crate) dns: Option<DnsSettings>,
    /// Seconds that its DNS answers may be kept; null where it is not looked up by DNS.
    pub(crate) dns_ttl_seconds: Option<u32>,
    /// Free text by key.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Words.
    pub(crate) tags: Vec<String>,
    /// How many instances are in which health.
    pub(crate) instances: InstanceCounts,
    /// Position of the latest change of it or of its instances, `epoch.revision`.
    pub(crate) revision: String,
}

/// How a service appears in DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsSettings {
    /// `Multivalue`: up to eight instances an answer; `Weighted`: one, by weight.
    pub(crate) routing: Routing,
    /// The records it has; `CNAME` only alone, and `Weighted`. Without any it is not looked up by DNS.
    #[serde(deserialize_with = "object::list")]
    #[schema(max_items = 3)]
    pub(crate) records: Vec<DnsRecord>,
}

/// How DNS answers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum Routing {
    /// Up to eight instances an answer.
    Multivalue,
    /// One instance an answer, by weight.
    Weighted,
}

/// One kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsRecord {
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: RecordType,
    /// Seconds that an answer may be kept.
    #[serde(deserialize_with = "number::u32_in::<_, 0, 2_147_483_647>")]
    #[schema(maximum = 2_147_483_647_u32)]
    pub(crate) ttl_seconds: u32,
}

/// The record types a service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Address and port.
    Srv,
    /// Another name.
    Cname,
}

/// How many instances a service has, by health.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InstanceCounts {
    /// All.
    pub(crate) total: usize,
    /// Those that may be sent traffic.
    pub(crate) in_rotation: usize,
    /// Those that pass.
    pub(crate) healthy: usize,
    /// Those that pass with reservations.
    pub(crate) warning: usize,
    /// Those of which nothing is known yet.
    pub(crate) unknown: usize,
    /// Those that fail.
    pub(crate) unhealthy: usize,
}

/// Settings of a service; what is not sent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceSettings {
    /// Free text.
    #[schema(
        max_length = 1_024,
        pattern = "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$"
    )]
    pub(crate) description: Option<String>,
    /// Whether failing instances are served when no other is left.
    pub(crate) fail_open: Option<bool>,
    /// Seconds after the end of its lease at which an instance is removed.
    #[serde(default, deserialize_with = "number::optional_u32::<_, 0, 2_592_000>")]
    #[schema(maximum = 2_592_000)]
    pub(crate) remove_after_seconds: Option<u32>,
    /// Lease of instances that do not say one; null takes it away.
    #[serde(default, deserialize_with = "number::given_u32::<_, 1, 86_400>")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 86_400)]
    pub(crate) lease_seconds: Option<Option<u32>>,
    /// How it appears in DNS; null takes the settings away.
    #[serde(default, deserialize_with = "object::given")]
    #[schema(value_type = Option<DnsSettings>)]
    pub(crate) dns: Option<Option<DnsSettings>>,
    /// Checks of every instance.
    #[serde(default, deserialize_with = "object::optional_list")]
    #[schema(max_items = 16)]
    pub(crate) checks: Option<Vec<Check>>,
    /// Free text by key.
    #[schema(schema_with = crate::wire::schema::attributes_or_null)]
    pub(crate) attributes: Option<BTreeMap<String, String>>,
    /// Words, or `key=value`.
    #[schema(schema_with = crate::wire::schema::service_tags_or_null)]
    pub(crate) tags: Option<Vec<String>>,
}
