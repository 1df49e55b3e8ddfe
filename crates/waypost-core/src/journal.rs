//! The journal: node-local, bounded history beside the store. What happened, by whom, and why an instance turned.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::batch::Author;
use crate::id::Revision;
use crate::name::InstanceKey;
use crate::text::Text;
use crate::time::{BoxFuture, Timestamp};
use crate::verdict::Health;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When.
    pub at: Timestamp,
    /// Where in the history.
    pub revision: Revision,
    /// By whom.
    pub author: Author,
    /// What.
    pub record: JournalRecord,
}

/// What a journal line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalRecord {
    /// Objects were written.
    Changed {
        /// Why, in one word.
        cause: Text,
        /// Which objects, as `registration web-1 ...`.
        objects: Vec<String>,
    },
    /// An instance's health changed.
    Edge {
        /// Which instance.
        instance: InstanceKey,
        /// What it was.
        from: Health,
        /// What it became.
        to: Health,
        /// Why.
        reason: Text,
        /// The body a probe got, at most 4 KiB.
        body: Option<Text>,
    },
}

/// Which lines to read.
#[derive(Clone, Debug, Default)]
pub struct JournalFilter {
    /// Only edges of this instance.
    pub instance: Option<InstanceKey>,
    /// Only lines before this sequence number, as answered with the page before.
    pub before: Option<u64>,
}

/// A page of lines, newest first, each with its sequence number.
pub type JournalPage = Vec<(u64, JournalEntry)>;

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be read: {0}")]
pub struct JournalError(pub String);

/// Where journal lines are kept.
pub trait Journal: Send + Sync + 'static {
    /// Takes lines. It never blocks: lines that find no room are counted and dropped.
    fn append(&self, entries: Vec<JournalEntry>);
    /// Returns how many lines were dropped since the start.
    fn dropped(&self) -> u64 {
        0
    }
    /// Reads a page of at most `limit` lines, newest first.
    fn read(
        &self,
        filter: JournalFilter,
        limit: usize,
    ) -> BoxFuture<'_, Result<JournalPage, JournalError>>;
}

/// A journal in memory, for the memory store and tests: the last lines only.
pub struct MemoryJournal {
    kept: Mutex<(u64, VecDeque<(u64, JournalEntry)>)>,
    entries_max: usize,
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryJournal")
            .field("entries_max", &self.entries_max)
            .finish_non_exhaustive()
    }
}

impl MemoryJournal {
    /// Makes a journal that keeps the last `entries_max` lines.
    pub fn new(entries_max: usize) -> Self {
        Self {
            kept: Mutex::new((0, VecDeque::new())),
            entries_max,
        }
    }
}

impl JournalFilter {
    /// Says whether the line is wanted.
    pub fn wants(&self, sequence: u64, entry: &JournalEntry) -> bool {
        if self.before.is_some_and(|before| sequence >= before) {
            return false;
        }
        match (&self.instance, &entry.record) {
            (None, _) => true,
            (Some(wanted), JournalRecord::Edge { instance, .. }) => instance == wanted,
            (Some(_), _) => false,
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&self, entries: Vec<JournalEntry>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            kept.0 += 1;
            let sequence = kept.0;
            kept.1.push_back((sequence, entry));
        }
        while kept.1.len() > self.entries_max {
            kept.1.pop_front();
        }
    }

    fn read(
        &self,
        filter: JournalFilter,
        limit: usize,
    ) -> BoxFuture<'_, Result<JournalPage, JournalError>> {
        Box::pin(async move {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = kept
                .1
                .iter()
                .rev()
                .filter(|(sequence, entry)| filter.wants(*sequence, entry));
            Ok(wanted.take(limit).cloned().collect())
        })
    }
}
