//! The issued credentials, as the registry has them now: each read once, and looked at again when it was written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use waypost_core::{Access, Document, DocumentKey, Monotonic, Snapshots, Timestamp};

use crate::issued::{Issued, KEYS, MARK, TOKENS, hex};
use crate::rate::Meter;
use crate::server_key::DIGEST_BYTES;

/// The issued credentials of a registry.
#[derive(Debug)]
pub(crate) struct Book {
    snapshots: Snapshots,
    /// Twice the revision that was looked at last, and one more when nothing had been issued then.
    seen: AtomicU64,
    tokens: Shelf,
    keys: Shelf,
}

/// The credentials of a kind that were used, by what their users send. No more than the registry has.
#[derive(Debug, Default)]
struct Shelf(RwLock<HashMap<Box<[u8]>, Arc<Entry>>>);

/// A credential that was used.
#[derive(Debug)]
pub(crate) struct Entry {
    document: Arc<Document>,
    issued: Issued,
    access: Access,
    meter: Meter,
    /// Wall time of the latest use, in milliseconds; 0 before the first.
    used: AtomicU64,
    /// The latest revision at which the document was this one.
    seen: AtomicU64,
}

impl Entry {
    pub(crate) fn issued(&self) -> &Issued {
        &self.issued
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    fn is_valid_at(&self, now: Timestamp) -> bool {
        !self.issued.has_ended(now)
    }

    pub(crate) fn used(&self, now: Timestamp) {
        self.used.store(now.0, Ordering::Relaxed);
    }
}

impl Book {
    pub(crate) fn new(snapshots: Snapshots) -> Self {
        Self {
            snapshots,
            seen: AtomicU64::new(u64::MAX),
            tokens: Shelf::default(),
            keys: Shelf::default(),
        }
    }

    pub(crate) fn monotonic(&self) -> Monotonic {
        self.snapshots.monotonic()
    }

    /// Says whether nothing was issued, or the last of it was revoked. Credentials that have ended or cannot be read open
    /// nothing. Every request to an open server asks, so that one look holds for a revision.
    pub(crate) fn is_empty(&self) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen >> 1 == self.snapshots.revision().0 {
            return seen & 1 == 1;
        }
        let snapshot = self.snapshots.latest();
        let mut kinds = [TOKENS, KEYS, MARK].into_iter();
        let is_empty = !kinds.any(|kind| snapshot.documents_of(kind).next().is_some());
        let seen = (snapshot.revision().0 << 1) | u64::from(is_empty);
        self.seen.store(seen, Ordering::Relaxed);
        is_empty
    }

    /// Finds the token of a keyed hash, and notes that it was used.
    pub(crate) fn token(&self, digest: &[u8; DIGEST_BYTES]) -> Option<Arc<Entry>> {
        let name = || DocumentKey::new(TOKENS, &hex(digest)).ok();
        let entry = self.find(&self.tokens, digest, name)?;
        entry.used(self.snapshots.wall());
        Some(entry)
    }

    /// Says whether a token that was found before is valid, and notes that it was used.
    pub(crate) fn uses_again(&self, entry: &Entry) -> bool {
        let now = self.snapshots.wall();
        let holds = self.holds(entry) && entry.is_valid_at(now);
        if holds {
            entry.used(now);
        }
        holds
    }

    /// Finds a key pair; whether it was used shows when its signature is verified.
    pub(crate) fn key(&self, id: &str) -> Option<Arc<Entry>> {
        let name = || DocumentKey::new(KEYS, id).ok();
        self.find(&self.keys, id.as_bytes(), name)
    }

    /// Finds a credential by its id.
    pub(crate) fn named(&self, id: &str) -> Option<(Arc<Document>, Issued)> {
        let snapshot = self.snapshots.latest();
        let kinds = [TOKENS, KEYS].into_iter();
        let mut documents = kinds.flat_map(|kind| snapshot.documents_of(kind));
        documents.find_map(|document| {
            let issued = Issued::read(document).filter(|issued| issued.id == id)?;
            Some((Arc::clone(document), issued))
        })
    }

    /// Lists when each was used last, by id, and forgets those that are not issued any more.
    pub(crate) fn uses(&self) -> Vec<(String, Timestamp)> {
        let shelves = [&self.tokens, &self.keys].into_iter();
        shelves
            .inspect(|shelf| shelf.keep_those_in(&self.snapshots))
            .flat_map(Shelf::uses)
            .collect()
    }

    fn find(
        &self,
        shelf: &Shelf,
        sent: &[u8],
        name: impl FnOnce() -> Option<DocumentKey>,
    ) -> Option<Arc<Entry>> {
        let entry = match shelf.get(sent) {
            Some(entry) if self.holds(&entry) => Some(entry),
            known => self.read_again(shelf, sent, known.as_deref(), name),
        };
        let now = self.snapshots.wall();
        // The registry removes it soon after; it ends on time all the same.
        entry.filter(|entry| entry.is_valid_at(now))
    }

    /// Says whether the registry has the very document that was read.
    fn holds(&self, entry: &Entry) -> bool {
        if entry.seen.load(Ordering::Relaxed) == self.snapshots.revision().0 {
            return true;
        }
        let snapshot = self.snapshots.latest();
        let found = snapshot.document(&entry.document.key);
        let is_same = found.is_some_and(|(document, _)| Arc::ptr_eq(document, &entry.document));
        if is_same {
            entry.seen.store(snapshot.revision().0, Ordering::Relaxed);
        }
        is_same
    }

    fn read_again(
        &self,
        shelf: &Shelf,
        sent: &[u8],
        known: Option<&Entry>,
        name: impl FnOnce() -> Option<DocumentKey>,
    ) -> Option<Arc<Entry>> {
        let snapshot = self.snapshots.latest();
        let read = || {
            let (document, _) = snapshot.document(&name()?)?;
            let issued = Issued::read(document)?;
            Some(Arc::new(Entry {
                document: Arc::clone(document),
                access: issued.access(),
                issued,
                meter: Meter::default(),
                used: AtomicU64::new(known.map_or(0, |it| it.used.load(Ordering::Relaxed))),
                seen: AtomicU64::new(snapshot.revision().0),
            }))
        };
        let entry = read();
        // Most who are unknown guess: they change nothing here.
        match (entry, known) {
            (Some(entry), _) => Some(shelf.put(sent, entry)),
            (None, Some(_)) => {
                shelf.remove(sent);
                None
            }
            (None, None) => None,
        }
    }
}

impl Shelf {
    fn get(&self, sent: &[u8]) -> Option<Arc<Entry>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(sent).cloned()
    }

    /// Puts a credential on the shelf, and gives the one that is there then: who else read the same document has the same.
    fn put(&self, sent: &[u8], entry: Arc<Entry>) -> Arc<Entry> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match entries.get(sent) {
            Some(there) if Arc::ptr_eq(&there.document, &entry.document) => Arc::clone(there),
            _ => {
                entries.insert(sent.into(), Arc::clone(&entry));
                entry
            }
        }
    }

    fn remove(&self, sent: &[u8]) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(sent);
    }

    fn keep_those_in(&self, snapshots: &Snapshots) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Nothing comes onto the shelf meanwhile that an older snapshot would lack.
        let snapshot = snapshots.latest();
        entries.retain(|_, entry| snapshot.document(&entry.document.key).is_some());
    }

    fn uses(&self) -> Vec<(String, Timestamp)> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let used = entries.values().map(|entry| {
            let used = Timestamp(entry.used.load(Ordering::Relaxed));
            (entry.issued.id.clone(), used)
        });
        used.filter(|(_, used)| used.0 > 0).collect()
    }
}
