//! Source 004's JSON: `/service-discovery`, and `/health`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::discovery::{InOrder, Status};
use super::port::PortNumber;
use super::{number, schema};
use crate::time::Rfc3339;

/// Body of `POST /service-discovery/register`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ServiceDiscoveryRegistration)]
pub(crate) struct Registration {
    /// Name of the service.
    #[schema(
        min_length = 1,
        max_length = 127,
        pattern = "^[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?([.][0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?)*$"
    )]
    pub(crate) service_name: String,
    /// IPv4 address, IPv6 address or host name.
    #[schema(schema_with = schema::host)]
    pub(crate) host: String,
    /// 1 to 65535.
    #[schema(schema_with = schema::lenient_port)]
    pub(crate) port: PortNumber<true>,
    /// What is spoken there.
    #[serde(default = "http")]
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[!-~]+$",
        default = "http"
    )]
    pub(crate) protocol: String,
    /// Where the service starts, in front of every path.
    #[serde(default)]
    #[schema(max_length = 2_048, pattern = "^(/[!-~]*)?$", default = "")]
    pub(crate) path: String,
    /// Path that is asked for the instance's health.
    #[serde(default = "default_health_check_path")]
    #[schema(max_length = 2_048, pattern = "^/[!\"$-~]*$", default = "/health")]
    pub(crate) health_check_path: String,
    /// Free text by key.
    #[serde(default)]
    #[schema(schema_with = schema::attributes)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Words.
    #[serde(default)]
    #[schema(schema_with = schema::tags)]
    pub(crate) tags: Vec<String>,
    /// Id of the instance in its service; `{host}-{port}` when none is given.
    #[serde(default, alias = "service_id")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_/:.@-]+$")]
    pub(crate) instance_id: Option<String>,
}

fn http() -> String {
    "http".to_owned()
}

fn default_health_check_path() -> String {
    "/health".to_owned()
}

/// Answer to a registration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    /// Always true: a refusal is a problem document.
    pub(crate) success: bool,
    /// One sentence.
    pub(crate) message: String,
    /// Name of the service.
    pub(crate) service_name: String,
    /// Id of the instance, for heartbeats and for leaving.
    pub(crate) instance_id: String,
}

/// Body of `POST /service-discovery/heartbeat`: the id, or host and port as they were registered.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ServiceDiscoveryHeartbeat)]
pub(crate) struct Heartbeat {
    /// Name of the service.
    #[schema(
        min_length = 1,
        max_length = 127,
        pattern = "^[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?([.][0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?)*$"
    )]
    pub(crate) service_name: String,
    /// Id of the instance in its service.
    #[serde(default, alias = "service_id")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_/:.@-]+$")]
    pub(crate) instance_id: Option<String>,
    /// Host as it was registered, in place of an id.
    #[serde(default, deserialize_with = "number::not_null")]
    #[schema(schema_with = schema::host)]
    pub(crate) host: Option<String>,
    /// Port as it was registered, in place of an id.
    #[serde(default, deserialize_with = "number::not_null")]
    #[schema(schema_with = schema::lenient_port)]
    pub(crate) port: Option<PortNumber<true>>,
}

/// Answer of `GET /service-discovery/discover/{name}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Discovered<'a> {
    /// Name of the service.
    pub(crate) service_name: &'a str,
    /// Where to send requests.
    pub(crate) base_url: String,
    /// `healthy`, or `unknown` for an instance that was not checked yet and never failed.
    pub(crate) status: Status,
}

/// Answer of `GET /service-discovery/health/aggregated`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Aggregated<'a> {
    /// All services in one word.
    pub(crate) overall_status: Overall,
    /// When this was drawn up.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) timestamp: Rfc3339,
    /// Services with instances, by name.
    #[schema(value_type = BTreeMap<String, ServiceHealth>)]
    pub(crate) services: InOrder<'a, ServiceHealth>,
    /// How many there are.
    pub(crate) total_services: usize,
    /// Those with an instance that may be sent traffic.
    pub(crate) healthy_services: usize,
    /// The others.
    pub(crate) unhealthy_services: usize,
}

/// The health of several services in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Overall {
    /// Every service is healthy; so is a registry without any.
    Healthy,
    /// Some services are not.
    Degraded,
    /// No service is healthy.
    Unhealthy,
}

/// One service in an overview.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceHealth {
    /// The status of the instance that is shown.
    pub(crate) status: Status,
    /// Where an instance starts: one that may be sent traffic if there is any.
    pub(crate) endpoint: String,
    /// When that instance's last heartbeat came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_heartbeat: Option<Rfc3339>,
    /// The JSON object of its latest answer to a check; text stands under `body`.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub(crate) health_data: serde_json::Map<String, Value>,
    /// The tags of the service's instances; in lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
}

/// Answer of `GET /service-discovery/services` and of its filters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceList<'a> {
    /// Services with instances, by name.
    #[schema(value_type = BTreeMap<String, ServiceHealth>)]
    pub(crate) services: InOrder<'a, ServiceHealth>,
    /// How many there are.
    pub(crate) total_services: usize,
}

/// Answer of `GET /health`: the fields of both sources.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerHealth {
    /// `healthy`, or `degraded` while the store takes no writes.
    pub(crate) status: Overall,
    /// Always `service-discovery`.
    pub(crate) service: &'static str,
    /// The version of the program.
    pub(crate) version: String,
    /// How full the queue of changes is, a ratio from 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) load_percentage: f32,
    /// The services of the default namespace.
    pub(crate) service_discovery: Counts,
}

/// How many services are healthy.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// All services in one word.
    pub(crate) overall_status: Overall,
    /// Services with instances.
    pub(crate) total_services: usize,
    /// Those with an instance that may be sent traffic.
    pub(crate) healthy_services: usize,
    /// The others.
    pub(crate) unhealthy_services: usize,
}
