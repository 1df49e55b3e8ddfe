//! Why an instance is in rotation or out.

use serde::{Deserialize, Serialize};

use super::{CheckKind, CheckState, Health, LeaseState, Mode, Overrides, Tier};

/// Every piece of evidence for why an instance is in rotation or out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Name of the namespace.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Id of the instance in its service.
    pub id: String,
    /// Who keeps it registered; empty: itself.
    #[serde(default)]
    pub owner: String,
    /// Whether it may be sent traffic.
    pub in_rotation: bool,
    /// Its place in the rotation.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// One sentence: why.
    #[serde(default)]
    pub reason: String,
    /// Since when.
    #[serde(default)]
    pub since: String,
    /// The verdict in one word.
    #[serde(default)]
    pub health: Health,
    /// What an operator or the process says.
    #[serde(default)]
    pub mode: Mode,
    /// The health that the checks come to, whatever an operator says.
    #[serde(default)]
    pub checked_health: Option<Health>,
    /// What operators, or the process itself, said of it.
    #[serde(default)]
    pub overrides: Overrides,
    /// What each check says.
    #[serde(default)]
    pub checks: Vec<CheckReport>,
    /// Its lease, when it has one.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Its latest changes of health.
    #[serde(default)]
    pub history: Vec<Edge>,
    /// Where callers see it.
    #[serde(default)]
    pub visible: Vec<Visibility>,
}

/// What one check says, and by what evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Name of the check.
    pub id: String,
    /// How it finds out.
    #[serde(default)]
    pub kind: CheckKind,
    /// What it asks.
    #[serde(default)]
    pub target: Option<String>,
    /// What it says now.
    #[serde(default)]
    pub state: CheckState,
    /// Since when.
    #[serde(default)]
    pub since: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it last asked.
    #[serde(default)]
    pub last_probe: Option<String>,
    /// Seconds within which somebody has to report it again, when that was said.
    #[serde(default)]
    pub for_seconds: Option<u32>,
    /// What the latest answer says of what the instance itself depends on.
    #[serde(default)]
    pub dependencies: Vec<DependencyReport>,
    /// The latest answer that it got.
    #[serde(default)]
    pub last_answer: Option<LastAnswer>,
    /// The latest failure that it saw.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
}

/// The latest answer to a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When it came.
    pub at: String,
    /// HTTP status, for an `http` check.
    #[serde(default)]
    pub status: Option<u16>,
    /// The first 4 KiB of its body.
    #[serde(default)]
    pub body: Option<String>,
}

/// The latest failure of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When it was seen.
    pub at: String,
    /// What failed.
    #[serde(default)]
    pub reason: String,
    /// HTTP status, when there was an answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// The first 4 KiB of the answer's body.
    #[serde(default)]
    pub body: Option<String>,
}

/// A lease and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Where it stands.
    #[serde(default)]
    pub state: LeaseState,
    /// Its length.
    #[serde(default)]
    pub duration_seconds: Option<f64>,
    /// When the instance was last heard of.
    #[serde(default)]
    pub last_heartbeat: Option<String>,
    /// Seconds until it ends.
    #[serde(default)]
    pub ends_in_seconds: Option<f64>,
    /// Since when it stands where it does.
    #[serde(default)]
    pub since: Option<String>,
}

/// One change of health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// When.
    pub at: String,
    /// Health before.
    #[serde(default)]
    pub from: Option<Health>,
    /// Health after.
    #[serde(default)]
    pub to: Health,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// The first 4 KiB of the answer that caused it.
    #[serde(default)]
    pub body: Option<String>,
}

/// Whether callers of one dialect see the instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visibility {
    /// The dialect, such as `rest` or `dns`.
    pub dialect: String,
    /// The call that would show it.
    #[serde(rename = "where")]
    pub place: String,
    /// Whether it does.
    pub visible: bool,
    /// Why.
    #[serde(default)]
    pub why: String,
}

/// What an instance says of something that it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DependencyReport {
    /// Its name in the body.
    pub name: String,
    /// `passing`, `warning`, `failing` or `unknown`.
    #[serde(default)]
    pub state: CheckState,
    /// What else the body says of it.
    #[serde(default)]
    pub detail: Option<String>,
}
