//! The store: opened, read, committed to, read-only after the first failure, closed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use waypost_core::{
    Batch, BoxFuture, ChangeStream, Clock, CommitError, CommitLog, Compacted, Loaded, Revision,
    Store, StoreError,
};

use crate::config::SqliteConfig;
use crate::directory::Directory;
use crate::refusal::Failure;
use crate::scan::{self, Scan};
use crate::space::Space;
use crate::state::{State, Verdict};
use crate::{database, opening, restoring, wal};

pub(crate) const FILE: &str = "registry.sqlite";
/// Batches kept in memory for change streams.
const BATCHES_KEPT: usize = 8_192;

/// Says whether a data directory has a registry.
pub fn has_registry(data_dir: &Path) -> bool {
    data_dir.join(FILE).exists()
}

/// The registry in one SQLite file, in a directory that is locked for this process.
///
/// Every call may block the calling thread on the disk. Dropping it closes it.
pub struct SqliteStore {
    file: PathBuf,
    clock: Arc<dyn Clock>,
    /// None after closing.
    state: Mutex<Option<State>>,
    log: CommitLog,
    /// Why nothing is written any more; set once and for good.
    refusal: OnceLock<String>,
    /// The journal beside it looks at it too.
    space: Arc<Space>,
    /// Locked until the store is dropped.
    _directory: Directory,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in the configured directory, making both when they are missing, and reads it whole.
    ///
    /// # Errors
    /// When another process uses the directory, it cannot be written, or the file is another program's, of a newer
    /// Waypost or damaged beyond its single rows (with `strict_load`: damaged at all).
    pub fn open(config: &SqliteConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_in(config, clock, Space::new(config))
    }

    /// Returns the revision of the last change that was in the file when it was opened; zero after closing.
    pub fn opened_at(&self) -> Revision {
        let state = self.lock();
        Revision(state.as_ref().map_or(0, |state| state.opened_at))
    }

    pub(crate) fn space(&self) -> Arc<Space> {
        Arc::clone(&self.space)
    }

    pub(crate) fn open_in(
        config: &SqliteConfig,
        clock: Arc<dyn Clock>,
        space: Space,
    ) -> Result<Self, StoreError> {
        let directory = Directory::open(&config.data_dir)?;
        restoring::refuse_unfinished(&config.data_dir)?;
        let file = directory.create_file(FILE)?;
        let state = match opening::open(config, &file, clock.as_ref()) {
            Ok(state) => state?,
            Err(failure) => return Err(failure.at_open(&file)),
        };
        directory.sync()?;
        space.look();
        Ok(Self {
            space: Arc::new(space),
            log: CommitLog::new(Revision(state.meta.revision), BATCHES_KEPT),
            state: Mutex::new(Some(state)),
            refusal: OnceLock::new(),
            file,
            clock,
            _directory: directory,
        })
    }

    /// Writes a copy of the whole store to a new file, which can take the place of the original. Commits wait
    /// meanwhile.
    ///
    /// # Errors
    /// When the file exists or cannot be written, or the store is closed.
    pub fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let state = self.lock();
        let state = state.as_ref().ok_or_else(closed)?;
        if path.exists() {
            return Err(StoreError(format!("{} exists already", path.display())));
        }
        database::copy_into(&state.connection, path)
    }

    /// Brings the log into the file and marks it as closed in order. Later commits are refused. Does nothing when
    /// closed already.
    ///
    /// # Errors
    /// When the disk fails; what was acknowledged stays in the log, and the next start finds it.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(mut state) = self.lock().take() else {
            return Ok(());
        };
        if self.refusal.set("the store is closed".to_owned()).is_err() {
            // Nothing is written or synced after a failure, not even here.
            return Ok(());
        }
        let shut = state.write_unwritten().and_then(|()| opening::shut(&state));
        shut.map_err(|failure| StoreError(failure.at_write(&self.file)))
    }

    /// Looks how much of the disk is left, and goes on writing when there is room again. Returns the free bytes.
    pub(crate) fn look_at_disk(&self) -> Option<u64> {
        let is_out = self.space.look().is_some();
        if self.refusal.get().is_none()
            && let Some(state) = self.lock().as_mut()
        {
            let written = match is_out {
                false => state.write_unwritten(),
                true if self.space.has_a_little() => state.reserve_more(),
                true => Ok(()),
            };
            if let Err(failure) = written {
                self.refuse(&failure);
            }
        }
        self.space.free_bytes()
    }

    /// Says in a sentence that the disk of the data directory is filling up, if it is.
    pub fn disk_warning(&self) -> Option<String> {
        self.space.warning()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_all(&self, batches: Vec<Batch>) -> Vec<Verdict> {
        let mut guard = self.lock();
        let Some(state) = guard.as_mut() else {
            let answer = || Err(CommitError::Unavailable("the store is closed".to_owned()));
            return batches.iter().map(|_| answer()).collect();
        };
        let refused = self.refusal.get().cloned().or_else(|| self.space.look());
        let (results, committed) = match refused {
            Some(why) => state.accept(batches, &why),
            None => {
                let written = match state.write_unwritten() {
                    Ok(()) => state.write(batches),
                    Err(failure) => Err((failure, batches)),
                };
                match written {
                    Ok(written) => {
                        self.checkpoint(state);
                        written
                    }
                    Err((failure, batches)) => self.fail(state, &failure, batches),
                }
            }
        };
        // Appended under the lock, so that the log's revisions rise.
        self.log.append(committed);
        results
    }

    /// Brings a long log into the file. What was committed is durable either way, so a failure only ends writing.
    fn checkpoint(&self, state: &State) {
        if let Err(failure) = wal::checkpoint_when_long(&state.connection) {
            self.refuse(&failure);
        }
    }

    fn refuse(&self, failure: &Failure) -> &str {
        let why = self.refusal.get_or_init(|| failure.at_write(&self.file));
        tracing::error!(reason = %why, "the store is read-only from now on");
        why
    }

    /// After the first failure: verdicts go on in memory, of everything else the outcome is unknown.
    fn fail(
        &self,
        state: &mut State,
        failure: &Failure,
        batches: Vec<Batch>,
    ) -> crate::state::Written {
        let why = self.refuse(failure);
        let unknown: Vec<bool> = batches
            .iter()
            .map(|batch| !batch.is_verdict_only())
            .collect();
        let (mut results, committed) = state.accept(batches, why);
        for (result, unknown) in results.iter_mut().zip(unknown) {
            if unknown {
                *result = Err(CommitError::Unknown(why.to_owned()));
            }
        }
        (results, committed)
    }

    fn load_all(&self) -> Result<Loaded, StoreError> {
        let mut guard = self.lock();
        let state = guard.as_mut().ok_or_else(closed)?;
        if let Some(read) = state.read.take() {
            return Ok(read);
        }
        let found = scan::scan(&state.connection, state.meta.objects)
            .map_err(|failure| failure.at_open(&self.file))?;
        let mut quarantined = state.quarantined.clone();
        quarantined.extend(found.findings(state.meta.objects));
        let is_as_written = self.refusal.get().is_none() && state.unwritten.is_empty();
        let Scan { mut objects, .. } = if is_as_written {
            opening::take_over(state, found, self.clock.as_ref())
                .map_err(|failure| failure.at_open(&self.file))?
        } else {
            found
        };
        state.unwritten.overlay(&mut objects);
        Ok(opening::loaded(&state.meta, objects, quarantined))
    }

    #[cfg(test)]
    pub(crate) fn with_connection<T>(&self, of: impl FnOnce(&rusqlite::Connection) -> T) -> T {
        of(&self.lock().as_ref().unwrap().connection)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(error = %error, "the store was not closed in order");
        }
    }
}

impl Store for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        Box::pin(async move { self.load_all() })
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'_, Vec<Result<Revision, CommitError>>> {
        Box::pin(async move { self.commit_all(batches) })
    }

    fn changes(&self, after: Revision) -> BoxFuture<'_, Result<Box<dyn ChangeStream>, Compacted>> {
        Box::pin(async move { self.log.read_after(after) })
    }

    fn read_only(&self) -> Option<String> {
        self.refusal.get().cloned().or_else(|| self.space.refusal())
    }
}

fn closed() -> StoreError {
    StoreError("the store is closed".to_owned())
}
