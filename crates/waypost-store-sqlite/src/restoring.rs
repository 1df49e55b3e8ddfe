//! Restoring a snapshot into an empty directory: a history of its own begins, whose numbers go on above the old ones.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use waypost_core::{Clock, Epoch, Object, Revision, SnapshotHeader, StoreError, encode};

use crate::directory::{Directory, LOCK_FILE, create_private, unusable};
use crate::index::{Index, NUMBER_MAX, Place};
use crate::meta::{self, Meta};
use crate::refusal::Failure;
use crate::saving::{not_believed, open_snapshot};
use crate::store::FILE;
use crate::{checksum, database, opening};

/// The registry's file until it is whole.
const UNFINISHED: &str = "registry.sqlite.restoring";
const KEY_FILE: &str = "server.key";
/// Most names that a refusal lists.
const LISTED_MAX: usize = 5;
/// How far numbers go on above those of a snapshot or a kept copy at least. Serials of DNS zones are compared modulo 2^32 and
/// count as later up to 2^31 ahead; so many changes may have come after it was made.
pub(crate) const AHEAD: u64 = 1 << 29;
/// How much further for each second since the snapshot was taken, so that the same one restored twice rises too.
const AHEAD_PER_SECOND: u64 = 256;

/// What a restore made.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The history that begins with it.
    pub epoch: Epoch,
    /// Where it begins.
    pub revision: Revision,
    /// What the snapshot says of itself.
    pub from: SnapshotHeader,
    /// Whether the directory has a server key, without which no token holds.
    pub has_server_key: bool,
}

/// Restores a snapshot into a directory, which is made when it is missing. With a server key that is put beside it.
///
/// The whole snapshot is verified before anything is written. A process that dies meanwhile leaves a directory that no server
/// opens, and that another restore takes.
///
/// # Errors
/// When the snapshot is not believed, the directory holds something, is in use, or cannot be written.
pub fn restore(
    snapshot: &Path,
    directory: &Path,
    server_key: Option<&[u8]>,
    clock: &dyn Clock,
) -> Result<Restored, StoreError> {
    verify(snapshot)?;
    // Before the lock makes a file in what may be somebody else's directory.
    refuse_occupied(directory, server_key)?;
    let locked = Directory::open_or(directory, "name another directory")?;
    refuse_occupied(directory, server_key)?;
    let file = directory.join(UNFINISHED);
    for suffix in ["", "-wal", "-journal"] {
        let mut left = file.as_os_str().to_owned();
        left.push(suffix);
        remove(Path::new(&left))?;
    }
    create_private(&file)?;
    let (meta, from) = write(snapshot, &file, clock)?;
    let synced = File::open(&file).and_then(|file| file.sync_all());
    synced.map_err(|error| unusable(&file, &error))?;
    if let Some(key) = server_key {
        put_key(&directory.join(KEY_FILE), key)?;
    }
    let named = directory.join(FILE);
    std::fs::rename(&file, &named).map_err(|error| unusable(&named, &error))?;
    locked.sync()?;
    Ok(Restored {
        epoch: Epoch(meta.epoch),
        revision: Revision(meta.revision),
        from,
        has_server_key: directory.join(KEY_FILE).exists(),
    })
}

/// Refuses a directory in which a restore did not come to its end.
pub(crate) fn refuse_unfinished(directory: &Path) -> Result<(), StoreError> {
    if directory.join(FILE).exists() || !directory.join(UNFINISHED).exists() {
        return Ok(());
    }
    Err(StoreError(format!(
        "a restore into {} did not come to its end; do it again (`waypost snapshot restore FILE --data-dir {}`), or remove {UNFINISHED} to begin with an empty registry",
        directory.display(),
        directory.display()
    )))
}

fn verify(snapshot: &Path) -> Result<(), StoreError> {
    let mut reader = open_snapshot(snapshot)?;
    let last = reader.header().revision.0;
    // Numbers go on above it for as long as the registry lives.
    if last > NUMBER_MAX / 2 {
        return Err(StoreError(format!(
            "{} is of revision {last}, which is above {}: no registry got that far; use another one",
            snapshot.display(),
            NUMBER_MAX / 2
        )));
    }
    let failed = |fault| not_believed(snapshot, &fault);
    while reader.object().map_err(failed)?.is_some() {}
    Ok(())
}

/// Lets nothing be there but what a stopped or unfinished restore leaves, and a server key that was put there before.
fn refuse_occupied(directory: &Path, server_key: Option<&[u8]>) -> Result<(), StoreError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(directory, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|error| unusable(directory, &error))?
            .file_name();
        let name = name.to_string_lossy().into_owned();
        // A disk of its own has the last one.
        let is_expected = [LOCK_FILE, KEY_FILE, "lost+found"].contains(&&*name)
            || name.starts_with(UNFINISHED)
            || name == "server.key.new";
        if !is_expected {
            found.push(name);
        }
    }
    if !found.is_empty() {
        found.sort();
        let more = found.len().saturating_sub(LISTED_MAX);
        found.truncate(LISTED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        return Err(StoreError(format!(
            "{} is not empty: it holds {}{more}; restore into an empty directory, or move these away",
            directory.display(),
            found.join(", ")
        )));
    }
    let key_file = directory.join(KEY_FILE);
    match (server_key, std::fs::read(&key_file)) {
        (Some(key), Ok(there)) if there != key => Err(StoreError(format!(
            "{} is another key than the one to put there; move it away, or leave out --server-key",
            key_file.display()
        ))),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(path, &error)),
        _ => Ok(()),
    }
}

fn write(
    snapshot: &Path,
    file: &Path,
    clock: &dyn Clock,
) -> Result<(Meta, SnapshotHeader), StoreError> {
    let mut reader = open_snapshot(snapshot)?;
    let header = reader.header().clone();
    let seconds = clock.wall().since(header.created).as_secs();
    let ahead = AHEAD + seconds.saturating_mul(AHEAD_PER_SECOND).min(AHEAD);
    let mut meta = opening::new_history(clock, header.revision.0.saturating_add(ahead));
    let failed = |failure: Failure| StoreError(failure.at_write(file));
    let mut rows = Rows::begin(file, &meta, clock).map_err(failed)?;
    while let Some((object, revision)) = reader
        .object()
        .map_err(|fault| not_believed(snapshot, &fault))?
    {
        rows.put(&object, revision)?.map_err(failed)?;
    }
    meta.objects = rows.last;
    rows.end(&meta).map_err(failed)?;
    Ok((meta, header))
}

/// The rows of a file that nobody reads before it is whole: no log, and one sync at the end.
struct Rows {
    connection: Connection,
    names: Index,
    last: u64,
}

impl Rows {
    fn begin(file: &Path, meta: &Meta, clock: &dyn Clock) -> Result<Self, Failure> {
        let connection = database::connect_unread(file)?;
        meta::create(&connection, meta, clock.wall())?;
        connection.execute_batch("BEGIN")?;
        Ok(Self {
            connection,
            names: Index::new(),
            last: 0,
        })
    }

    /// The outer error is about the snapshot, the inner one about the file.
    fn put(
        &mut self,
        object: &Object,
        revision: Revision,
    ) -> Result<Result<(), Failure>, StoreError> {
        let key = object.key();
        let encoded = encode(object)?;
        let (kind, path) = (key.kind(), key.path());
        self.last += 1;
        let place = Place::new(self.last, revision.0);
        if self.names.set(kind, &path, Some(place)).is_some() {
            return Err(StoreError(format!(
                "the snapshot holds {key} twice; use another one"
            )));
        }
        let insert = || {
            let (id, revision) = (meta::signed(self.last)?, meta::signed(revision.0)?);
            let (format, body) = (i64::from(encoded.format), encoded.bytes.as_slice());
            let (kind_bytes, path_bytes) = (kind.as_bytes(), path.as_bytes());
            let crc = checksum::of_row(id, kind_bytes, path_bytes, revision, format, body);
            let mut insert = self.connection.prepare_cached(
                "INSERT INTO object (id, kind, key, rev, format, body, crc)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            insert.execute((id, kind, &path, revision, format, body, crc))?;
            Ok(())
        };
        Ok(insert())
    }

    fn end(self, meta: &Meta) -> Result<(), Failure> {
        meta::write(&self.connection, "objects", meta.objects)?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

fn put_key(path: &Path, key: &[u8]) -> Result<(), StoreError> {
    let new: PathBuf = path.with_extension("key.new");
    remove(&new)?;
    let put = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(key)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    put().map_err(|error| unusable(path, &error))
}
