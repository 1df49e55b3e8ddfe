//! The subscriber that writes the log.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::settings::{LogFormat, TelemetryConfig};

const FILTER_RULE: &str = "must be a level (off, error, warn, info, debug, trace), or a list of \
    target=level separated by commas";

/// A log that could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// A setting breaks its rule.
    #[error("{field} = {value:?}: {rule}")]
    InvalidSetting {
        /// The name of the field, as in the configuration file.
        field: &'static str,
        /// The value it has.
        value: String,
        /// The rule it breaks, as a sentence part.
        rule: &'static str,
    },
    /// The process has a subscriber already.
    #[error("the log of this process has been set up already")]
    AlreadySet,
}

/// Sets the log of this process: to standard error, coloured only on a terminal.
///
/// # Errors
/// A filter that cannot be read (field, value and rule), or a log that was set before.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let has_colour = io::stderr().is_terminal();
    let subscriber = subscriber(config, io::stderr, has_colour)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)
}

/// Makes the subscriber over any writer.
pub(crate) fn subscriber<W>(
    config: &TelemetryConfig,
    writer: W,
    has_colour: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.log_filter)?)
        .with_writer(writer)
        .with_ansi(has_colour);
    Ok(match config.log_format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_ansi(false).finish()),
    })
}

/// Reads a filter strictly: a word that is no level is an error here, while `EnvFilter` would take
/// a misspelt `inof` for the name of a target and log nothing else.
fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let invalid = || TelemetryError::InvalidSetting {
        field: "log_filter",
        value: text.to_owned(),
        rule: FILTER_RULE,
    };
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let are_levels = parts.iter().all(|part| {
        let level = part.rsplit_once('=').map_or(*part, |(_, level)| level);
        !level.is_empty() && level.parse::<LevelFilter>().is_ok()
    });
    if !are_levels {
        return Err(invalid());
    }
    EnvFilter::builder()
        .parse(parts.join(","))
        .map_err(|_| invalid())
}

#[cfg(test)]
mod tests;
