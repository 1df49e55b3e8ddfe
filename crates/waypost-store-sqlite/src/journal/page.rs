//! A page of lines as they are in the file.

use rusqlite::Connection;
use waypost_core::{JOURNAL_PAGE_BYTES, JournalFilter, JournalKind, JournalPage, ObjectKey};

use crate::refusal::Failure;

/// Most lines that one page looks at.
const LOOKED_AT_MAX: i64 = 20_000;

/// Looks at a bounded number of lines and reads a bounded number of bytes: whoever filters for little, or asks for long lines,
/// gets short pages, and others do not wait for them.
pub(super) fn page(
    connection: &Connection,
    filter: &JournalFilter,
    limit: usize,
) -> Result<JournalPage, Failure> {
    let bound = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let before = bound(filter.before).unwrap_or(i64::MAX);
    let after = bound(filter.after).unwrap_or(-1);
    let instance = filter
        .instance
        .as_ref()
        .map(|key| ObjectKey::Registration(key.clone()).path());
    let which = match instance {
        Some(_) => "instance = ?3",
        None => "?3 IS NULL",
    };
    let order = match filter.after {
        Some(_) => "ASC",
        None => "DESC",
    };
    let body = body(&filter.kinds);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT sequence, {body} FROM line WHERE {which} AND sequence < ?1 AND sequence > ?2
         ORDER BY sequence {order} LIMIT ?4"
    ))?;
    let mut rows = statement.query((before, after, instance, LOOKED_AT_MAX + 1))?;
    let mut page = JournalPage::default();
    let (mut looked_at, mut bytes, mut last) = (0, 0, 0);
    while let Some(row) = rows.next()? {
        let is_full = page.lines.len() >= limit || bytes >= JOURNAL_PAGE_BYTES;
        if is_full || looked_at >= LOOKED_AT_MAX {
            page.next = Some(last);
            break;
        }
        looked_at += 1;
        let (sequence, body): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
        last = sequence.max(0).unsigned_abs();
        let Some(body) = body else {
            continue;
        };
        bytes += body.len();
        match serde_json::from_str(&body) {
            Ok(line) if filter.wants(last, &line) => page.lines.push((last, line)),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(sequence, %error, "a line of the journal cannot be read");
            }
        }
    }
    Ok(page)
}

/// Gives the body of the kinds that are asked for; of others it is not read from the disk.
fn body(kinds: &[JournalKind]) -> String {
    if kinds.is_empty() {
        return "body".to_owned();
    }
    let asked = JournalKind::ALL
        .into_iter()
        .filter(|kind| kinds.contains(kind));
    let asked: Vec<String> = asked.map(|kind| format!("'{}'", kind.as_str())).collect();
    format!("CASE WHEN kind IN ({}) THEN body END", asked.join(", "))
}
