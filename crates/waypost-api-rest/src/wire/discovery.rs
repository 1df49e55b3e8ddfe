//! Source 003's JSON: `/v1/discovery`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use waypost_core::Attributes;

use super::port::PortNumber;
use super::schema;
use crate::time::Rfc3339;

/// Body of `POST /v1/discovery/register`.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ServiceRegistrationRequest {
    /// Name of the service.
    #[schema(
        min_length = 1,
        max_length = 127,
        pattern = "^[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?([.][0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?)*$"
    )]
    pub(crate) service_name: String,
    /// Id of the instance in its service.
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_/:.@-]+$")]
    pub(crate) instance_id: String,
    /// IPv4 address, IPv6 address or host name.
    #[schema(schema_with = schema::host)]
    pub(crate) host: String,
    /// Port; digits in a string are taken too.
    #[schema(schema_with = schema::lenient_port)]
    pub(crate) port: PortNumber<true>,
    /// Path that is asked for the instance's health.
    #[serde(default = "default_health_endpoint")]
    #[schema(max_length = 2_048, pattern = "^/[!\"$-~]*$", default = "/health")]
    pub(crate) health_endpoint: String,
    /// Free text by key: at most 30 pairs, 5,000 bytes together.
    #[serde(default)]
    #[schema(schema_with = schema::attributes)]
    pub(crate) metadata: BTreeMap<String, String>,
}

fn default_health_endpoint() -> String {
    "/health".to_owned()
}

/// Body of `POST /v1/discovery/heartbeat`.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ServiceHeartbeatRequest {
    /// Name of the service.
    #[schema(
        min_length = 1,
        max_length = 127,
        pattern = "^[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?([.][0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?)*$"
    )]
    pub(crate) service_name: String,
    /// Id of the instance in its service.
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_/:.@-]+$")]
    pub(crate) instance_id: String,
}

/// Answer to a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Success {
    /// Always true: a refusal is a problem document.
    pub(crate) success: bool,
    /// One sentence.
    pub(crate) message: String,
}

/// An instance as source 003 shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceInstance<'a> {
    /// Name of the service.
    pub(crate) service_name: &'a str,
    /// Id of the instance in its service.
    pub(crate) instance_id: &'a str,
    /// Address or host name.
    #[schema(value_type = String)]
    pub(crate) host: Cow<'a, str>,
    /// Port; 0 for an instance that was registered elsewhere without one: this model needs a number.
    pub(crate) port: u16,
    /// Path that is asked for its health; empty when it is not checked over HTTP.
    pub(crate) health_endpoint: &'a str,
    /// What is known of its health.
    pub(crate) status: Status,
    /// When it was last checked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_health_check: Option<Rfc3339>,
    /// When its last heartbeat came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_heartbeat: Option<Rfc3339>,
    /// The load it last spoke of, a ratio from 0 to 1; 0 when it never did.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) load_percentage: f32,
    /// Its attributes.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(crate) metadata: &'a Attributes,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) registered_at: Rfc3339,
}

/// Health in the sources' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It passes, perhaps with reservations.
    Healthy,
    /// It fails, its lease ended, or it was taken out.
    Unhealthy,
    /// It was not found healthy yet.
    Unknown,
}

impl Status {
    /// Returns the word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// Answer of `GET /v1/discovery/services`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllServices<'a> {
    /// Instances by name of the service; known services without instances are there too.
    #[schema(value_type = BTreeMap<String, Vec<ServiceInstance<'_>>>)]
    pub(crate) services: InOrder<'a, Vec<ServiceInstance<'a>>>,
}

/// Pairs that are written as one object, in their order.
#[derive(Debug)]
pub(crate) struct InOrder<'a, T>(pub(crate) Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for InOrder<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Answer of `GET /v1/discovery/services/{service_name}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceInstances<'a> {
    /// Name of the service.
    pub(crate) service_name: &'a str,
    /// All of its instances.
    pub(crate) instances: Vec<ServiceInstance<'a>>,
}

/// Answer of `GET /v1/discovery/services/{service_name}/healthy`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthyInstances<'a> {
    /// Name of the service.
    pub(crate) service_name: &'a str,
    /// Those of its instances that may be sent traffic.
    pub(crate) healthy_instances: Vec<ServiceInstance<'a>>,
}

/// One target group of Prometheus' HTTP service discovery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetGroup {
    /// `host:port`.
    pub(crate) targets: [String; 1],
    /// Labels; every value is a string, as Prometheus demands.
    pub(crate) labels: BTreeMap<String, String>,
}
