//! What this crate measures.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
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
}

impl RestMetrics {
    /// Makes the metrics and registers `discovery_request_duration_seconds{protocol}`.
    pub fn register(registry: &mut Registry) -> Self {
        let family = Family::<Protocol, DurationHistogram>::default();
        registry.register_with_unit(
            "discovery_request_duration",
            "Time to answer who may be sent traffic, by protocol",
            Unit::Seconds,
            family.clone(),
        );
        Self::of(&family)
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
        }
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
