//! A typed answer together with the text that it came as.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A typed answer together with the server's own JSON text, which is what it serializes to.
///
/// Only for JSON text: it can be read by `serde_json` from a string or bytes, not from a `Value`.
#[derive(Clone, Debug)]
pub struct AsSent<T> {
    /// The answer as this version of the client understands it.
    pub value: T,
    /// The answer as the server wrote it, fields that this version does not know included.
    pub text: Box<RawValue>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for AsSent<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { value, text })
    }
}

impl<T> Serialize for AsSent<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}
