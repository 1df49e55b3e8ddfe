//! Port numbers as they come.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

const RULE: &str = "must be a whole number from 1 to 65535";

/// A port number, 1 to 65535. With `LENIENT` the number may also come as text, as the sources' own servers
/// (pydantic in its lax mode) take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortNumber<const LENIENT: bool>(pub(crate) u16);

impl<'de, const LENIENT: bool> Deserialize<'de> for PortNumber<LENIENT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor::<LENIENT>)
    }
}

struct PortVisitor<const LENIENT: bool>;

impl<const LENIENT: bool> Visitor<'_> for PortVisitor<LENIENT> {
    type Value = PortNumber<LENIENT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 1 to 65535")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        port.map(PortNumber).ok_or_else(|| E::custom(RULE))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_u64(u64::try_from(number).unwrap_or_default())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        if number.fract() != 0.0 || !(1.0..=65_535.0).contains(&number) {
            return Err(E::custom(RULE));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and in range"
        )]
        let port = number as u16;
        Ok(PortNumber(port))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text.trim().parse() {
            Ok(number) if LENIENT => self.visit_u64(number),
            _ => Err(E::custom(RULE)),
        }
    }
}
