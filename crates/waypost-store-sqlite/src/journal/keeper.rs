//! The journal's thread: writes lines in groups, keeps the file within its bounds, answers readers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use std::vec::IntoIter;

use rusqlite::Connection;
use waypost_core::{
    Clock, JournalEntry, JournalError, JournalFilter, JournalPage, JournalRecord, Monotonic,
    ObjectKey, StoreError,
};

use super::page::page;
use super::{Counts, Message};
use crate::config::{SqliteConfig, Synchronous};
use crate::database::{self, Content};
use crate::directory::{create_private, unusable};
use crate::meta::signed;
use crate::refusal::Failure;
use crate::space::Space;
use crate::wal;

const FILE: &str = "journal.sqlite";
/// `WAYJ`: marks the journal's file.
const APPLICATION: i32 = 0x5741_594a;
const SCHEMA: i32 = 1;
/// Most lines that are taken before readers have their turn.
const GROUP_MAX: usize = 1_024;
/// A transaction ends after so many bytes of lines, so that the log stays short beside the file.
const TRANSACTION_BYTES: usize = 4 * 1_024 * 1_024;
/// After so many bytes the disk is looked at again.
const UNLOOKED_BYTES_MAX: usize = 1_024 * 1_024;
/// Old lines removed at a time.
const TRIM_LINES: i64 = 1_024;
/// The least that is removed at a time: of the longest lines it is 4 MiB.
const TRIM_LINES_MIN: i64 = 16;
/// Fewer bytes make no journal.
const BYTES_MIN: u64 = 1_024 * 1_024;
/// How often old lines are looked for.
const AGE_INTERVAL: Duration = Duration::from_secs(60);

// AUTOINCREMENT: a sequence number never comes again, also when everything was trimmed; pages go on by it.
const TABLES: &str = "
CREATE TABLE line (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    instance TEXT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX line_instance ON line (instance, sequence) WHERE instance IS NOT NULL;
";

pub(super) struct Keeper {
    file: PathBuf,
    connection: Connection,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    space: Arc<Space>,
    /// Bytes written since the disk was looked at from here.
    unlooked: usize,
    bytes_max: u64,
    age_max: Duration,
    age_due: Monotonic,
    /// Whether the last write failed: said once and not for each line.
    failing: bool,
}

impl Keeper {
    pub(super) fn open(
        config: &SqliteConfig,
        (space, clock): (Arc<Space>, Arc<dyn Clock>),
        counts: Arc<Counts>,
    ) -> Result<Self, StoreError> {
        let file = config.data_dir.join(FILE);
        Ok(Self {
            connection: open_or_set_aside(&file)?,
            age_due: clock.monotonic(),
            clock,
            counts,
            space,
            unlooked: 0,
            bytes_max: config.journal_bytes_max.max(BYTES_MIN),
            age_max: Duration::from_secs(u64::from(config.journal_age_days) * 24 * 60 * 60),
            failing: false,
            file,
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut next = Some(first);
            let mut lines = Vec::new();
            while let Some(message) = next.take() {
                match message {
                    Message::Lines(more) => lines.extend(more),
                    Message::Read(filter, limit, reply, place) => {
                        self.write(std::mem::take(&mut lines));
                        // Whoever does not wait any more costs nothing.
                        if !reply.is_closed() {
                            drop(reply.send(self.read(&filter, limit)));
                        }
                        drop(place);
                    }
                }
                if lines.len() < GROUP_MAX {
                    next = messages.try_recv().ok();
                }
            }
            self.write(lines);
        }
        // It takes room to bring the log in, and the next start finds what is in it.
        if self.space.takes_journal()
            && let Err(failure) = wal::checkpoint_whole(&self.connection)
        {
            tracing::warn!(error = %failure, "the journal was not closed in order");
        }
    }

    fn write(&mut self, lines: Vec<JournalEntry>) {
        if lines.is_empty() {
            return;
        }
        let count = lines.len();
        let (kept, written) = self.write_all(lines);
        self.counts.queued.fetch_sub(count, Ordering::AcqRel);
        let dropped = u64::try_from(count - kept).unwrap_or_default();
        self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        let Err(failure) = written else {
            self.failing = false;
            return;
        };
        if !self.failing {
            let file = self.file.display();
            tracing::warn!(%file, error = %failure, "the journal cannot be written, lines are dropped");
        }
        self.failing = true;
        if failure.is_damage() {
            self.begin_anew();
        }
    }

    /// Returns how many of the lines are in the file, whatever became of the step after.
    fn write_all(&mut self, lines: Vec<JournalEntry>) -> (usize, Result<(), Failure>) {
        let count = lines.len();
        let mut lines = lines.into_iter();
        let mut kept = 0;
        while lines.len() > 0 && self.space.takes_journal() {
            let written = self.insert(&mut lines).and_then(|bytes| {
                kept = count - lines.len();
                self.look_after(bytes);
                self.trim()?;
                wal::checkpoint_when_long(&self.connection)
            });
            if written.is_err() {
                return (kept, written);
            }
        }
        (kept, Ok(()))
    }

    /// Looks how much of the disk is left after much was written; else it is seen by who looks for the store.
    fn look_after(&mut self, bytes: usize) {
        self.unlooked += bytes;
        if self.unlooked >= UNLOOKED_BYTES_MAX {
            self.unlooked = 0;
            self.space.look();
        }
    }

    /// Takes as many lines as one transaction may hold, and gives how many bytes they are.
    fn insert(&mut self, lines: &mut IntoIter<JournalEntry>) -> Result<usize, Failure> {
        let transaction = self.connection.transaction()?;
        let mut bytes = 0;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO line (at, instance, kind, body) VALUES (?1, ?2, ?3, ?4)",
            )?;
            while bytes < TRANSACTION_BYTES
                && let Some(line) = lines.next()
            {
                let (at, kind) = (signed(line.at.0)?, line.record.kind().as_str());
                let instance = match &line.record {
                    JournalRecord::Edge { instance, .. } => {
                        Some(ObjectKey::Registration(instance.clone()).path())
                    }
                    _ => None,
                };
                let body = match line.written() {
                    Ok((_, body)) => body,
                    Err(error) => {
                        tracing::warn!(%error, "a line of the journal cannot be written as JSON");
                        continue;
                    }
                };
                bytes += body.len();
                insert.execute((at, instance, kind, body))?;
            }
        }
        transaction.commit()?;
        Ok(bytes)
    }

    /// Removes the oldest lines while there are too many bytes, and those that are too old.
    fn trim(&mut self) -> Result<(), Failure> {
        loop {
            let excess = self.used_bytes()?.saturating_sub(self.bytes_max);
            if excess == 0 || !self.space.takes_journal() {
                break;
            }
            let most = self.oldest_within(excess)?;
            if self.remove_oldest(i64::MAX, most)? == 0 {
                break;
            }
            wal::checkpoint_when_long(&self.connection)?;
        }
        let now = self.clock.monotonic();
        if now < self.age_due {
            return Ok(());
        }
        self.age_due = now.after(AGE_INTERVAL);
        let age = u64::try_from(self.age_max.as_millis()).unwrap_or(u64::MAX);
        let oldest = signed(self.clock.wall().0.saturating_sub(age))?;
        while self.space.takes_journal() && self.remove_oldest(oldest, TRIM_LINES)? > 0 {
            wal::checkpoint_when_long(&self.connection)?;
        }
        Ok(())
    }

    /// Returns the bytes of the pages in use; freed ones are used again before the file grows.
    fn used_bytes(&self) -> Result<u64, Failure> {
        let pragma = |name: &str| -> Result<u64, Failure> {
            let mut statement = self.connection.prepare_cached(&format!("PRAGMA {name}"))?;
            let value: i64 = statement.query_row([], |row| row.get(0))?;
            Ok(value.max(0).unsigned_abs())
        };
        let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(pages * pragma("page_size")?)
    }

    /// Counts the oldest lines that are no more than so many bytes, as far as they are removed at a time.
    fn oldest_within(&self, bytes: u64) -> Result<i64, Failure> {
        let mut count = self.connection.prepare_cached(
            "SELECT count(*) FROM (
                 SELECT sum(bytes) OVER (ORDER BY sequence) AS total FROM (
                     SELECT sequence, octet_length(body) AS bytes FROM line ORDER BY sequence LIMIT ?2
                 )
             ) WHERE total <= ?1",
        )?;
        let bytes = signed(bytes.min(TRANSACTION_BYTES as u64))?;
        let count: i64 = count.query_row([bytes, TRIM_LINES], |row| row.get(0))?;
        Ok(count.max(TRIM_LINES_MIN))
    }

    fn remove_oldest(&self, before: i64, most: i64) -> Result<usize, Failure> {
        let mut remove = self.connection.prepare_cached(
            "DELETE FROM line WHERE at < ?1
             AND sequence IN (SELECT sequence FROM line ORDER BY sequence LIMIT ?2)",
        )?;
        Ok(remove.execute([before, most])?)
    }

    fn read(&mut self, filter: &JournalFilter, limit: usize) -> Result<JournalPage, JournalError> {
        page(&self.connection, filter, limit).map_err(|failure| {
            if failure.is_damage() {
                self.begin_anew();
            }
            JournalError(failure.to_string())
        })
    }

    /// Sets a file aside that turned out to be damaged while it was in use.
    fn begin_anew(&mut self) {
        match Connection::open_in_memory() {
            // Closes the damaged file before it is moved.
            Ok(nothing) => drop(std::mem::replace(&mut self.connection, nothing)),
            Err(error) => {
                tracing::error!(%error, "the journal cannot be begun anew");
                return;
            }
        }
        let anew =
            set_aside(&self.file, "it is damaged").and_then(|()| open_or_set_aside(&self.file));
        match anew {
            Ok(connection) => self.connection = connection,
            Err(error) => tracing::error!(%error, "the journal cannot be begun anew"),
        }
    }
}

fn open_or_set_aside(file: &Path) -> Result<Connection, StoreError> {
    create_private(file)?;
    let why = match open(file) {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(why)) => why,
        Err(failure) if failure.is_damage() => failure.to_string(),
        Err(failure) => return Err(failure.at_open(file)),
    };
    set_aside(file, &why)?;
    create_private(file)?;
    match open(file) {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(why)) => Err(StoreError(format!("{} {why}", file.display()))),
        Err(failure) => Err(failure.at_open(file)),
    }
}

/// The inner error says why the file is none that this version can go on with.
fn open(file: &Path) -> Result<Result<Connection, String>, Failure> {
    wal::check_file(file)?;
    let mut connection = database::connect(file)?;
    match database::inspect(&connection, APPLICATION)? {
        Content::Foreign(mark) => {
            return Ok(Err(format!(
                "is of another program (application id {mark})"
            )));
        }
        Content::Empty => {
            database::prepare(&connection, Synchronous::Normal)?;
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()?;
        }
        Content::Ours => {
            let schema: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if schema != SCHEMA {
                return Ok(Err(format!(
                    "has schema {schema}, this Waypost knows {SCHEMA}"
                )));
            }
            database::prepare(&connection, Synchronous::Normal)?;
            // Looks at both ends of the table only: damage in between shows when somebody reads there.
            connection.query_row(
                "SELECT (SELECT min(sequence) FROM line), (SELECT max(sequence) FROM line)",
                [],
                |_| Ok(()),
            )?;
        }
    }
    Ok(Ok(connection))
}

/// Keeps the latest damaged file, for whoever wants to look into it.
fn set_aside(file: &Path, why: &str) -> Result<(), StoreError> {
    tracing::warn!(file = %file.display(), why, "the journal is set aside and a new one begun");
    for suffix in ["", "-wal"] {
        let mut from = file.as_os_str().to_owned();
        from.push(suffix);
        let mut to = file.as_os_str().to_owned();
        to.push(".damaged");
        to.push(suffix);
        match std::fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(file, &error)),
        }
    }
    Ok(())
}
