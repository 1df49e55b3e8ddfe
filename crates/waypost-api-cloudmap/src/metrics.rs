//! The counters of this protocol.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What a request asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    /// `ok`, or AWS's error code.
    code: &'static str,
    /// `json` or `cbor`.
    protocol: &'static str,
}

/// The counters of this protocol.
#[derive(Clone, Debug, Default)]
pub struct CloudMapMetrics {
    requests: Family<Labels, Counter>,
}

impl CloudMapMetrics {
    /// Makes the counters and registers them, without a prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "cloudmap_requests",
            "Requests of the AWS Cloud Map API by operation, result and protocol",
            metrics.requests.clone(),
        );
        metrics
    }

    pub(crate) fn count(
        &self,
        operation: &'static str,
        code: &'static str,
        protocol: &'static str,
    ) {
        let labels = Labels {
            operation,
            code,
            protocol,
        };
        self.requests.get_or_create(&labels).inc();
    }
}
