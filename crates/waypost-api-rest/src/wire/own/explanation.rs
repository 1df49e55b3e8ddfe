use serde::Serialize;
use utoipa::ToSchema;

use super::{Overrides, Tier};
use crate::time::Rfc3339;

/// Every piece of evidence for why an instance is in rotation or out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Name of the service.
    pub(crate) service: String,
    /// Id of the instance in its service.
    pub(crate) id: String,
    /// Who keeps it registered; empty: itself.
    pub(crate) owner: String,
    /// Whether it may be sent traffic.
    pub(crate) in_rotation: bool,
    /// Its place in the rotation.
    pub(crate) tier: Tier,
    /// Why, in one sentence.
    pub(crate) reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Rfc3339,
    /// The health in one word: an operator's where one said, else the verdict's.
    pub(crate) health: &'static str,
    /// The verdict of checks and lease in one word, whatever an operator says.
    pub(crate) checked_health: &'static str,
    /// What an operator or the process says.
    pub(crate) mode: &'static str,
    /// Who said what of mode, weight and health, why and until when.
    pub(crate) overrides: Overrides,
    /// The weight that counts.
    pub(crate) weight: u32,
    /// What each check says.
    pub(crate) checks: Vec<CheckReport>,
    /// Its lease, when it has one.
    pub(crate) lease: Option<LeaseReport>,
    /// Its latest changes of health, oldest first.
    pub(crate) history: Vec<HealthEdge>,
    /// Where callers see it.
    pub(crate) visible: Vec<Visibility>,
}

/// What one check says, and by what evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckReport {
    /// Name of the check.
    pub(crate) id: String,
    /// How it finds out.
    pub(crate) kind: &'static str,
    /// What it asks.
    pub(crate) target: Option<String>,
    /// What it says: `passing`, `warning`, `failing` or `unknown`.
    pub(crate) state: &'static str,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Rfc3339,
    /// Why.
    pub(crate) reason: String,
    /// Seconds within which somebody has to report again, or it fails.
    pub(crate) for_seconds: Option<u32>,
    /// When it last asked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_probe: Option<Rfc3339>,
    /// The latest answer that it got.
    pub(crate) last_answer: Option<LastAnswer>,
    /// The latest failure that it saw.
    pub(crate) last_failure: Option<LastFailure>,
    /// What the latest answer says of what the instance itself depends on.
    pub(crate) dependencies: Vec<DependencyReport>,
}

/// What an instance says of something that it depends on.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DependencyReport {
    /// Its name in the body.
    pub(crate) name: String,
    /// `passing`, `warning`, `failing` or `unknown`.
    pub(crate) state: &'static str,
    /// What else the body says of it.
    pub(crate) detail: Option<String>,
}

/// The latest answer to a check.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastAnswer {
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Rfc3339,
    /// HTTP status, for an `http` check.
    pub(crate) status: Option<u16>,
    /// The first 4 KiB of its body.
    pub(crate) body: Option<String>,
}

/// The latest failure of a check.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastFailure {
    /// When it was seen.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Rfc3339,
    /// What failed.
    pub(crate) reason: String,
    /// HTTP status, when there was an answer.
    pub(crate) status: Option<u16>,
    /// The first 4 KiB of the answer's body.
    pub(crate) body: Option<String>,
}

/// A lease and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaseReport {
    /// `not_started`, `running`, `suspect` or `over`.
    pub(crate) state: &'static str,
    /// Its length.
    pub(crate) duration_seconds: u32,
    /// When the instance was last heard of.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_heartbeat: Option<Rfc3339>,
    /// Seconds until it ends, or until it is no longer held as suspect.
    pub(crate) ends_in_seconds: Option<f64>,
    /// Since when it stands where it does.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Rfc3339,
}

/// One change of health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HealthEdge {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Rfc3339,
    /// Health before.
    pub(crate) from: &'static str,
    /// Health after.
    pub(crate) to: &'static str,
    /// Why.
    pub(crate) reason: String,
    /// The first 4 KiB of the answer that caused it.
    pub(crate) body: Option<String>,
}

/// Whether callers of one path see the instance.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Visibility {
    /// The dialect: `rest`, `discovery`, `service-discovery`.
    pub(crate) dialect: &'static str,
    /// The call that would show it.
    #[serde(rename = "where")]
    pub(crate) place: String,
    /// Whether it does.
    pub(crate) visible: bool,
    /// Why.
    pub(crate) why: String,
}
