//! Signing keys, which hold for a day, a region and a service: derived once, then remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use super::{TERMINATOR, sign};

/// Most keys that are remembered; after that all are forgotten and derived anew.
const KEYS_MAX: usize = 4_096;

type Scope = (String, String, String, String);

/// Signing keys that were derived before. `Debug` shows none.
#[derive(Default)]
pub struct SigningKeys {
    known: RwLock<HashMap<Scope, (String, [u8; 32])>>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Returns the key of a scope. A key whose secret is another now is derived anew.
    pub(super) fn of(
        &self,
        (id, secret): (&str, &str),
        (day, region, service): (&str, &str, &str),
    ) -> [u8; 32] {
        let scope = (
            id.to_owned(),
            day.to_owned(),
            region.to_owned(),
            service.to_owned(),
        );
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, key)) = known.get(&scope)
                && of == secret
            {
                return *key;
            }
        }
        let key = derive(secret, day, region, service);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEYS_MAX {
            known.clear();
        }
        known.insert(scope, (secret.to_owned(), key));
        key
    }
}

fn derive(secret: &str, day: &str, region: &str, service: &str) -> [u8; 32] {
    let start = format!("AWS4{secret}");
    [day, region, service, TERMINATOR]
        .iter()
        .fold(None::<[u8; 32]>, |key, part| {
            let key = key.as_ref().map_or(start.as_bytes(), |key| key.as_slice());
            Some(sign(key, part.as_bytes()))
        })
        .unwrap_or_default()
}
