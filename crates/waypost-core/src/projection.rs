//! Projections: tables beside the snapshot for hot paths, brought up to date before a change is acknowledged.

use std::sync::Arc;

use crate::recent::Touched;
use crate::snapshot::Snapshot;
use crate::time::BoxFuture;

/// A table derived from the snapshot.
pub trait Projection: Send + Sync + 'static {
    /// Returns the name for logs and metrics.
    fn name(&self) -> &'static str;

    /// Takes a published snapshot in; `touched` lists what is different, `None` means everything. The acknowledgement
    /// waits for it, but not for longer than the registry's bound.
    fn project<'a>(
        &'a self,
        snapshot: &'a Arc<Snapshot>,
        touched: Option<&'a [Touched]>,
    ) -> BoxFuture<'a, ()>;
}
