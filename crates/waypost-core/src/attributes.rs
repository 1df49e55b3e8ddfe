//! Attributes (a free string map), tags (a set of words), and fields of newer writers.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::RegistryError;
use crate::text::{Lists, Text, text};

/// Most attributes of one object (AWS Cloud Map, `RegisterInstance`).
pub const ATTRIBUTES_MAX: usize = 30;
/// Longest attribute key in bytes.
pub const ATTRIBUTE_KEY_BYTES_MAX: usize = 255;
/// Longest attribute value in bytes.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1_024;
/// Most bytes of all keys and values together.
pub const ATTRIBUTES_BYTES_MAX: usize = 5_000;
/// Most tags of one object.
const AWS_TAGS_MAX: usize = 50;
/// Most tags of an instance or service.
pub const TAGS_MAX: usize = 64;
/// Longest tag in bytes.
pub const TAG_BYTES_MAX: usize = 255;

/// A map of strings, sorted by key.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Attributes(Arc<[(Text, Text)]>);

static ATTRIBUTES: Lists<(Text, Text)> = Lists::new();
static TAGS: Lists<Text> = Lists::new();

impl Attributes {
    /// Checks and takes attributes; of two equal keys the later value counts.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge` with the key as the field: at most 30 attributes, keys 1 to 255 bytes, values at most
    /// 1,024 bytes, 5,000 bytes in all, no control characters.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, RegistryError> {
        Self::bounded(pairs, (ATTRIBUTES_MAX, ATTRIBUTES_BYTES_MAX))
    }

    /// Checks and takes tags of AWS's kind.
    ///
    /// # Errors
    /// As of [`Attributes::new`], with at most 50 of them and no bound on their bytes together.
    pub fn tags<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, RegistryError> {
        Self::bounded(pairs, (AWS_TAGS_MAX, usize::MAX))
    }

    fn bounded<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
        (most, most_bytes): (usize, usize),
    ) -> Result<Self, RegistryError> {
        let mut sorted: Vec<(Text, Text)> = Vec::new();
        for (key, value) in pairs {
            check_pair(key.as_ref(), value.as_ref())?;
            if sorted.len() > most * 2 {
                break;
            }
            sorted.push((text(key.as_ref()), text(value.as_ref())));
        }
        sorted.reverse();
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        sorted.dedup_by(|later, first| later.0 == first.0);
        if sorted.len() > most {
            return Err(RegistryError::TooLarge {
                field: "attributes".into(),
                rule: format!("at most {most} attributes"),
            });
        }
        let bytes: usize = sorted
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if bytes > most_bytes {
            return Err(RegistryError::TooLarge {
                field: "attributes".into(),
                rule: format!("{bytes} bytes of keys and values, at most {most_bytes}"),
            });
        }
        Ok(Self(ATTRIBUTES.share(sorted.into())))
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self
            .0
            .binary_search_by(|pair| pair.0.as_str().cmp(key))
            .ok()?;
        self.0.get(at).map(|pair| &*pair.1)
    }

    /// Lists the pairs in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check_pair(key: &str, value: &str) -> Result<(), RegistryError> {
    if key.is_empty() || key.len() > ATTRIBUTE_KEY_BYTES_MAX {
        return Err(RegistryError::invalid(
            "attributes",
            key,
            format!("a key must be 1 to {ATTRIBUTE_KEY_BYTES_MAX} bytes"),
        ));
    }
    if key.chars().any(char::is_control) {
        return Err(RegistryError::invalid(
            "attributes",
            key.escape_debug(),
            "a key must not contain control characters",
        ));
    }
    if value.len() > ATTRIBUTE_VALUE_BYTES_MAX {
        return Err(RegistryError::TooLarge {
            field: format!("attributes.{key}").into(),
            rule: format!("{} bytes, at most {ATTRIBUTE_VALUE_BYTES_MAX}", value.len()),
        });
    }
    if value.chars().any(char::is_control) {
        return Err(RegistryError::invalid(
            format!("attributes.{key}"),
            value.escape_debug(),
            "must not contain control characters",
        ));
    }
    Ok(())
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Attributes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or_default().min(64));
                while let Some((key, value)) =
                    map.next_entry::<std::borrow::Cow<'de, str>, std::borrow::Cow<'de, str>>()?
                {
                    pairs.push((text(&key), text(&value)));
                }
                pairs.sort_by(|left, right| left.0.cmp(&right.0));
                Ok(Attributes(ATTRIBUTES.share(pairs.into())))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A set of words, sorted; instances with equal sets share one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tags(Option<Arc<[Text]>>);

impl Tags {
    /// Checks and takes tags; repeated words count once.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge`: at most 64 tags of 1 to 255 bytes without control characters.
    pub fn new<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Result<Self, RegistryError> {
        let mut sorted: Vec<Text> = Vec::new();
        for word in words {
            let word = word.as_ref();
            if word.is_empty() || word.len() > TAG_BYTES_MAX || word.chars().any(char::is_control) {
                return Err(RegistryError::invalid(
                    "tags",
                    word.escape_debug(),
                    format!("a tag must be 1 to {TAG_BYTES_MAX} bytes without control characters"),
                ));
            }
            if sorted.len() > TAGS_MAX * 2 {
                break;
            }
            sorted.push(text(word));
        }
        sorted.sort();
        sorted.dedup();
        if sorted.len() > TAGS_MAX {
            return Err(RegistryError::TooLarge {
                field: "tags".into(),
                rule: format!("at most {TAGS_MAX} tags"),
            });
        }
        Ok(Self::from_sorted(sorted))
    }

    fn from_sorted(sorted: Vec<Text>) -> Self {
        if sorted.is_empty() {
            Self(None)
        } else {
            Self(Some(TAGS.share(sorted.into())))
        }
    }

    /// Lists the words in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|words| words.iter())
            .map(|word| &**word)
    }

    /// Says whether `word` is among them.
    pub fn contains(&self, word: &str) -> bool {
        self.iter().any(|tag| tag == word)
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut words = serializer.serialize_seq(None)?;
        for word in self.iter() {
            words.serialize_element(word)?;
        }
        words.end()
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Tags;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tags, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element::<std::borrow::Cow<'de, str>>()? {
                    words.push(text(&word));
                }
                words.sort();
                words.dedup();
                Ok(Tags::from_sorted(words))
            }
        }
        deserializer.deserialize_seq(Words)
    }
}

/// Fields that a newer writer stored and this version does not know, kept as JSON members; usually none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra(pub Option<Box<Unknown>>);

/// The members that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The format number of the writer.
    pub format: u32,
    /// The unknown members: name and raw JSON value.
    pub members: Vec<(String, String)>,
}
