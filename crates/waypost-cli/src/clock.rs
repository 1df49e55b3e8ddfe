//! This machine's clock.

use std::time::SystemTime;

use jiff::Timestamp;

#[expect(
    clippy::disallowed_methods,
    reason = "it is this machine's clock that is compared with the server's"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Gives the seconds from a time on the wire to another time; nothing for what is no time.
pub(crate) fn seconds_since(time: &str, now: SystemTime) -> Option<f64> {
    let then: Timestamp = time.parse().ok()?;
    let now = Timestamp::try_from(now).ok()?;
    Some(now.duration_since(then).as_secs_f64())
}
