//! The metrics of this layer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::histogram::DurationHistogram;

/// The statuses that get a label of their own; every other one is `other`.
const CODES: [u16; 31] = [
    200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 412,
    413, 415, 422, 429, 431, 500, 501, 502, 503, 504, 101, 100,
];
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Arc<str>,
    method: &'static str,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Why requests and connections are refused where a setting is the bound: counted from the beginning, so that the first
/// refusal is a step from 0.
const BOUNDS: [&str; 10] = [
    "accept",
    "body_timeout",
    "body_too_large",
    "connections",
    "connections_per_address",
    "connections_per_loopback",
    "deadline",
    "header_timeout",
    "headers_too_large",
    "rate",
];

/// The metrics of all listeners of a process.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, DurationHistogram>,
    rejections: Family<ReasonLabels, Counter>,
    pub(crate) connections: Gauge,
}

impl HttpMetrics {
    /// Registers the metrics on `registry`, whose prefix should be `waypost`.
    ///
    /// They are exposed as `http_requests_total`, `http_request_duration_seconds`,
    /// `http_rejections_total` and `http_connections` behind that prefix.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for reason in BOUNDS {
            drop(metrics.rejections.get_or_create(&ReasonLabels { reason }));
        }
        registry.register(
            "http_requests",
            "Requests answered, by route, method and status code",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the end of the request head to the response",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "http_rejections",
            "Requests and connections refused by the HTTP layer",
            metrics.rejections.clone(),
        );
        registry.register(
            "http_connections",
            "Connections open now",
            metrics.connections.clone(),
        );
        metrics
    }

    pub(crate) fn count_rejection(&self, reason: &'static str) {
        self.rejections
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    pub(crate) fn for_route(&self, route: &Arc<str>) -> RouteMetrics {
        RouteMetrics {
            route: Arc::clone(route),
            family: self.requests.clone(),
            duration: OnceLock::new(),
            durations: self.durations.clone(),
            counters: Default::default(),
        }
    }
}

/// The series of one route, resolved once: a request costs two array look-ups.
///
/// A series is created when its first request comes, so that a scrape shows no rows of zeros.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    route: Arc<str>,
    family: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, DurationHistogram>,
    duration: OnceLock<DurationHistogram>,
    counters: [OnceLock<Box<[OnceLock<Counter>]>>; METHODS.len()],
}

impl RouteMetrics {
    pub(crate) fn count(&self, method: &Method, status: StatusCode, elapsed: Duration) {
        self.duration
            .get_or_init(|| {
                let labels = RouteLabels {
                    route: Arc::clone(&self.route),
                };
                self.durations.get_or_create(&labels).clone()
            })
            .observe(elapsed);
        let column = method_column(method);
        let row = CODES
            .iter()
            .position(|code| *code == status.as_u16())
            .unwrap_or(CODES.len());
        let by_code = self
            .counters
            .get(column)
            .map(|cell| cell.get_or_init(|| (0..=CODES.len()).map(|_| OnceLock::new()).collect()));
        if let Some(cell) = by_code.and_then(|by_code| by_code.get(row)) {
            cell.get_or_init(|| self.resolve(column, row)).inc();
        }
    }

    fn resolve(&self, column: usize, row: usize) -> Counter {
        let labels = RequestLabels {
            route: Arc::clone(&self.route),
            method: METHODS.get(column).copied().unwrap_or("other"),
            code: CODES
                .get(row)
                .map_or_else(|| "other".to_owned(), u16::to_string),
        };
        self.family.get_or_create(&labels).clone()
    }
}

fn method_column(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => 7,
    }
}
