//! Snapshots that are written by themselves, the oldest of which go.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use waypost_core::{Clock, Snapshot, Snapshots, StoreError, Timestamp};

use crate::config::SqliteConfig;
use crate::directory::{create, unusable};
use crate::metrics::StoreMetrics;
use crate::saving::{SnapshotFile, save_snapshot};
use crate::space::free_bytes;

const PREFIX: &str = "waypost-";
const SUFFIX: &str = ".snapshot";
/// The first one waits for the server to have started.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// After a failure it is tried again before the next one is due.
const RETRY_WAIT: Duration = Duration::from_mins(1);

/// Writes snapshots every few hours.
#[derive(Debug)]
pub struct ScheduledSnapshots {
    work: Arc<Work>,
    interval: Duration,
    snapshots: Snapshots,
    clock: Arc<dyn Clock>,
    metrics: StoreMetrics,
}

/// What is done on a thread that may wait for the disk.
#[derive(Debug)]
struct Work {
    directory: PathBuf,
    kept: usize,
    keep_free_bytes: u64,
}

/// A snapshot that is there.
struct Kept {
    path: PathBuf,
    made: Timestamp,
    bytes: u64,
}

impl ScheduledSnapshots {
    /// Makes the schedule; none when the configuration wants none.
    pub fn new(
        config: &SqliteConfig,
        snapshots: Snapshots,
        clock: Arc<dyn Clock>,
        metrics: &StoreMetrics,
    ) -> Option<Self> {
        let hours = u64::from(config.snapshot_interval_hours);
        (hours > 0).then(|| Self {
            work: Arc::new(Work {
                directory: config.snapshots(),
                kept: usize::try_from(config.snapshots_kept).unwrap_or(usize::MAX),
                keep_free_bytes: config.disk_read_only_bytes,
            }),
            interval: Duration::from_secs(hours * 60 * 60),
            snapshots,
            clock,
            metrics: metrics.clone(),
        })
    }

    /// Writes them until `shutdown` completes. One that is being written then is given up.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let mut wait = self.first_wait().await;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = self.clock.sleep(wait) => {}
            }
            wait = tokio::select! {
                () = &mut shutdown => return,
                wait = self.save() => wait,
            };
        }
    }

    /// Goes on with the schedule of the process before: the newest file says when it was last kept.
    async fn first_wait(&self) -> Duration {
        let (work, now) = (Arc::clone(&self.work), self.clock.wall());
        let newest = tokio::task::spawn_blocking(move || {
            let kept = work.list(now).unwrap_or_default();
            kept.into_iter().rfind(|kept| kept.made <= now)
        });
        let Some(newest) = newest.await.ok().flatten() else {
            return FIRST_WAIT;
        };
        self.note(newest.made, newest.bytes);
        let due = self.interval.saturating_sub(now.since(newest.made));
        due.max(FIRST_WAIT)
    }

    fn note(&self, made: Timestamp, bytes: u64) {
        self.metrics.snapshot_seconds.set(made.0 / 1_000);
        self.metrics.snapshot_bytes.set(bytes);
    }

    /// Writes one and returns how long to wait for the next.
    async fn save(&self) -> Duration {
        let (work, snapshot) = (Arc::clone(&self.work), self.snapshots.latest());
        let now = self.clock.wall();
        let saved = tokio::task::spawn_blocking(move || work.save(&snapshot, now)).await;
        let saved = saved.unwrap_or_else(|error| Err(StoreError(error.to_string())));
        match saved {
            Ok(kept) => {
                self.note(kept.made, kept.bytes);
                let file = kept.path.display();
                tracing::info!(%file, bytes = kept.bytes, "a snapshot was written");
                self.interval
            }
            Err(error) => {
                self.metrics.snapshot_failures.inc();
                let again_seconds = RETRY_WAIT.as_secs();
                tracing::error!(%error, again_seconds, "a snapshot could not be written");
                RETRY_WAIT.min(self.interval)
            }
        }
    }
}

impl Work {
    fn save(&self, snapshot: &Snapshot, now: Timestamp) -> Result<Kept, StoreError> {
        create(&self.directory).map_err(|error| unusable(&self.directory, &error))?;
        let time = now.in_utc().replace(':', "-");
        let path = self.directory.join(format!("{PREFIX}{time}{SUFFIX}"));
        let file = SnapshotFile::create(&path, true)?;
        let (_, bytes) = save_snapshot(snapshot, now, file, || self.room())?;
        let new = Kept {
            path,
            made: now,
            bytes,
        };
        self.prune(&new, now)?;
        Ok(new)
    }

    /// A snapshot must never be what makes the registry read-only.
    fn room(&self) -> Result<(), StoreError> {
        let free = free_bytes(&self.directory);
        let free = free.map_err(|error| unusable(&self.directory, &error))?;
        if free > self.keep_free_bytes {
            return Ok(());
        }
        Err(StoreError(format!(
            "the disk of {} has {free} bytes free, and store_sqlite.disk_read_only_bytes ({}) have to stay free; make room, or set store_sqlite.snapshot_directory to another disk",
            self.directory.display(),
            self.keep_free_bytes
        )))
    }

    /// Removes the oldest beyond those that are kept, and what processes left behind that died while writing.
    fn prune(&self, new: &Kept, now: Timestamp) -> Result<(), StoreError> {
        let mut others = self.list(now)?;
        others.retain(|kept| kept.path != new.path);
        let surplus = (others.len() + 1).saturating_sub(self.kept);
        let old = others.into_iter().take(surplus).map(|kept| kept.path);
        let partial = format!("{SUFFIX}.partial");
        let left = self.entries(&partial)?.into_iter().map(|(path, _)| path);
        for path in old.chain(left) {
            std::fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
        }
        Ok(())
    }

    /// Lists them, the oldest first. One from the future is of a clock that was wrong: it goes first.
    fn list(&self, now: Timestamp) -> Result<Vec<Kept>, StoreError> {
        let entries = self.entries(SUFFIX)?.into_iter();
        let mut kept: Vec<Kept> = entries
            .map(|(path, metadata)| Kept {
                path,
                made: modified(&metadata),
                bytes: metadata.len(),
            })
            .collect();
        kept.sort_by(|one, other| {
            let order = |kept: &Kept| (kept.made <= now, kept.made);
            order(one)
                .cmp(&order(other))
                .then_with(|| one.path.cmp(&other.path))
        });
        Ok(kept)
    }

    fn entries(&self, end: &str) -> Result<Vec<(PathBuf, Metadata)>, StoreError> {
        let failed = |error: std::io::Error| unusable(&self.directory, &error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let metadata = path.symlink_metadata().map_err(failed)?;
            if metadata.is_file() && is_named(&path, end) {
                found.push((path, metadata));
            }
        }
        Ok(found)
    }
}

/// Says whether the file is named as these are: nothing else in the directory is ours to remove.
fn is_named(path: &Path, end: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let time = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(end));
    let shape = "0000-00-00T00-00-00Z";
    time.is_some_and(|time| {
        time.len() == shape.len()
            && time.bytes().zip(shape.bytes()).all(|(byte, of)| match of {
                b'0' => byte.is_ascii_digit(),
                fixed => byte == fixed,
            })
    })
}

fn modified(metadata: &Metadata) -> Timestamp {
    let since = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let milliseconds = since.map_or(0, |since| since.as_millis());
    Timestamp(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}
