//! The seam to storage engines: three methods, and the errors they may answer.

use std::sync::Arc;

use crate::batch::{Batch, Object};
use crate::id::{Epoch, Revision};
use crate::time::BoxFuture;

/// Everything a store holds, as read at start.
#[derive(Debug)]
pub struct Loaded {
    /// Which history.
    pub epoch: Epoch,
    /// The newest position in it; new ones are higher.
    pub revision: Revision,
    /// Every object with the revision that last wrote it.
    pub objects: Vec<(Object, Revision)>,
    /// Objects that were damaged and set aside, by name and reason.
    pub quarantined: Vec<String>,
}

/// Why a store cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Why one batch was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold; nothing was written.
    #[error("somebody else changed {0} first")]
    Conflict(String),
    /// It may or may not have been written.
    #[error("{0}")]
    Unknown(String),
    /// The store takes no writes; nothing was written.
    #[error("{0}")]
    Unavailable(String),
}

/// A committed batch with its place in the history.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where.
    pub revision: Revision,
    /// What.
    pub batch: Arc<Batch>,
}

/// The history after a position is no longer kept: load again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history after that revision is no longer kept")]
pub struct Compacted;

/// Committed batches in the order of their revisions, without gap or repetition, own commits included.
pub trait ChangeStream: Send {
    /// Completes with at least one batch, or with `Compacted` when the reader fell too far behind.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Committed>, Compacted>>;
}

/// A storage engine: a durable log of changes. Reads never reach it.
pub trait Store: Send + Sync + 'static {
    /// Reads everything.
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>>;

    /// Writes batches in one durable step; each is written whole or not at all, and only if its preconditions hold
    /// after the batches before it. Answers one result per batch, in order. A position is answered only when the batch
    /// is durable. Engines may block the calling thread: the registry's writer has one of its own.
    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>>;

    /// Streams what was committed after a revision.
    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>>;

    /// Says why the store takes no writes, if it takes none.
    fn read_only(&self) -> Option<String> {
        None
    }
}
