//! The HTTP API: three dialects over one registry.
//!
//! | paths | specification |
//! |---|---|
//! | `/v1/discovery/...` | source 003 (central registry): its paths, statuses, fields and messages |
//! | `/service-discovery/...`, `/health` | source 004 (Kong replacement), with heartbeat and leaving added |
//! | `/v1/namespaces/...`, `/v1/instances`, `/v1/batch/...`, `/v1/discover`, `/v1/explain`, `/v1/audit` | our own, in the same style |
//!
//! `/openapi.json` describes all of them, and `/docs` shows that. Every error is a problem document (RFC 9457) that
//! also carries source 003's `success` and `message`.
//!
//! `/sd/prometheus` lists everything for Prometheus' HTTP service discovery.
//!
//! `/v1/snapshot` streams everything there is, for a backup.
//!
//! `/v1/watch` streams changes as server-sent events; `?revision=&wait=` makes a read of ours a long poll.
//!
//! Left out here: what source 004 does in the client (balancing strategies, breakers, retries).

mod body;
mod cache;
mod condition;
mod config;
mod convert;
mod docs;
mod error;
mod explain;
mod filter;
mod handlers;
mod live;
mod merge;
mod metrics;
mod openapi;
mod page;
mod place;
mod refusals;
mod replay;
mod state;
mod time;
mod turns;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use waypost_http::{Router, render_problem};

pub use config::RestConfig;
pub use metrics::RestMetrics;
pub use state::{DnsFacts, DnsTtls, RestContext};

use state::Rest;

/// Returns the OpenAPI document of this version, as `/openapi.json` sends it.
pub fn openapi(version: &str) -> serde_json::Value {
    openapi::document(version)
}

/// Makes the routes of the API. `/health` is open; everything else asks the authenticator.
pub fn router(context: RestContext) -> Router {
    let rest = Arc::new(Rest::new(context));
    let router = handlers::service_discovery::open_routes(Router::new(), &rest).open();
    let router = handlers::discovery::routes(router, &rest);
    let router = handlers::service_discovery::routes(router, &rest);
    let router = handlers::own::routes(router, &rest);
    let router = handlers::watch::routes(router, &rest);
    let router = handlers::prometheus::routes(router, &rest);
    let router = handlers::explain::routes(router, &rest);
    let router = handlers::tokens::routes(router, &rest);
    let router = handlers::audit::routes(router, &rest);
    let router = handlers::snapshot::routes(router, &rest);
    handlers::server::routes(router, &rest).on_rejection(render_problem)
}
