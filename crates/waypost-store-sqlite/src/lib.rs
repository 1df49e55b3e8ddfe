//! Keeps the history in SQLite: one file, one connection, one durable step per commit.
//!
//! Memory is what is read; the file is the durable end of the one writer. Rows are keyed by a number that only rises,
//! so that loading and restoring run through the file in order; the index from names to rows lives in memory. Every
//! row carries a checksum. Left out on purpose: a second connection, a memory map, and any retry of a write or sync
//! that failed (a retried `fsync` can report success for pages that the kernel has already dropped).

mod checksum;
mod config;
mod database;
mod directory;
mod index;
mod journal;
mod meta;
mod metrics;
mod opening;
mod refusal;
mod resting;
mod restoring;
mod saving;
mod scan;
mod scheduled;
mod space;
mod state;
mod store;
mod unwritten;
mod upgrade;
mod wal;
mod watching;

#[cfg(test)]
mod tests;

pub use config::{ConfigError, SqliteConfig, Synchronous};
pub use journal::SqliteJournal;
pub use metrics::StoreMetrics;
pub use resting::read_at_rest;
pub use restoring::{Restored, restore};
pub use saving::{SnapshotFile, open_snapshot, save_snapshot};
pub use scheduled::ScheduledSnapshots;
pub use store::{SqliteStore, has_registry};
pub use watching::DiskWatch;
