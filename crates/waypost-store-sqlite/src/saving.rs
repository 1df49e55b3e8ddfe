//! Snapshot files: there whole or not at all, for this user only, and read back before they count.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use waypost_core::{
    Snapshot, SnapshotFault, SnapshotHeader, SnapshotReader, SnapshotWriter, StoreError, Timestamp,
};

use crate::directory::sync_directory;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 256 * 1_024;

/// A snapshot that is being written to a file. Dropping it before its end leaves nothing.
#[derive(Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    bytes: u64,
    is_named: bool,
}

impl SnapshotFile {
    /// Begins a file; until it is whole it has `.partial` after its name.
    ///
    /// # Errors
    /// When it exists and may not be written over, or the directory cannot be written.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, StoreError> {
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(StoreError(format!(
                "{} exists already; choose another name, or write over it with --force",
                path.display()
            )));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // Left behind by a process that died here.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unwritable(&partial, &error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|error| unwritable(&partial, &error))?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            file,
            bytes: 0,
            is_named: false,
        })
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| unwritable(&self.partial, &error))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Reads all of it back, has it on the disk, and gives it its name. Returns what it says of itself, and its length.
    ///
    /// # Errors
    /// When it is not whole, or the disk refuses.
    pub fn finish(mut self) -> Result<(SnapshotHeader, u64), StoreError> {
        let failed = |error: &std::io::Error| unwritable(&self.partial, error);
        self.file.sync_all().map_err(|error| failed(&error))?;
        let mut written = open_snapshot(&self.partial)?;
        let header = written.header().clone();
        loop {
            match written.object() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(fault) => return Err(not_believed(&self.path, &fault)),
            }
        }
        std::fs::rename(&self.partial, &self.path).map_err(|error| failed(&error))?;
        self.is_named = true;
        let directory = self.path.parent();
        let directory = directory.filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(directory.unwrap_or(Path::new(".")))
            .map_err(|error| unwritable(&self.path, &error))?;
        Ok((header, self.bytes))
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        if !self.is_named {
            // Whoever finds it anyhow writes over it.
            drop(std::fs::remove_file(&self.partial));
        }
    }
}

/// Writes a snapshot to a file. `may_go_on` is asked before each piece, of some 64 KiB.
///
/// # Errors
/// When the file cannot be written, or `may_go_on` says why not to go on.
pub fn save_snapshot(
    snapshot: &Snapshot,
    created: Timestamp,
    mut file: SnapshotFile,
    mut may_go_on: impl FnMut() -> Result<(), StoreError>,
) -> Result<(SnapshotHeader, u64), StoreError> {
    let mut writer = SnapshotWriter::new(snapshot, created, env!("CARGO_PKG_VERSION"));
    while let Some(piece) = writer.piece()? {
        may_go_on()?;
        file.write(&piece)?;
    }
    file.finish()
}

/// Opens a snapshot file and reads its beginning.
///
/// # Errors
/// When the file cannot be read, or is no snapshot that this version reads.
pub fn open_snapshot(path: &Path) -> Result<SnapshotReader<BufReader<File>>, StoreError> {
    let file = File::open(path)
        .map_err(|error| StoreError(format!("{} cannot be read: {error}", path.display())))?;
    let input = BufReader::with_capacity(BUFFER_BYTES, file);
    SnapshotReader::open(input).map_err(|fault| not_believed(path, &fault))
}

pub(crate) fn not_believed(path: &Path, fault: &SnapshotFault) -> StoreError {
    StoreError(format!("{}: {fault}", path.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError(format!(
        "{} cannot be written: {error}; make room, give this user write access, or choose another place",
        path.display()
    ))
}
