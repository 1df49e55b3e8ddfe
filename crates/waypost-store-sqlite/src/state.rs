//! What the store knows between two commits, and how a group of batches is written.

use std::sync::Arc;

use rusqlite::Connection;
use waypost_core::{
    Batch, Change, CommitError, Encoded, Loaded, ObjectKey, Precondition, Revision, encode,
};

use crate::checksum;
use crate::index::{Index, NUMBER_MAX, Place};
use crate::meta::{self, Meta};
use crate::refusal::Failure;
use crate::unwritten::Unwritten;

/// At least so many revisions are always reserved beyond the last one, for what is said while nothing can be written.
pub(crate) const RESERVED_MIN: u64 = 65_536;

/// The result of one batch.
pub(crate) type Verdict = Result<Revision, CommitError>;
/// Results in the order of the batches, and what was committed in the order of the revisions.
pub(crate) type Written = (Vec<Verdict>, Vec<(Revision, Arc<Batch>)>);

/// The store's state, owned by whoever holds the lock.
pub(crate) struct State {
    pub(crate) connection: Connection,
    pub(crate) index: Index,
    pub(crate) meta: Meta,
    /// The revision of the last change that was in the file when it was opened.
    pub(crate) opened_at: u64,
    pub(crate) last_row: u64,
    /// The state as read at open, until the first load takes it or the first commit outdates it.
    pub(crate) read: Option<Loaded>,
    /// What was found damaged.
    pub(crate) quarantined: Vec<String>,
    /// What was accepted while nothing can be written, over what the file says.
    pub(crate) unwritten: Unwritten,
}

/// A change as a row.
enum Row {
    Put(&'static str, String, Encoded),
    Remove(&'static str, String),
}

/// Where objects were before a group, so that the index can go back.
pub(crate) type Undo = Vec<(&'static str, String, Option<Place>)>;

impl State {
    /// Writes a group in one transaction. After an error nothing of it is in the index, and it is not known what of it
    /// is in the file.
    pub(crate) fn write(&mut self, batches: Vec<Batch>) -> Result<Written, (Failure, Vec<Batch>)> {
        self.read = None;
        let mut undo = Undo::new();
        let before = (self.meta, self.last_row);
        match self.write_group(&batches, &mut undo) {
            Ok(results) => {
                let committed = results
                    .iter()
                    .zip(batches)
                    .filter_map(|(result, batch)| Some((*result.as_ref().ok()?, Arc::new(batch))))
                    .collect();
                Ok((results, committed))
            }
            Err(failure) => {
                for (kind, path, place) in undo.into_iter().rev() {
                    self.index.set(kind, &path, place);
                }
                // The revision stays where it got to: what may be in the file keeps its numbers.
                self.meta.reserved = before.0.reserved;
                self.meta.objects = before.0.objects;
                self.last_row = before.1;
                if !self.connection.is_autocommit() {
                    // Its failure changes nothing: no more is written either way.
                    drop(self.connection.execute_batch("ROLLBACK"));
                }
                Err((failure, batches))
            }
        }
    }

    fn write_group(&mut self, batches: &[Batch], undo: &mut Undo) -> Result<Vec<Verdict>, Failure> {
        self.execute("BEGIN IMMEDIATE")?;
        let before = self.meta;
        let mut results = Vec::with_capacity(batches.len());
        for batch in batches {
            results.push(match self.prepare(batch) {
                Ok(rows) => {
                    self.number()?;
                    for row in rows {
                        self.write_row(row, undo)?;
                    }
                    Ok(Revision(self.meta.revision))
                }
                Err(error) => Err(error),
            });
        }
        self.meta.objects = u64::try_from(self.index.len()).unwrap_or_default();
        self.write_meta(&before)?;
        self.execute("COMMIT")?;
        Ok(results)
    }

    /// Checks the facts that a batch was decided on and makes rows of it, before anything of it is written.
    fn prepare(&self, batch: &Batch) -> Result<Vec<Row>, CommitError> {
        self.check(batch)?;
        let row = |change: &Change| {
            let key = change.key();
            let (kind, path) = (key.kind(), key.path());
            match change {
                Change::Put(object) => match encode(object) {
                    Ok(encoded) => Ok(Row::Put(kind, path, encoded)),
                    Err(error) => Err(CommitError::Unavailable(format!("{key} {error}"))),
                },
                Change::Remove(_) => Ok(Row::Remove(kind, path)),
            }
        };
        batch.changes.iter().map(row).collect()
    }

    pub(crate) fn check(&self, batch: &Batch) -> Result<(), CommitError> {
        let place = |key: &ObjectKey| self.index.get(key.kind(), &key.path());
        for precondition in &batch.preconditions {
            let broken = match precondition {
                Precondition::At(key, revision) => place(key)
                    .is_none_or(|place| place.revision() != revision.0)
                    .then(|| key.to_string()),
                Precondition::Absent(key) => place(key).map(|_| key.to_string()),
                Precondition::Empty(prefix) => (!self.index.is_empty_under(prefix))
                    .then(|| format!("what lies under {prefix:?}")),
            };
            if let Some(broken) = broken {
                return Err(CommitError::Conflict(broken));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Failure> {
        if self.meta.revision.max(self.last_row) >= NUMBER_MAX - 1 {
            return Err(Failure::Damaged(
                "the numbers of this history are used up".to_owned(),
            ));
        }
        self.meta.revision += 1;
        Ok(())
    }

    fn write_row(&mut self, row: Row, undo: &mut Undo) -> Result<(), Failure> {
        match row {
            Row::Put(kind, path, encoded) => {
                self.put_row(kind, path, &encoded, self.meta.revision, undo)
            }
            Row::Remove(kind, path) => {
                if let Some(place) = self.index.get(kind, &path) {
                    self.remove_row(kind, &path, place.row())?;
                }
                let before = self.index.set(kind, &path, None);
                undo.push((kind, path, before));
                Ok(())
            }
        }
    }

    /// Removes a row; 0 is none.
    pub(crate) fn remove_row(&self, kind: &str, path: &str, row: u64) -> Result<(), Failure> {
        if row == 0 {
            return Ok(());
        }
        let mut remove = self
            .connection
            .prepare_cached("DELETE FROM object WHERE id = ?1")?;
        let count = remove.execute([meta::signed(row)?])?;
        one(count, kind, path, row)
    }

    /// Writes an object in its row, or in a new one.
    pub(crate) fn put_row(
        &mut self,
        kind: &'static str,
        path: String,
        encoded: &Encoded,
        revision: u64,
        undo: &mut Undo,
    ) -> Result<(), Failure> {
        // Row 0 is none: it was said while nothing could be written.
        let known = self.index.get(kind, &path).map_or(0, Place::row);
        let is_new = known == 0;
        let row = if is_new { self.last_row + 1 } else { known };
        let (id, rev) = (meta::signed(row)?, meta::signed(revision)?);
        let (format, body) = (i64::from(encoded.format), encoded.bytes.as_slice());
        let crc = checksum::of_row(id, kind.as_bytes(), path.as_bytes(), rev, format, body);
        if is_new {
            let mut insert = self.connection.prepare_cached(
                "INSERT INTO object (id, kind, key, rev, format, body, crc)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            insert.execute((id, kind, &path, rev, format, body, crc))?;
            self.last_row += 1;
        } else {
            let mut update = self.connection.prepare_cached(
                "UPDATE object SET rev = ?2, format = ?3, body = ?4, crc = ?5 WHERE id = ?1",
            )?;
            let count = update.execute((id, rev, format, body, crc))?;
            one(count, kind, &path, row)?;
        }
        let before = self.index.set(kind, &path, Some(Place::new(row, revision)));
        undo.push((kind, path, before));
        Ok(())
    }

    /// Writes where the history stands, whatever was written before.
    pub(crate) fn write_all_meta(&mut self) -> Result<(), Failure> {
        let reserved = reserve(self.meta.revision);
        meta::write(&self.connection, "revision", self.meta.revision)?;
        meta::write(&self.connection, "objects", self.meta.objects)?;
        meta::write(&self.connection, "reserved", reserved)?;
        self.meta.reserved = reserved;
        Ok(())
    }

    fn write_meta(&mut self, before: &Meta) -> Result<(), Failure> {
        if self.meta.revision == before.revision {
            return Ok(());
        }
        meta::write(&self.connection, "revision", self.meta.revision)?;
        if self.meta.objects != before.objects {
            meta::write(&self.connection, "objects", self.meta.objects)?;
        }
        if self.meta.revision + RESERVED_MIN > self.meta.reserved {
            let reserved = reserve(self.meta.revision);
            meta::write(&self.connection, "reserved", reserved)?;
            self.meta.reserved = reserved;
        }
        Ok(())
    }

    pub(crate) fn execute(&self, statement: &str) -> Result<(), Failure> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }
}

/// Returns the end of a new block of reserved revisions.
pub(crate) fn reserve(revision: u64) -> u64 {
    revision.saturating_add(2 * RESERVED_MIN)
}

/// A row that is not where the index says was lost by the file, silently.
fn one(count: usize, kind: &str, path: &str, row: u64) -> Result<(), Failure> {
    if count == 1 {
        return Ok(());
    }
    Err(Failure::Damaged(format!(
        "row {row} of {kind} {path} is gone from the file"
    )))
}
