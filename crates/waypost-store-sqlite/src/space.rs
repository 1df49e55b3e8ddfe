//! How much of the disk is left: below one mark somebody is warned, below a second one nothing is written before the disk is
//! full, so that no write ever fails half-way. Nothing has failed then, so writing goes on by itself.

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

/// The disk of the data directory.
pub(crate) struct Space {
    directory: PathBuf,
    warn_below: u64,
    read_only_below: u64,
    probe: Probe,
    free: AtomicU64,
    is_low: AtomicBool,
    is_out: AtomicBool,
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
            warn_below: config.disk_warn_bytes,
            read_only_below: config.disk_read_only_bytes,
            probe,
            free: AtomicU64::new(UNKNOWN),
            is_low: AtomicBool::new(false),
            is_out: AtomicBool::new(false),
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
        let was_out = self.is_out.load(Relaxed);
        let is_out = is_below(free, self.read_only_below, was_out);
        if is_out != was_out {
            self.is_out.store(is_out, Relaxed);
            if is_out {
                tracing::error!(reason = %self.refusal().unwrap_or_default(), "the store is read-only for now");
            } else {
                tracing::info!(%directory, free, "there is room on the disk again: the store takes writes");
            }
        }
        let was_low = self.is_low.load(Relaxed);
        let is_low = is_below(free, self.warn_below, was_low);
        if is_low != was_low {
            self.is_low.store(is_low, Relaxed);
            if is_low && !is_out {
                tracing::warn!(%directory, free, warn_below = self.warn_below, "the disk is filling up: make room");
            }
        }
    }

    /// Says why nothing may be written, as it was found last.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.is_out.load(Relaxed).then(|| {
            format!(
                "writes are refused while the disk of {} has {} bytes free, fewer than store_sqlite.disk_read_only_bytes ({}): make room; from {} bytes on they go on by themselves",
                self.directory.display(),
                self.free.load(Relaxed),
                self.read_only_below,
                back(self.read_only_below)
            )
        })
    }

    /// Says whether a page or two can be written without a thought.
    pub(crate) fn has_a_little(&self) -> bool {
        self.free_bytes().is_some_and(|free| free >= A_LITTLE)
    }

    /// Says that there is not much left, as it was found last.
    pub(crate) fn warning(&self) -> Option<String> {
        self.is_low.load(Relaxed).then(|| {
            format!(
                "{} bytes are free on the disk of {}, fewer than store_sqlite.disk_warn_bytes ({})",
                self.free.load(Relaxed),
                self.directory.display(),
                self.warn_below
            )
        })
    }

    /// Returns the free bytes as they were found last.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        Some(self.free.load(Relaxed)).filter(|free| *free != UNKNOWN)
    }
}

/// Says whether that is below the mark. Whoever is below has to come back further than it fell, so that nothing flaps.
fn is_below(free: u64, mark: u64, was: bool) -> bool {
    free < if was { back(mark) } else { mark }
}

fn back(mark: u64) -> u64 {
    mark.saturating_add(mark / 4)
}

/// Returns how many bytes this user may still write where the directory is.
pub(crate) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let found = statvfs(directory)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
