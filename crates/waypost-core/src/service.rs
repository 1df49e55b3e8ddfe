//! Services.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, Extra};
use crate::check::Check;
use crate::error::RegistryError;
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
    /// The records it has; without any it is not looked up by DNS.
    pub records: Arc<[DnsRecord]>,
}

impl DnsRecordKind {
    /// Returns the type as DNS and AWS write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Cname => "CNAME",
        }
    }
}

impl DnsSettings {
    /// Checks the settings against AWS's rules (AWS Cloud Map, `DnsConfig`).
    ///
    /// # Errors
    /// `Invalid` with the field, the value and the rule.
    pub fn validate(&self) -> Result<(), RegistryError> {
        for (at, record) in self.records.iter().enumerate() {
            if record.ttl_seconds > i32::MAX.unsigned_abs() {
                return Err(RegistryError::invalid(
                    "dns.records.ttl_seconds",
                    record.ttl_seconds,
                    "must be 0 to 2147483647",
                ));
            }
            let mut earlier = self.records.iter().take(at);
            if earlier.any(|other| other.kind == record.kind) {
                return Err(RegistryError::invalid(
                    "dns.records.type",
                    record.kind.as_str(),
                    "must not be given twice",
                ));
            }
        }
        let has_alias = self
            .records
            .iter()
            .any(|record| record.kind == DnsRecordKind::Cname);
        if has_alias && self.records.len() > 1 {
            return Err(RegistryError::invalid(
                "dns.records.type",
                "CNAME",
                "must be alone: a name with an alias has nothing else (RFC 1034 section 3.6.2)",
            ));
        }
        if has_alias && self.routing != RoutingPolicy::Weighted {
            return Err(RegistryError::invalid(
                "dns.routing",
                "Multivalue",
                "must be Weighted for CNAME",
            ));
        }
        Ok(())
    }

    /// Returns the highest time to live of the records.
    pub fn ttl_seconds(&self) -> u32 {
        let ttls = self.records.iter().map(|record| record.ttl_seconds);
        ttls.max().unwrap_or(crate::dns::DNS_TTL_SECONDS)
    }
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
