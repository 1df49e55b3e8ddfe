use std::time::Duration;

use waypost_core::{
    Health, HealthOverride, Mode, ModeChange, ModeSetting, Note, RegistryError, Text, Timestamp,
    text,
};

use crate::time::Rfc3339;
use crate::wire::own::{
    HealthSaid, HealthWord, ModeSaid, ModeSettings, ModeWord, Overrides, Said, WeightSaid,
};

/// Reads a mode.
pub(crate) fn mode_from_wire(word: ModeWord) -> Mode {
    match word {
        ModeWord::Active => Mode::Active,
        ModeWord::Draining => Mode::Draining,
        ModeWord::Maintenance => Mode::Maintenance,
    }
}

/// Reads who says so, why and until when.
pub(crate) fn note(
    wire: &ModeSettings,
    author: Text,
    now: Timestamp,
) -> Result<Note, RegistryError> {
    Ok(Note {
        reason: text(&wire.reason),
        author,
        since: now,
        until: until(wire, now)?,
    })
}

fn until(wire: &ModeSettings, now: Timestamp) -> Result<Option<Timestamp>, RegistryError> {
    let after = |seconds: u32| now.after(Duration::from_secs(seconds.into()));
    let Some(until) = &wire.until else {
        return Ok(wire.for_seconds.map(after));
    };
    let bad = |rule: &str| RegistryError::invalid("until", until, rule.to_owned());
    if wire.for_seconds.is_some() {
        return Err(bad("must not be given together with for_seconds"));
    }
    let time: jiff::Timestamp = until
        .parse()
        .map_err(|_| bad("must be a time as of RFC 3339, such as 2030-01-15T10:30:00Z"))?;
    let milliseconds = u64::try_from(time.as_millisecond()).unwrap_or_default();
    if milliseconds <= now.0 {
        return Err(bad("must be a time to come"));
    }
    Ok(Some(Timestamp(milliseconds)))
}

/// Reads what an operator changes.
pub(crate) fn mode_change(wire: &ModeSettings, note: &Note) -> Result<ModeChange, RegistryError> {
    if wire.mode.is_none() && wire.weight.is_none() && wire.health.is_none() {
        let rule = "is missing: one of mode, weight and health must be given";
        return Err(RegistryError::invalid("mode", "", rule));
    }
    let said = |word| HealthOverride {
        health: match word {
            HealthWord::Healthy => Health::Healthy,
            HealthWord::Unhealthy => Health::Unhealthy,
        },
        note: note.clone(),
    };
    Ok(ModeChange {
        mode: wire.mode.map(|word| (mode_from_wire(word), note.clone())),
        weight: wire
            .weight
            .map(|weight| weight.map(|weight| (weight, note.clone()))),
        health: wire.health.map(|word| word.map(said)),
        lifts_block: false,
    })
}

/// Shows what was said of an instance.
pub(crate) fn overrides_to_wire(setting: Option<&ModeSetting>) -> Overrides {
    let Some(setting) = setting else {
        return Overrides::default();
    };
    Overrides {
        mode: (setting.mode != Mode::Active).then(|| ModeSaid {
            mode: setting.mode.as_str(),
            by_process: setting.process.is_some(),
            said: said(&setting.note()),
        }),
        weight: setting.weight_override().map(|(weight, note)| WeightSaid {
            weight,
            said: said(&note),
        }),
        health: setting.health.as_ref().map(|health| HealthSaid {
            health: health.health.as_str(),
            said: said(&health.note),
        }),
        block: setting.block.as_deref().map(said),
    }
}

fn said(note: &Note) -> Said {
    Said {
        reason: note.reason.to_string(),
        author: note.author.to_string(),
        since: Rfc3339(note.since),
        until: note.until.map(Rfc3339),
    }
}
