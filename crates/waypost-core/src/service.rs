//! Services.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, Extra};
use crate::check::Check;
use crate::name::ServiceKey;
use crate::namespace::Origin;
use crate::text::Text;
use crate::time::Timestamp;

/// Seconds after which an instance whose lease ended is removed, unless the service says otherwise.
pub const REMOVE_AFTER_SECONDS: u32 = 300;

/// How DNS answers are chosen (AWS Cloud Map's words).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoutingPolicy {
    /// Up to eight instances an answer.
    Multivalue,
    /// One instance an answer, by weight.
    Weighted,
}

/// One kind of DNS record a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Its type.
    pub kind: DnsRecordKind,
    /// Its time to live in seconds.
    pub ttl_seconds: u32,
}

/// The record types a service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnsRecordKind {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Address and port.
    Srv,
    /// Another name.
    Cname,
}

/// How a service appears in DNS; `None` on a service means the defaults of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSettings {
    /// How answers are chosen.
    pub routing: RoutingPolicy,
    /// The records it has.
    pub records: Arc<[DnsRecord]>,
}

/// A service: the second of the three levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its names.
    pub key: ServiceKey,
    /// Its id in AWS's form, `srv-` and 16 characters.
    pub id: Text,
    /// How it came to be.
    pub origin: Origin,
    /// Free text, at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub description: Text,
    /// How it appears in DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsSettings>,
    /// The checks of every instance.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub checks: Arc<[Check]>,
    /// Whether instances that failed are served when none is left.
    pub fail_open: bool,
    /// Seconds after which an instance whose lease ended is removed.
    pub remove_after_seconds: u32,
    /// The lease in seconds of instances that register over our own API without saying one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// Free string map.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Key and value tags of AWS's kind.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub tags: Attributes,
    /// When it was made.
    pub created: Timestamp,
    /// The caller's token that made the request idempotent (AWS's CreatorRequestId).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Text>,
    /// Fields of a newer writer, kept.
    #[serde(skip)]
    pub extra: Extra,
}
