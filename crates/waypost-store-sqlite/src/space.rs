//! How much of the disk is left: below one mark somebody is warned, below a second one nothing is written before the disk is
//! full, so that no write ever fails half-way, below a third one not even the journal. Nothing has failed then, so writing goes
//! on by itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rustix::fs::statvfs;

use crate::config::SqliteConfig;

/// Not looked at yet, or nobody can tell.
const UNKNOWN: u64 = u64::MAX;

/// Many times what the number of a reserved revision takes.
const A_LITTLE: u64 = 1_024 * 1_024;

type Probe = Box<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// A number of free bytes below which something happens.
struct Mark {
    at: u64,
    is_below: AtomicBool,
}

impl Mark {
    fn new(at: u64) -> Self {
        Self {
            at,
            is_below: AtomicBool::new(false),
        }
    }

    fn is_below(&self) -> bool {
        self.is_below.load(Relaxed)
    }

    /// Says whether so much is below the mark, when the answer is another one than before. Whoever is below has to come back
    /// further than it fell, so that nothing flaps.
    fn judge(&self, free: u64) -> Option<bool> {
        let bound = if self.is_below() {
            back(self.at)
        } else {
            self.at
        };
        let is_below = free < bound;
        (self.is_below.swap(is_below, Relaxed) != is_below).then_some(is_below)
    }
}

/// The disk of the data directory.
pub(crate) struct Space {
    directory: PathBuf,
    warn: Mark,
    read_only: Mark,
    /// Half of the one before: what is left then is for the registry's own file to be closed and opened with.
    journal: Mark,
    probe: Probe,
    free: AtomicU64,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("free", &self.free)
            .finish_non_exhaustive()
    }
}

impl Space {
    pub(crate) fn new(config: &SqliteConfig) -> Self {
        Self::with_probe(config, Box::new(free_bytes))
    }

    /// The same with another way to ask how many bytes are free.
    pub(crate) fn with_probe(config: &SqliteConfig, probe: Probe) -> Self {
        Self {
            directory: config.data_dir.clone(),
            warn: Mark::new(config.disk_warn_bytes),
            read_only: Mark::new(config.disk_read_only_bytes),
            journal: Mark::new(config.disk_read_only_bytes / 2),
            probe,
            free: AtomicU64::new(UNKNOWN),
        }
    }

    /// Asks how much is left, and says why nothing may be written, if nothing may.
    ///
    /// It is asked before each commit: the call takes about a microsecond, a commit a hundred times that.
    pub(crate) fn look(&self) -> Option<String> {
        match (self.probe)(&self.directory) {
            Ok(free) => self.judge(free),
            Err(error) => {
                tracing::debug!(directory = %self.directory.display(), %error, "its free space is not known");
            }
        }
        self.refusal()
    }

    fn judge(&self, free: u64) {
        self.free.store(free, Relaxed);
        let directory = self.directory.display();
        match self.read_only.judge(free) {
            Some(true) => {
                tracing::error!(reason = %self.refusal().unwrap_or_default(), "the store is read-only for now");
            }
            Some(false) => {
                tracing::info!(%directory, free, "there is room on the disk again: the store takes writes");
            }
            None => {}
        }
        match self.journal.judge(free) {
            Some(true) => {
                tracing::warn!(%directory, free, "the journal is not written for now: its lines are dropped and counted");
            }
            Some(false) => tracing::info!(%directory, free, "the journal is written again"),
            None => {}
        }
        if self.warn.judge(free) == Some(true) && !self.read_only.is_below() {
            tracing::warn!(%directory, free, warn_below = self.warn.at, "the disk is filling up: make room");
        }
    }

    /// Says why nothing may be written, as it was found last.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.read_only.is_below().then(|| {
            format!(
                "writes are refused while the disk of {} has {} bytes free, fewer than store_sqlite.disk_read_only_bytes ({}): make room; from {} bytes on they go on by themselves",
                self.directory.display(),
                self.free.load(Relaxed),
                self.read_only.at,
                back(self.read_only.at)
            )
        })
    }

    /// Says whether a page or two can be written without a thought.
    pub(crate) fn has_a_little(&self) -> bool {
        self.free_bytes().is_some_and(|free| free >= A_LITTLE)
    }

    /// Says whether there is room for the journal, as it was found last.
    pub(crate) fn takes_journal(&self) -> bool {
        !self.journal.is_below()
    }

    /// Says that there is not much left, as it was found last.
    pub(crate) fn warning(&self) -> Option<String> {
        self.warn.is_below().then(|| {
            format!(
                "{} bytes are free on the disk of {}, fewer than store_sqlite.disk_warn_bytes ({})",
                self.free.load(Relaxed),
                self.directory.display(),
                self.warn.at
            )
        })
    }

    /// Returns the free bytes as they were found last.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        Some(self.free.load(Relaxed)).filter(|free| *free != UNKNOWN)
    }
}

fn back(mark: u64) -> u64 {
    mark.saturating_add(mark / 4)
}

/// Returns how many bytes this user may still write where the directory is.
pub(crate) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let found = statvfs(directory)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
