//! Where a long poll stands: a position of the history, and what the answer said there.

use std::fmt;

use waypost_core::{Position, RegistryError, Revision};

/// Written `EPOCH.REVISION` or `EPOCH.REVISION.DIGEST`. With the digest a poll is exact: changes that leave the answer as it
/// was do not end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) position: Position,
    pub(crate) digest: Option<u64>,
}

impl Token {
    /// Reads what an answer gave.
    pub(crate) fn read(text: &str) -> Result<Self, RegistryError> {
        let bad = || {
            let rule = "must be the Waypost-Revision of an earlier answer, or the revision in one: EPOCH.REVISION[.DIGEST]";
            RegistryError::invalid("revision", text, rule)
        };
        let (position, digest) = match text.match_indices('.').nth(1) {
            Some((at, _)) => {
                let (position, digest) = text.split_at_checked(at).ok_or_else(bad)?;
                let digest = digest.trim_start_matches('.');
                if digest.len() != 16 {
                    return Err(bad());
                }
                let digest = u64::from_str_radix(digest, 16).map_err(|_| bad())?;
                (position, Some(digest))
            }
            None => (text, None),
        };
        Ok(Self {
            position: position.parse().map_err(|_| bad())?,
            digest,
        })
    }

    /// Says whether an answer differs from what this one stood for: `modified` is when its scope last changed, `digest` what it
    /// says now, at `latest`.
    pub(crate) fn is_news(&self, latest: Position, modified: Revision, digest: u64) -> bool {
        let of_this_history =
            self.position.epoch == latest.epoch && self.position.revision <= latest.revision;
        if !of_this_history {
            return true;
        }
        match self.digest {
            Some(known) => known != digest,
            None => modified > self.position.revision,
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digest {
            Some(digest) => write!(f, "{}.{digest:016x}", self.position),
            None => self.position.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
