//! The settings of the log.

use serde::{Deserialize, Serialize};

/// What is logged, and in which form; the log goes to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), optionally followed by levels of
    /// single parts: `info,waypost_health=debug`.
    pub log_filter: String,
    /// `text` for people, `json` for machines (one object per line).
    pub log_format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_filter: "info".to_owned(),
            log_format: LogFormat::default(),
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One readable line per event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
