//! What the registry counts about itself.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::instance::Instance;
use crate::registration::Dialect;
use crate::registry::{Registry, Snapshots};
use crate::snapshot::InstanceChange;
use crate::verdict::Health;

/// Most services with a series of their own; the rest share `other`.
const SERVICE_LABELS_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EdgeLabels {
    from: &'static str,
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProjectionLabel {
    projection: &'static str,
}

/// Measures for a metric, finer than the clock's milliseconds; no decision depends on it.
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a figure for a metric, never a decision"
    )]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// The registry's counters. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registrations: Family<ProtocolLabel, Counter>,
    deregistrations: Family<ReasonLabel, Counter>,
    heartbeats: Counter,
    transitions: Family<EdgeLabels, Counter>,
    commits: Counter,
    commit_duration: Histogram,
    group_size: Histogram,
    refusals: Counter,
    noted_refusals: Counter,
    throttled: Counter,
    late_projections: Family<ProjectionLabel, Counter>,
    protection_holds: Counter,
    stalls: Counter,
    tasks: Gauge,
    reloads: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registrations: Family::default(),
            deregistrations: Family::default(),
            heartbeats: Counter::default(),
            transitions: Family::default(),
            commits: Counter::default(),
            commit_duration: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            group_size: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            refusals: Counter::default(),
            noted_refusals: Counter::default(),
            throttled: Counter::default(),
            late_projections: Family::default(),
            protection_holds: Counter::default(),
            stalls: Counter::default(),
            tasks: Gauge::default(),
            reloads: Counter::default(),
        }
    }
}

impl Metrics {
    /// Registers every counter, and the gauges drawn from the latest snapshot, for scraping.
    pub fn register(
        &self,
        registry: &mut prometheus_client::registry::Registry,
        of: &Registry,
        snapshots: &Snapshots,
    ) {
        let this = self.clone();
        registry.register(
            "registrations",
            "Instances registered or updated, by protocol",
            this.registrations,
        );
        registry.register(
            "deregistrations",
            "Instances removed, by reason",
            this.deregistrations,
        );
        registry.register(
            "heartbeats",
            "Leases renewed by heartbeats, and by passing checks where a lease says so",
            this.heartbeats,
        );
        registry.register(
            "health_transitions",
            "Changes of an instance's health",
            this.transitions,
        );
        registry.register("store_commits", "Durable steps", this.commits);
        registry.register(
            "store_commit_duration_seconds",
            "Time of one durable step",
            this.commit_duration,
        );
        registry.register(
            "store_group_batches",
            "Batches committed in one durable step",
            this.group_size,
        );
        let help = "Commands refused by access";
        registry.register("access_refusals", help, this.refusals);
        registry.register(
            "audit_refusals",
            "Requests refused, of which the journal keeps at most 100 lines a second",
            this.noted_refusals,
        );
        registry.register(
            "registry_throttled",
            "Commands refused because the queue was full",
            this.throttled,
        );
        registry.register(
            "projection_late",
            "Acknowledgements that did not wait longer for a projection",
            this.late_projections,
        );
        registry.register(
            "store_reloads",
            "Times the whole state was read again",
            this.reloads,
        );
        self.clone().register_timekeeper(registry);
        let collector = StateCollector {
            of: of.clone(),
            snapshots: snapshots.clone(),
        };
        registry.register_collector(Box::new(collector));
    }

    fn register_timekeeper(self, registry: &mut prometheus_client::registry::Registry) {
        registry.register(
            "protection_holds",
            "Leases held by protection",
            self.protection_holds,
        );
        registry.register(
            "timekeeper_stalls",
            "Times the process was found not to have run",
            self.stalls,
        );
        registry.register(
            "timekeeper_tasks",
            "Leases, removals and reports that the timekeeper is to look at",
            self.tasks,
        );
    }

    pub(crate) fn beat(&self) {
        self.heartbeats.inc();
    }

    pub(crate) fn refused(&self) {
        self.refusals.inc();
    }

    pub(crate) fn noted_refusal(&self) {
        self.noted_refusals.inc();
    }

    pub(crate) fn throttled(&self) {
        self.throttled.inc();
    }

    pub(crate) fn held(&self, count: u64) {
        self.protection_holds.inc_by(count);
    }

    pub(crate) fn waits_for(&self, tasks: usize) {
        self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
    }

    pub(crate) fn stalled(&self) {
        self.stalls.inc();
    }

    pub(crate) fn reloaded(&self) {
        self.reloads.inc();
    }

    pub(crate) fn late(&self, projection: &'static str) {
        self.late_projections
            .get_or_create(&ProjectionLabel { projection })
            .inc();
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a group has at most a few thousand batches"
    )]
    pub(crate) fn committed(&self, batches: usize, seconds: f64) {
        self.commits.inc();
        self.commit_duration.observe(seconds);
        self.group_size.observe(batches as f64);
    }

    pub(crate) fn instance_changed(&self, cause: &'static str, change: &InstanceChange) {
        let health = |instance: &Option<Arc<Instance>>| instance.as_ref().map(|i| i.health());
        match (health(&change.before), health(&change.after)) {
            (Some(from), Some(to)) if from != to => {
                let labels = EdgeLabels {
                    from: from.as_str(),
                    to: to.as_str(),
                };
                self.transitions.get_or_create(&labels).inc();
            }
            (Some(_), None) => {
                self.deregistrations
                    .get_or_create(&ReasonLabel { reason: cause })
                    .inc();
            }
            _ => {}
        }
        if let Some(after) = &change.after
            && change
                .before
                .as_ref()
                .is_none_or(|before| before.registered != after.registered)
        {
            let protocol = Dialect::as_str(after.registration().spec.dialect);
            self.registrations
                .get_or_create(&ProtocolLabel { protocol })
                .inc();
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstanceLabels {
    namespace: String,
    service: String,
    health: &'static str,
}

#[derive(Debug)]
struct StateCollector {
    of: Registry,
    snapshots: Snapshots,
}

impl Collector for StateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let snapshot = self.snapshots.latest();
        let mut gauge = |name: &str, help: &str, value: i64| {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)
        };
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        gauge("namespaces", "Namespaces", count(snapshot.namespaces_len()))?;
        gauge("services", "Services", count(snapshot.services().count()))?;
        gauge(
            "registry_revision",
            "Latest published revision",
            count(usize::try_from(snapshot.revision().0).unwrap_or(usize::MAX)),
        )?;
        let (callers, findings) = self.of.queued();
        gauge(
            "registry_callers_queued",
            "Commands of callers that wait for the writer",
            count(callers),
        )?;
        gauge(
            "registry_findings_queued",
            "Findings that wait for the writer",
            count(findings),
        )?;
        gauge(
            "journal_dropped_lines",
            "Lines of the journal that found no room",
            i64::try_from(self.of.shared.journal.dropped()).unwrap_or(i64::MAX),
        )?;
        gauge(
            "store_read_only",
            "Whether writes are refused",
            i64::from(self.of.read_only().is_some()),
        )?;
        self.encode_instances(&snapshot, encoder)
    }
}

impl StateCollector {
    fn encode_instances(
        &self,
        snapshot: &crate::snapshot::Snapshot,
        mut encoder: DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(0i64);
        let mut metric = encoder.encode_descriptor(
            "instances",
            "Instances by health",
            None,
            gauge.metric_type(),
        )?;
        let mut other = [0i64; Health::ALL.len()];
        for (at, state) in snapshot.services().enumerate() {
            let counts = Health::ALL.map(|health| {
                let with = state
                    .instances()
                    .iter()
                    .filter(|instance| instance.health() == health);
                i64::try_from(with.count()).unwrap_or(i64::MAX)
            });
            if at >= SERVICE_LABELS_MAX {
                other
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
                continue;
            }
            let key = &state.service().key;
            for (health, count) in Health::ALL.iter().zip(counts) {
                let labels = InstanceLabels {
                    namespace: key.namespace.folded(),
                    service: key.name.folded(),
                    health: health.as_str(),
                };
                ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        if other.iter().any(|count| *count > 0) {
            for (health, count) in Health::ALL.iter().zip(other) {
                let labels = InstanceLabels {
                    namespace: "other".to_owned(),
                    service: "other".to_owned(),
                    health: health.as_str(),
                };
                ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
