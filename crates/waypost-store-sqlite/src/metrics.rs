//! What the store measures.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

type Number = Gauge<u64, AtomicU64>;

/// What is left of the disk, and what became of the snapshots that are written by themselves. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct StoreMetrics {
    pub(crate) free_bytes: Number,
    pub(crate) snapshot_seconds: Number,
    pub(crate) snapshot_bytes: Number,
    pub(crate) snapshot_failures: Counter,
}

impl StoreMetrics {
    /// Makes the metrics and registers `store_disk_free_bytes`, and for snapshots that are written by themselves
    /// `snapshot_last_success_timestamp_seconds`, `snapshot_size_bytes` and `snapshot_failures`.
    pub fn register(registry: &mut Registry, takes_snapshots: bool) -> Self {
        let metrics = Self::default();
        registry.register_with_unit(
            "store_disk_free",
            "Bytes that may still be written to the disk of the data directory",
            Unit::Bytes,
            metrics.free_bytes.clone(),
        );
        if takes_snapshots {
            registry.register_with_unit(
                "snapshot_last_success_timestamp",
                "When the newest snapshot that the server wrote by itself was made, since 1970",
                Unit::Seconds,
                metrics.snapshot_seconds.clone(),
            );
            registry.register_with_unit(
                "snapshot_size",
                "Size of the newest snapshot that the server wrote by itself",
                Unit::Bytes,
                metrics.snapshot_bytes.clone(),
            );
            registry.register(
                "snapshot_failures",
                "Snapshots that the server could not write by itself",
                metrics.snapshot_failures.clone(),
            );
        }
        metrics
    }
}
