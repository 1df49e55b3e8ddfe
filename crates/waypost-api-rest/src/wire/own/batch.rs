use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Registration;
use crate::error::Problem;
use crate::wire::schema;

/// Several registrations in one request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterBatch {
    /// What to register; at most 40 when `atomic`.
    #[schema(max_items = 1_000)]
    pub(crate) items: Vec<RegisterItem>,
    /// Whether all of it is done or nothing.
    #[serde(default)]
    pub(crate) atomic: bool,
}

/// One registration of several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterItem {
    /// Name of the namespace; without it the server's default one.
    #[schema(schema_with = schema::namespace_or_null)]
    pub(crate) namespace: Option<String>,
    /// Name of the service.
    #[schema(schema_with = schema::service)]
    pub(crate) service: String,
    /// Id of the instance in its service.
    #[schema(schema_with = schema::instance)]
    pub(crate) id: String,
    /// Who keeps it registered; empty: itself.
    #[schema(schema_with = schema::owner_or_null)]
    pub(crate) owner: Option<String>,
    /// What is registered.
    pub(crate) registration: Registration,
}

/// Several removals in one request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeregisterBatch {
    /// What to remove; at most 40 when `atomic`.
    #[schema(max_items = 1_000)]
    pub(crate) items: Vec<DeregisterItem>,
    /// Whether all of it is done or nothing.
    #[serde(default)]
    pub(crate) atomic: bool,
}

/// One removal of several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeregisterItem {
    /// Name of the namespace; without it the server's default one.
    #[schema(schema_with = schema::namespace_or_null)]
    pub(crate) namespace: Option<String>,
    /// Name of the service.
    #[schema(schema_with = schema::service)]
    pub(crate) service: String,
    /// Id of the instance in its service.
    #[schema(schema_with = schema::instance)]
    pub(crate) id: String,
    /// Who keeps it registered; empty: itself.
    #[schema(schema_with = schema::owner_or_null)]
    pub(crate) owner: Option<String>,
}

/// Several heartbeats in one request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatBatch {
    /// Which instances live.
    #[schema(max_items = 10_000)]
    pub(crate) items: Vec<HeartbeatItem>,
}

/// One heartbeat of several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatItem {
    /// Name of the namespace; without it the server's default one.
    #[schema(schema_with = schema::namespace_or_null)]
    pub(crate) namespace: Option<String>,
    /// Name of the service.
    #[schema(schema_with = schema::service)]
    pub(crate) service: String,
    /// Id of the instance in its service.
    #[schema(schema_with = schema::instance)]
    pub(crate) id: String,
    /// Who keeps it registered; empty: itself.
    #[schema(schema_with = schema::owner_or_null)]
    pub(crate) owner: Option<String>,
    /// The registration that is meant; that of another one is refused.
    #[schema(min_length = 16, max_length = 16, pattern = "^[0-9a-f]{16}$")]
    pub(crate) registration_id: Option<String>,
    /// The instance's load, a ratio.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) load: Option<f64>,
}

/// A batch whose items are read one by one, because not all of them fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LooseBatch {
    pub(crate) items: Vec<Value>,
    pub(crate) atomic: Option<bool>,
}

/// What came of the items of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// How many items failed.
    pub(crate) failed: usize,
    /// What came of each, in the order of the items.
    pub(crate) results: Vec<ItemResult>,
}

/// What came of one item: an outcome or a problem.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ItemResult {
    /// The status that it would have been answered with alone.
    #[schema(minimum = 200, maximum = 599)]
    pub(crate) status: u16,
    /// What was done: `created`, `updated`, `unchanged`, `removed` or `renewed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
    /// The registration that is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration_id: Option<String>,
    /// Seconds until the lease is over unless the next heartbeat comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline_seconds: Option<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<Problem>,
}
