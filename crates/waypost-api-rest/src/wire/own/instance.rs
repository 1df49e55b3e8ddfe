use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Check, Tier};
use crate::time::Rfc3339;
use crate::wire::port::PortNumber;
use crate::wire::{number, object, schema};

/// What an owner says about an instance: where it is, and how it is checked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// An IPv4 address, an IPv6 address or a host name, in place of the next three.
    #[schema(schema_with = schema::host_or_null)]
    pub(crate) address: Option<String>,
    /// IPv4 address.
    #[schema(schema_with = schema::ipv4_or_null)]
    pub(crate) ipv4: Option<String>,
    /// IPv6 address.
    #[schema(schema_with = schema::ipv6_or_null)]
    pub(crate) ipv6: Option<String>,
    /// Host name.
    #[schema(schema_with = schema::hostname_or_null)]
    pub(crate) hostname: Option<String>,
    /// The only port, in place of `ports`.
    #[serde(default, deserialize_with = "number::not_null")]
    #[schema(value_type = u16, minimum = 1, maximum = 65_535, required = false)]
    pub(crate) port: Option<PortNumber<false>>,
    /// Named ports; the first is the default one.
    #[serde(default, deserialize_with = "object::some_list")]
    #[schema(value_type = Vec<PortSent>, max_items = 16, required = false)]
    pub(crate) ports: Option<Vec<PortSent>>,
    /// Free text by key.
    #[serde(default)]
    #[schema(schema_with = schema::attributes)]
    pub(crate) attributes: BTreeMap<String, String>,
    /// Words.
    #[serde(default)]
    #[schema(schema_with = schema::tags)]
    pub(crate) tags: Vec<String>,
    /// Share of the traffic relative to the other instances of the service [1].
    #[serde(default, deserialize_with = "number::optional_u32::<_, 0, 65_535>")]
    #[schema(maximum = 65_535)]
    pub(crate) weight: Option<u32>,
    /// Region that it runs in.
    #[schema(max_length = 64)]
    pub(crate) region: Option<String>,
    /// Zone that it runs in.
    #[schema(max_length = 64)]
    pub(crate) zone: Option<String>,
    /// Its own checks: added to those of the service, or replacing them by id.
    #[serde(default, deserialize_with = "object::list")]
    #[schema(max_items = 16)]
    pub(crate) checks: Vec<Check>,
    /// Seconds without heartbeat after which it is out; not said or null: the service's, else none.
    #[serde(default, deserialize_with = "number::optional_u32::<_, 1, 86_400>")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub(crate) lease_seconds: Option<u32>,
}

/// A named port as it is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortSent {
    /// Name that checks and callers use.
    #[serde(default = "default_name")]
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[!-~]+$",
        default = "default"
    )]
    pub(crate) name: String,
    /// 1 to 65535.
    #[schema(value_type = u16, minimum = 1, maximum = 65_535)]
    pub(crate) number: PortNumber<false>,
    /// What is spoken there [`http`].
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    pub(crate) protocol: Option<String>,
    /// Path in front of everything that is served there [none].
    #[serde(default)]
    #[schema(max_length = 2_048, pattern = "^(/[!-~]*)?$")]
    pub(crate) path: Option<String>,
}

fn default_name() -> String {
    "default".to_owned()
}

/// A named port as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Port {
    /// Its name.
    pub(crate) name: String,
    /// Its number.
    pub(crate) number: u16,
    /// What is spoken there.
    pub(crate) protocol: String,
    /// Path in front of everything that is served there; empty for none.
    pub(crate) path: String,
}

/// An instance: what its owner registered, and what the server knows about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instance {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Name of the service.
    pub(crate) service: String,
    /// Id in its service.
    pub(crate) id: String,
    /// Who keeps it registered; empty: itself.
    pub(crate) owner: String,
    /// IPv4 address.
    pub(crate) ipv4: Option<String>,
    /// IPv6 address.
    pub(crate) ipv6: Option<String>,
    /// Host name.
    pub(crate) hostname: Option<String>,
    /// Its ports; the first is the default one.
    pub(crate) ports: Vec<Port>,
    /// Free text by key.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Words.
    pub(crate) tags: Vec<String>,
    /// Share of the traffic; an operator's override counts.
    pub(crate) weight: u32,
    /// Region that it runs in.
    pub(crate) region: Option<String>,
    /// Zone that it runs in.
    pub(crate) zone: Option<String>,
    /// Its own checks, without those of the service.
    pub(crate) checks: Vec<Check>,
    /// Length of its lease.
    pub(crate) lease_seconds: Option<u32>,
    /// New at each registration with other content; empty when it was removed before the answer to `PUT` was made.
    pub(crate) registration_id: String,
    /// When it was first registered.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) registered_at: Rfc3339,
    /// The protocol that registered it.
    pub(crate) dialect: &'static str,
    /// The verdict: `Healthy`, `Warning`, `Unknown` or `Unhealthy`.
    pub(crate) health: &'static str,
    /// What an operator or the process says: `Active`, `Draining` or `Maintenance`.
    pub(crate) mode: &'static str,
    /// Since when `reason` holds.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Rfc3339,
    /// Whether it may be sent traffic.
    pub(crate) in_rotation: bool,
    /// Its place in the rotation.
    pub(crate) tier: Tier,
    /// Why it is in rotation or out.
    pub(crate) reason: String,
    /// When its last heartbeat came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_heartbeat: Option<Rfc3339>,
    /// When it was last checked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_probe: Option<Rfc3339>,
    /// The load it last spoke of, a ratio from 0 to 1.
    pub(crate) load: Option<f32>,
    /// Position of its latest change, `epoch.revision`.
    pub(crate) revision: String,
}

/// The rotation of a service: who may be sent traffic now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotation {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Name of the service.
    pub(crate) service: String,
    /// The tier that is served; null when nobody is.
    pub(crate) tier: Option<Tier>,
    /// The instances by id.
    pub(crate) instances: Vec<Instance>,
}

/// Body of a heartbeat.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatBody {
    /// The registration that is meant; that of another one is refused.
    #[schema(min_length = 16, max_length = 16, pattern = "^[0-9a-f]{16}$")]
    pub(crate) registration_id: Option<String>,
    /// The instance's load, a ratio.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) load: Option<f64>,
}

/// Answer to a heartbeat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeartbeatAnswer {
    /// Seconds until the lease is over unless the next heartbeat comes; null without a lease.
    pub(crate) deadline_seconds: Option<f64>,
}
