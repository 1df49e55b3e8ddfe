//! A data directory on this machine: who may read it, and how long a durable write takes there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::Context;
use super::finding::{Finding, Outcome, or_ok};
use super::mode::readable_by_others;
use crate::command::resolve::exchange::started;

const WRITES: usize = 20;
const WRITE: [u8; 256] = [b'w'; 256];
const WRITE_WARNING: Duration = Duration::from_millis(20);
const NOT_NAMED: &str = "--data-dir DIRECTORY looks at it on the server's machine";

pub(super) async fn modes(context: &Context) -> Vec<Finding> {
    let Some(directory) = &context.arguments.data_dir else {
        return vec![Finding::skipped(NOT_NAMED)];
    };
    let key = directory.join("server.key");
    let mut found: Vec<Finding> = readable_by_others(directory).into_iter().collect();
    if !key.exists() {
        found.push(Finding::failure(
            format!("{} is no data directory: it has no server.key", directory.display()),
            "--data-dir names the directory that `waypost serve` uses; without its key no token that was issued holds",
        ));
    } else if let Some(open) = readable_by_others(&key) {
        // Tokens are made with it.
        found.push(Finding {
            outcome: Outcome::Failure,
            ..open
        });
    }
    or_ok(
        found,
        "only its owner may use the data directory and its key",
    )
}

pub(super) async fn durable_writes(context: &Context) -> Vec<Finding> {
    let Some(directory) = context.arguments.data_dir.clone() else {
        return vec![Finding::skipped(NOT_NAMED)];
    };
    let limit = context.limit;
    let shown = directory.display().to_string();
    // A disk may hang, and then the thread with it: it is not waited for.
    let measured = tokio::task::spawn_blocking(move || measure(&directory, limit));
    let found = match tokio::time::timeout(limit, measured).await {
        Ok(Ok(Ok(took))) => judge(&took, &shown),
        Ok(Ok(Err(error))) => Finding::failure(
            format!("cannot write in {shown}: {error}"),
            "run this as the user whom the directory belongs to; a disk that refuses writes has to be repaired or emptied",
        ),
        Ok(Err(error)) => Finding::failure(
            format!("the durable writes ended: {error}"),
            "this is a defect of this program",
        ),
        Err(_) => Finding::failure(
            format!(
                "{WRITES} durable writes in {shown} took longer than {} s",
                limit.as_secs_f64()
            ),
            "the disk hangs: the system's log says more; --timeout SECONDS allows more time",
        ),
    };
    vec![found]
}

/// Writes and waits until the disk has it, again and again, for so long at most.
fn measure(directory: &Path, limit: Duration) -> io::Result<Vec<Duration>> {
    let mut probe = Probe::create(directory)?;
    let whole = started();
    let mut took = Vec::with_capacity(WRITES);
    while took.len() < WRITES && (took.is_empty() || whole.elapsed() < limit) {
        let since = started();
        probe.file.write_all(&WRITE)?;
        probe.file.sync_data()?;
        took.push(since.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// A file that is gone when this is.
struct Probe {
    file: File,
    path: PathBuf,
}

impl Probe {
    fn create(directory: &Path) -> io::Result<Self> {
        let name = format!(".waypost-doctor-{}", std::process::id());
        let path = directory.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self { file, path })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Whatever keeps it there keeps everything else too.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Judges times that are sorted.
fn judge(took: &[Duration], shown: &str) -> Finding {
    let (Some(half), Some(most)) = (took.get(took.len() / 2), took.last()) else {
        return Finding::skipped("nothing was measured");
    };
    let milliseconds = |time: &Duration| (time.as_secs_f64() * 100_000.0).round() / 100.0;
    let detail = format!(
        "a write in {shown} is durable within {} ms (half of {}), {} ms (99 %)",
        milliseconds(half),
        took.len(),
        milliseconds(most)
    );
    if *most > WRITE_WARNING {
        return Finding::warning(
            detail,
            "registrations wait as long: move the directory to a local SSD, or away from whoever else writes there",
        );
    }
    Finding::ok(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_measured_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let took = measure(folder.path(), Duration::from_secs(60)).unwrap();
        assert_eq!(took.len(), WRITES);
        assert!(took.is_sorted());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(measure(&folder.path().join("none"), Duration::from_secs(1)).is_err());
    }

    #[test]
    fn the_slowest_write_decides() {
        let of = |last: u64| {
            judge(
                &[Duration::from_millis(1), Duration::from_millis(last)],
                "/d",
            )
        };
        assert_eq!(of(19).outcome, Outcome::Ok);
        assert_eq!(of(21).outcome, Outcome::Warning);
    }
}
