//! The store that keeps nothing beyond the process: for `memory_only` and for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::{Batch, Change, Object, Precondition};
use crate::commit_log::CommitLog;
use crate::id::{Epoch, Revision};
use crate::name::ObjectKey;
use crate::store::{ChangeStream, CommitError, Compacted, Loaded, Store, StoreError};
use crate::time::BoxFuture;

const BATCHES_KEPT: usize = 8_192;

/// A store in memory. Cloning shares it, so that a test can be its second writer.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    log: CommitLog,
}

struct Inner {
    epoch: Epoch,
    revision: Revision,
    objects: BTreeMap<ObjectKey, (Object, Revision)>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// Makes an empty store of the given epoch.
    pub fn new(epoch: Epoch) -> Self {
        let inner = Inner {
            epoch,
            revision: Revision::ZERO,
            objects: BTreeMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            log: CommitLog::new(Revision::ZERO, BATCHES_KEPT),
        }
    }

    fn commit_all(&self, batches: Vec<Batch>) -> Vec<Result<Revision, CommitError>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut committed = Vec::with_capacity(batches.len());
        let results = batches
            .into_iter()
            .map(|batch| {
                let revision = inner.commit(&batch)?;
                committed.push((revision, Arc::new(batch)));
                Ok(revision)
            })
            .collect();
        // Appended under the lock, so that the log's revisions rise with two writers too.
        self.log.append(committed);
        results
    }
}

impl Inner {
    fn commit(&mut self, batch: &Batch) -> Result<Revision, CommitError> {
        for precondition in &batch.preconditions {
            if let Some(broken) = self.broken(precondition) {
                return Err(CommitError::Conflict(broken));
            }
        }
        self.revision = Revision(self.revision.0 + 1);
        for change in &batch.changes {
            match change {
                Change::Put(object) => {
                    self.objects
                        .insert(object.key(), (object.clone(), self.revision));
                }
                Change::Remove(key) => {
                    self.objects.remove(key);
                }
            }
        }
        Ok(self.revision)
    }

    fn broken(&self, precondition: &Precondition) -> Option<String> {
        match precondition {
            Precondition::At(key, revision) => {
                let holds = self.objects.get(key).is_some_and(|(_, at)| at == revision);
                (!holds).then(|| key.to_string())
            }
            Precondition::Absent(key) => self.objects.contains_key(key).then(|| key.to_string()),
            Precondition::Empty(prefix) => self
                .objects
                .keys()
                .find(|key| prefix.holds(key))
                .map(ToString::to_string),
        }
    }
}

impl Store for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        Box::pin(async move {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Loaded {
                epoch: inner.epoch,
                revision: inner.revision,
                objects: inner.objects.values().cloned().collect(),
                quarantined: Vec::new(),
            })
        })
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>> {
        Box::pin(async move { self.commit_all(batches) })
    }

    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>> {
        Box::pin(async move { self.log.read_after(after) })
    }
}
