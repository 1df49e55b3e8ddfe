//! The rotation of a service, source 003's registration, and the server's own health.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Instance, Tier};

/// The rotation of a service: who may be sent traffic now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    /// Name of the namespace.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// The tier that is served; `None` when nobody is.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// The instances.
    pub instances: Vec<Instance>,
}

/// Body of source 003's `POST /v1/discovery/register`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscoveryRegistration {
    /// Name of the service.
    pub service_name: String,
    /// Id of the instance in its service.
    pub instance_id: String,
    /// Address or host name.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Path that the server's check asks.
    pub health_endpoint: String,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
}

/// Body of source 003's `POST /v1/discovery/heartbeat`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DiscoveryHeartbeat<'a> {
    pub(crate) service_name: &'a str,
    pub(crate) instance_id: &'a str,
}

/// Answer of source 003's changing paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Success {
    /// Always true here: a refusal is an error of the call.
    pub success: bool,
    /// One sentence for a person.
    #[serde(default)]
    pub message: String,
}

/// Answer of `GET /health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerHealth {
    /// `healthy`, or what is wrong.
    pub status: String,
    /// What the server calls itself.
    #[serde(default)]
    pub service: String,
    /// The version of the program; none from one that does not say it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// All other fields, those of sources 003 and 004 among them.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}
