//! The query string, parsed.

use std::borrow::Cow;

use crate::percent::decode_query;
use crate::rejection::Rejection;

/// The most pairs a query string may hold.
const PAIRS_MAX: usize = 64;

/// The pairs of a query string in the order they came, percent-decoded (`+` is a space).
///
/// A name without `=` has the empty value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Parses `text`, the part after the question mark.
    ///
    /// # Errors
    /// [`Rejection::BadQuery`] for more than 64 pairs, a bad escape or bytes that are not UTF-8.
    pub fn parse(text: &'a str) -> Result<Self, Rejection> {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == PAIRS_MAX {
                return Err(Rejection::BadQuery {
                    reason: "it holds more than 64 pairs",
                });
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_ref())
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// True when there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, Rejection> {
    decode_query(text).map_err(|reason| Rejection::BadQuery { reason })
}
