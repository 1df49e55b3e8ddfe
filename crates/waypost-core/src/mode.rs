//! The third part of an instance: what an operator, or the process itself, says.

use serde::{Deserialize, Serialize};

use crate::attributes::Extra;
use crate::error::RegistryError;
use crate::id::RegistrationId;
use crate::registration::WEIGHT_MAX;
use crate::text::{Text, text};
use crate::time::Timestamp;
use crate::verdict::Health;

mod change;

pub use change::ModeChange;

/// Longest reason in bytes.
const REASON_BYTES_MAX: usize = 1_024;

/// Whether an instance may be sent traffic at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Yes, if it is well.
    #[default]
    Active,
    /// No new traffic; what runs may end.
    Draining,
    /// None.
    Maintenance,
}

impl Mode {
    /// Returns the word of our own dialect.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Draining => "Draining",
            Self::Maintenance => "Maintenance",
        }
    }
}

/// Who said something, why, since when and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Why, at most 1,024 bytes.
    pub reason: Text,
    /// Who.
    pub author: Text,
    /// Since when.
    pub since: Timestamp,
    /// When it ends; none is not before somebody takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Note {
    fn ends_by(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    pub(crate) fn validate(&self) -> Result<(), RegistryError> {
        validate_reason(&self.reason)
    }

    fn at(&self, since: Timestamp) -> Self {
        Self {
            since,
            ..self.clone()
        }
    }
}

/// The health that an operator says an instance has, whatever its checks say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthOverride {
    /// Healthy or Unhealthy.
    pub health: Health,
    /// Who said so.
    pub note: Note,
}

/// A mode with who set it, why and until when. It is keyed by the instance and outlives its registrations.
///
/// Mode, weight, health and block each have a note of their own and end each at its own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSetting {
    /// The mode.
    pub mode: Mode,
    /// Why, at most 1,024 bytes.
    pub reason: Text,
    /// Who.
    pub author: Text,
    /// Since when.
    pub since: Timestamp,
    /// When it ends: an operator's Draining then becomes Maintenance, anything else Active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// A weight in place of the registration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Who set the weight; none is who set the mode, and then the two end together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_note: Option<Box<Note>>,
    /// A health in place of what the checks say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<HealthOverride>>,
    /// Who keeps the instance from being registered; it always has an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Box<Note>>,
    /// The registration whose own process set this, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<RegistrationId>,
    /// Fields of a newer writer, kept.
    #[serde(skip)]
    pub extra: Extra,
}

impl ModeSetting {
    /// Makes a setting of a mode alone.
    pub fn new(mode: Mode, note: Note) -> Self {
        Self {
            mode,
            reason: note.reason,
            author: note.author,
            since: note.since,
            until: note.until,
            weight: None,
            weight_note: None,
            health: None,
            block: None,
            process: None,
            extra: Extra::default(),
        }
    }

    /// Makes a setting that says nothing yet.
    pub(crate) fn plain(since: Timestamp) -> Self {
        let note = Note {
            reason: text(""),
            author: text(""),
            since,
            until: None,
        };
        Self::new(Mode::Active, note)
    }

    /// Returns who set the mode itself.
    pub fn note(&self) -> Note {
        Note {
            reason: Text::clone(&self.reason),
            author: Text::clone(&self.author),
            since: self.since,
            until: self.until,
        }
    }

    /// Returns the weight in place of the registration's, and who set it.
    pub fn weight_override(&self) -> Option<(u32, Note)> {
        let note = || {
            let own = self.weight_note.as_deref();
            own.cloned().unwrap_or_else(|| self.note())
        };
        self.weight.map(|weight| (weight, note()))
    }

    /// Says whether it says nothing that no setting would not say.
    pub fn is_plain(&self) -> bool {
        self.mode == Mode::Active
            && self.weight.is_none()
            && self.health.is_none()
            && self.block.is_none()
    }

    /// Checks the setting.
    ///
    /// # Errors
    /// `Invalid` with the field, the value and the rule.
    pub fn validate(&self) -> Result<(), RegistryError> {
        validate_reason(&self.reason)?;
        if let Some(weight) = self.weight {
            validate_weight(weight)?;
        }
        Ok(())
    }

    /// Says whether nothing but the times of saying is different.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.timeless() == other.timeless()
    }

    fn timeless(&self) -> Self {
        let since = Timestamp::default();
        Self {
            since,
            weight_note: self.weight_note.as_ref().map(|note| note.at(since).into()),
            block: self.block.as_ref().map(|note| note.at(since).into()),
            health: self.health.as_ref().map(|said| {
                let note = said.note.at(since);
                let health = said.health;
                Box::new(HealthOverride { health, note })
            }),
            ..self.clone()
        }
    }

    /// Returns when the first of its parts ends.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let notes = [
            self.weight_note.as_deref(),
            self.health.as_ref().map(|said| &said.note),
            self.block.as_deref(),
        ];
        let others = notes.into_iter().flatten().filter_map(|note| note.until);
        others.chain(self.until).min()
    }

    /// Returns what is left once everything whose time has come is over: an operator's drain keeps traffic away.
    #[must_use]
    pub fn after(&self, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        if self.until.is_some_and(|until| until <= now) {
            if self.mode == Mode::Draining && self.process.is_none() {
                next.mode = Mode::Maintenance;
                next.until = None;
            } else {
                next = next.without_mode(now);
            }
        }
        if next
            .weight_note
            .as_ref()
            .is_some_and(|note| note.ends_by(now))
        {
            (next.weight, next.weight_note) = (None, None);
        }
        next.health = next.health.filter(|said| !said.note.ends_by(now));
        next.block = next.block.filter(|note| !note.ends_by(now));
        (!next.is_plain()).then_some(next)
    }

    /// Returns what is left without the mode itself, and without a weight that came with it.
    #[must_use]
    fn without_mode(self, now: Timestamp) -> Self {
        let weight = self.weight.filter(|_| self.weight_note.is_some());
        Self {
            weight,
            weight_note: self.weight_note,
            health: self.health,
            block: self.block,
            extra: self.extra,
            ..Self::plain(now)
        }
    }

    /// Returns what is left when the registration ends: what its process set for itself goes.
    #[must_use]
    pub(crate) fn after_registration(&self, id: RegistrationId, now: Timestamp) -> Option<Self> {
        if self.process != Some(id) {
            return Some(self.clone());
        }
        Some(self.clone().without_mode(now)).filter(|left| !left.is_plain())
    }

    /// Returns the setting after the process said this of itself; what an operator said beside the mode stays.
    #[must_use]
    pub(crate) fn with_process(&self, said: &Self) -> Self {
        let kept = self.clone().with_own_weight();
        let brings_weight = said.weight.is_some();
        Self {
            weight: said.weight.or(kept.weight),
            weight_note: kept.weight_note.filter(|_| !brings_weight),
            health: kept.health,
            block: kept.block,
            extra: kept.extra,
            ..said.clone()
        }
    }

    /// Gives a weight that came with the mode a note of its own.
    #[must_use]
    fn with_own_weight(mut self) -> Self {
        self.weight_note = self.weight_override().map(|(_, note)| note.into());
        self
    }
}

fn validate_reason(reason: &Text) -> Result<(), RegistryError> {
    if reason.len() > REASON_BYTES_MAX {
        let rule = format!("must be at most {REASON_BYTES_MAX} bytes");
        return Err(RegistryError::invalid("reason", reason, rule));
    }
    Ok(())
}

fn validate_weight(weight: u32) -> Result<(), RegistryError> {
    if weight > WEIGHT_MAX {
        let rule = format!("must be 0 to {WEIGHT_MAX}");
        return Err(RegistryError::invalid("weight", weight, rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
