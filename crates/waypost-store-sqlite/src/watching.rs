//! Looking at the disk every now and then, also when nobody writes.

use std::sync::Arc;
use std::time::Duration;

use waypost_core::Clock;

use crate::metrics::StoreMetrics;
use crate::store::SqliteStore;

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Sees the disk fill up, and the room that comes back.
#[derive(Debug)]
pub struct DiskWatch {
    store: Arc<SqliteStore>,
    clock: Arc<dyn Clock>,
    metrics: StoreMetrics,
}

impl DiskWatch {
    /// Makes the watch over a store.
    pub fn new(store: Arc<SqliteStore>, clock: Arc<dyn Clock>, metrics: &StoreMetrics) -> Self {
        let metrics = metrics.clone();
        Self {
            store,
            clock,
            metrics,
        }
    }

    /// Looks every two seconds until `shutdown` completes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        loop {
            let store = Arc::clone(&self.store);
            // It may write what could not be written before, and a disk may take its time.
            let looked = tokio::task::spawn_blocking(move || store.look_at_disk());
            tokio::select! {
                () = &mut shutdown => return,
                free = looked => if let Ok(Some(free)) = free {
                    self.metrics.free_bytes.set(free);
                },
            }
            tokio::select! {
                () = &mut shutdown => return,
                () = self.clock.sleep(INTERVAL) => {}
            }
        }
    }
}
