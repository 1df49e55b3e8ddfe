//! Logs and metrics of the process: the subscriber, the registry and its text.
//!
//! Every crate may use `tracing` and `prometheus-client`; this one only decides where their output
//! goes. [`init`] sets the log once, [`new_registry`] makes the registry that the crates register
//! on, [`encode`] renders it, and [`lint_metric_names`] keeps the names in order.

mod labels;
mod lint;
mod log;
mod metrics;
mod process;
mod settings;

pub use labels::{CappedLabels, ServiceLabels};
pub use lint::lint_metric_names;
pub use log::{LogFilter, TelemetryError, init};
pub use metrics::{BuildLabels, METRICS_PREFIX, encode, new_registry};
pub use settings::{LogFormat, TelemetryConfig};
