//! The journal: node-local, bounded history beside the store. What happened, by whom, and why an instance turned.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::batch::Author;
use crate::id::Revision;
use crate::name::InstanceKey;
use crate::time::{BoxFuture, Timestamp};

mod bounds;
mod lines;
mod record;
mod refusals;
#[cfg(test)]
mod tests;

pub use bounds::JOURNAL_PAGE_BYTES;
pub(crate) use lines::{entries, written_objects};
pub use record::{Content, JournalKind, JournalRecord, ObjectChange};
pub(crate) use refusals::Refusals;

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

/// Which lines to read. What is given must all hold.
#[derive(Clone, Debug, Default)]
pub struct JournalFilter {
    /// Only edges of this instance.
    pub instance: Option<InstanceKey>,
    /// Only lines of these kinds; none is any.
    pub kinds: Vec<JournalKind>,
    /// Only lines of this author.
    pub subject: Option<String>,
    /// Only lines that came from this address.
    pub address: Option<IpAddr>,
    /// Only lines that came by this protocol, in its word.
    pub dialect: Option<String>,
    /// Only changes with this cause, or refusals of this kind.
    pub cause: Option<String>,
    /// Only lines about this namespace.
    pub namespace: Option<String>,
    /// Only lines about this service of the namespace.
    pub service: Option<String>,
    /// Only lines at this time or later.
    pub since: Option<Timestamp>,
    /// Only lines before this time.
    pub until: Option<Timestamp>,
    /// Only lines before this sequence number, as answered with the page before.
    pub before: Option<u64>,
    /// Only lines after this sequence number, oldest first.
    pub after: Option<u64>,
}

/// A page of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalPage {
    /// The lines, each with its sequence number: newest first, or oldest first after a number.
    pub lines: Vec<(u64, JournalEntry)>,
    /// Where the next page begins: `before` it, or `after` it. A page of few lines may have one. None when there is nothing
    /// more to look at.
    pub next: Option<u64>,
}

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
    /// Reads a page of at most `limit` lines, newest first. It ends sooner after [`JOURNAL_PAGE_BYTES`].
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

    /// Returns the first lines that are wanted. Writing them as text takes longer, and nobody who appends waits for that.
    fn found(&self, filter: &JournalFilter, most: usize) -> Vec<(u64, JournalEntry)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |line: &&(u64, JournalEntry)| filter.wants(line.0, &line.1);
        let lines = kept.1.iter();
        match filter.after {
            Some(_) => lines.filter(wanted).take(most).cloned().collect(),
            None => lines.rev().filter(wanted).take(most).cloned().collect(),
        }
    }
}

impl JournalFilter {
    /// Says whether the line is wanted.
    pub fn wants(&self, sequence: u64, entry: &JournalEntry) -> bool {
        if self.before.is_some_and(|before| sequence >= before)
            || self.after.is_some_and(|after| sequence <= after)
        {
            return false;
        }
        let is_of_instance = match (&self.instance, &entry.record) {
            (None, _) => true,
            (Some(wanted), JournalRecord::Edge { instance, .. }) => instance == wanted,
            (Some(_), _) => false,
        };
        is_of_instance && self.wants_author(entry) && self.wants_record(entry)
    }

    fn wants_author(&self, entry: &JournalEntry) -> bool {
        let author = &entry.author;
        let subject = self.subject.as_deref();
        let dialect = self.dialect.as_deref();
        subject.is_none_or(|subject| *author.subject == *subject)
            && dialect.is_none_or(|dialect| author.dialect.as_str() == dialect)
            && self
                .address
                .is_none_or(|address| author.address == Some(address))
    }

    fn wants_record(&self, entry: &JournalEntry) -> bool {
        let record = &entry.record;
        let cause = match record {
            JournalRecord::Changed { cause, .. } => Some(cause),
            JournalRecord::Refused { kind, .. } => Some(kind),
            JournalRecord::Edge { .. } | JournalRecord::Uncounted { .. } => None,
        };
        let wanted = self.cause.as_deref();
        let is_about = self
            .namespace
            .as_deref()
            .is_none_or(|namespace| record.is_about(namespace, self.service.as_deref()));
        (self.kinds.is_empty() || self.kinds.contains(&record.kind()))
            && wanted.is_none_or(|wanted| cause.is_some_and(|cause| **cause == *wanted))
            && is_about
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
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
            // One more, to see whether there are.
            let found = self.found(&filter, limit.saturating_add(1));
            let mut has_more = found.len() > limit;
            let mut page = JournalPage::default();
            let (mut bytes, mut last) = (0, None);
            for (sequence, entry) in found.into_iter().take(limit) {
                if bytes >= JOURNAL_PAGE_BYTES {
                    has_more = true;
                    break;
                }
                last = Some(sequence);
                match entry.written() {
                    Ok((entry, text)) => {
                        bytes += text.len();
                        page.lines.push((sequence, entry));
                    }
                    Err(error) => {
                        tracing::warn!(sequence, %error, "a line of the journal cannot be written as JSON");
                    }
                }
            }
            page.next = last.filter(|_| has_more);
            Ok(page)
        })
    }
}
