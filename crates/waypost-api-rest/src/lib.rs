//! placeholder doc
mod body;
mod cache;
mod config;
mod convert;
mod error;
mod handlers;
mod metrics;
mod state;
mod time;
mod turns;
mod wire;

use bytes::Bytes;
pub use config::RestConfig;
pub use metrics::RestMetrics;
use state::Rest;
pub use state::RestContext;
use std::sync::Arc;
use waypost_http::{Router, render_problem};

/// Makes the routes of the API.
pub fn router(context: RestContext) -> Router {
    let RestContext {
        registry,
        authenticator,
        config,
        version,
        metrics,
    } = context;
    let _ = version;
    let rest = Arc::new(Rest {
        cache: cache::RenderCache::new(config.cache_entries_max, config.cache_bytes_max),
        turns: turns::Turns::new(),
        openapi: Bytes::new(),
        docs: Bytes::new(),
        registry,
        authenticator,
        config,
        metrics,
    });
    handlers::discovery::routes(&rest).on_rejection(render_problem)
}
