//! The `meta` table: the few numbers that say which history this is and how far it went.

use rusqlite::{Connection, OptionalExtension};
use waypost_core::Timestamp;

use crate::checksum;
use crate::refusal::Failure;

/// The schema that this version writes: 2 has the table `upgrade`, which tells an older version who wrote the file.
pub(crate) const SCHEMA: i64 = 2;
/// `WAYP`: marks the registry's file.
pub(crate) const APPLICATION: i32 = 0x5741_5950;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    rev INTEGER NOT NULL,
    format INTEGER NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    kind, key, rev, format, body, crc,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
);
";
/// Which version brought the file to which schema, and when.
pub(crate) const UPGRADES: &str = "CREATE TABLE upgrade (schema INTEGER PRIMARY KEY, waypost TEXT NOT NULL, at INTEGER NOT NULL);";

/// The numbers of a history. All but `clean` only rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
    /// No revision above this was handed out, not even one that was never written.
    pub(crate) reserved: u64,
    /// How many objects there are: rows that a damaged page lost are missed by nobody else.
    pub(crate) objects: u64,
    pub(crate) clean: bool,
}

/// Makes the tables of an empty file, in one step with its mark.
pub(crate) fn create(connection: &Connection, meta: &Meta, at: Timestamp) -> Result<(), Failure> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(UPGRADES)?;
    note_upgrade(&transaction, at)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    write(&transaction, "schema", unsigned(SCHEMA))?;
    write_history(&transaction, meta)?;
    transaction.commit()?;
    Ok(())
}

/// Writes which history it is and how far it went.
pub(crate) fn write_history(connection: &Connection, meta: &Meta) -> Result<(), Failure> {
    write(connection, "epoch", meta.epoch)?;
    write(connection, "revision", meta.revision)?;
    write(connection, "reserved", meta.reserved)?;
    write(connection, "objects", meta.objects)?;
    write(connection, "clean_shutdown", meta.clean.into())
}

/// Says which schema the file has, before anything else in it is believed.
pub(crate) fn schema(connection: &Connection) -> Result<i64, Failure> {
    let found = connection
        .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| {
            row.get(0)
        })
        .optional()?;
    found.ok_or_else(|| Failure::Damaged("the table meta has no schema".to_owned()))
}

/// Notes that this version brought the file to its schema.
pub(crate) fn note_upgrade(connection: &Connection, at: Timestamp) -> Result<(), Failure> {
    connection.execute(
        "INSERT OR REPLACE INTO upgrade (schema, waypost, at) VALUES (?1, ?2, ?3)",
        (SCHEMA, env!("CARGO_PKG_VERSION"), signed(at.0)?),
    )?;
    Ok(())
}

pub(crate) fn read(connection: &Connection) -> Result<Meta, Failure> {
    number(connection, "schema")?;
    Ok(Meta {
        epoch: number(connection, "epoch")?,
        revision: number(connection, "revision")?,
        reserved: number(connection, "reserved")?,
        objects: number(connection, "objects")?,
        clean: number(connection, "clean_shutdown")? == 1,
    })
}

fn number(connection: &Connection, key: &str) -> Result<u64, Failure> {
    let damaged = |what: &str| Failure::Damaged(format!("{key} in the table meta {what}"));
    let (value, crc): (i64, u32) = connection
        .query_row("SELECT value, crc FROM meta WHERE key = ?1", [key], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => damaged("is missing"),
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => damaged("is not a number"),
            other => Failure::Sqlite(other),
        })?;
    if checksum::of_number(key, value) != crc {
        return Err(damaged("does not match its checksum"));
    }
    u64::try_from(value).map_err(|_| damaged("is below zero"))
}

/// Writes one number with its checksum.
pub(crate) fn write(connection: &Connection, key: &str, value: u64) -> Result<(), Failure> {
    let value = signed(value)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?1, ?2, ?3)")?
        .execute((key, value, checksum::of_number(key, value)))?;
    Ok(())
}

/// Returns a number as SQLite keeps it.
pub(crate) fn signed(value: u64) -> Result<i64, Failure> {
    i64::try_from(value).map_err(|_| Failure::Damaged(format!("{value} is over 63 bits")))
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
