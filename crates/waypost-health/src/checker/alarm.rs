//! Waiting for the next turn without a new timer for each.

use std::fmt;
use std::sync::Arc;

use waypost_core::{BoxFuture, Clock, Monotonic};

/// A sleep that is kept as long as it is early enough: waking too early costs one look at the schedule, a timer costs
/// an allocation and a lock.
pub(super) struct Alarm {
    clock: Arc<dyn Clock>,
    sleep: Option<(Monotonic, BoxFuture<'static, ()>)>,
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

impl Alarm {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sleep: None }
    }

    /// Completes at `due` or a little before; never when there is nothing due. Dropping it loses nothing.
    pub(super) async fn at(&mut self, due: Option<Monotonic>) {
        let Some(due) = due else {
            return std::future::pending().await;
        };
        let kept = self.sleep.take().filter(|(at, _)| *at <= due);
        let (_, sleep) = self.sleep.insert(kept.unwrap_or_else(|| {
            let wait = due.since(self.clock.monotonic());
            (due, self.clock.sleep(wait))
        }));
        sleep.await;
        self.sleep = None;
    }
}
