//! What the checker counts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds: from a target on the same machine to the longest timeout.
const BOUNDS_SECONDS: [f64; 10] = [0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    r#type: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Why a check was not run when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// The probe before was still under way, or the process did not run.
    Late,
    /// Too many calls to the same address are under way.
    HostLimit,
    /// Too many calls, or lookups of names, are under way.
    GlobalLimit,
}

impl Skip {
    fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::HostLimit => "host_limit",
            Self::GlobalLimit => "global_limit",
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BOUNDS_SECONDS)
}

/// The counters of one checker.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    checks: Family<CheckLabels, Counter>,
    duration: Family<TypeLabel, Histogram, fn() -> Histogram>,
    skipped: Family<ReasonLabel, Counter>,
    in_flight: Gauge,
    scheduled: Gauge,
}

impl Metrics {
    /// Makes the counters and registers them.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let this = Self {
            checks: Family::default(),
            duration: Family::new_with_constructor(histogram),
            skipped: Family::default(),
            in_flight: Gauge::default(),
            scheduled: Gauge::default(),
        };
        registry.register(
            "health_checks",
            "Probes that ended, by type and result",
            this.checks.clone(),
        );
        registry.register(
            "health_check_duration_seconds",
            "Time a probe took, by type",
            this.duration.clone(),
        );
        registry.register(
            "health_checks_skipped",
            "Probes that were due and not run, by reason",
            this.skipped.clone(),
        );
        registry.register(
            "health_checks_in_flight",
            "Probes under way",
            this.in_flight.clone(),
        );
        registry.register(
            "health_checks_scheduled",
            "Probe checks that are scheduled",
            this.scheduled.clone(),
        );
        this
    }

    /// Counts a probe that ended.
    pub(crate) fn ended(&self, r#type: &'static str, result: &'static str) {
        self.checks
            .get_or_create(&CheckLabels { r#type, result })
            .inc();
    }

    /// Adds the time that a probe took.
    pub(crate) fn took(&self, r#type: &'static str, duration: Duration) {
        let label = TypeLabel { r#type };
        self.duration
            .get_or_create(&label)
            .observe(duration.as_secs_f64());
    }

    /// Counts checks that were due and not run.
    pub(crate) fn skipped(&self, skip: Skip, times: u64) {
        if times > 0 {
            let reason = skip.as_str();
            self.skipped
                .get_or_create(&ReasonLabel { reason })
                .inc_by(times);
        }
    }

    /// Shows how much is under way and how much is scheduled.
    pub(crate) fn sizes(&self, in_flight: usize, scheduled: usize) {
        self.in_flight
            .set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        self.scheduled
            .set(i64::try_from(scheduled).unwrap_or(i64::MAX));
    }
}
