//! The registry of metrics and its text.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The first word of every metric name.
pub const METRICS_PREFIX: &str = "waypost";

/// The labels of `waypost_build_info`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BuildLabels {
    /// The version of the program.
    pub version: String,
    /// The commit it was built from, or `unknown`.
    pub commit: String,
}

/// Makes the registry of the process with `waypost_build_info` on it, and where the system tells,
/// `waypost_process_open_files` and `waypost_process_open_files_max`.
///
/// Crates register their metrics without the prefix, without `_total` (the library adds it to
/// counters) and without the unit when they pass it as a [`prometheus_client::registry::Unit`].
#[must_use]
pub fn new_registry(build: BuildLabels) -> Registry {
    let mut registry = Registry::with_prefix(METRICS_PREFIX);
    registry.register(
        "build",
        "The version and commit of this program",
        Info::new(build),
    );
    crate::process::register(&mut registry);
    registry
}

/// Renders every metric as OpenMetrics 1.0 text, with the closing `# EOF`.
#[must_use]
pub fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    match text::encode(&mut text, registry) {
        Ok(()) => text,
        // Writing to a string cannot fail, so this is a metric that cannot encode itself; the cut
        // text without its end mark makes the scraper report it too.
        Err(_) => {
            tracing::error!("a metric could not be encoded");
            text
        }
    }
}

#[cfg(test)]
mod tests;
