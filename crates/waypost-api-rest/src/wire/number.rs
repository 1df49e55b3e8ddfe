//! Whole numbers as JSON has them: `5` and `5.0` are the same (JSON Schema, `integer`).

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy)]
struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor::<MIN, MAX>)
    }
}

struct WholeVisitor<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> WholeVisitor<MIN, MAX> {
    fn refusal<E: Error>() -> E {
        E::custom(format_args!("must be a whole number from {MIN} to {MAX}"))
    }
}

impl<const MIN: u32, const MAX: u32> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let number = u32::try_from(number).ok();
        let number = number.filter(|number| (MIN..=MAX).contains(number));
        number.map(Whole).ok_or_else(Self::refusal)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(Self::refusal()),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        if number.fract() != 0.0 || !(f64::from(MIN)..=f64::from(MAX)).contains(&number) {
            return Err(Self::refusal());
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
pub(crate) fn optional_u32<'de, D: Deserializer<'de>, const MIN: u32, const MAX: u32>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Whole<MIN, MAX>>::deserialize(deserializer)?.map(|whole| whole.0))
}

/// Reads an optional number from 1 to 65,535; null is none.
pub(crate) fn optional_count<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u16>, D::Error> {
    let number = optional_u32::<D, 1, 65_535>(deserializer)?;
    Ok(number.and_then(|number| u16::try_from(number).ok()))
}

/// Tells a number that is null from one that is not there.
pub(crate) fn given_u32<'de, D: Deserializer<'de>, const MIN: u32, const MAX: u32>(
    deserializer: D,
) -> Result<Option<Option<u32>>, D::Error> {
    optional_u32::<D, MIN, MAX>(deserializer).map(Some)
}

/// Reads a number in a range.
pub(crate) fn u32_in<'de, D: Deserializer<'de>, const MIN: u32, const MAX: u32>(
    deserializer: D,
) -> Result<u32, D::Error> {
    Whole::<MIN, MAX>::deserialize(deserializer).map(|whole| whole.0)
}

/// Tells a field that is null from one that is not there.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads a field that may be left out, and may not be null.
pub(crate) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
