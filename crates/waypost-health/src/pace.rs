//! When one check is due next. Pure: time, spec and chance come in as values.

use std::time::Duration;

use waypost_core::{Monotonic, ProbeSpec};

use crate::chance::Chance;

#[cfg(test)]
mod tests;

/// How long a new instance is probed every second while it does not pass.
pub(crate) const EAGER: Duration = Duration::from_secs(30);
/// The interval of that time.
const EAGER_INTERVAL: Duration = Duration::from_secs(1);
/// The longest first wait of a check that a limit kept from running; each further one is twice as long.
const CROWDED_WAIT: Duration = Duration::from_secs(1);
/// How often that wait is doubled at most.
const CROWDED_DOUBLINGS: u8 = 5;

/// The intervals of one check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intervals {
    steady: Duration,
    failing: Duration,
    jitter_percent: u8,
}

impl Intervals {
    pub(crate) fn of(spec: &ProbeSpec, jitter_percent: u8) -> Self {
        Self {
            steady: Duration::from_secs(spec.interval_seconds.max(1).into()),
            failing: Duration::from_secs(spec.unhealthy_interval_seconds.max(1).into()),
            jitter_percent,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Eager,
    Failing,
    Steady,
}

/// The timing of one check: when its next turn is, and how fast turns follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    due: Monotonic,
    /// Probed every second until then, unless it passes before; zero once that is over.
    eager_until: Monotonic,
    /// From the first failed report until the check passes again.
    failing: bool,
    /// How often in a row a limit kept it from running.
    crowded: u8,
}

impl Turn {
    /// Makes the timing of a check that has never reported, or not passed yet and is still new for `eager`.
    pub(crate) fn new(now: Monotonic, eager: Duration, failing: bool) -> Self {
        Self {
            due: now,
            eager_until: if eager.is_zero() {
                Monotonic::default()
            } else {
                now.after(eager)
            },
            failing,
            crowded: 0,
        }
    }

    /// Returns when the next turn is.
    pub(crate) fn due(&self) -> Monotonic {
        self.due
    }

    /// Puts the next turn off, before the first one.
    pub(crate) fn spread(&mut self, wait: Duration) {
        self.due = self.due.after(wait);
    }

    /// Says whether it is new and waits for its first pass.
    pub(crate) fn is_eager(&self, now: Monotonic) -> bool {
        now < self.eager_until
    }

    /// Takes the turn: the next one is an interval later. Returns how many turns were missed because nobody looked.
    pub(crate) fn take(&mut self, now: Monotonic, times: &Intervals, chance: &mut Chance) -> u64 {
        let pace = self.pace(now);
        let overdue = now.since(self.due).as_millis();
        let interval = interval(pace, times).as_millis().max(1);
        self.crowded = 0;
        self.due = now.after(jittered(pace, times, chance));
        u64::try_from(overdue / interval).unwrap_or(u64::MAX)
    }

    /// Gives the turn up because the probe before is still under way: the next one is an interval later.
    pub(crate) fn skip(&mut self, now: Monotonic, times: &Intervals, chance: &mut Chance) {
        self.due = now.after(jittered(self.pace(now), times, chance));
    }

    /// Puts the turn off because a limit is reached: a little at first, up to the interval when it stays so. Without
    /// the doubling, thousands of checks of one slow host would spend their time asking for a place.
    pub(crate) fn put_off(&mut self, now: Monotonic, times: &Intervals, chance: &mut Chance) {
        let doubled = CROWDED_WAIT * (1 << self.crowded.min(CROWDED_DOUBLINGS));
        let wait = doubled.min(interval(self.pace(now), times).max(CROWDED_WAIT));
        self.crowded = self.crowded.saturating_add(1);
        self.due = now.after(wait / 4 + chance.below(wait * 3 / 4));
    }

    /// Takes in how the probe that began at `started` ended. `passed`: it was not a failed report. `failing`: it was, or
    /// the check still says Failing.
    pub(crate) fn end(
        &mut self,
        (started, now): (Monotonic, Monotonic),
        (passed, failing): (bool, bool),
        times: &Intervals,
        chance: &mut Chance,
    ) {
        let before = self.pace(started);
        if passed || now >= self.eager_until {
            self.eager_until = Monotonic::default();
        }
        self.failing = failing;
        let pace = self.pace(now);
        // At the steady pace the turn stays as it was, and skipped ones stay skipped. A check that fails or is new
        // matters more: its turn is an interval after the start before, or at once when that took longer.
        if (before, pace) != (Pace::Steady, Pace::Steady) {
            self.due = started.after(jittered(pace, times, chance)).max(now);
        }
    }

    fn pace(&self, now: Monotonic) -> Pace {
        if self.is_eager(now) {
            Pace::Eager
        } else if self.failing {
            Pace::Failing
        } else {
            Pace::Steady
        }
    }
}

fn interval(pace: Pace, times: &Intervals) -> Duration {
    match pace {
        Pace::Eager => EAGER_INTERVAL,
        Pace::Failing => times.failing,
        Pace::Steady => times.steady,
    }
}

fn jittered(pace: Pace, times: &Intervals, chance: &mut Chance) -> Duration {
    match pace {
        Pace::Eager => EAGER_INTERVAL,
        Pace::Failing | Pace::Steady => chance.around(interval(pace, times), times.jitter_percent),
    }
}
