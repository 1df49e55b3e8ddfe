//! How near the server is to its bounds.

use super::context::Context;
use super::exposition::Exposition;
use super::finding::{Finding, or_ok};

/// Fewer are soon used up: each connection and each probe needs one.
const FILES_MIN: f64 = 16_384.0;
const FILES_SHARE_MAX: f64 = 0.8;

/// Why HTTP refuses, where a setting decides: the reason, what it means, the setting.
const BOUNDS: &[(&str, &str, &str)] = &[
    (
        "connections",
        "too many connections at once",
        "http.connections_max",
    ),
    (
        "connections_per_address",
        "too many connections from one address",
        "http.connections_per_address_max",
    ),
    (
        "connections_per_loopback",
        "too many connections from this machine",
        "http.connections_per_loopback_max",
    ),
    ("rate", "too many requests from one address", "access.rates"),
    (
        "headers_too_large",
        "headers that are too large",
        "http.header_bytes_max and http.headers_max",
    ),
    (
        "body_too_large",
        "bodies that are too large",
        "http.body_bytes_max",
    ),
    (
        "header_timeout",
        "headers that came too slowly",
        "http.header_timeout_seconds",
    ),
    (
        "body_timeout",
        "bodies that came too slowly",
        "http.body_timeout_seconds",
    ),
    (
        "deadline",
        "answers that took too long",
        "http.request_timeout_seconds",
    ),
    (
        "accept",
        "connections that the system would not give",
        "the limit of open files of its service (LimitNOFILE=)",
    ),
];

pub(super) async fn open_files(context: &Context) -> Vec<Finding> {
    vec![match context.metrics().await {
        Ok(figures) => judge_files(figures),
        Err(why) => Finding::skipped(why),
    }]
}

fn judge_files(figures: &Exposition) -> Finding {
    let value = |name| figures.value(name);
    let (Some(open), Some(most)) = (
        value("waypost_process_open_files"),
        value("waypost_process_open_files_max"),
    ) else {
        return Finding::skipped("the server does not tell");
    };
    let detail = format!("the server has {open} of at most {most} files open");
    if most < FILES_MIN || open > most * FILES_SHARE_MAX {
        let hint = format!(
            "give its service LimitNOFILE=65536 or start it after `ulimit -n 65536`; {FILES_MIN} are the least for a fleet"
        );
        return Finding::warning(detail, hint);
    }
    Finding::ok(detail)
}

pub(super) async fn refused(context: &Context) -> Vec<Finding> {
    match context.metrics().await {
        Ok(figures) => or_ok(
            judge_refusals(figures),
            "no request was refused because of a limit since the server started",
        ),
        Err(why) => vec![Finding::skipped(why)],
    }
}

fn judge_refusals(figures: &Exposition) -> Vec<Finding> {
    let refusals = figures.samples("waypost_http_rejections_total");
    refusals
        .filter(|sample| sample.value > 0.0)
        .filter_map(|sample| {
            let reason = sample.label("reason")?;
            let (_, meaning, setting) = BOUNDS.iter().find(|(known, _, _)| *known == reason)?;
            Some(Finding::warning(
                format!(
                    "HTTP refused {} times since the server started: {meaning} ({reason})",
                    sample.value
                ),
                format!("if they were no attack, raise {setting}"),
            ))
        })
        .collect()
}

pub(super) async fn throttled(context: &Context) -> Vec<Finding> {
    let figures = match context.metrics().await {
        Ok(figures) => figures,
        Err(why) => return vec![Finding::skipped(why)],
    };
    let throttled = figures.value("waypost_registry_throttled_total");
    vec![match throttled.unwrap_or_default() {
        count if count > 0.0 => Finding::warning(
            format!("{count} changes were refused since the server started: the queue was full"),
            "the disk is too slow for what is asked: see store, commits; spread what registers all at once",
        ),
        _ => Finding::ok("no change was refused because the queue was full"),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    fn figures(text: &str) -> Exposition {
        Exposition::new(text.to_owned())
    }

    #[test]
    fn few_files_and_many_open_ones_are_warnings() {
        let judged = |open: u64, most: u64| {
            let text = format!(
                "waypost_process_open_files {open}\nwaypost_process_open_files_max {most}\n"
            );
            judge_files(&figures(&text)).outcome
        };
        assert_eq!(judged(100, 65_536), Outcome::Ok);
        assert_eq!(judged(100, 1_024), Outcome::Warning);
        assert_eq!(judged(60_000, 65_536), Outcome::Warning);
        assert_eq!(judge_files(&figures("")).outcome, Outcome::Skipped);
    }

    #[test]
    fn refusals_name_their_setting_and_the_callers_own_mistakes_are_none() {
        let found = judge_refusals(&figures(
            "waypost_http_rejections_total{reason=\"not_found\"} 7\n\
             waypost_http_rejections_total{reason=\"rate\"} 0\n\
             waypost_http_rejections_total{reason=\"connections\"} 2\n",
        ));
        assert_eq!(found.len(), 1);
        assert!(found[0].detail.contains("refused 2 times"), "{found:?}");
        assert!(
            found[0]
                .hint
                .as_ref()
                .unwrap()
                .contains("http.connections_max")
        );
    }
}
