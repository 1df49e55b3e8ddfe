//! Values on the wire, whichever of the two encodings carries them.

use ciborium::value::Value as Cbor;
use serde_json::Value as Json;
use waypost_core::Timestamp;

/// CBOR's tag for seconds since 1970 (RFC 8949 section 3.4.2).
const EPOCH_TAG: u64 = 1;
/// How deep CBOR values may lie in each other; JSON's reader has its own bound of 128.
const CBOR_DEPTH_MAX: usize = 32;

/// A value of an input or an output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    Time(Timestamp),
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns what the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "of type boolean",
            Self::Integer(_) | Self::Float(_) => "of type number",
            Self::Text(_) => "of type string",
            Self::List(_) => "of type list",
            Self::Map(_) => "of type map",
            Self::Time(_) => "of type timestamp",
        }
    }

    /// Returns a whole number; JSON writers may put `.0` behind it.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the fraction is none and the size was looked at"
            )]
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    /// Returns a member of a map that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(map) = self else {
            return None;
        };
        let found = map.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// Returns a member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Self::as_integer)
    }

    pub(crate) fn list(&self, name: &str) -> &[Self] {
        match self.get(name) {
            Some(Self::List(list)) => list,
            _ => &[],
        }
    }

    /// Iterates over a member that maps texts to texts.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = match self.get(name) {
            Some(Self::Map(map)) => map.as_slice(),
            _ => &[],
        };
        map.iter().filter_map(|(key, value)| match value {
            Self::Text(text) => Some((key.as_str(), text.as_str())),
            _ => None,
        })
    }

    pub(crate) fn of_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(bool),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Integer(whole),
                (None, Some(float)) => Self::Float(float),
                (None, None) => Self::Null,
            },
            Json::String(text) => Self::Text(text),
            Json::Array(list) => Self::List(list.into_iter().map(Self::of_json).collect()),
            Json::Object(map) => {
                let members = map.into_iter();
                Self::Map(
                    members
                        .map(|(key, value)| (key, Self::of_json(value)))
                        .collect(),
                )
            }
        }
    }

    pub(crate) fn into_json(self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => bool.into(),
            Self::Integer(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Text(text) => text.into(),
            Self::List(list) => list.into_iter().map(Self::into_json).collect(),
            Self::Map(map) => {
                let members = map.into_iter();
                Json::Object(
                    members
                        .map(|(key, value)| (key, value.into_json()))
                        .collect(),
                )
            }
            Self::Time(time) => seconds(time).into(),
        }
    }

    /// Reads one CBOR value that takes all of the bytes; nothing at all is an empty map.
    pub(crate) fn of_cbor(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Self::Map(Vec::new()));
        }
        let mut rest = bytes;
        let value: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, CBOR_DEPTH_MAX)
            .map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the value", rest.len()));
        }
        Self::of_cbor_value(value)
    }

    fn of_cbor_value(value: Cbor) -> Result<Self, String> {
        Ok(match value {
            Cbor::Null => Self::Null,
            Cbor::Bool(bool) => Self::Bool(bool),
            Cbor::Integer(number) => {
                let number = i64::try_from(number);
                Self::Integer(number.map_err(|_| "a number has more than 64 bits".to_owned())?)
            }
            Cbor::Float(number) => Self::Float(number),
            Cbor::Text(text) => Self::Text(text),
            Cbor::Array(list) => {
                let list: Result<Vec<Self>, String> =
                    list.into_iter().map(Self::of_cbor_value).collect();
                Self::List(list?)
            }
            Cbor::Map(map) => {
                let mut members = Vec::with_capacity(map.len());
                for (key, value) in map {
                    let Cbor::Text(key) = key else {
                        return Err("a key of a map is no text".to_owned());
                    };
                    members.push((key, Self::of_cbor_value(value)?));
                }
                Self::Map(members)
            }
            Cbor::Tag(_, value) => Self::of_cbor_value(*value)?,
            _ => return Err("a value has a type that no member has".to_owned()),
        })
    }

    pub(crate) fn into_cbor(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing into memory cannot fail.
        let _written = ciborium::ser::into_writer(&self.into_cbor_value(), &mut bytes);
        bytes
    }

    fn into_cbor_value(self) -> Cbor {
        match self {
            Self::Null => Cbor::Null,
            Self::Bool(bool) => Cbor::Bool(bool),
            Self::Integer(number) => Cbor::Integer(number.into()),
            Self::Float(number) => Cbor::Float(number),
            Self::Text(text) => Cbor::Text(text),
            Self::List(list) => Cbor::Array(list.into_iter().map(Self::into_cbor_value).collect()),
            Self::Map(map) => {
                let members = map.into_iter();
                Cbor::Map(
                    members
                        .map(|(key, value)| (Cbor::Text(key), value.into_cbor_value()))
                        .collect(),
                )
            }
            Self::Time(time) => Cbor::Tag(EPOCH_TAG, Box::new(Cbor::Float(seconds(time)))),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// Builds a map out of what is there.
#[derive(Debug, Default)]
pub(crate) struct Map(Vec<(String, Value)>);

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a member if there is anything to say.
    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a text unless it is empty.
    pub(crate) fn with_text(self, name: &str, text: &str) -> Self {
        self.with_some(name, (!text.is_empty()).then_some(text))
    }

    pub(crate) fn done(self) -> Value {
        Value::Map(self.0)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        map.done()
    }
}

impl From<Vec<Self>> for Value {
    fn from(list: Vec<Self>) -> Self {
        Self::List(list)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 stay below 2^52 for 140,000 years"
)]
fn seconds(time: Timestamp) -> f64 {
    time.0 as f64 / 1_000.0
}
