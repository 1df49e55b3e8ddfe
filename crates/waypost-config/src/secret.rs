//! A text that must not be shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name under which a newtype struct counts as a secret for the loader. Crates that may not
/// name this one can have their own `struct Secret(String)`; it is treated alike.
pub(crate) const NEWTYPE_NAME: &str = "Secret";
/// What stands where a secret would be shown.
pub(crate) const REDACTED: &str = "***";

/// A secret text: `Debug`, `Display` and `Serialize` give `***`; [`Secret::expose`] gives the text.
/// It is never empty.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Gives the text itself. Every use is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Derived so that the deserializer sees a newtype struct of the agreed name.
        #[derive(Deserialize)]
        #[serde(rename = "Secret")]
        struct Text(String);

        let Text(text) = Text::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(serde::de::Error::custom("must not be empty"));
        }
        Ok(Self(text))
    }
}
