//! What the server measures of its store.

use super::clock;
use super::context::Context;
use super::exposition::Exposition;
use super::finding::Finding;
use crate::age::seconds;

/// Callers wait for this: a registration is acknowledged when it is durable.
const COMMIT_WARNING_SECONDS: f64 = 0.05;
/// Room that is worth a second look, whatever the server's own mark is.
const FREE_WARNING_BYTES: f64 = 256.0 * 1_048_576.0;
const DAY: f64 = 86_400.0;
/// Older than that, the newest snapshot is of another week's registry.
const SNAPSHOT_WARNING_SECONDS: f64 = 2.0 * DAY;

async fn with_figures(
    context: &Context,
    look: impl FnOnce(&Exposition) -> Finding,
) -> Vec<Finding> {
    vec![match context.metrics().await {
        Ok(figures) => look(figures),
        Err(why) => Finding::skipped(why),
    }]
}

pub(super) async fn writes(context: &Context) -> Vec<Finding> {
    with_figures(context, |figures| match figures.value("waypost_store_read_only") {
        Some(value) if value > 0.0 => Finding::failure(
            "the store takes no writes: nothing can be registered or removed",
            "`waypost doctor` says under server: ready why; docs/operations/backup.md tells what to do",
        ),
        Some(_) => Finding::ok("the store takes writes"),
        None => Finding::skipped("the server does not tell"),
    })
    .await
}

pub(super) async fn commits(context: &Context) -> Vec<Finding> {
    with_figures(context, judge_commits).await
}

fn judge_commits(figures: &Exposition) -> Finding {
    let quantile = |share| figures.quantile("waypost_store_commit_duration_seconds", share);
    let (Some(half), Some(most)) = (quantile(0.5), quantile(0.99)) else {
        return Finding::ok("no change yet");
    };
    let detail = format!("a change is durable within {half} (half of them), {most} (99 %)");
    if most.seconds() > COMMIT_WARNING_SECONDS {
        let hint = "the disk of the data directory is slow or busy: move the directory to a local SSD; --data-dir DIRECTORY measures it";
        return Finding::warning(detail, hint);
    }
    Finding::ok(detail)
}

pub(super) async fn journal(context: &Context) -> Vec<Finding> {
    with_figures(context, |figures| {
        match figures.value("waypost_journal_dropped_lines") {
            Some(lines) if lines > 0.0 => Finding::warning(
                format!("{lines} lines of the journal found no room since the server started"),
                "the server's log says why; explain and audit miss what they told",
            ),
            Some(_) => Finding::ok("the journal keeps every line"),
            None => Finding::skipped("the server does not tell"),
        }
    })
    .await
}

pub(super) async fn disk_space(context: &Context) -> Vec<Finding> {
    with_figures(context, |figures| {
        let Some(free) = figures.value("waypost_store_disk_free_bytes") else {
            return Finding::skipped("the store of this server is not on a disk");
        };
        let detail = format!("{} are free on the disk of the store", amount(free));
        if free < FREE_WARNING_BYTES {
            return Finding::warning(
                detail,
                "make room: below store_sqlite.disk_read_only_bytes nothing is written any more",
            );
        }
        Finding::ok(detail)
    })
    .await
}

/// Writes bytes as people read them.
fn amount(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut left, mut unit) = (bytes, "B");
    for next in units.into_iter().skip(1) {
        if left < 1_024.0 {
            break;
        }
        (left, unit) = (left / 1_024.0, next);
    }
    format!("{} {unit}", (left * 10.0).round() / 10.0)
}

pub(super) async fn snapshots(context: &Context) -> Vec<Finding> {
    let now = context.client.server_time().unwrap_or_else(clock::now);
    let now = now.duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0.0, |since| since.as_secs_f64());
    with_figures(context, |figures| judge_snapshots(figures, now)).await
}

fn judge_snapshots(figures: &Exposition, now: f64) -> Finding {
    let Some(newest) = figures.value("waypost_snapshot_last_success_timestamp_seconds") else {
        return Finding::skipped(
            "none are taken by themselves (store_sqlite.snapshot_interval_hours); docs/operations/backup.md",
        );
    };
    let failures = figures.value("waypost_snapshot_failures_total");
    let failures = failures.unwrap_or_default();
    let hint = "the server's log says why; store_sqlite.snapshot_directory sets the place";
    let age = now - newest;
    match (newest > 0.0, failures > 0.0) {
        (false, true) => Finding::warning(
            format!("{failures} snapshots could not be written, and none was"),
            hint,
        ),
        (false, false) => Finding::ok("the first snapshot is still to come"),
        (true, _) if age > SNAPSHOT_WARNING_SECONDS => Finding::warning(
            format!("the newest snapshot is {} days old", (age / DAY).floor()),
            hint,
        ),
        (true, true) => Finding::warning(
            format!("{failures} snapshots could not be written since the server started"),
            hint,
        ),
        (true, false) => Finding::ok(format!(
            "the newest snapshot is {} old",
            seconds(age.max(0.0))
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    fn figures(text: &str) -> Exposition {
        Exposition::new(text.to_owned())
    }

    #[test]
    fn slow_commits_are_a_warning_and_none_are_none() {
        let none = judge_commits(&figures(""));
        assert_eq!(none, Finding::ok("no change yet"));
        let bucket = "waypost_store_commit_duration_seconds_bucket";
        let fast = judge_commits(&figures(&format!(
            "{bucket}{{le=\"0.01\"}} 9\n{bucket}{{le=\"+Inf\"}} 9\n"
        )));
        assert_eq!(fast.outcome, Outcome::Ok);
        assert!(fast.detail.contains("5 ms"), "{}", fast.detail);
        let slow = judge_commits(&figures(&format!(
            "{bucket}{{le=\"0.1\"}} 5\n{bucket}{{le=\"+Inf\"}} 9\n"
        )));
        assert_eq!(slow.outcome, Outcome::Warning);
        assert!(slow.detail.contains("more than 100 ms"), "{}", slow.detail);
    }

    #[test]
    fn snapshots_are_judged_by_their_age_and_by_what_failed() {
        let judged = |newest: f64, failures: f64| {
            let text = format!(
                "waypost_snapshot_last_success_timestamp_seconds {newest}\nwaypost_snapshot_failures_total {failures}\n"
            );
            judge_snapshots(&figures(&text), 1_000_000.0).outcome
        };
        assert_eq!(judge_snapshots(&figures(""), 1.0).outcome, Outcome::Skipped);
        assert_eq!(judged(0.0, 0.0), Outcome::Ok);
        assert_eq!(judged(0.0, 1.0), Outcome::Warning);
        assert_eq!(judged(990_000.0, 0.0), Outcome::Ok);
        assert_eq!(judged(990_000.0, 1.0), Outcome::Warning);
        assert_eq!(judged(100_000.0, 0.0), Outcome::Warning);
    }

    #[test]
    fn bytes_are_written_for_people() {
        assert_eq!(amount(512.0), "512 B");
        assert_eq!(amount(1_610_612_736.0), "1.5 GiB");
    }
}
