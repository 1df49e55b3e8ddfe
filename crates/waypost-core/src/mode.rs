//! The third part of an instance: what an operator, or the process itself, says.

use serde::{Deserialize, Serialize};

use crate::attributes::Extra;
use crate::error::RegistryError;
use crate::id::RegistrationId;
use crate::registration::WEIGHT_MAX;
use crate::text::Text;
use crate::time::Timestamp;

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

/// A mode with who set it, why and until when. It is keyed by the instance and outlives its registrations.
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
    /// The registration whose own process set this, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<RegistrationId>,
    /// Fields of a newer writer, kept.
    #[serde(skip)]
    pub extra: Extra,
}

impl ModeSetting {
    /// Checks the setting.
    ///
    /// # Errors
    /// `Invalid` with the field, the value and the rule.
    pub fn validate(&self) -> Result<(), RegistryError> {
        if self.reason.len() > 1_024 {
            return Err(RegistryError::invalid(
                "reason",
                &self.reason,
                "must be at most 1024 bytes",
            ));
        }
        if self.weight.is_some_and(|weight| weight > WEIGHT_MAX) {
            let weight = self.weight.unwrap_or_default();
            return Err(RegistryError::invalid(
                "weight",
                weight,
                format!("must be 0 to {WEIGHT_MAX}"),
            ));
        }
        Ok(())
    }

    /// Says whether nothing but the time of saying is different.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let at_its_time = Self {
            since: other.since,
            ..self.clone()
        };
        at_its_time == *other
    }

    /// Returns what follows when the setting reaches its end: an operator's drain keeps traffic away.
    pub fn at_end(&self) -> Option<Self> {
        (self.mode == Mode::Draining && self.process.is_none()).then(|| Self {
            mode: Mode::Maintenance,
            until: None,
            ..self.clone()
        })
    }
}
