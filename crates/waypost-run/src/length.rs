//! Lengths of time as people write them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Error, Visitor};

/// Longest length: a day.
const SECONDS_MAX: f64 = 86_400.0;
const RULE: &str = "must be a length of time such as 30, 30s, 500ms or 2m, at most a day";

/// A length of time: `30`, `30s`, `500ms`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length(pub(crate) Duration);

/// Reads a length of time.
pub(crate) fn read(text: &str) -> Result<Length, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(RULE.to_owned()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| RULE.to_owned())?;
    of_seconds(number * unit)
}

fn of_seconds(seconds: f64) -> Result<Length, String> {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(RULE.to_owned());
    }
    Duration::try_from_secs_f64(seconds)
        .map(Length)
        .map_err(|_| RULE.to_owned())
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LengthVisitor)
    }
}

struct LengthVisitor;

impl Visitor<'_> for LengthVisitor {
    type Value = Length;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as \"30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Length, E> {
        read(text).map_err(|rule| E::custom(format!("{text:?} {rule}")))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Length, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Length, E> {
        of_seconds(seconds).map_err(|rule| E::custom(format!("{seconds} {rule}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_with_and_without_a_unit() {
        let read = |text| read(text).unwrap().0;
        assert_eq!(read("30"), Duration::from_secs(30));
        assert_eq!(read("1.5s"), Duration::from_millis(1_500));
        assert_eq!(read("500ms"), Duration::from_millis(500));
        assert_eq!(read("2m"), Duration::from_secs(120));
        assert_eq!(read("0"), Duration::ZERO);
    }

    #[test]
    fn what_is_no_length_is_refused_with_the_rule() {
        for bad in ["", "s", "-1", "1d", "25h", "1e9", "nan", "inf"] {
            assert!(read(bad).unwrap_err().contains("such as 30"), "{bad}");
        }
    }
}
