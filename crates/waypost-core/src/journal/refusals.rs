//! Lines about refused requests, of which there may be as many as anybody sends: so many a second are kept.

use std::sync::{Mutex, PoisonError};

use super::{JournalEntry, JournalRecord};
use crate::batch::Author;
use crate::registry::Registry;
use crate::text::text;
use crate::time::Monotonic;

/// Most lines about refusals that are kept of a second.
const LINES_PER_SECOND: u32 = 100;
/// Most bytes of a sentence in a line.
const SENTENCE_BYTES_MAX: usize = 512;

/// How many refusals of this second are in the journal, and how many are not.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Second>);

#[derive(Debug, Default)]
struct Second {
    number: u64,
    kept: u32,
    uncounted: u64,
}

impl Refusals {
    /// Says whether another line is kept, and how many were not since the latest that was.
    fn take(&self, now: Monotonic) -> Option<u64> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0 / 1_000;
        if second.number != number {
            second.number = number;
            second.kept = 0;
        }
        if second.kept >= LINES_PER_SECOND {
            second.uncounted += 1;
            return None;
        }
        second.kept += 1;
        Some(std::mem::take(&mut second.uncounted))
    }
}

impl Registry {
    /// Writes into the journal that a request was refused: `kind` in one word, such as `denied`, and `why` in one sentence.
    ///
    /// At most 100 lines of a second are kept; how many more there were is a line of its own, written with the next one.
    pub fn note_refusal(&self, author: &Author, request: &str, kind: &str, why: &str) {
        self.shared.metrics.noted_refusal();
        let Some(uncounted) = self.shared.refusals.take(self.shared.clock.monotonic()) else {
            return;
        };
        let line = |record| JournalEntry {
            at: self.shared.clock.wall(),
            revision: self.shared.snapshot.load().revision(),
            author: author.clone(),
            record,
        };
        let refused = JournalRecord::Refused {
            request: text(shortened(request)),
            kind: text(kind),
            why: text(shortened(why)),
        };
        let mut lines = Vec::new();
        if uncounted > 0 {
            let refusals = uncounted;
            lines.push(line(JournalRecord::Uncounted { refusals }));
        }
        lines.push(line(refused));
        self.shared.journal.append(lines);
    }
}

fn shortened(sentence: &str) -> &str {
    let mut end = sentence.len().min(SENTENCE_BYTES_MAX);
    while !sentence.is_char_boundary(end) {
        end -= 1;
    }
    sentence.get(..end).unwrap_or_default()
}
