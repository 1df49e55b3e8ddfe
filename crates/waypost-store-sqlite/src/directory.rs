//! The data directory: made, synced and locked, so that two processes never write the same files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use waypost_core::StoreError;

pub(crate) const LOCK_FILE: &str = "waypost.lock";

/// The data directory, locked for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Holds the lock: the kernel lets go of it when the file is closed, also after a kill.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_or(path, "set data_dir to another directory")
    }

    /// The same with another way out when somebody else holds it.
    pub(crate) fn open_or(path: &Path, way_out: &str) -> Result<Self, StoreError> {
        create(path).map_err(|error| unusable(path, &error))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(|error| unusable(path, &error))?;
        let lock = take(path, lock, way_out)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Makes the file if it is missing, and returns its path.
    pub(crate) fn create_file(&self, name: &str) -> Result<PathBuf, StoreError> {
        let file = self.path.join(name);
        create_private(&file)?;
        Ok(file)
    }

    /// Makes the names of new files durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        sync_directory(&self.path).map_err(|error| unusable(&self.path, &error))
    }
}

fn take(path: &Path, mut lock: File, way_out: &str) -> Result<File, StoreError> {
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        // The number only makes the message better; the lock itself decides.
        let read = Read::by_ref(&mut lock).take(20).read_to_string(&mut holder);
        let holder = match (read, holder.trim()) {
            (Ok(_), number) if !number.is_empty() => format!("process {number}"),
            _ => "another process".to_owned(),
        };
        return Err(StoreError(format!(
            "{} is in use by {holder}; stop it, or {way_out}",
            path.display()
        )));
    }
    let written = lock
        .set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| writeln!(lock, "{}", std::process::id()));
    written.map_err(|error| unusable(&path.join(LOCK_FILE), &error))?;
    Ok(lock)
}

/// Makes an empty file that only this user can read, if there is none; SQLite gives its log the same mode.
pub(crate) fn create_private(file: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(unusable(file, &error)),
        _ => Ok(()),
    }
}

/// Makes the directory, for this user only, and syncs each parent that got a new entry.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing.into_iter().rev() {
        let parent = made
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(crate) fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError(format!(
        "{} cannot be written: {error}; give this user write access to it, or set data_dir to another directory",
        path.display()
    ))
}
