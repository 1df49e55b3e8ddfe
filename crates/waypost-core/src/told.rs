//! Reports that must be repeated: when each was last heard, and the end of those that were not repeated in time.
//!
//! A report that says the same as before writes nothing: it only moves the time kept here. Like a lease, one starts
//! anew when the process does.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::RegistryError;
use crate::name::{CheckId, InstanceKey};
use crate::registry::Registry;
use crate::time::Monotonic;

/// Longest wait for the outcome of an end that is on its way to the store.
const OUTCOME_WAIT_MAX: Duration = Duration::from_secs(10);

/// A check of an instance.
pub(crate) type Of = (InstanceKey, CheckId);

#[derive(Debug)]
struct Heard {
    at: Monotonic,
    /// Whether its end is on its way to the store.
    ending: bool,
    /// Which task of the timekeeper looks at it.
    task: u64,
}

/// When checks were last reported on that fail by silence.
#[derive(Default)]
pub(crate) struct Told {
    heard: Mutex<HashMap<Of, Heard>>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

/// What the timekeeper finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Another task looks at it.
    NotMine,
    /// It was heard in time: look again then.
    Later(Monotonic),
    /// It is silent, and marked as ending.
    Silent,
}

impl Told {
    fn heard(&self) -> MutexGuard<'_, HashMap<Of, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen, as of now. Returns the number of the task that looks at it from here on.
    pub(crate) fn arm(&self, of: Of, now: Monotonic) -> u64 {
        let mut heard = self.heard();
        let task = heard.get(&of).map_or(0, |known| known.task + 1);
        let ending = heard.get(&of).is_some_and(|known| known.ending);
        heard.insert(
            of,
            Heard {
                at: now,
                ending,
                task,
            },
        );
        task
    }

    /// Notes that somebody reports. False while the end is on its way: its outcome has to be waited for.
    fn hear(&self, of: &Of, now: Monotonic) -> bool {
        match self.heard().get_mut(of) {
            Some(known) if known.ending => false,
            Some(known) => {
                known.at = known.at.max(now);
                true
            }
            None => true,
        }
    }

    /// Says whether it is this task that looks at it.
    pub(crate) fn is_task(&self, of: &Of, task: u64) -> bool {
        self.heard().get(of).is_some_and(|known| known.task == task)
    }

    /// Looks whether it is silent since `listening` or its last report, whichever came later.
    pub(crate) fn look(
        &self,
        of: &Of,
        task: u64,
        now: Monotonic,
        listening: Option<Monotonic>,
        within: Duration,
    ) -> Look {
        let mut heard = self.heard();
        let Some(known) = heard.get_mut(of).filter(|known| known.task == task) else {
            return Look::NotMine;
        };
        let since = known.at.max(listening.unwrap_or(known.at));
        let due = since.after(within);
        if due > now {
            return Look::Later(due);
        }
        known.ending = true;
        Look::Silent
    }

    /// Ends the waiting for an end whose outcome is known.
    pub(crate) fn resolve(&self, of: &Of) {
        if let Some(known) = self.heard().get_mut(of) {
            known.ending = false;
        }
    }

    /// Stops listening, if it is still this task that looks at it.
    pub(crate) fn forget(&self, of: &Of, task: u64) {
        let mut heard = self.heard();
        if heard.get(of).is_some_and(|known| known.task == task) {
            heard.remove(of);
        }
    }
}

/// Notes a report before it is decided, so that an acknowledged one is not followed by the end it should have prevented.
pub(crate) async fn hear(
    registry: &Registry,
    key: &InstanceKey,
    check: &CheckId,
) -> Result<(), RegistryError> {
    let of = (key.clone(), check.clone());
    let shared = &registry.shared;
    let due = shared.clock.monotonic().after(OUTCOME_WAIT_MAX);
    loop {
        // Registered before the mark is read, so that an outcome in between is not missed.
        let outcome = shared.endings.notified();
        tokio::pin!(outcome);
        outcome.as_mut().enable();
        let now = shared.clock.monotonic();
        if shared.told.hear(&of, now) {
            return Ok(());
        }
        if now >= due {
            return Err(RegistryError::Unavailable {
                why: "the store has not said yet whether the report before ended".to_owned(),
            });
        }
        tokio::select! {
            () = &mut outcome => {}
            () = shared.clock.sleep(due.since(now)) => {}
        }
    }
}
