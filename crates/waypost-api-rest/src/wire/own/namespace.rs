use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::number;

/// A namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Namespace {
    /// Its name.
    pub(crate) name: String,
    /// Its id, `ns-...`; empty when it was removed before the answer to `PUT` was made.
    pub(crate) id: String,
    /// Who can look it up: `PrivateDns`, `PublicDns` or `Http`.
    pub(crate) kind: &'static str,
    /// Free text.
    pub(crate) description: String,
    /// Time to live of the zone's SOA record, and of "there is no such name"; null: the server's.
    pub(crate) soa_ttl_seconds: Option<u32>,
    /// Number of its services.
    pub(crate) services: usize,
    /// Position of the latest change in it, `epoch.revision`.
    pub(crate) revision: String,
}

/// Who can look a namespace up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum NamespaceKindWord {
    /// By API and by DNS inside the network.
    PrivateDns,
    /// By API and by public DNS.
    PublicDns,
    /// By API only.
    Http,
}

/// Settings of a namespace; what is not sent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamespaceSettings {
    /// Who can look it up; it cannot be changed later. Without it: `PrivateDns` when its name is a DNS name, else `Http`.
    pub(crate) kind: Option<NamespaceKindWord>,
    /// Free text.
    #[schema(
        max_length = 1_024,
        pattern = "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$"
    )]
    pub(crate) description: Option<String>,
    /// Time to live of the zone's SOA record; null takes it away.
    #[serde(default, deserialize_with = "number::given_u32::<_, 0, 2_147_483_647>")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 2_147_483_647_u32)]
    pub(crate) soa_ttl_seconds: Option<Option<u32>>,
}

/// Where DNS is answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DnsServer {
    /// Addresses with ports, UDP and TCP; empty when DNS is off.
    pub(crate) listen: Vec<String>,
    /// Seconds that an answer may be kept, unless the service says otherwise.
    pub(crate) ttl_seconds: u32,
    /// Zones of addresses in which it is known what is not there.
    pub(crate) reverse_zones: Vec<String>,
}
