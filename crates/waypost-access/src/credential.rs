//! One credential as the server keeps it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use subtle::{Choice, ConstantTimeEq};
use waypost_core::{Access, Dialect, Grant};

use crate::server_key::DIGEST_BYTES;

/// What a credential allows.
#[derive(Clone, Debug)]
pub(crate) enum Allowed {
    /// Everything.
    Everything,
    /// What the grants say.
    Grants(Arc<[Grant]>),
}

impl Allowed {
    /// Makes the access of whoever is allowed this.
    pub(crate) fn access(&self, subject: &str, dialect: Dialect, peer: IpAddr) -> Access {
        match self {
            Self::Everything => Access::everything(subject, dialect, Some(peer)),
            Self::Grants(grants) => {
                Access::granted(subject, dialect, Some(peer), Arc::clone(grants))
            }
        }
    }
}

/// A credential: its name for audit lines, the keyed hash of its token, and what it allows.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) name: &'static str,
    pub(crate) digest: [u8; DIGEST_BYTES],
    pub(crate) allowed: Allowed,
}

impl Credential {
    /// Compares in a time that does not depend on where the digests differ.
    pub(crate) fn matches(&self, digest: &[u8; DIGEST_BYTES]) -> Choice {
        self.digest.ct_eq(digest)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("name", &self.name)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}
