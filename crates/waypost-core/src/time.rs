//! Time: wall time for records, monotonic time for leases, and the clock that gives both.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wall time in milliseconds since 1970-01-01 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the time `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// Returns how much later `self` is than `earlier`; zero when it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Monotonic time in milliseconds since the clock was made; it never jumps with the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// Returns the time `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// Returns how much later `self` is than `earlier`; zero when it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

impl Timestamp {
    /// Writes the time in UTC with whole seconds, such as `2024-01-15T10:30:00Z`.
    pub fn in_utc(self) -> String {
        let (year, month, day) = civil(self.0 / DAY);
        let seconds = self.0 % DAY / 1_000;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Turns days since 1970 into year, month and day (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives the time and waits for it. The only place that may ask the operating system.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the wall time, which may jump.
    fn wall(&self) -> Timestamp;
    /// Returns the monotonic time, which never steps back.
    fn monotonic(&self) -> Monotonic;
    /// Completes when `duration` of monotonic time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The operating system's clock; sleeping needs a Tokio runtime with time enabled.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Makes a clock whose monotonic time starts at 0 now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(milliseconds(since))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(milliseconds(self.start.elapsed()))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    state: Arc<ManualState>,
}

#[derive(Debug)]
struct ManualState {
    now: Mutex<(Timestamp, Monotonic)>,
    moved: Notify,
}

impl ManualClock {
    /// Makes a clock that shows `wall`.
    pub fn new(wall: Timestamp) -> Self {
        let state = ManualState {
            now: Mutex::new((wall, Monotonic(0))),
            moved: Notify::new(),
        };
        Self {
            state: Arc::new(state),
        }
    }

    /// Moves wall and monotonic time on together and wakes every sleeper that is due.
    pub fn advance(&self, duration: Duration) {
        {
            let mut now = self
                .state
                .now
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *now = (now.0.after(duration), now.1.after(duration));
        }
        self.state.moved.notify_waiters();
    }

    /// Sets the wall clock alone, as an administrator or NTP would.
    pub fn set_wall(&self, wall: Timestamp) {
        self.state
            .now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 = wall;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.state
            .now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn monotonic(&self) -> Monotonic {
        self.state
            .now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let state = Arc::clone(&self.state);
        let due = self.monotonic().after(duration);
        Box::pin(async move {
            loop {
                let moved = state.moved.notified();
                tokio::pin!(moved);
                // Registered before the look, so that a move in between is not missed.
                moved.as_mut().enable();
                if state.now.lock().unwrap_or_else(PoisonError::into_inner).1 >= due {
                    return;
                }
                moved.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_utc_knows_the_calendar() {
        for (milliseconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_705_314_600_250, "2024-01-15T10:30:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(milliseconds).in_utc(), shown);
        }
        assert!(Timestamp(u64::MAX).in_utc().ends_with('Z'));
    }
}
