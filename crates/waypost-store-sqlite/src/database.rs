//! Opening an SQLite file of ours: whose it is, and how it is written.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use waypost_core::StoreError;

use crate::config::Synchronous;
use crate::directory::unusable;
use crate::refusal::Failure;

/// What a file turned out to be.
pub(crate) enum Content {
    /// Nothing is in it yet.
    Empty,
    /// It is marked as the asked kind of file.
    Ours,
    /// It is an SQLite file of another program, with this mark.
    Foreign(i32),
}

/// Opens the one connection to a file. Nothing is written yet: the file may be another program's.
pub(crate) fn connect(file: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(std::time::Duration::ZERO)?;
    // Before the first access, so that the log's index is in this process's memory and not in a shared file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Closing must not sync on its own: after a failed sync nothing may be synced again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Opens a file that nobody reads before it is whole: it has no log, and whoever is done with it syncs it.
pub(crate) fn connect_unread(file: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    let off: String = connection.query_row("PRAGMA journal_mode = OFF", [], |row| row.get(0))?;
    debug_assert_eq!(off, "off");
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(connection)
}

/// Looks whose file it is.
pub(crate) fn inspect(connection: &Connection, application: i32) -> Result<Content, Failure> {
    let mark: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (mark, tables) {
        (mark, _) if mark == application => Content::Ours,
        (0, 0) => Content::Empty,
        (mark, _) => Content::Foreign(mark),
    })
}

/// Writes a copy of the whole file, log included, to a new one and has it on the disk when it returns.
pub(crate) fn copy_into(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let target = path
        .to_str()
        .ok_or_else(|| StoreError(format!("{} is not UTF-8", path.display())))?;
    let copied = connection.execute("VACUUM INTO ?1", [target]);
    copied.map_err(|error| StoreError(format!("{} cannot be written: {error}", path.display())))?;
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| unusable(path, &error))
}

/// Sets how the file is written.
pub(crate) fn prepare(connection: &Connection, synchronous: Synchronous) -> Result<(), Failure> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Failure::Damaged(format!(
            "its write-ahead log cannot be used: the journal mode stays {mode}"
        )));
    }
    connection.pragma_update(None, "synchronous", synchronous.pragma())?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // SQLite's own checkpoints swallow the error of a failed sync and try again: the log is brought in by us.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Pages are looked over when they are read: a damaged one is an error and not a surprise.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}
