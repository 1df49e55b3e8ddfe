//! Whether the server answers, is ready, is of the same version, and keeps the same time.

use std::time::{SystemTime, UNIX_EPOCH};

use waypost_client::{ClientError, ErrorKind};

use super::clock;
use super::context::Context;
use super::exposition::Exposition;
use super::finding::{Finding, or_ok};
use crate::failure::{Failure, describe};

/// Whoever renews by machine does so a month before the end; what has fewer days left was not renewed.
const CERTIFICATE_DAYS_MIN: f64 = 14.0;
/// What this program is.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Clocks further apart than this, in seconds, make ages wrong that people read.
const SKEW_WARNING_SECONDS: f64 = 5.0;
/// Clocks further apart than this are about to break signatures.
const SKEW_FAILURE_SECONDS: f64 = 60.0;

pub(super) async fn reachable(context: &Context) -> Vec<Finding> {
    let url = context.client.url();
    let found = match (&context.health, &context.ready) {
        (Err(error), _) | (_, Err(error)) => unreachable(error, context.silence(), &url),
        (Ok(_), Ok((_, took))) => {
            let milliseconds = (took.as_secs_f64() * 10_000.0).round() / 10.0;
            Finding::ok(format!("{url} answers in {milliseconds} ms"))
        }
    };
    vec![found]
}

fn unreachable(error: &ClientError, silence: Option<&str>, url: &str) -> Finding {
    let failure = Failure::from(error.clone());
    let message = failure.message;
    if message.contains("speaks TLS") {
        let what = format!("{url} speaks TLS, and was asked without");
        return Finding::failure(what, "ask https:// in --server or SERVICE_DISCOVERY_URL");
    }
    if url.starts_with("https://") && message.contains("certificate") {
        let hint = "--ca-file FILE names the authority of the server's certificate, which must be for the host of the address";
        return Finding::failure(message, hint);
    }
    match silence {
        Some(why)
            if error.kind() != ErrorKind::Unreachable && error.kind() != ErrorKind::Timeout =>
        {
            Finding::failure(
                format!("{why}: {message}"),
                "--server or SERVICE_DISCOVERY_URL sets the address",
            )
        }
        _ => {
            let hint = failure
                .hint
                .unwrap_or_else(|| "the server's log says more".to_owned());
            Finding::failure(message, hint)
        }
    }
}

pub(super) async fn ready(context: &Context) -> Vec<Finding> {
    match &context.ready {
        Err(error) => vec![Finding::skipped(
            context
                .silence()
                .map_or_else(|| describe(error), str::to_owned),
        )],
        Ok((text, _)) => or_ok(judge(text), "the server is ready, and takes writes"),
    }
}

/// Finds what is not as it should be in the lines of `/readyz?verbose`.
fn judge(text: &str) -> Vec<Finding> {
    text.lines().filter_map(condition).collect()
}

fn condition(line: &str) -> Option<Finding> {
    if let Some(said) = line.strip_prefix("[-]") {
        let (name, why) = said.split_once(" failed: ").unwrap_or((said, "no reason"));
        return Some(Finding::failure(format!("{name}: {why}"), remedy(name)));
    }
    let said = line.strip_prefix("[+]")?;
    let said = said.strip_suffix(" ok").unwrap_or(said);
    // The name of a condition is one word; what follows it is a reservation.
    let (name, reservation) = said.split_once(' ')?;
    Some(Finding::warning(
        format!("{name}: {reservation}"),
        remedy(name),
    ))
}

fn remedy(condition: &str) -> &'static str {
    match condition {
        "serving" => "the server is stopping: its service manager says why",
        "store-writes" => {
            "make room on the disk, or repair it and start the server again; docs/operations/backup.md"
        }
        "store-disk" => {
            "make room on the disk of the data directory; store_sqlite.disk_warn_bytes sets the mark"
        }
        "store-intact" => {
            "the server's log names the damaged objects; docs/operations/backup.md tells how to restore a snapshot"
        }
        _ => "the server's log says more",
    }
}

pub(super) async fn version(context: &Context) -> Vec<Finding> {
    let found = match &context.health {
        Err(_) => Finding::skipped(context.silence().unwrap_or_default()),
        Ok(health) => match health.version.as_deref() {
            Some(VERSION) => Finding::ok(format!("server and program are version {VERSION}")),
            Some(other) => Finding::warning(
                format!("the server is version {other}, this program is {VERSION}"),
                "use the program that came with the server",
            ),
            None => Finding::warning(
                format!("the server does not tell its version, this program is {VERSION}"),
                "the server is older: use the program that came with it",
            ),
        },
    };
    vec![found]
}

pub(super) async fn clock(context: &Context) -> Vec<Finding> {
    // A question of its own: the latest answer may be seconds old by now.
    if let Some(why) = context.silence() {
        return vec![Finding::skipped(why)];
    }
    if let Err(error) = context.client.ready().await {
        return vec![Finding::skipped(describe(&error))];
    }
    let found = match context.client.server_time() {
        None => Finding::skipped("the server's answers have no date"),
        Some(server) => judge_clocks(server, clock::now()),
    };
    vec![found]
}

/// The server's time comes in whole seconds, cut off.
fn judge_clocks(server: SystemTime, here: SystemTime) -> Finding {
    let apart = match here.duration_since(server) {
        Ok(ahead) => ahead.as_secs_f64() - 0.5,
        Err(behind) => -behind.duration().as_secs_f64() - 0.5,
    };
    let seconds = apart.abs().round();
    let direction = if apart > 0.0 { "ahead of" } else { "behind" };
    let detail = format!("this machine's clock is {seconds} s {direction} the server's");
    let hint = "have both set by NTP; signatures of AWS's clients are refused from 15 minutes on";
    if apart.abs() > SKEW_FAILURE_SECONDS {
        Finding::failure(detail, hint)
    } else if apart.abs() > SKEW_WARNING_SECONDS {
        Finding::warning(detail, hint)
    } else {
        Finding::ok("the server's clock agrees with this machine's")
    }
}

pub(super) async fn transport(context: &Context) -> Vec<Finding> {
    let found = if context.client.url().starts_with("https://") {
        Finding::ok("the server is asked by TLS")
    } else if context.on_loopback {
        Finding::ok("the server is asked without TLS, and nothing leaves this machine")
    } else {
        Finding::warning(
            "the server is asked without TLS over the network: whoever listens reads tokens",
            "set http.tls.certificate and http.tls.key on the server, and ask https://",
        )
    };
    vec![found]
}

pub(super) async fn certificate(context: &Context) -> Vec<Finding> {
    if !context.client.url().starts_with("https://") {
        return vec![Finding::skipped("the server is asked without TLS")];
    }
    match context.metrics().await {
        Ok(figures) => judge_certificate(figures, clock::now()),
        Err(why) => vec![Finding::skipped(why)],
    }
}

fn judge_certificate(figures: &Exposition, now: SystemTime) -> Vec<Finding> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ends = figures.value("waypost_http_certificate_not_after_timestamp_seconds");
    let Some(ends) = ends.filter(|ends| *ends > 0.0) else {
        let why = "the server does not tell: TLS may end at a proxy before it";
        return vec![Finding::skipped(why)];
    };
    let days = ((ends - now.as_secs_f64()) / 86_400.0).floor();
    let hint = "renew it: the server reads its files again by itself";
    let mut found = Vec::new();
    if figures.value("waypost_http_certificate_reload_failed") == Some(1.0) {
        found.push(Finding::failure(
            "the server's certificate was renewed and cannot be used, the one before stays",
            "the server's log says what is wrong with the files of http.tls",
        ));
    }
    if days < 0.0 {
        let detail = format!("the server's certificate ended {} days ago", -days);
        found.push(Finding::failure(detail, hint));
    } else if days < CERTIFICATE_DAYS_MIN {
        let detail = format!("the server's certificate ends in {days} days");
        found.push(Finding::warning(detail, hint));
    }
    or_ok(
        found,
        format!("the server's certificate is good for {days} days"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::finding::Outcome;
    use super::*;

    #[test]
    fn conditions_that_hold_are_no_findings() {
        let text = "[+]serving ok\n[+]store-writes ok\n[+]store-disk ok\n[+]store-intact ok\nreadyz check passed\n";
        assert_eq!(judge(text), []);
    }

    #[test]
    fn reservations_and_failures_are_told_apart() {
        let text = "[-]store-writes failed: EIO: a write failed\n\
                    [+]store-disk with a warning (7 bytes are free) ok\n\
                    [+]store-intact except 2 damaged objects, see the log ok\nreadyz check failed\n";
        let found = judge(text);
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.outcome, &*one.detail))
            .collect();
        assert_eq!(
            shown,
            [
                (Outcome::Failure, "store-writes: EIO: a write failed"),
                (
                    Outcome::Warning,
                    "store-disk: with a warning (7 bytes are free)"
                ),
                (
                    Outcome::Warning,
                    "store-intact: except 2 damaged objects, see the log"
                ),
            ]
        );
        assert!(found.iter().all(|one| one.hint.is_some()));
    }

    #[test]
    fn clocks_are_apart_in_both_directions() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        let outcome = |server, here| judge_clocks(at(server), at(here)).outcome;
        assert_eq!(outcome(1_000, 1_001), Outcome::Ok);
        assert_eq!(outcome(1_000, 1_005), Outcome::Ok);
        assert_eq!(outcome(1_000, 1_006), Outcome::Warning);
        assert_eq!(outcome(1_006, 1_000), Outcome::Warning);
        assert_eq!(outcome(1_000, 1_061), Outcome::Failure);
        assert_eq!(outcome(1_061, 1_000), Outcome::Failure);
        let behind = judge_clocks(at(1_100), at(1_000));
        assert_eq!(
            behind.detail,
            "this machine's clock is 101 s behind the server's"
        );
    }
}
