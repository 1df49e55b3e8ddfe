//! Times as RFC 3339 text in UTC.

use std::fmt;

use serde::{Serialize, Serializer};
use waypost_core::Timestamp;

/// A time that is written as RFC 3339 with `Z` and at most milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rfc3339(pub(crate) Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = i64::try_from(self.0.0).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX);
        time.fmt(f)
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_in_the_sources() {
        let shown = |milliseconds| Rfc3339(Timestamp(milliseconds)).to_string();
        assert_eq!(shown(1_705_314_600_000), "2024-01-15T10:30:00Z");
        assert_eq!(shown(1_705_314_600_250), "2024-01-15T10:30:00.25Z");
        assert!(shown(u64::MAX).starts_with("9999-12-"));
    }
}
