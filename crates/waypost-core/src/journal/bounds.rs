//! How much text a line and a page may be: whoever writes much in one change must not fill the memory of who reads it.

use super::{JournalEntry, JournalRecord};

/// Most bytes of the contents of a line's objects; of those that find no room only their sizes are kept.
const CONTENTS_BYTES_MAX: usize = 256 * 1_024;
/// A page of the journal ends after so many bytes of lines as text, of which it holds one at least.
pub const JOURNAL_PAGE_BYTES: usize = 4 * 1_024 * 1_024;

impl JournalEntry {
    /// Writes the line as JSON, and gives the line as whoever reads that finds it: of the contents of its objects 256 KiB are
    /// kept, and `omitted_bytes` stands in the places of the others.
    ///
    /// # Errors
    /// When it holds what cannot be written as JSON.
    pub fn written(mut self) -> Result<(Self, String), serde_json::Error> {
        let text = serde_json::to_string(&self)?;
        let JournalRecord::Changed { objects, .. } = &mut self.record else {
            return Ok((self, text));
        };
        if text.len() <= CONTENTS_BYTES_MAX {
            return Ok((self, text));
        }
        let mut left = CONTENTS_BYTES_MAX;
        for object in objects {
            let contents = [&mut object.before, &mut object.after];
            for content in contents.into_iter().flatten() {
                left -= content.shorten(left);
            }
        }
        let text = serde_json::to_string(&self)?;
        Ok((self, text))
    }
}
