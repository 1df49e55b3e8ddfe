//! Several changes or heartbeats in one call.

use serde::{Deserialize, Serialize};

use super::Registration;
use crate::{ClientError, InstanceRef, Problem};

/// Body of a batch of registrations, removals or heartbeats.
#[derive(Debug, Serialize)]
pub(crate) struct BatchBody<T> {
    pub(crate) items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) atomic: Option<bool>,
}

/// Names the instance of one item.
#[derive(Debug, Serialize)]
pub(crate) struct ItemName<'a> {
    namespace: &'a str,
    service: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
}

impl<'a> ItemName<'a> {
    pub(crate) fn new(namespace: &'a str, instance: &'a InstanceRef) -> Self {
        Self {
            namespace,
            service: &instance.service,
            id: &instance.id,
            owner: instance.owner.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct RegisterItem<'a> {
    #[serde(flatten)]
    pub(crate) name: ItemName<'a>,
    pub(crate) registration: &'a Registration,
}

#[derive(Debug, Serialize)]
pub(crate) struct HeartbeatItem<'a> {
    #[serde(flatten)]
    pub(crate) name: ItemName<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<f64>,
}

/// One heartbeat of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// Which instance lives.
    pub instance: InstanceRef,
    /// The registration that is meant; that of another one is refused.
    pub registration_id: Option<String>,
    /// Its load, 0 to 1.
    pub load: Option<f64>,
}

/// What came of the items of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// How many items failed.
    pub failed: usize,
    /// What came of each, in the order of the items.
    pub results: Vec<ItemResult>,
}

/// What came of one item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemResult {
    /// The HTTP status that it would have been answered with alone.
    pub status: u16,
    /// What was done: `created`, `updated`, `unchanged`, `removed` or `renewed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The registration that is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// Seconds until the lease is over unless the next heartbeat comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl ItemResult {
    /// Gives the failure of the item as that of a call of its own would be.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub fn check(&self) -> Result<(), ClientError> {
        match &self.problem {
            Some(problem) => Err(ClientError::from_problem(problem.clone())),
            None => Ok(()),
        }
    }
}
