//! What this crate measures.

use std::time::Instant;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use waypost_core::Dialect;
use waypost_http::DurationHistogram;

/// The protocol of a look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

/// Durations of look-ups: requests that ask whom to send traffic to. Cloning shares them.
#[derive(Clone, Debug)]
pub struct RestMetrics {
    rest: DurationHistogram,
    discovery: DurationHistogram,
    service_discovery: DurationHistogram,
    held: Family<HeldLabels, Gauge>,
    refused: Counter,
    sent: Family<SentLabels, Counter>,
}

/// A kind of request that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Staying {
    /// A stream of changes.
    Stream,
    /// A read that waits for a change.
    Poll,
    /// A snapshot that is read.
    Snapshot,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldLabels {
    kind: Staying,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SentLabels {
    event: &'static str,
}

/// Counts one request that stays, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RestMetrics {
    /// Makes the metrics and registers `discovery_request_duration_seconds{protocol}`, `watchers{kind}`, `watchers_refused` and
    /// `watch_events{event}`.
    pub fn register(registry: &mut Registry) -> Self {
        let family = Family::<Protocol, DurationHistogram>::default();
        registry.register_with_unit(
            "discovery_request_duration",
            "Time to answer who may be sent traffic, by protocol",
            Unit::Seconds,
            family.clone(),
        );
        let metrics = Self::of(&family);
        let (held, sent) = (metrics.held.clone(), metrics.sent.clone());
        registry.register(
            "watchers",
            "Streams, long polls and snapshots that are held, by kind",
            held,
        );
        registry.register(
            "watchers_refused",
            "Streams, long polls and snapshots refused because too many are held",
            metrics.refused.clone(),
        );
        registry.register("watch_events", "Events sent on streams, by event", sent);
        metrics
    }

    fn of(family: &Family<Protocol, DurationHistogram>) -> Self {
        // Looked up once: a family takes a lock.
        let histogram = |dialect: Dialect| {
            let protocol = dialect.as_str();
            family.get_or_create_owned(&Protocol { protocol })
        };
        Self {
            rest: histogram(Dialect::Rest),
            discovery: histogram(Dialect::Discovery),
            service_discovery: histogram(Dialect::ServiceDiscovery),
            held: Family::default(),
            refused: Counter::default(),
            sent: Family::default(),
        }
    }

    /// Counts a request that stays for as long as what is returned lives.
    pub(crate) fn hold(&self, kind: Staying) -> Held {
        let gauge = self.held.get_or_create_owned(&HeldLabels { kind });
        gauge.inc();
        Held(gauge)
    }

    /// Counts a request that may not stay.
    pub(crate) fn refused_to_hold(&self) {
        self.refused.inc();
    }

    /// Counts an event on a stream.
    pub(crate) fn sent(&self, event: &'static str) {
        self.sent.get_or_create(&SentLabels { event }).inc();
    }

    /// Runs a look-up and counts how long it took.
    pub(crate) fn timed<T>(&self, dialect: Dialect, look_up: impl FnOnce() -> T) -> T {
        let started = now();
        let answer = look_up();
        let histogram = match dialect {
            Dialect::Discovery => &self.discovery,
            Dialect::ServiceDiscovery => &self.service_discovery,
            _ => &self.rest,
        };
        histogram.observe(now().saturating_duration_since(started));
        answer
    }
}

impl Default for RestMetrics {
    /// Makes metrics that nobody scrapes.
    fn default() -> Self {
        Self::of(&Family::default())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "durations of requests are real time, finer than the registry's milliseconds; no test moves them"
)]
fn now() -> Instant {
    Instant::now()
}
