//! How long to wait before a call is repeated.

use std::time::Duration;

/// Waits that double from `first` to `longest`, each shortened at random by up to a half, so that many
/// clients of a server that comes back do not arrive together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Starts at `first` and stays at `longest` once reached.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            first,
            longest,
        }
    }

    /// Gives the next wait.
    pub(crate) fn wait(&mut self) -> Duration {
        let wait = self.next.min(self.longest);
        self.next = wait.saturating_mul(2);
        shorten(wait, 0.5)
    }

    /// Starts again at the shortest wait, after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Shortens `duration` at random by up to `share` of it. Never longer: the caller has a deadline.
pub(crate) fn shorten(duration: Duration, share: f64) -> Duration {
    // Without randomness the waits are still right, only not spread.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    let fraction = f64::from(random) / f64::from(u32::MAX);
    duration.mul_f64(1.0 - share * fraction)
}
