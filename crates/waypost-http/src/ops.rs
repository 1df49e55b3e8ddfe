//! The endpoints for operators: `/livez`, `/readyz` and `/metrics`.

use std::fmt::Write;
use std::sync::Arc;

use http::StatusCode;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, VARY};

use crate::body::{Response, bytes, text};
use crate::exposition::{
    OPENMETRICS_CONTENT_TYPE, TEXT_CONTENT_TYPE, accepts_openmetrics, openmetrics_to_text,
};
use crate::head::RequestHead;
use crate::rejection::Rejection;
use crate::router::Router;

/// One named condition of readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The name, for example `store-writes`.
    pub name: String,
    /// Nothing when it holds, else the reason why not.
    pub failure: Option<String>,
}

impl Condition {
    /// A condition that holds.
    pub fn ok(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            failure: None,
        }
    }

    /// A condition that does not hold, and why.
    pub fn failed(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            failure: Some(reason.into()),
        }
    }
}

/// Whether the server should be sent traffic: it is ready when every condition holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadyReport {
    /// The conditions, in the order they are shown.
    pub conditions: Vec<Condition>,
}

impl ReadyReport {
    /// True when every condition holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.failure.is_none())
    }
}

/// Says whether a request may read, or how it is refused.
pub type MayRead = Arc<dyn Fn(&RequestHead) -> Result<(), Rejection> + Send + Sync>;

/// What feeds the ops endpoints.
#[derive(Clone)]
pub struct Ops {
    /// The readiness; it must not be ready while the server drains.
    pub ready: Arc<dyn Fn() -> ReadyReport + Send + Sync>,
    /// The metrics as OpenMetrics text, as `prometheus_client` encodes them.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Says whether the request may see the metrics, which name services.
    pub may_read: MayRead,
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ops").finish_non_exhaustive()
    }
}

/// Makes the routes `/livez` and `/readyz`, which need no credentials, and `/metrics`.
#[must_use]
pub fn ops_routes(ops: Ops) -> Router {
    let Ops {
        ready,
        metrics,
        may_read,
    } = ops;
    Router::new()
        .get_sync("/livez", |_| uncached(text(StatusCode::OK, "ok\n")))
        .get_sync("/readyz", move |head| uncached(readiness(head, &ready())))
        .open()
        .get_sync("/metrics", move |head| match may_read(head) {
            Ok(()) => uncached(exposition(head, &metrics())),
            Err(rejection) => head.reject(&rejection),
        })
}

fn uncached(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lists the conditions in the style of Kubernetes' `/readyz?verbose`; failures are always listed.
fn readiness(head: &RequestHead, report: &ReadyReport) -> Response {
    let is_verbose = match head.query() {
        Ok(query) => query
            .get("verbose")
            .is_some_and(|value| value != "false" && value != "0"),
        Err(rejection) => return head.reject(&rejection),
    };
    if report.is_ready() && !is_verbose {
        return text(StatusCode::OK, "ok\n");
    }
    let mut lines = String::new();
    for Condition { name, failure } in &report.conditions {
        // Writing to a string cannot fail.
        let _ = match failure {
            None => writeln!(lines, "[+]{name} ok"),
            Some(reason) => writeln!(lines, "[-]{name} failed: {reason}"),
        };
    }
    if report.is_ready() {
        lines.push_str("readyz check passed\n");
        text(StatusCode::OK, lines)
    } else {
        lines.push_str("readyz check failed\n");
        text(StatusCode::SERVICE_UNAVAILABLE, lines)
    }
}

fn exposition(head: &RequestHead, openmetrics: &str) -> Response {
    let mut response = if accepts_openmetrics(head.header(ACCEPT.as_str())) {
        bytes(
            StatusCode::OK,
            OPENMETRICS_CONTENT_TYPE,
            openmetrics.to_owned(),
        )
    } else {
        bytes(
            StatusCode::OK,
            TEXT_CONTENT_TYPE,
            openmetrics_to_text(openmetrics),
        )
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}
