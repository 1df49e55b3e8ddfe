//! How long ago something was, by the server's clock.

use std::time::SystemTime;

use jiff::Timestamp;

use crate::text::visible;

#[cfg(test)]
mod tests;

/// The server's clock at its latest answer. Without one, times are shown as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    now: Option<Timestamp>,
}

impl Ages {
    pub(crate) fn new(server_time: Option<SystemTime>) -> Self {
        Self {
            now: server_time.and_then(|time| Timestamp::try_from(time).ok()),
        }
    }

    /// `12s`, `5m`, `3h`, `4d` for a table; `-` for no time.
    pub(crate) fn short(&self, time: Option<&str>) -> String {
        match self.seconds_since(time) {
            Some(seconds) => {
                let (number, unit) = in_unit(seconds);
                format!("{number}{}", &unit[..1])
            }
            None => crate::text::or_dash(time),
        }
    }

    /// `12 s ago` for a sentence; `never` for no time.
    pub(crate) fn ago(&self, time: Option<&str>) -> String {
        match (self.seconds_since(time), time) {
            (Some(seconds), _) => {
                let (number, unit) = in_unit(seconds);
                format!("{number} {unit} ago")
            }
            (None, Some(time)) if !time.is_empty() => format!("at {}", visible(time)),
            (None, _) => "never".to_owned(),
        }
    }

    fn seconds_since(&self, time: Option<&str>) -> Option<u64> {
        let then: Timestamp = time?.parse().ok()?;
        let seconds = self.now?.as_second().saturating_sub(then.as_second());
        // The server's clock comes in whole seconds, so what just happened may seem to be in the future.
        Some(u64::try_from(seconds).unwrap_or(0))
    }
}

fn in_unit(seconds: u64) -> (u64, &'static str) {
    match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    }
}

/// Writes a number of seconds without needless digits: `300`, `12.3`.
pub(crate) fn seconds(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() / 10.0;
    format!("{tenths} s")
}

/// Orders times from the latest to the earliest; text that is no time comes last.
pub(crate) fn latest_first(left: &str, right: &str) -> std::cmp::Ordering {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    time(right).cmp(&time(left))
}
