//! Snapshots that the server writes by itself.

use std::fs;
use std::time::{Duration, SystemTime};

use super::{path, snapshot};
use crate::server::{Setup, eventually_within};

#[test]
fn a_server_writes_snapshots_by_itself_and_keeps_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("snapshots");
    fs::create_dir(&directory).unwrap();
    let now = SystemTime::now();
    for days in 1..=4u64 {
        let name = format!("waypost-2020-01-0{}T00-00-00Z.snapshot", 5 - days);
        let file = fs::File::create(directory.join(name)).unwrap();
        file.set_modified(now - Duration::from_hours(24 * days))
            .unwrap();
    }
    fs::write(directory.join("mine.txt"), "").unwrap();
    let server = Setup::new()
        .env("WAYPOST__STORE_SQLITE__SNAPSHOT_INTERVAL_HOURS", "6")
        .env("WAYPOST__STORE_SQLITE__SNAPSHOT_DIRECTORY", &directory)
        .env("WAYPOST__STORE_SQLITE__SNAPSHOTS_KEPT", "3")
        .start();
    let names = || {
        let entries = fs::read_dir(&directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // The newest was of yesterday, so one is due; it waits a few seconds for the start to be over.
    let names = eventually_within(Duration::from_secs(30), "a new one, and two left", || {
        let names = names();
        (names.len() == 4 && names.last()?.starts_with("waypost-2")).then_some(names)
    });
    assert_eq!(names[0], "mine.txt");
    assert!(
        names[1].contains("2020-01-03") && names[2].contains("2020-01-04"),
        "{names:?}"
    );
    let new = directory.join(&names[3]);
    let (code, said) = snapshot(&["verify", path(&new)]);
    assert_eq!(code, 0, "{said}");
    let bytes = new.metadata().unwrap().len();
    let size = format!("waypost_snapshot_size_bytes {bytes}");
    let metrics = eventually_within(Duration::from_secs(10), "the figures", || {
        let metrics = server.get("/metrics").expect(200).text();
        metrics.contains(&size).then_some(metrics)
    });
    assert!(
        metrics.contains("waypost_snapshot_failures_total 0"),
        "{metrics}"
    );
    let line = "waypost_snapshot_last_success_timestamp_seconds ";
    let line = metrics
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .unwrap();
    assert!(line.parse::<f64>().unwrap() > 1.7e9, "{line}");
}
