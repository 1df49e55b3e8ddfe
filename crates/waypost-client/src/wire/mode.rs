//! What operators say of an instance.

use serde::{Deserialize, Serialize};

use super::{CheckState, Health, Mode};

/// A change of what is said of an instance; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModeChange {
    /// `Active`, `Draining` or `Maintenance`. A drain becomes Maintenance at its end, anything else Active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// A weight in place of the registered one; `Some(None)` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Option<u32>>,
    /// `Healthy` or `Unhealthy` in place of what the checks say; `Some(None)` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Option<Health>>,
    /// Why.
    pub reason: String,
    /// Who says so, where the server asks for no credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Seconds until what is said here ends; `None`: when somebody takes it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u32>,
}

/// Who said something, why, since when and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Why; empty where nobody said.
    pub reason: String,
    /// Who.
    pub author: String,
    /// Since when.
    pub since: String,
    /// When it ends; `None`: when somebody takes it back.
    pub until: Option<String>,
}

/// A mode that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSaid {
    /// `Draining` or `Maintenance`.
    pub mode: Mode,
    /// Whether it was the process itself: then it ends with the registration.
    #[serde(default)]
    pub by_process: bool,
    /// Who said so.
    #[serde(flatten)]
    pub said: Said,
}

/// A weight in place of the registered one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightSaid {
    /// The weight.
    pub weight: u32,
    /// Who said so.
    #[serde(flatten)]
    pub said: Said,
}

/// A health in place of what the checks say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSaid {
    /// `Healthy` or `Unhealthy`.
    pub health: Health,
    /// Who said so.
    #[serde(flatten)]
    pub said: Said,
}

/// What operators, or the process itself, said of an instance; each ends at its own time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The mode, unless it is plainly Active.
    pub mode: Option<ModeSaid>,
    /// The weight.
    pub weight: Option<WeightSaid>,
    /// The health.
    pub health: Option<HealthSaid>,
    /// That it must not be registered.
    pub block: Option<Said>,
}

/// The mode of an instance, also of one that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeReport {
    /// Name of the namespace.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Id in its service.
    pub id: String,
    /// Who keeps it registered; empty: itself.
    #[serde(default)]
    pub owner: String,
    /// Whether it is registered.
    #[serde(default)]
    pub registered: bool,
    /// `Active`, `Draining` or `Maintenance`.
    #[serde(default)]
    pub mode: Mode,
    /// Who said what.
    #[serde(default)]
    pub overrides: Overrides,
    /// Position of the latest change of it, for [`Condition::Unchanged`](crate::Condition::Unchanged).
    #[serde(default)]
    pub revision: String,
}

/// How an instance is kept from coming back after it was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// For how many seconds, 1 to 2,592,000.
    pub seconds: u32,
    /// Why.
    pub reason: String,
    /// Who says so, where the server asks for no credential.
    pub author: Option<String>,
}

/// What somebody reports of a check of the kind `reported`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckWord {
    /// `passing`, `warning` or `failing`.
    pub state: CheckState,
    /// Why.
    pub note: String,
    /// The check fails unless somebody reports again within so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u32>,
}

/// Answer to a [`CheckWord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckWordAnswer {
    /// Name of the check.
    pub check: String,
    /// What it says now.
    pub state: CheckState,
    /// Seconds within which somebody has to report again.
    #[serde(default)]
    pub deadline_seconds: Option<u32>,
}
