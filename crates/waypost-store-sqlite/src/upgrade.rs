//! Schemas of other versions: an older one is brought up to this one's after a copy was kept, a newer one is refused.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use waypost_core::{Clock, StoreError, Timestamp};

use crate::directory::{sync_directory, unusable};
use crate::meta::{self, Meta, SCHEMA};
use crate::refusal::Failure;
use crate::restoring::AHEAD;
use crate::{database, opening};

/// Most characters of another version's name that are shown.
const SHOWN_MAX: usize = 64;

/// Brings a file of an older schema up to this version's. The inner error is a refusal in our own words.
pub(crate) fn upgrade(
    connection: &Connection,
    file: &Path,
    from: i64,
    clock: &dyn Clock,
) -> Result<Result<(), StoreError>, Failure> {
    if from < 1 {
        return Err(Failure::Damaged(format!("there never was a schema {from}")));
    }
    let meta = meta::read(connection)?;
    let kept = match keep(connection, file, from, &history_of_copy(&meta, clock)) {
        Ok(kept) => kept,
        Err(StoreError(why)) => {
            return Ok(Err(StoreError(format!(
                "{} is of schema {from}; before it becomes one of schema {SCHEMA} a copy of it has to be kept, and {why}; make room for it, or start the older version again",
                file.display()
            ))));
        }
    };
    let transaction = connection.unchecked_transaction()?;
    if from < 2 {
        transaction.execute_batch(meta::UPGRADES)?;
    }
    meta::note_upgrade(&transaction, clock.wall())?;
    meta::write(&transaction, "schema", meta::unsigned(SCHEMA))?;
    transaction.commit()?;
    tracing::info!(
        file = %file.display(), from, to = SCHEMA, kept = %kept.display(),
        "the store was brought to a newer schema; to go back to the older version put the kept copy in its place"
    );
    Ok(Ok(()))
}

/// Returns where the copy of a schema is kept.
pub(crate) fn kept_copy(file: &Path, schema: i64) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(format!(".schema-{schema}"));
    PathBuf::from(path)
}

/// Makes the numbers with which the older version goes on from the copy: what the newer one did since is another history,
/// whose revisions must not come again with other content.
fn history_of_copy(meta: &Meta, clock: &dyn Clock) -> Meta {
    let newest = meta.revision.max(meta.reserved);
    Meta {
        objects: meta.objects,
        ..opening::new_history(clock, newest.saturating_add(AHEAD))
    }
}

/// Keeps a copy of the file with a history of its own. One of an earlier upgrade from the same schema gives way: the file is
/// newer.
fn keep(
    connection: &Connection,
    file: &Path,
    schema: i64,
    history: &Meta,
) -> Result<PathBuf, StoreError> {
    let kept = kept_copy(file, schema);
    let mut partial = kept.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(unusable(&partial, &error));
        }
        _ => {}
    }
    // SQLite takes an empty file for the target, and this one nobody else may read.
    crate::directory::create_private(&partial)?;
    let copied = database::copy_into(connection, &partial);
    if let Err(why) = copied.and_then(|()| give_history(&partial, history)) {
        // It may be what fills the disk.
        drop(std::fs::remove_file(&partial));
        return Err(why);
    }
    let named = std::fs::rename(&partial, &kept).and_then(|()| match kept.parent() {
        Some(directory) => sync_directory(directory),
        None => Ok(()),
    });
    named.map_err(|error| unusable(&kept, &error))?;
    Ok(kept)
}

/// Writes the numbers of its history into a copy, and nothing else, so that the version that reads its schema can open it.
fn give_history(copy: &Path, history: &Meta) -> Result<(), StoreError> {
    let write = || -> Result<(), Failure> {
        let connection = database::connect_unread(copy)?;
        let transaction = connection.unchecked_transaction()?;
        meta::write_history(&transaction, history)?;
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(())
    };
    write().map_err(|failure| {
        StoreError(format!("{} cannot be written: {failure}", copy.display()))
    })?;
    let synced = std::fs::File::open(copy).and_then(|file| file.sync_all());
    synced.map_err(|error| unusable(copy, &error))
}

/// Says why a file of a newer schema is refused, who wrote it, and the ways out.
pub(crate) fn refuse(connection: &Connection, file: &Path, schema: i64) -> StoreError {
    let (writer, that) = match writer(connection, schema) {
        Some((version, at)) => (
            format!("Waypost {version} brought it to schema {schema} at {at}"),
            format!("Waypost {version}"),
        ),
        None => (
            format!("it is of schema {schema}"),
            "that version".to_owned(),
        ),
    };
    let kept = kept_copy(file, SCHEMA);
    let back = if kept.exists() {
        format!(
            ", or, to lose what was changed since the upgrade, move {file} and {file}-wal away and rename {kept} to {file}",
            file = file.display(),
            kept = kept.display()
        )
    } else {
        String::new()
    };
    StoreError(format!(
        "{} was written by a newer Waypost: {writer}, and this one, {}, knows schemas up to {SCHEMA}; start {that} again{back}; or have {that} save a snapshot (`waypost snapshot save`) and restore it with this one into an empty directory",
        file.display(),
        env!("CARGO_PKG_VERSION")
    ))
}

/// Names the version that brought the file to a schema. A file without the table, or with another one, tells nothing.
fn writer(connection: &Connection, schema: i64) -> Option<(String, String)> {
    let found = connection
        .query_row(
            "SELECT waypost, at FROM upgrade WHERE schema = ?1",
            [schema],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
        )
        .optional();
    let (version, at) = found.ok().flatten()?;
    let version: String = version.chars().take(SHOWN_MAX).collect();
    let at = Timestamp(meta::unsigned(at)).in_utc();
    Some((version.escape_debug().to_string(), at))
}
