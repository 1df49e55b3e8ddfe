//! A token that does not show itself.

use std::fmt;

/// Holds a token whose `Debug` form is `***`, so that it cannot reach a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `token` as it is given; the builder of a client refuses one that cannot be sent in a header.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Gives the token itself. Named so that a reviewer sees every place that does this.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl From<&str> for Secret {
    fn from(token: &str) -> Self {
        Self(token.to_owned())
    }
}
