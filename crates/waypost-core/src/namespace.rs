//! Namespaces.

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, Extra};
use crate::name::NamespaceName;
use crate::text::Text;
use crate::time::Timestamp;

/// Who can look a namespace up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NamespaceKind {
    /// By API only.
    Http,
    /// By API and by DNS inside the network.
    PrivateDns,
    /// By API and by public DNS.
    PublicDns,
}

/// How an object came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Somebody created it.
    Explicit,
    /// A registration needed it; it goes when it has been empty for 24 hours.
    Implied,
}

/// A namespace: the first of the three levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: NamespaceName,
    /// Its id in AWS's form, `ns-` and 16 characters.
    pub id: Text,
    /// Who can look it up.
    pub kind: NamespaceKind,
    /// How it came to be.
    pub origin: Origin,
    /// Free text, at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub description: Text,
    /// Time to live of the zone's SOA record in seconds.
    #[serde(default)]
    pub soa_ttl: Option<u32>,
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
