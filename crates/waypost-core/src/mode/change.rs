//! What an operator changes of a mode.

use crate::error::RegistryError;
use crate::text::Text;
use crate::time::Timestamp;
use crate::verdict::Health;

use super::{HealthOverride, Mode, ModeSetting, Note, validate_weight};

/// What an operator changes of a mode; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ModeChange {
    /// The mode, and who sets it; of `Active` nothing is noted.
    pub mode: Option<(Mode, Note)>,
    /// The weight in place of the registration's; none takes it away.
    pub weight: Option<Option<(u32, Note)>>,
    /// The health in place of what the checks say; none takes it away.
    pub health: Option<Option<HealthOverride>>,
    /// Whether a block ends.
    pub lifts_block: bool,
}

impl ModeChange {
    /// Returns the change that leaves nothing: plainly Active, nothing in place of anything, not blocked.
    pub fn to_plain(at: Timestamp) -> Self {
        let note = ModeSetting::plain(at).note();
        Self {
            mode: Some((Mode::Active, note)),
            weight: Some(None),
            health: Some(None),
            lifts_block: true,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), RegistryError> {
        if let Some((_, note)) = &self.mode {
            note.validate()?;
        }
        if let Some(Some((weight, note))) = &self.weight {
            validate_weight(*weight)?;
            note.validate()?;
        }
        if let Some(Some(said)) = &self.health {
            said.note.validate()?;
            if !matches!(said.health, Health::Healthy | Health::Unhealthy) {
                let rule = "must be Healthy or Unhealthy: the rest is for checks to find";
                return Err(RegistryError::invalid("health", said.health.as_str(), rule));
            }
        }
        Ok(())
    }

    /// Returns the setting after the change; none when nothing is left of it.
    pub(crate) fn over(&self, old: Option<&ModeSetting>, now: Timestamp) -> Option<ModeSetting> {
        let mut next = old.map_or_else(
            || ModeSetting::plain(now),
            |old| old.clone().with_own_weight(),
        );
        match &self.mode {
            Some((Mode::Active, _)) => next = next.without_mode(now),
            Some((mode, note)) => {
                next.mode = *mode;
                next.reason = Text::clone(&note.reason);
                next.author = Text::clone(&note.author);
                next.since = note.since;
                next.until = note.until;
                next.process = None;
            }
            None => {}
        }
        if let Some(weight) = &self.weight {
            next.weight = weight.as_ref().map(|(weight, _)| *weight);
            next.weight_note = weight.as_ref().map(|(_, note)| note.clone().into());
        }
        if let Some(health) = &self.health {
            next.health = health.clone().map(Box::new);
        }
        if self.lifts_block {
            next.block = None;
        }
        (!next.is_plain()).then_some(next)
    }
}
