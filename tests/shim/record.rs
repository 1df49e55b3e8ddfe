//! The Rust side of `sync_shim.c`: builds it, steers it, reads its record and replays the record into a folder.
//!
//! Test crates include this file by path. A typical use:
//!
//! ```text
//! let shim = Shim::build(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
//! let control = shim.over(&data_folder, &control_folder)?;
//! Command::new(waypost).envs(control.environment()).spawn()?;
//! control.close_gate()?;               // syncs wait from now on
//! // send a write, wait until control.is_holding()?, see that nothing was answered
//! control.open_gate()?;
//! let record = control.record()?;
//! for cut in record.cuts() { record.replay(cut.last, Survivors::Synced, &new_folder)?; /* look into it */ }
//! ```

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const SOURCE: &str = include_str!("sync_shim.c");
const MAGIC: u64 = 0x3152_5057;
const HEADER: usize = 40;

/// The built library.
#[derive(Debug, Clone)]
pub(crate) struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Compiles the library into `folder`, once per content of its source.
    pub(crate) fn build(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            library: compiled(folder, "sync_shim", SOURCE)?,
        })
    }

    /// Puts a program whose files are below `prefix` under control; `folder`, outside of it, holds the record and
    /// the files that steer. Both are created.
    pub(crate) fn over(&self, prefix: &Path, folder: &Path) -> io::Result<Control> {
        fs::create_dir_all(prefix)?;
        fs::create_dir_all(folder)?;
        Ok(Control {
            library: self.library.clone(),
            prefix: prefix.canonicalize()?,
            folder: folder.canonicalize()?,
        })
    }
}

/// Compiles a library that is to be preloaded into `folder`, once per content of its source, and gives its path.
pub(crate) fn compiled(folder: &Path, name: &str, source: &str) -> io::Result<PathBuf> {
    static BUILDS: AtomicU32 = AtomicU32::new(0);
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let library = folder.join(format!("{name}-{:016x}.so", hasher.finish()));
    if library.exists() {
        return Ok(library);
    }
    fs::create_dir_all(folder)?;
    // Tests run in parallel: each builds under its own name, and the last rename wins with the same content.
    let build = BUILDS.fetch_add(1, Ordering::Relaxed);
    let stem = folder.join(format!("{name}-{}-{build}", std::process::id()));
    let (file, built) = (stem.with_extension("c"), stem.with_extension("so"));
    fs::write(&file, source)?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&built, &file])
        .args(["-ldl", "-lpthread"])
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "cc cannot build the shim: {}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    fs::rename(built, &library)?;
    fs::remove_file(file)?;
    Ok(library)
}

/// Steers the shim in a running program.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    library: PathBuf,
    prefix: PathBuf,
    folder: PathBuf,
}

impl Control {
    /// Gives the environment for the program.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let file = |name: &str| self.folder.join(name).into_os_string();
        vec![
            ("LD_PRELOAD", self.library.clone().into_os_string()),
            ("WAYPOST_SHIM_PREFIX", self.prefix.clone().into_os_string()),
            ("WAYPOST_SHIM_GATE", file("gate")),
            ("WAYPOST_SHIM_WAITING", file("waiting")),
            ("WAYPOST_SHIM_FAIL", file("fail")),
            ("WAYPOST_SHIM_FULL", file("full")),
            ("WAYPOST_SHIM_RECORD", file("record")),
        ]
    }

    /// Holds back every sync from now on; those under way go on.
    pub(crate) fn close_gate(&self) -> io::Result<()> {
        self.put("gate")
    }

    /// Lets the syncs go on.
    pub(crate) fn open_gate(&self) -> io::Result<()> {
        self.take("gate")
    }

    /// Tells whether at least one sync is held at this moment.
    pub(crate) fn is_holding(&self) -> io::Result<bool> {
        self.folder.join("waiting").try_exists()
    }

    /// Makes every sync fail with EIO from now on.
    pub(crate) fn fail_syncs(&self) -> io::Result<()> {
        self.put("fail")
    }

    /// Makes syncs succeed again.
    pub(crate) fn mend_syncs(&self) -> io::Result<()> {
        self.take("fail")
    }

    /// Makes every write fail with ENOSPC from now on.
    pub(crate) fn fill_disk(&self) -> io::Result<()> {
        self.put("full")
    }

    /// Makes writes succeed again.
    pub(crate) fn free_disk(&self) -> io::Result<()> {
        self.take("full")
    }

    /// Gives the size of the record: what a client was told so far was told before any later entry.
    pub(crate) fn record_bytes(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.folder.join("record"))?.len())
    }

    /// Reads the record up to now.
    pub(crate) fn record(&self) -> io::Result<Record> {
        Record::parse(&fs::read(self.folder.join("record"))?)
    }

    fn put(&self, name: &str) -> io::Result<()> {
        File::create(self.folder.join(name)).map(drop)
    }

    fn take(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }
}

/// What was done to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Truncate { length: u64 },
    Write { offset: u64, data: Vec<u8> },
    Rename { to: PathBuf },
    Unlink,
    SyncBegins,
    SyncEnded { begin: usize },
    MakeFolder,
    RemoveFolder,
}

/// One entry of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) operation: Operation,
    /// Relative to the prefix.
    pub(crate) path: PathBuf,
    /// The size of the record when the entry was in it.
    pub(crate) record_bytes: u64,
}

/// A sync that succeeded: the indices of its two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sync {
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

/// A crash right after entry `last`. What clients were told while the record had at most `record_bytes` bytes must
/// be found in the replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) last: usize,
    pub(crate) record_bytes: u64,
}

/// What is still there after the crash that a replay stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survivors {
    /// Everything that was written: the process died.
    Written,
    /// Of each file only what was written before a sync of it began that has ended: the power failed. Names
    /// (creation, rename, unlink) survive without a sync of their folder, as they do on journaling file systems
    /// once the file itself is synced.
    Synced,
}

/// All changes to the files below the prefix, in the order of their effects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) entries: Vec<Entry>,
}

impl Record {
    /// Reads the format that `sync_shim.c` describes. An entry that is not complete yet ends the record.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut begins: HashMap<u64, usize> = HashMap::new();
        let mut position = 0;
        while let Some(header) = bytes.get(position..position + HEADER) {
            let start = position;
            let broken = || io::Error::other(format!("the record is broken at byte {start}"));
            let size = |at| usize::try_from(number(header, at, 4)).map_err(|_| broken());
            let data_start = start + HEADER + size(32)?;
            let end = data_start + size(36)?;
            if number(header, 0, 4) != MAGIC {
                return Err(broken());
            }
            let (Some(path), Some(data)) = (
                bytes.get(start + HEADER..data_start),
                bytes.get(data_start..end),
            ) else {
                break;
            };
            let operation = operation(header, data, &begins).ok_or_else(broken)?;
            if operation == Operation::SyncBegins {
                begins.insert(number(header, 8, 8), entries.len());
            }
            entries.push(Entry {
                operation,
                path: path_from(path),
                record_bytes: end as u64,
            });
            position = end;
        }
        Ok(Self { entries })
    }

    /// Gives every sync that succeeded, in the order in which they ended.
    pub(crate) fn syncs(&self) -> Vec<Sync> {
        let ended = self.entries.iter().enumerate();
        ended
            .filter_map(|(end, entry)| match entry.operation {
                Operation::SyncEnded { begin } => Some(Sync { begin, end }),
                _ => None,
            })
            .collect()
    }

    /// Gives the moments at which a crash tells most: the end of every sync, and the newest entry.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let newest = self.entries.len().checked_sub(1);
        let ends = self.syncs().into_iter().map(|sync| sync.end);
        ends.chain(newest)
            .filter_map(|last| {
                let record_bytes = self.entries.get(last)?.record_bytes;
                Some(Cut { last, record_bytes })
            })
            .collect()
    }

    /// Makes the files below `folder` as they were when entry `last` was the newest. The folder holds what was
    /// below the prefix before the record began: usually nothing.
    pub(crate) fn replay(
        &self,
        last: usize,
        survivors: Survivors,
        folder: &Path,
    ) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let taken = self.entries.get(..=last).unwrap_or(&self.entries);
        let survives = match survivors {
            Survivors::Written => vec![true; taken.len()],
            Survivors::Synced => synced(taken),
        };
        for (entry, survives) in taken.iter().zip(survives) {
            if survives {
                apply(entry, folder)?;
            }
        }
        Ok(())
    }
}

fn apply(entry: &Entry, folder: &Path) -> io::Result<()> {
    let path = folder.join(&entry.path);
    let file = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).open(&path)
    };
    match &entry.operation {
        Operation::Create => file().map(drop),
        Operation::Truncate { length } => file()?.set_len(*length),
        Operation::Write { offset, data } => file()?.write_all_at(data, *offset),
        Operation::Rename { to } => fs::rename(&path, folder.join(to)),
        Operation::Unlink => fs::remove_file(&path),
        Operation::MakeFolder => fs::create_dir(&path),
        Operation::RemoveFolder => fs::remove_dir(&path),
        Operation::SyncBegins | Operation::SyncEnded { .. } => Ok(()),
    }
}

/// Tells of each entry whether it survives when only synced content does.
fn synced(entries: &[Entry]) -> Vec<bool> {
    let files = files_of(entries);
    // For each file, the newest begin of a sync that has ended: contents before it are safe.
    let mut safe_until: HashMap<usize, usize> = HashMap::new();
    for (entry, file) in entries.iter().zip(&files) {
        if let Operation::SyncEnded { begin } = entry.operation {
            let until = safe_until.entry(*file).or_default();
            *until = begin.max(*until);
        }
    }
    let contents = entries.iter().zip(&files).enumerate();
    contents
        .map(|(index, (entry, file))| match entry.operation {
            Operation::Truncate { .. } | Operation::Write { .. } => {
                safe_until.get(file).is_some_and(|until| index < *until)
            }
            _ => true,
        })
        .collect()
}

/// Gives each entry's file a number of its own, which a rename keeps and a new file of the same name does not.
fn files_of(entries: &[Entry]) -> Vec<usize> {
    let mut numbers: HashMap<&Path, usize> = HashMap::new();
    let mut next = 0;
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.operation == Operation::Create {
            numbers.remove(entry.path.as_path());
        }
        let number = *numbers.entry(&entry.path).or_insert_with(|| {
            next += 1;
            next
        });
        files.push(number);
        match &entry.operation {
            Operation::Rename { to } => {
                numbers.remove(entry.path.as_path());
                numbers.insert(to, number);
            }
            Operation::Unlink => {
                numbers.remove(entry.path.as_path());
            }
            _ => {}
        }
    }
    files
}

/// Reads one operation; `begins` tells where the syncs that have not ended began, by number.
fn operation(header: &[u8], data: &[u8], begins: &HashMap<u64, usize>) -> Option<Operation> {
    let (offset, length) = (number(header, 16, 8), number(header, 24, 8));
    Some(match number(header, 4, 1) {
        1 => Operation::Create,
        2 => Operation::Truncate { length },
        3 => Operation::Write {
            offset,
            data: data.to_vec(),
        },
        4 => Operation::Rename {
            to: path_from(data),
        },
        5 => Operation::Unlink,
        6 => Operation::SyncBegins,
        7 => Operation::SyncEnded {
            begin: *begins.get(&length)?,
        },
        8 => Operation::MakeFolder,
        9 => Operation::RemoveFolder,
        _ => return None,
    })
}

fn number(header: &[u8], at: usize, bytes: usize) -> u64 {
    let field = header.iter().skip(at).take(bytes);
    field
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn path_from(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
