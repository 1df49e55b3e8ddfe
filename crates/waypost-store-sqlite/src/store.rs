//! The store: opened, read, committed to, read-only after the first failure, closed.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::Connection;
use waypost_core::{
    Batch, BoxFuture, ChangeStream, Clock, CommitError, CommitLog, Compacted, Epoch, Loaded,
    Revision, Store, StoreError,
};

use crate::config::SqliteConfig;
use crate::database::{self, Content};
use crate::directory::{Directory, unusable};
use crate::meta::{self, Meta};
use crate::refusal::Failure;
use crate::scan::{self, Scan};
use crate::state::{State, Verdict, reserve};
use crate::wal;

const FILE: &str = "registry.sqlite";
/// Batches kept in memory for change streams.
const BATCHES_KEPT: usize = 8_192;
/// Epochs are kept in SQLite's signed integers.
const EPOCH_BITS: u64 = (1 << 63) - 1;

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
        let directory = Directory::open(&config.data_dir)?;
        let file = directory.create_file(FILE)?;
        let state = match open(config, &file, clock.as_ref()) {
            Ok(state) => state?,
            Err(failure) => return Err(failure.at_open(&file)),
        };
        directory.sync()?;
        Ok(Self {
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
        let target = path
            .to_str()
            .ok_or_else(|| StoreError(format!("{} is not UTF-8", path.display())))?;
        let copied = state.connection.execute("VACUUM INTO ?1", [target]);
        copied.map_err(|error| {
            StoreError(format!("{} cannot be written: {error}", path.display()))
        })?;
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| unusable(path, &error))
    }

    /// Brings the log into the file and marks it as closed in order. Later commits are refused. Does nothing when
    /// closed already.
    ///
    /// # Errors
    /// When the disk fails; what was acknowledged stays in the log, and the next start finds it.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(state) = self.lock().take() else {
            return Ok(());
        };
        if self.refusal.set("the store is closed".to_owned()).is_err() {
            // Nothing is written or synced after a failure, not even here.
            return Ok(());
        }
        shut(&state).map_err(|failure| StoreError(failure.at_write(&self.file)))
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
        let (results, committed) = match self.refusal.get() {
            Some(why) => state.accept(batches, why),
            None => match state.write(batches) {
                Ok(written) => {
                    self.checkpoint(state);
                    written
                }
                Err((failure, batches)) => self.fail(state, &failure, batches),
            },
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
        let Scan { mut objects, .. } = if self.refusal.get().is_none() {
            take_over(state, found, self.clock.as_ref())
                .map_err(|failure| failure.at_open(&self.file))?
        } else {
            found
        };
        state.overlay(&mut objects);
        Ok(loaded(&state.meta, objects, quarantined))
    }

    #[cfg(test)]
    pub(crate) fn with_connection<T>(&self, of: impl FnOnce(&Connection) -> T) -> T {
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
        self.refusal.get().cloned()
    }
}

fn closed() -> StoreError {
    StoreError("the store is closed".to_owned())
}

/// The inner result is a refusal in our own words, the outer one what SQLite says.
fn open(
    config: &SqliteConfig,
    file: &Path,
    clock: &dyn Clock,
) -> Result<Result<State, StoreError>, Failure> {
    wal::check_file(file)?;
    let connection = database::connect(file)?;
    let content = database::inspect(&connection, meta::APPLICATION)?;
    let torn = wal::find_damage(&connection, file)?;
    match content {
        Content::Foreign(mark) => {
            return Ok(Err(StoreError(format!(
                "{} is an SQLite file of another program (application id {mark}); move it away, or set data_dir to another directory",
                file.display()
            ))));
        }
        Content::Empty => {
            if let Some(torn) = torn {
                // What looks new lost all it had.
                return Err(Failure::Damaged(torn));
            }
            database::prepare(&connection, config.synchronous)?;
            meta::create(&connection, &new_history(clock))?;
            // From here on the file itself says whose it is, whatever happens to the log.
            wal::checkpoint_whole(&connection)?;
        }
        Content::Ours => {
            let schema = meta::schema(&connection)?;
            if schema > meta::SCHEMA {
                return Ok(Err(StoreError(format!(
                    "{} was written by a newer Waypost: schema {schema}, this one knows {}; start that version again, or restore a backup of this one's",
                    file.display(),
                    meta::SCHEMA
                ))));
            }
            if schema < meta::SCHEMA {
                meta::migrate(&connection, schema)?;
            }
            database::prepare(&connection, config.synchronous)?;
        }
    }
    read(config, file, clock, connection, torn)
}

fn new_history(clock: &dyn Clock) -> Meta {
    Meta {
        epoch: RandomState::new().hash_one(clock.wall()) & EPOCH_BITS,
        revision: 0,
        reserved: reserve(0),
        objects: 0,
        clean: true,
    }
}

fn read(
    config: &SqliteConfig,
    file: &Path,
    clock: &dyn Clock,
    connection: Connection,
    torn: Option<String>,
) -> Result<Result<State, StoreError>, Failure> {
    let mut meta = meta::read(&connection)?;
    let known = scan::known(&connection)?;
    let found = scan::scan(&connection, meta.objects)?;
    if found.newest > meta.revision {
        return Err(Failure::Damaged(format!(
            "a row is of revision {}, after the last one, {}",
            found.newest, meta.revision
        )));
    }
    let mut new = found.findings(meta.objects);
    new.extend(torn);
    if config.strict_load
        && let Some(first) = known.iter().chain(&new).next()
    {
        return Ok(Err(StoreError(format!(
            "{} holds damage and strict_load is set: {first} ({} findings); restore a backup, or start without strict_load and then empty its table quarantine",
            file.display(),
            known.len() + new.len()
        ))));
    }
    for finding in &new {
        tracing::error!(file = %file.display(), %finding, "damage was set aside");
    }
    wal::keep_damaged(file, &new)?;
    if !meta.clean {
        // Revisions up to the reserved end may have been shown without being written: they never come again.
        meta.revision = meta.reserved;
    }
    meta.clean = false;
    meta.reserved = reserve(meta.revision);
    mark(&connection, &meta)?;
    let mut state = State {
        connection,
        index: crate::index::Index::new(),
        meta,
        last_row: 0,
        read: None,
        quarantined: known.into_iter().chain(new).collect(),
        unwritten: BTreeMap::new(),
    };
    let found = take_over(&mut state, found, clock)?;
    let quarantined = state.quarantined.clone();
    state.read = Some(loaded(&state.meta, found.objects, quarantined));
    Ok(Ok(state))
}

/// Writes where the history stands.
fn mark(connection: &Connection, meta: &Meta) -> Result<(), Failure> {
    let transaction = connection.unchecked_transaction()?;
    meta::write(&transaction, "revision", meta.revision)?;
    meta::write(&transaction, "reserved", meta.reserved)?;
    meta::write(&transaction, "clean_shutdown", meta.clean.into())?;
    transaction.commit()?;
    Ok(())
}

/// Goes by what was read from here on, with what is damaged set aside.
fn take_over(state: &mut State, mut found: Scan, clock: &dyn Clock) -> Result<Scan, Failure> {
    let live = u64::try_from(found.index.len()).unwrap_or_default();
    if !found.damaged.is_empty() || live != state.meta.objects {
        scan::set_aside(&state.connection, &found, clock.wall())?;
    }
    state.meta.objects = live;
    // A row's number is not given again while the process runs, so that the rows stay in the order of their making.
    state.last_row = state.last_row.max(found.last_row);
    state.index = std::mem::replace(&mut found.index, crate::index::Index::new());
    Ok(found)
}

fn loaded(
    meta: &Meta,
    objects: Vec<(waypost_core::Object, Revision)>,
    quarantined: Vec<String>,
) -> Loaded {
    Loaded {
        epoch: Epoch(meta.epoch),
        revision: Revision(meta.revision),
        objects,
        quarantined,
    }
}

fn shut(state: &State) -> Result<(), Failure> {
    let clean = Meta {
        clean: true,
        ..state.meta
    };
    mark(&state.connection, &clean)?;
    wal::checkpoint_whole(&state.connection)
}
