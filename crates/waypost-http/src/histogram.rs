//! A histogram of durations without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of the buckets in microseconds: from a cached read to the longest long poll.
const BOUNDS_MICROS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000,
    15_000_000, 60_000_000,
];

/// A histogram of durations in seconds, from 50 µs to 60 s.
///
/// The histogram of the metrics library takes a lock per observation; this one adds to two
/// atomic counters. A scrape may see a sum that is a few observations ahead of the counts.
#[derive(Debug, Clone, Default)]
pub struct DurationHistogram(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    counts: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_nanos: AtomicU64,
}

impl DurationHistogram {
    /// Adds one observation.
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS
            .iter()
            .position(|bound| nanos <= bound * 1_000);
        if let Some(count) = self.0.counts.get(bucket.unwrap_or(BOUNDS_MICROS.len())) {
            count.fetch_add(1, Relaxed);
        }
        self.0.sum_nanos.fetch_add(nanos, Relaxed);
    }

    /// The number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl TypedMetric for DurationHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for DurationHistogram {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds are shown to the scraper as a float"
    )]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS_MICROS
            .iter()
            .map(|micros| *micros as f64 / 1e6)
            .chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds
            .zip(self.0.counts.iter().map(|count| count.load(Relaxed)))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum_seconds = self.0.sum_nanos.load(Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum_seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
