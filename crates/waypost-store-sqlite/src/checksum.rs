//! Checksums of rows. SQLite has none of its own over its pages.

use crc32fast::Hasher;

/// Returns the checksum of an object's row. The row's number is part of it: a row that moved is a damaged row.
pub(crate) fn of_row(
    id: i64,
    kind: &[u8],
    key: &[u8],
    revision: i64,
    format: i64,
    body: &[u8],
) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(&revision.to_le_bytes());
    hasher.update(&format.to_le_bytes());
    hasher.update(kind);
    hasher.update(&[0]);
    hasher.update(key);
    hasher.update(&[0]);
    hasher.update(body);
    hasher.finalize()
}

/// Returns the checksum of a number in the `meta` table.
pub(crate) fn of_number(key: &str, value: i64) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(&value.to_le_bytes());
    hasher.finalize()
}
