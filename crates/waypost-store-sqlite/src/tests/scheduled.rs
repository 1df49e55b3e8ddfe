//! Snapshots that are written by themselves, with the time in the test's hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use waypost_core::{Clock, ManualClock, Timestamp};
use waypost_testkit::{Harness, Setup, register, spec};

use super::{Home, run};
use crate::{ScheduledSnapshots, SqliteConfig, StoreMetrics, open_snapshot};

/// The year 2100: no file of today is of its future.
const NOW: Timestamp = Timestamp(4_102_444_800_000);

struct Running {
    harness: Harness,
    metrics: StoreMetrics,
    directory: PathBuf,
    tasks: JoinSet<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Running {
    async fn new(config: &SqliteConfig) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let setup = Setup {
            clock: Arc::clone(&clock),
            ..Setup::default()
        };
        let harness = Harness::open(setup).await;
        let metrics = StoreMetrics::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let snapshots = harness.snapshots.clone();
        let clock: Arc<dyn Clock> = clock;
        let scheduled = ScheduledSnapshots::new(config, snapshots, clock, &metrics).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(scheduled.run(async move { drop(stopped.await) }));
        Self {
            harness,
            metrics,
            directory: config.snapshots(),
            tasks,
            stop: Some(stop),
        }
    }

    /// Lets time pass, in steps, until that many snapshots were written or could not be.
    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if done(self) {
                return;
            }
            self.harness.clock.advance(Duration::from_secs(1));
            // The disk is real, and so is the wait for it.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("waited in vain: {what}");
    }

    fn names(&self) -> Vec<String> {
        names(&self.directory)
    }

    /// Counts those that are whole: one that is being written has another name.
    fn whole(&self) -> usize {
        let names = self.names().into_iter();
        names.filter(|name| name.ends_with(".snapshot")).count()
    }

    async fn end(mut self) {
        drop(self.stop.take());
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn hourly(home: &Home, kept: u32) -> SqliteConfig {
    SqliteConfig {
        snapshot_interval_hours: 1,
        snapshots_kept: kept,
        ..home.config.clone()
    }
}

#[test]
fn the_first_one_comes_soon_and_the_next_ones_every_interval() {
    run(async {
        let home = Home::new();
        let running = Running::new(&hourly(&home, 7)).await;
        let command = register("web", "a", spec("10.0.0.1", 80));
        running.harness.apply(command).await.unwrap();
        running.until("the first one", |it| it.whole() == 1).await;
        let first = running.names().remove(0);
        assert!(first.starts_with("waypost-2100-01-01T00-"), "{first}");
        let file = running.directory.join(&first);
        let mut reader = open_snapshot(&file).unwrap();
        assert_eq!(reader.header().counts.registrations, 1);
        while reader.object().unwrap().is_some() {}
        let bytes = file.metadata().unwrap().len();
        running
            .until("the figures", |it| it.metrics.snapshot_bytes.get() == bytes)
            .await;
        let made = running.metrics.snapshot_seconds.get();
        assert_eq!(made / 3_600, NOW.0 / 3_600_000);
        running.harness.clock.advance(Duration::from_mins(58));
        assert_eq!(running.names().len(), 1, "before its time");
        running.until("the second one", |it| it.whole() == 2).await;
        running.end().await;
    });
}

#[test]
fn only_so_many_are_kept_and_nothing_else_is_touched() {
    run(async {
        let home = Home::new();
        let config = hourly(&home, 3);
        let directory = config.snapshots();
        std::fs::create_dir_all(&directory).unwrap();
        let put = |name: &str, seconds: u64| {
            let file = std::fs::File::create(directory.join(name)).unwrap();
            let at = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(at).unwrap();
        };
        for day in 1..=5 {
            put(
                &format!("waypost-2026-01-0{day}T00-00-00Z.snapshot"),
                1_000 + day,
            );
        }
        // Of a clock that was wrong: it must not outlive all that come.
        put("waypost-2999-01-01T00-00-00Z.snapshot", 9_000_000_000);
        put("waypost-2026-01-09T00-00-00Z.snapshot.partial", 5);
        let theirs = [
            "before-the-upgrade.snapshot",
            "waypost-2026.snapshot",
            "notes.txt",
        ];
        theirs.iter().for_each(|name| put(name, 1));
        let running = Running::new(&config).await;
        let is_done = |it: &Running| it.metrics.snapshot_bytes.get() > 0 && it.names().len() == 6;
        running
            .until("the new one, and the old ones gone", is_done)
            .await;
        let names = running.names();
        for name in theirs {
            assert!(
                names.contains(&name.to_owned()),
                "{name} is gone: {names:?}"
            );
        }
        let ours: Vec<&String> = names.iter().filter(|name| name.len() == 37).collect();
        assert_eq!(ours.len(), 3, "{names:?}");
        assert!(
            ours[0].contains("2026-01-04") && ours[1].contains("2026-01-05"),
            "{names:?}"
        );
        assert!(ours[2].contains("2100-01-01"), "{names:?}");
        running.end().await;
    });
}

#[test]
fn a_failure_is_counted_and_tried_again() {
    run(async {
        let home = Home::new();
        let config = hourly(&home, 3);
        // Nothing can be made in a file.
        std::fs::create_dir_all(&config.data_dir).unwrap();
        std::fs::write(config.snapshots(), "").unwrap();
        let running = Running::new(&config).await;
        running
            .until("two failures", |it| it.metrics.snapshot_failures.get() == 2)
            .await;
        std::fs::remove_file(config.snapshots()).unwrap();
        running.until("the one after", |it| it.whole() == 1).await;
        running.end().await;
    });
}

#[test]
fn a_snapshot_never_takes_the_last_of_the_disk() {
    run(async {
        let home = Home::new();
        let config = SqliteConfig {
            disk_read_only_bytes: u64::MAX,
            ..hourly(&home, 3)
        };
        let running = Running::new(&config).await;
        running
            .until("a failure", |it| it.metrics.snapshot_failures.get() > 0)
            .await;
        assert_eq!(running.names(), Vec::<String>::new());
        running.end().await;
    });
}

#[test]
fn without_an_interval_there_is_no_schedule() {
    run(async {
        let home = Home::new();
        let running = Running::new(&hourly(&home, 1)).await;
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&running.harness.clock);
        let snapshots = running.harness.snapshots.clone();
        let none = ScheduledSnapshots::new(&home.config, snapshots, clock, &running.metrics);
        assert!(none.is_none());
        running.end().await;
    });
}
