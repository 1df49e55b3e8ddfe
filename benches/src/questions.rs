//! Questions for DNS servers, as bytes, chosen anew in each call.

use std::io;

use crate::Chance;

/// Bytes of a header.
const HEADER: usize = 12;

/// What is asked for, over a zone of numbered services `s0000` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Addresses of services, one question in ten for a name that is not there.
    Usual,
    /// Addresses of services.
    Found,
    /// Names that are not there.
    Missing,
    /// SRV records of services.
    Srv,
}

impl std::str::FromStr for Mix {
    type Err = io::Error;

    fn from_str(word: &str) -> io::Result<Self> {
        match word {
            "usual" => Ok(Self::Usual),
            "found" => Ok(Self::Found),
            "missing" => Ok(Self::Missing),
            "srv" => Ok(Self::Srv),
            _ => Err(io::Error::other(format!("there is no mix `{word}`"))),
        }
    }
}

/// A list of finished questions.
#[derive(Debug)]
pub struct Questions(Vec<Vec<u8>>);

impl Questions {
    /// Prepares `count` questions over `services` services of a zone, with EDNS as resolvers ask.
    #[must_use]
    pub fn prepare(zone: &str, services: u64, mix: Mix, count: usize, chance: &mut Chance) -> Self {
        let questions = (0..count).map(|_| {
            let number = chance.below(services);
            let is_missing = match mix {
                Mix::Usual => chance.below(10) == 0,
                Mix::Missing => true,
                Mix::Found | Mix::Srv => false,
            };
            let service = if is_missing {
                format!("x{number:04}")
            } else {
                format!("s{number:04}")
            };
            let kind = if mix == Mix::Srv { 33 } else { 1 };
            question(&format!("{service}.{zone}"), kind)
        });
        Self(questions.collect())
    }

    /// Returns one of them.
    #[must_use]
    pub fn get(&self, number: usize) -> &[u8] {
        self.0
            .get(number % self.0.len().max(1))
            .map_or(&[], Vec::as_slice)
    }
}

/// Writes a question of class IN for a name, with room for 1,232 bytes.
#[must_use]
pub fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    debug_assert_eq!(bytes.len(), HEADER);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    // OPT: root, type 41, 1,232 bytes, no extended code, version 0, no flags, no options.
    bytes.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    bytes
}
