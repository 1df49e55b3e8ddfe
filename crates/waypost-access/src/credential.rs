//! One credential as the server keeps it.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use waypost_core::Access;

use crate::rate::Meter;
use crate::server_key::DIGEST_BYTES;

/// A credential: the keyed hash of its token, and what it allows under which name.
pub(crate) struct Credential {
    pub(crate) digest: [u8; DIGEST_BYTES],
    /// Made once: a request only adds its protocol and its peer.
    pub(crate) access: Access,
    /// How often it was sent.
    pub(crate) meter: Meter,
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
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
