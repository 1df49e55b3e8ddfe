//! Real files in temporary directories; a crash is a copy of the files while the store is open.

mod agreement;
mod conformance;
mod damage;
mod disk;
mod journal;
mod mutated;
mod opening;
mod restart;
mod restoring;
mod scheduled;
mod size;
mod snapshots;
mod space;
mod upgrade;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use waypost_core::{
    Batch, CommitError, Loaded, ManualClock, Object, Revision, Store, StoreError, Timestamp,
};

use crate::{SqliteConfig, SqliteStore};

/// A data directory that goes when the test ends.
pub(crate) struct Home {
    directory: TempDir,
    pub(crate) config: SqliteConfig,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig {
            data_dir: directory.path().join("data"),
            ..SqliteConfig::default()
        };
        Self { directory, config }
    }

    pub(crate) fn try_open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.config, clock())
    }

    pub(crate) fn open(&self) -> SqliteStore {
        self.try_open().unwrap()
    }

    /// Returns what opening is refused with.
    pub(crate) fn refusal(&self) -> String {
        self.try_open().unwrap_err().to_string()
    }

    pub(crate) fn strict(mut self) -> Self {
        self.config.strict_load = true;
        self
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.config.data_dir.join(name)
    }

    /// Opens the file as an operator would with a tool, while no store is open.
    pub(crate) fn edit(&self, statements: &str) {
        let connection = Connection::open(self.file("registry.sqlite")).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    /// Returns a copy as it is right now: what a process that is killed leaves behind.
    pub(crate) fn crash(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(&copy.config.data_dir).unwrap();
        for entry in std::fs::read_dir(&self.config.data_dir).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.config.data_dir.join(entry.file_name())).unwrap();
        }
        Self {
            config: SqliteConfig {
                data_dir: copy.config.data_dir,
                ..self.config.clone()
            },
            directory: copy.directory,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp(1_790_000_000_000)))
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn commit(
    store: &SqliteStore,
    batches: Vec<Batch>,
) -> Vec<Result<Revision, CommitError>> {
    run(store.commit(batches))
}

pub(crate) fn commit_one(store: &SqliteStore, batch: Batch) -> Revision {
    commit(store, vec![batch]).remove(0).unwrap()
}

pub(crate) fn load(store: &SqliteStore) -> Loaded {
    run(store.load()).unwrap()
}

pub(crate) fn objects(store: &SqliteStore) -> Vec<Object> {
    load(store)
        .objects
        .into_iter()
        .map(|(object, _)| object)
        .collect()
}
