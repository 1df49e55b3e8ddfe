//! From an instance's key straight to its vitals: the one look-up a heartbeat needs.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::name::InstanceKey;
use crate::vitals::Vitals;

/// Enough that two threads rarely meet.
const SHARDS: usize = 64;

/// The vitals of every registration that is published, by key.
pub(crate) struct Index {
    shards: Box<[RwLock<HashTable<Arc<Vitals>>>]>,
    state: RandomState,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            state: RandomState::default(),
        }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

/// Feeds a name eight bytes at a time. Bit 5 is the only difference between cases; a collision of other characters
/// that differ in it costs a comparison and nothing else.
fn feed(hasher: &mut impl Hasher, name: &str) {
    let mut rest = name.as_bytes();
    while let Some((eight, more)) = rest.split_first_chunk::<8>() {
        hasher.write_u64(u64::from_ne_bytes(*eight) | 0x2020_2020_2020_2020);
        rest = more;
    }
    let last = rest
        .iter()
        .fold(0u64, |sum, byte| (sum << 8) | u64::from(byte | 0x20));
    hasher.write_u64(last);
}

impl Index {
    fn hash(&self, key: &InstanceKey) -> u64 {
        let mut hasher = self.state.build_hasher();
        // The namespace is left out: it rarely tells two keys apart, and comparing it costs less than hashing it.
        feed(&mut hasher, key.service.name.as_str());
        feed(&mut hasher, key.id.as_str());
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<HashTable<Arc<Vitals>>>> {
        // The table itself uses the low bits and the top seven.
        self.shards
            .get(usize::try_from(hash >> 40).unwrap_or_default() % SHARDS)
    }

    /// Calls `look` with the vitals of the instance, if it is registered.
    pub(crate) fn with<T>(
        &self,
        key: &InstanceKey,
        look: impl FnOnce(&Arc<Vitals>) -> T,
    ) -> Option<T> {
        let hash = self.hash(key);
        let table = self
            .shard(hash)?
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        table.find(hash, |vitals| vitals.key() == key).map(look)
    }

    /// Puts vitals in the place of an earlier registration's.
    pub(crate) fn insert(&self, vitals: &Arc<Vitals>) {
        let hash = self.hash(vitals.key());
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut table = shard.write().unwrap_or_else(PoisonError::into_inner);
        match table.find_mut(hash, |known| known.key() == vitals.key()) {
            Some(known) => *known = Arc::clone(vitals),
            None => {
                table.insert_unique(hash, Arc::clone(vitals), |known| self.hash(known.key()));
            }
        }
    }

    /// Takes exactly these vitals out; those of a later registration stay.
    pub(crate) fn remove(&self, vitals: &Arc<Vitals>) {
        let hash = self.hash(vitals.key());
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut table = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(found) = table.find_entry(hash, |known| Arc::ptr_eq(known, vitals)) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RegistrationId;
    use crate::vitals::LeaseCell;

    fn vitals(id: &str, registration: u64) -> Arc<Vitals> {
        let key = InstanceKey::new("svc.internal", "web", id).unwrap();
        Arc::new(Vitals::new(
            key,
            RegistrationId(registration),
            LeaseCell::None,
            0,
        ))
    }

    #[test]
    fn an_instance_is_found_in_any_case_and_by_its_latest_registration() {
        let index = Index::default();
        index.insert(&vitals("Web-1", 1));
        index.insert(&vitals("web-1", 2));
        let key = InstanceKey::new("SVC.internal", "WEB", "WEB-1").unwrap();
        assert_eq!(
            index.with(&key, |found| found.registration()),
            Some(RegistrationId(2))
        );
    }

    #[test]
    fn taking_an_earlier_registration_out_leaves_the_later_one() {
        let index = Index::default();
        let (one, two) = (vitals("a", 1), vitals("a", 2));
        index.insert(&one);
        index.insert(&two);
        index.remove(&one);
        assert!(index.with(two.key(), |_| ()).is_some());
        index.remove(&two);
        assert!(index.with(two.key(), |_| ()).is_none());
    }
}
