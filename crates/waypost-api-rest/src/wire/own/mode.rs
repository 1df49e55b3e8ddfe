use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Rfc3339;
use crate::wire::number;

/// Takes an instance out of rotation or back in, or says its weight or health; what is not sent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModeSettings {
    /// Whether it may be sent traffic. A drain becomes Maintenance at its end, anything else Active.
    #[serde(default, deserialize_with = "number::not_null")]
    #[schema(value_type = ModeWord, required = false)]
    pub(crate) mode: Option<ModeWord>,
    /// A weight in place of the registered one; null takes it away.
    #[serde(default, deserialize_with = "number::given_u32::<_, 0, 65_535>")]
    #[schema(value_type = Option<u32>, maximum = 65_535)]
    pub(crate) weight: Option<Option<u32>>,
    /// A health in place of what the checks say; null takes it away.
    #[serde(default, deserialize_with = "number::given")]
    #[schema(value_type = Option<HealthWord>)]
    pub(crate) health: Option<Option<HealthWord>>,
    /// Why, at most 1,024 bytes.
    #[serde(default)]
    #[schema(max_length = 256)]
    pub(crate) reason: String,
    /// Who says so, where nobody has a credential; else it is the credential that counts.
    #[schema(max_length = 64, pattern = "^[!-~]*$")]
    pub(crate) author: Option<String>,
    /// Seconds until what is sent here ends; without an end, it ends when somebody takes it back.
    #[serde(default, deserialize_with = "number::optional_u32::<_, 1, 31_536_000>")]
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub(crate) for_seconds: Option<u32>,
    /// The time at which it ends, in place of `for_seconds`.
    #[schema(format = DateTime)]
    pub(crate) until: Option<String>,
    /// The registration whose own process says so: the mode ends with it, and another one's is refused.
    #[schema(min_length = 16, max_length = 16, pattern = "^[0-9a-f]{16}$")]
    pub(crate) registration_id: Option<String>,
}

/// The modes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum ModeWord {
    /// It may be sent traffic, if it is well.
    Active,
    /// No new traffic; what runs may end.
    Draining,
    /// No traffic.
    Maintenance,
}

/// What an operator can say of an instance's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum HealthWord {
    /// It is well, whatever the checks say.
    Healthy,
    /// It is not, whatever the checks say.
    Unhealthy,
}

/// Who said something, why, since when and until when.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Said {
    /// Why; empty where nobody said.
    pub(crate) reason: String,
    /// Who.
    pub(crate) author: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Rfc3339,
    /// When it ends; null: when somebody takes it back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) until: Option<Rfc3339>,
}

/// Who set the mode.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ModeSaid {
    /// `Draining` or `Maintenance`.
    pub(crate) mode: &'static str,
    /// Whether it was the process itself: then it ends with the registration.
    pub(crate) by_process: bool,
    /// Who said so.
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// A weight in place of the registered one.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WeightSaid {
    /// The weight.
    pub(crate) weight: u32,
    /// Who said so.
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// A health in place of what the checks say.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HealthSaid {
    /// `Healthy` or `Unhealthy`.
    pub(crate) health: &'static str,
    /// Who said so.
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// What operators, or the process itself, said of an instance; each ends at its own time.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Overrides {
    /// The mode, unless it is plainly Active.
    pub(crate) mode: Option<ModeSaid>,
    /// The weight.
    pub(crate) weight: Option<WeightSaid>,
    /// The health.
    pub(crate) health: Option<HealthSaid>,
    /// That it must not be registered.
    pub(crate) block: Option<Said>,
}

/// The mode of an instance, also of one that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModeReport {
    /// Name of the namespace.
    pub(crate) namespace: String,
    /// Name of the service.
    pub(crate) service: String,
    /// Id in its service.
    pub(crate) id: String,
    /// Who keeps it registered; empty: itself.
    pub(crate) owner: String,
    /// Whether it is registered.
    pub(crate) registered: bool,
    /// `Active`, `Draining` or `Maintenance`.
    pub(crate) mode: &'static str,
    /// Who said what.
    pub(crate) overrides: Overrides,
    /// Position of the latest change of it, `epoch.revision`; `If-Match` compares with it.
    pub(crate) revision: String,
}

/// What somebody reports of a check of the kind `reported`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportBody {
    /// What it says from now on.
    pub(crate) state: StateWord,
    /// Why, at most 1,024 bytes.
    #[serde(default)]
    #[schema(max_length = 256)]
    pub(crate) note: String,
    /// The check fails unless somebody reports again within so many seconds.
    #[serde(default, deserialize_with = "number::optional_u32::<_, 1, 2_592_000>")]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub(crate) for_seconds: Option<u32>,
    /// The registration that is meant; that of another one is refused.
    #[schema(min_length = 16, max_length = 16, pattern = "^[0-9a-f]{16}$")]
    pub(crate) registration_id: Option<String>,
}

/// What can be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StateWord {
    /// All is well.
    Passing,
    /// It works, but not well.
    Warning,
    /// It does not work.
    Failing,
}

/// Answer to a report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportAnswer {
    /// Name of the check.
    pub(crate) check: String,
    /// What it says now.
    pub(crate) state: &'static str,
    /// Seconds within which somebody has to report again; null: nobody has to.
    pub(crate) deadline_seconds: Option<u32>,
}
