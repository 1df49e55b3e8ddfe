//! Whole numbers as JSON has them: `5` and `5.0` are the same (JSON Schema, `integer`).

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number that a `u32` holds.
#[derive(Clone, Copy)]
struct Whole(u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("u32")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        let number = u32::try_from(number);
        number
            .map(Whole)
            .map_err(|_| E::custom("must be a whole number from 0 to 4294967295"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        self.visit_u64(u64::try_from(number).unwrap_or(u64::MAX))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
            return self.visit_u64(u64::MAX);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and in range"
        )]
        let number = number as u32;
        Ok(Whole(number))
    }
}

/// Reads an optional number; null is none.
pub(crate) fn optional_u32<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Whole>::deserialize(deserializer)?.map(|whole| whole.0))
}

/// Reads an optional number up to 65,535; null is none.
pub(crate) fn optional_u16<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u16>, D::Error> {
    let Some(Whole(number)) = Option::deserialize(deserializer)? else {
        return Ok(None);
    };
    let number = u16::try_from(number);
    number
        .map(Some)
        .map_err(|_| D::Error::custom("must be a whole number from 0 to 65535"))
}

/// Tells a number that is null from one that is not there.
pub(crate) fn given_u32<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<u32>>, D::Error> {
    optional_u32(deserializer).map(Some)
}

/// Reads a field that may be left out, and may not be null.
pub(crate) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
