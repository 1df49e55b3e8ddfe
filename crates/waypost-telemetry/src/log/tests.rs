//! What the log takes and writes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::{TelemetryError, filter, subscriber};
use crate::settings::{LogFormat, TelemetryConfig};

/// A writer that keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(config: &TelemetryConfig, has_colour: bool) -> String {
    let kept = Kept::default();
    let writer = kept.clone();
    let (subscriber, _) = subscriber(config, move || writer.clone(), has_colour).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(service = "web", "registered");
        tracing::debug!("a detail");
    });
    kept.text()
}

#[test]
fn the_default_logs_info_as_text_and_leaves_debug_out() {
    let text = logged(&TelemetryConfig::default(), false);
    assert!(
        text.contains("INFO") && text.contains("registered") && text.contains("web"),
        "{text}"
    );
    assert!(!text.contains("a detail"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn colours_are_written_only_when_asked_for() {
    assert!(logged(&TelemetryConfig::default(), true).contains('\u{1b}'));
}

#[test]
fn json_has_one_object_per_line_with_the_fields_at_the_top() {
    let config = TelemetryConfig {
        log_filter: "debug".to_owned(),
        log_format: LogFormat::Json,
    };
    let text = logged(&config, true);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["message"], "registered");
    assert_eq!(lines[0]["service"], "web");
    assert_eq!(lines[0]["level"], "INFO");
}

#[test]
fn a_filter_is_replaced_while_the_log_is_written_and_a_wrong_one_changes_nothing() {
    for log_format in [LogFormat::Text, LogFormat::Json] {
        let with = |log_filter: &str| TelemetryConfig {
            log_filter: log_filter.to_owned(),
            log_format,
        };
        let kept = Kept::default();
        let writer = kept.clone();
        let (subscriber, filter) =
            subscriber(&with("info"), move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let detail = |number: u32| tracing::debug!(number, "a detail");
            detail(1);
            assert_eq!(filter.follow(&with("info")), Ok(false));
            assert_eq!(filter.follow(&with("debug")), Ok(true));
            detail(2);
            assert!(filter.follow(&with("loud")).is_err());
            detail(3);
            assert_eq!(filter.follow(&with("info")), Ok(true));
            detail(4);
        });
        let text = kept.text();
        assert_eq!(text.matches("a detail").count(), 2, "{text}");
    }
}

#[test]
fn filters_of_levels_and_targets_are_taken() {
    for text in [
        "info",
        "WARN",
        "off",
        "info,waypost_health=debug",
        "info, waypost_http=trace",
    ] {
        assert!(filter(text).is_ok(), "{text}");
    }
}

#[test]
fn a_filter_that_is_no_level_names_field_value_and_rule() {
    for text in [
        "inof",
        "",
        "info,",
        "waypost_health=loud",
        "waypost_core",
        "info,==",
    ] {
        let Err(TelemetryError::InvalidSetting { field, value, rule }) = filter(text) else {
            panic!("{text} was taken");
        };
        assert_eq!((field, value.as_str()), ("log_filter", text));
        assert!(rule.contains("off, error, warn, info, debug, trace"));
    }
}

#[test]
fn unknown_fields_of_the_settings_are_refused() {
    let error = toml::from_str::<TelemetryConfig>("log_levle = 'info'").unwrap_err();
    assert!(error.to_string().contains("log_levle"), "{error}");
    let config: TelemetryConfig = toml::from_str("log_format = 'json'").unwrap();
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.log_filter, "info");
}
