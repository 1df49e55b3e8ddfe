//! Ids and positions: revisions, epochs, registrations, and the ids in AWS's form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::RegistryError;
use crate::text::{Text, text};

/// A position in the one history; the store numbers it from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl Revision {
    /// Before anything happened.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which history: made when a store is created, and again when one is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A position together with its history, as resume tokens and ETags show it: `epoch.revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history.
    pub epoch: Epoch,
    /// Where in it.
    pub revision: Revision,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)
    }
}

impl FromStr for Position {
    type Err = RegistryError;

    fn from_str(value: &str) -> Result<Self, RegistryError> {
        let bad = || {
            RegistryError::invalid(
                "revision",
                value,
                "must be EPOCH.REVISION as answered before",
            )
        };
        let (epoch, revision) = value.split_once('.').ok_or_else(bad)?;
        if epoch.len() != 16 {
            return Err(bad());
        }
        Ok(Self {
            epoch: Epoch(u64::from_str_radix(epoch, 16).map_err(|_| bad())?),
            revision: Revision(revision.parse().map_err(|_| bad())?),
        })
    }
}

/// One registration of an instance: new at each registration, kept by a renewal of the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegistrationId(pub u64);

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for RegistrationId {
    type Err = RegistryError;

    fn from_str(value: &str) -> Result<Self, RegistryError> {
        let bad = |_| {
            RegistryError::invalid(
                "registration_id",
                value,
                "must be 16 hexadecimal digits as answered before",
            )
        };
        u64::from_str_radix(value, 16).map(Self).map_err(bad)
    }
}

/// A source of unique bits for one decision, so that deciding stays pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u128);

impl Seed {
    /// Returns the id of the registration that this decision makes.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "half of the random bits are wanted"
    )]
    pub fn registration(self) -> RegistrationId {
        RegistrationId(self.0 as u64)
    }

    /// Returns an id in AWS's form: a prefix and 16 characters of `a-z2-7`.
    pub fn aws_id(self, prefix: &str) -> Text {
        // Mixed with the prefix, so that a namespace and a service made by one decision differ.
        let mut bits = self.0
            ^ prefix
                .bytes()
                .fold(0u128, |sum, byte| (sum << 8) | u128::from(byte));
        let mut id = String::with_capacity(prefix.len() + 16);
        id.push_str(prefix);
        for _ in 0..16 {
            let symbol = u8::try_from(bits & 31).unwrap_or_default();
            id.push(char::from(if symbol < 26 {
                b'a' + symbol
            } else {
                b'2' + symbol - 26
            }));
            bits >>= 5;
        }
        text(&id)
    }
}
