//! The subscriber that writes the log.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload;

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
    /// The log whose filter was to be replaced is not written any more.
    #[error("the log has ended: its filter cannot be replaced")]
    Gone,
}

/// Sets the log of this process: to standard error, coloured only on a terminal.
///
/// # Errors
/// A filter that cannot be read (field, value and rule), or a log that was set before.
pub fn init(config: &TelemetryConfig) -> Result<LogFilter, TelemetryError> {
    let has_colour = io::stderr().is_terminal();
    let (subscriber, filter) = subscriber(config, io::stderr, has_colour)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)?;
    Ok(filter)
}

/// The filter of a log that is being written, which can be replaced meanwhile.
pub struct LogFilter {
    text: Mutex<String>,
    replace: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFilter")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

impl LogFilter {
    fn new<S: 'static>(text: &str, handle: reload::Handle<EnvFilter, S>) -> Self {
        Self {
            text: Mutex::new(text.to_owned()),
            replace: Box::new(move |filter| handle.reload(filter)),
        }
    }

    /// Takes the filter of other settings; says whether it is another one.
    ///
    /// # Errors
    /// A filter that cannot be read (field, value and rule): then the old one stays.
    pub fn follow(&self, config: &TelemetryConfig) -> Result<bool, TelemetryError> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if *text == config.log_filter {
            return Ok(false);
        }
        (self.replace)(filter(&config.log_filter)?).map_err(|_| TelemetryError::Gone)?;
        text.clone_from(&config.log_filter);
        Ok(true)
    }
}

/// Makes the subscriber over any writer, with the handle of its filter.
pub(crate) fn subscriber<W>(
    config: &TelemetryConfig,
    writer: W,
    has_colour: bool,
) -> Result<(Box<dyn Subscriber + Send + Sync>, LogFilter), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let text = &config.log_filter;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(text)?)
        .with_writer(writer)
        .with_ansi(has_colour);
    Ok(match config.log_format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let filter = LogFilter::new(text, builder.reload_handle());
            (Box::new(builder.finish()), filter)
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_ansi(false);
            let builder = builder.with_filter_reloading();
            let filter = LogFilter::new(text, builder.reload_handle());
            (Box::new(builder.finish()), filter)
        }
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
