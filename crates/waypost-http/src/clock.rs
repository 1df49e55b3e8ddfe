//! The monotonic clock of this crate.
//!
//! Time-outs of sockets and durations of requests are about real elapsed time and no test moves
//! them, so they read the system clock here, and nowhere else in the crate.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

static EPOCH: OnceLock<Instant> = OnceLock::new();

/// Reads the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "socket time-outs are about real time, and this crate names no workspace crate"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Milliseconds from the first use of this clock to `instant`, never 0.
pub(crate) fn millis_at(instant: Instant) -> u64 {
    let since = instant.saturating_duration_since(*EPOCH.get_or_init(|| instant));
    since.as_secs() * 1_000 + u64::from(since.subsec_millis()) + 1
}

/// Milliseconds from the first use of this clock to now, never 0.
pub(crate) fn now_millis() -> u64 {
    millis_at(monotonic())
}

/// The wall clock as the `Date` header has it.
#[expect(
    clippy::disallowed_methods,
    reason = "a header tells the real time, and this crate names no workspace crate"
)]
pub(crate) fn http_date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

/// The instant that lies `millis` after now, for tokio's timers.
pub(crate) fn instant_in(millis: u64) -> tokio::time::Instant {
    tokio::time::Instant::from_std(monotonic() + Duration::from_millis(millis))
}
