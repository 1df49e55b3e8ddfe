//! The recent commits of an embedded store, from which its change streams read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::batch::Batch;
use crate::id::Revision;
use crate::store::{ChangeStream, Committed, Compacted};
use crate::time::BoxFuture;

/// A bounded ring of committed batches. Cloning shares it.
#[derive(Clone)]
pub struct CommitLog {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    grown: Notify,
}

struct Ring {
    kept: VecDeque<Committed>,
    /// Everything up to here is no longer kept.
    floor: Revision,
    batches_max: usize,
}

impl fmt::Debug for CommitLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitLog").finish_non_exhaustive()
    }
}

impl CommitLog {
    /// Makes an empty log that continues after `floor` and keeps `batches_max` batches.
    pub fn new(floor: Revision, batches_max: usize) -> Self {
        let ring = Ring {
            kept: VecDeque::new(),
            floor,
            batches_max,
        };
        Self {
            shared: Arc::new(Shared {
                ring: Mutex::new(ring),
                grown: Notify::new(),
            }),
        }
    }

    /// Appends committed batches, whose revisions only rise.
    pub fn append(&self, committed: impl IntoIterator<Item = (Revision, Arc<Batch>)>) {
        {
            let mut ring = self
                .shared
                .ring
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for (revision, batch) in committed {
                ring.kept.push_back(Committed { revision, batch });
            }
            while ring.kept.len() > ring.batches_max {
                if let Some(dropped) = ring.kept.pop_front() {
                    ring.floor = dropped.revision;
                }
            }
        }
        self.shared.grown.notify_waiters();
    }

    /// Returns a stream of what comes after `after`.
    ///
    /// # Errors
    /// `Compacted` when some of it is no longer kept.
    pub fn read_after(&self, after: Revision) -> Result<Box<dyn ChangeStream>, Compacted> {
        let mut stream = LogStream {
            shared: Arc::clone(&self.shared),
            position: after,
        };
        stream.take()?;
        stream.position = after;
        Ok(Box::new(stream))
    }
}

struct LogStream {
    shared: Arc<Shared>,
    position: Revision,
}

impl LogStream {
    fn take(&mut self) -> Result<Vec<Committed>, Compacted> {
        let ring = self
            .shared
            .ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.position < ring.floor {
            return Err(Compacted);
        }
        let start = ring
            .kept
            .partition_point(|committed| committed.revision <= self.position);
        let new: Vec<Committed> = ring.kept.iter().skip(start).cloned().collect();
        if let Some(last) = new.last() {
            self.position = last.revision;
        }
        Ok(new)
    }
}

impl ChangeStream for LogStream {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Committed>, Compacted>> {
        Box::pin(async move {
            let shared = Arc::clone(&self.shared);
            loop {
                let grown = shared.grown.notified();
                tokio::pin!(grown);
                grown.as_mut().enable();
                let new = self.take()?;
                if !new.is_empty() {
                    return Ok(new);
                }
                grown.await;
            }
        })
    }
}
