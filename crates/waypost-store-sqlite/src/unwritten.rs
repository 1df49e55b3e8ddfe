//! What was accepted while nothing could be written: it lies over what the file says, and is written when that goes again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use waypost_core::{Batch, Change, CommitError, Object, ObjectKey, Revision, encode};

use crate::index::Place;
use crate::meta;
use crate::refusal::Failure;
use crate::state::{RESERVED_MIN, State, Undo, Verdict, Written, reserve};

/// Each object as it was said last.
#[derive(Default)]
pub(crate) struct Unwritten {
    said: BTreeMap<ObjectKey, Said>,
}

struct Said {
    /// None when it was removed.
    object: Option<Object>,
    revision: Revision,
    /// Its row in the file; 0 when it has none.
    row: u64,
}

impl Unwritten {
    pub(crate) fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Lays what was said over what the file says.
    pub(crate) fn overlay(&self, objects: &mut Vec<(Object, Revision)>) {
        if self.is_empty() {
            return;
        }
        objects.retain(|(object, _)| !self.said.contains_key(&object.key()));
        let said = self.said.values();
        objects.extend(said.filter_map(|said| Some((said.object.clone()?, said.revision))));
    }
}

impl State {
    /// Takes what may be said without being written: verdicts, as long as reserved revisions are left.
    pub(crate) fn accept(&mut self, batches: Vec<Batch>, why: &str) -> Written {
        let mut committed = Vec::new();
        let results = batches
            .into_iter()
            .map(|batch| {
                let revision = self.accept_one(&batch, why)?;
                committed.push((revision, std::sync::Arc::new(batch)));
                Ok(revision)
            })
            .collect();
        (results, committed)
    }

    fn accept_one(&mut self, batch: &Batch, why: &str) -> Verdict {
        if !batch.is_verdict_only() || self.meta.revision >= self.meta.reserved {
            return Err(CommitError::Unavailable(why.to_owned()));
        }
        self.check(batch)?;
        self.read = None;
        self.meta.revision += 1;
        let revision = Revision(self.meta.revision);
        for change in &batch.changes {
            let key = change.key();
            let object = match change {
                Change::Put(object) => Some(object.clone()),
                Change::Remove(_) => None,
            };
            let (kind, path) = (key.kind(), key.path());
            let known = self.index.get(kind, &path).map_or(0, Place::row);
            let row = match self.unwritten.said.entry(key) {
                Entry::Occupied(mut said) => {
                    let said = said.get_mut();
                    (said.object, said.revision) = (object.clone(), revision);
                    said.row
                }
                Entry::Vacant(free) => {
                    let object = object.clone();
                    free.insert(Said {
                        object,
                        revision,
                        row: known,
                    })
                    .row
                }
            };
            let place = object.is_some().then(|| Place::new(row, revision.0));
            self.index.set(kind, &path, place);
        }
        Ok(revision)
    }

    /// Reserves more revisions for what is yet to be said, when few are left. This writes a page or two, and nothing else.
    pub(crate) fn reserve_more(&mut self) -> Result<(), Failure> {
        if self.meta.revision + RESERVED_MIN <= self.meta.reserved {
            return Ok(());
        }
        let reserved = reserve(self.meta.revision);
        meta::write(&self.connection, "reserved", reserved)?;
        self.meta.reserved = reserved;
        Ok(())
    }

    /// Writes what was said, in one durable step. After an error nothing more is written, and it is still said.
    pub(crate) fn write_unwritten(&mut self) -> Result<(), Failure> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let unwritten = std::mem::take(&mut self.unwritten);
        let reserved = self.meta.reserved;
        let written = self.write_said(&unwritten);
        if written.is_err() {
            self.unwritten = unwritten;
            self.meta.reserved = reserved;
            if !self.connection.is_autocommit() {
                // Its failure changes nothing: no more is written either way.
                drop(self.connection.execute_batch("ROLLBACK"));
            }
        }
        written
    }

    fn write_said(&mut self, unwritten: &Unwritten) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE")?;
        // Nothing goes back after a failure: where the rows are is then looked up by nobody.
        let mut undo = Undo::new();
        for (key, said) in &unwritten.said {
            let (kind, path) = (key.kind(), key.path());
            match &said.object {
                Some(object) => {
                    let encoded = encode(object)
                        .map_err(|error| Failure::Damaged(format!("{key} {error}")))?;
                    self.put_row(kind, path, &encoded, said.revision.0, &mut undo)?;
                }
                None => self.remove_row(kind, &path, said.row)?,
            }
        }
        self.meta.objects = u64::try_from(self.index.len()).unwrap_or_default();
        self.write_all_meta()?;
        self.execute("COMMIT")
    }
}
