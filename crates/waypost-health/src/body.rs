//! What the body of an answer says: source 003's `HealthCheckResult`, and the part of any body that is kept.

use serde::Deserialize;
use serde_json::Value;
use waypost_core::{Dependency, Text, text};

mod dependencies;

#[cfg(test)]
mod tests;

/// How much of a body is kept with the latest answer and the latest failure.
pub const BODY_KEPT_BYTES: usize = 4 * 1_024;

/// Words of `status` that make an answer a failed report, whatever its HTTP status.
const FAILING_WORDS: [&str; 4] = ["unhealthy", "fail", "down", "not_ready"];
/// Words of `status` that make an answer a warning.
const WARNING_WORDS: [&str; 2] = ["degraded", "warn"];
/// How many failed custom checks a reason names.
const NAMED_MAX: usize = 3;
/// How many characters of a custom check's name a reason repeats.
const NAME_CHARACTERS_MAX: usize = 64;

/// What the `status` of a body says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing, or nothing bad.
    Nothing,
    /// It works, but not well.
    Degraded(&'static str),
    /// It does not work.
    Unhealthy(&'static str),
}

/// What is understood of a body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HealthBody {
    /// What its `status` says.
    pub(crate) said: Said,
    /// Its `load_percentage`: despite the name a ratio, as source 003's example (0.3) shows.
    pub(crate) load: Option<f32>,
    /// The names of `custom_checks` that failed. They decide nothing: the instance itself says what it makes of them.
    failed: Vec<String>,
    /// What it says of what the instance itself depends on.
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    status: Value,
    #[serde(default)]
    load_percentage: Value,
    #[serde(default)]
    custom_checks: Value,
    #[serde(default)]
    checks: Value,
    #[serde(default)]
    components: Value,
    #[serde(default)]
    dependencies: Value,
}

impl HealthBody {
    /// Reads a body; what is no JSON object says nothing.
    pub(crate) fn read(body: &[u8]) -> Self {
        let object = body.trim_ascii_start().first() == Some(&b'{');
        let wire = if object {
            serde_json::from_slice::<Wire>(body).ok()
        } else {
            None
        };
        wire.as_ref().map_or(
            Self {
                said: Said::Nothing,
                load: None,
                failed: Vec::new(),
                dependencies: Vec::new(),
            },
            |wire| Self {
                said: said(&wire.status),
                load: ratio(&wire.load_percentage),
                failed: failed_checks(&wire.custom_checks),
                dependencies: dependencies::read([
                    &wire.custom_checks,
                    &wire.checks,
                    &wire.components,
                    &wire.dependencies,
                ]),
            },
        )
    }

    /// Gives what the body says as part of a sentence: `body says unhealthy: custom check db failed`.
    pub(crate) fn sentence(&self) -> Option<String> {
        let says = match self.said {
            Said::Nothing => None,
            Said::Degraded(word) | Said::Unhealthy(word) => Some(format!("body says {word}")),
        };
        match (says, self.failed_sentence()) {
            (Some(says), Some(failed)) => Some(format!("{says}: {failed}")),
            (says, failed) => says.or(failed),
        }
    }

    fn failed_sentence(&self) -> Option<String> {
        let (first, rest) = self.failed.split_first()?;
        if rest.is_empty() {
            return Some(format!("custom check {first} failed"));
        }
        let named: Vec<&str> = self
            .failed
            .iter()
            .take(NAMED_MAX)
            .map(String::as_str)
            .collect();
        let named = named.join(", ");
        Some(match self.failed.len().saturating_sub(NAMED_MAX) {
            0 => format!("custom checks {named} failed"),
            more => format!("custom checks {named} and {more} more failed"),
        })
    }
}

fn said(status: &Value) -> Said {
    let Value::String(status) = status else {
        return Said::Nothing;
    };
    let among = |words: &[&'static str]| {
        let mut words = words.iter().copied();
        words.find(|word| status.trim().eq_ignore_ascii_case(word))
    };
    match (among(&FAILING_WORDS), among(&WARNING_WORDS)) {
        (Some(word), _) => Said::Unhealthy(word),
        (None, Some(word)) => Said::Degraded(word),
        (None, None) => Said::Nothing,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a load needs no more than single precision"
)]
fn ratio(load: &Value) -> Option<f32> {
    let load = load.as_f64()?;
    (0.0..=1.0).contains(&load).then_some(load as f32)
}

fn failed_checks(checks: &Value) -> Vec<String> {
    let Value::Object(checks) = checks else {
        return Vec::new();
    };
    let failed = checks.iter().filter(|(_, value)| has_failed(value));
    let printable = |name: &String| -> String {
        let cut: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
        cut.escape_debug().to_string()
    };
    failed.map(|(name, _)| printable(name)).collect()
}

fn has_failed(check: &Value) -> bool {
    match check {
        Value::Bool(passed) => !passed,
        Value::String(_) => matches!(said(check), Said::Unhealthy(_)),
        Value::Object(fields) => match fields.get("status") {
            Some(Value::Bool(passed)) => !passed,
            Some(status) => matches!(said(status), Said::Unhealthy(_)),
            None => false,
        },
        Value::Null | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Gives the part of a body that is kept: at most 4 KiB of it, what is no UTF-8 replaced; none when it is empty.
pub(crate) fn kept(body: &[u8]) -> Option<Text> {
    // Three bytes more than are kept, so that a character that begins before the end is whole.
    let start = body.get(..BODY_KEPT_BYTES + 3).unwrap_or(body);
    let read = String::from_utf8_lossy(start);
    let cut = read.get(..read.floor_char_boundary(BODY_KEPT_BYTES))?;
    (!cut.is_empty()).then(|| text(cut))
}
