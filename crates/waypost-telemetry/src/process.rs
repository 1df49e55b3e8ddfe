//! How near the process is to its limit of open files.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

#[cfg(test)]
mod tests;

/// Looks at each scrape; where the system has no `/proc`, nothing is shown.
#[derive(Debug)]
struct OpenFiles;

/// Registers `process_open_files` and `process_open_files_max`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(OpenFiles));
}

impl Collector for OpenFiles {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<u64>| {
            let Some(value) = value else {
                return Ok(());
            };
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)
        };
        let help = "Files and sockets that the process has open";
        gauge("process_open_files", help, open())?;
        let help = "Files and sockets that the process may have open";
        let limits = fs::read_to_string("/proc/self/limits").ok();
        let most = limits.as_deref().and_then(soft_limit);
        gauge("process_open_files_max", help, most)
    }
}

fn open() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    // Listing them opens one more.
    u64::try_from(listed).ok()?.checked_sub(1)
}

/// Reads the line `Max open files  SOFT  HARD  files`; without a limit it is the largest number.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}
