//! Opening the file: whose it is, what it holds, where its history goes on; and closing it.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use rusqlite::Connection;
use waypost_core::{Clock, Epoch, Loaded, Object, Revision, StoreError};

use crate::config::SqliteConfig;
use crate::database::{self, Content};
use crate::index::Index;
use crate::meta::{self, Meta};
use crate::refusal::Failure;
use crate::scan::{self, Scan};
use crate::state::{State, reserve};
use crate::unwritten::Unwritten;
use crate::{upgrade, wal};

/// Epochs are kept in SQLite's signed integers.
const EPOCH_BITS: u64 = (1 << 63) - 1;

/// The inner result is a refusal in our own words, the outer one what SQLite says.
pub(crate) fn open(
    config: &SqliteConfig,
    file: &Path,
    clock: &dyn Clock,
) -> Result<Result<State, StoreError>, Failure> {
    wal::check_file(file)?;
    let connection = database::connect(file)?;
    let content = database::inspect(&connection, meta::APPLICATION)?;
    let torn = wal::find_damage(&connection, file)?;
    match content {
        Content::Foreign(mark) => {
            return Ok(Err(of_another_program(file, mark)));
        }
        Content::Empty => {
            if let Some(torn) = torn {
                // What looks new lost all it had.
                return Err(Failure::Damaged(torn));
            }
            database::prepare(&connection, config.synchronous)?;
            meta::create(&connection, &new_history(clock, 0), clock.wall())?;
            // From here on the file itself says whose it is, whatever happens to the log.
            wal::checkpoint_whole(&connection)?;
        }
        Content::Ours => {
            let schema = meta::schema(&connection)?;
            if schema > meta::SCHEMA {
                return Ok(Err(upgrade::refuse(&connection, file, schema)));
            }
            database::prepare(&connection, config.synchronous)?;
            // Before anything is written over it.
            wal::keep_damaged(file, torn.as_slice())?;
            if schema < meta::SCHEMA
                && let Err(refused) = upgrade::upgrade(&connection, file, schema, clock)?
            {
                return Ok(Err(refused));
            }
        }
    }
    read(config, file, clock, connection, torn)
}

pub(crate) fn of_another_program(file: &Path, mark: i32) -> StoreError {
    StoreError(format!(
        "{} is an SQLite file of another program (application id {mark}); move it away, or set data_dir to another directory",
        file.display()
    ))
}

/// Makes the numbers of a history of its own that goes on after a revision.
pub(crate) fn new_history(clock: &dyn Clock, revision: u64) -> Meta {
    Meta {
        epoch: RandomState::new().hash_one(clock.wall()) & EPOCH_BITS,
        revision,
        reserved: reserve(revision),
        objects: 0,
        clean: true,
    }
}

fn read(
    config: &SqliteConfig,
    file: &Path,
    clock: &dyn Clock,
    connection: Connection,
    torn: Option<String>,
) -> Result<Result<State, StoreError>, Failure> {
    let mut meta = meta::read(&connection)?;
    let known = scan::known(&connection)?;
    let found = scan::scan(&connection, meta.objects)?;
    if found.newest > meta.revision {
        return Err(Failure::Damaged(format!(
            "a row is of revision {}, after the last one, {}",
            found.newest, meta.revision
        )));
    }
    let mut new = found.findings(meta.objects);
    new.extend(torn);
    if config.strict_load
        && let Some(first) = known.iter().chain(&new).next()
    {
        return Ok(Err(StoreError(format!(
            "{} holds damage and strict_load is set: {first} ({} findings); restore a backup, or start without strict_load and then empty its table quarantine",
            file.display(),
            known.len() + new.len()
        ))));
    }
    for finding in &new {
        tracing::error!(file = %file.display(), %finding, "damage was set aside");
    }
    let opened_at = meta.revision;
    if !meta.clean {
        // Revisions up to the reserved end may have been shown without being written: they never come again.
        meta.revision = meta.reserved;
    }
    meta.clean = false;
    meta.reserved = reserve(meta.revision);
    mark(&connection, &meta)?;
    let mut state = State {
        connection,
        index: Index::new(),
        meta,
        opened_at,
        last_row: 0,
        read: None,
        quarantined: known.into_iter().chain(new).collect(),
        unwritten: Unwritten::default(),
    };
    let found = take_over(&mut state, found, clock)?;
    let quarantined = state.quarantined.clone();
    state.read = Some(loaded(&state.meta, found.objects, quarantined));
    Ok(Ok(state))
}

/// Writes where the history stands.
fn mark(connection: &Connection, meta: &Meta) -> Result<(), Failure> {
    let transaction = connection.unchecked_transaction()?;
    meta::write(&transaction, "revision", meta.revision)?;
    meta::write(&transaction, "reserved", meta.reserved)?;
    meta::write(&transaction, "clean_shutdown", meta.clean.into())?;
    transaction.commit()?;
    Ok(())
}

/// Goes by what was read from here on, with what is damaged set aside.
pub(crate) fn take_over(
    state: &mut State,
    mut found: Scan,
    clock: &dyn Clock,
) -> Result<Scan, Failure> {
    let live = u64::try_from(found.index.len()).unwrap_or_default();
    if !found.damaged.is_empty() || live != state.meta.objects {
        scan::set_aside(&state.connection, &found, clock.wall())?;
    }
    state.meta.objects = live;
    // A row's number is not given again while the process runs, so that the rows stay in the order of their making.
    state.last_row = state.last_row.max(found.last_row);
    state.index = std::mem::replace(&mut found.index, Index::new());
    Ok(found)
}

pub(crate) fn loaded(
    meta: &Meta,
    objects: Vec<(Object, Revision)>,
    quarantined: Vec<String>,
) -> Loaded {
    Loaded {
        epoch: Epoch(meta.epoch),
        revision: Revision(meta.revision),
        objects,
        quarantined,
    }
}

pub(crate) fn shut(state: &State) -> Result<(), Failure> {
    let clean = Meta {
        clean: true,
        ..state.meta
    };
    mark(&state.connection, &clean)?;
    wal::checkpoint_whole(&state.connection)
}
