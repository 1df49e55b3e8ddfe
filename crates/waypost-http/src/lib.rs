//! The HTTP/1.1 server layer: listener, router, limits, request ids, metrics and drain.
//!
//! It sits directly on hyper and knows no protocol and no registry: adapters hand it a [`Router`]
//! of handlers, and the ops endpoints are fed by closures. A `GET` answered by a synchronous
//! handler allocates almost nothing here: no boxed future, no owned path, no copied header map.
//!
//! The order of use: build a [`Router`] (and [`Router::merge`] others into it), compile it into a
//! [`Service`], bind a [`Server`] and let it serve until its shutdown future resolves.

mod admission;
mod body;
mod certificate;
mod clock;
mod connection;
mod exposition;
mod head;
mod histogram;
mod kept;
mod lasting;
mod linger;
mod metrics;
mod ops;
mod percent;
mod progress;
mod query;
mod rejection;
mod reply;
mod request;
mod request_id;
mod router;
mod server;
mod service;
mod settings;
mod socket;
mod tls;
mod watch;

#[cfg(test)]
mod tests;

pub use body::{Body, BoxError, Response, bytes, empty, json, problem, text};
pub use certificate::ClientCertificate;
pub use exposition::{OPENMETRICS_CONTENT_TYPE, TEXT_CONTENT_TYPE, openmetrics_to_text};
pub use head::RequestHead;
pub use histogram::DurationHistogram;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use metrics::HttpMetrics;
pub use ops::{Condition, MayRead, Ops, ReadyReport, ops_routes};
pub use query::Query;
pub use rejection::{Rejection, RejectionContext, RejectionRenderer, render_problem};
pub use request::Request;
pub use router::{RouteError, RouteInfo, Router};
pub use server::{BindError, Server};
pub use service::{Gate, Service};
pub use settings::{InvalidSetting, ListenerConfig};
pub use tls::{ClientCertificates, ListenerTls, TlsConfig, TlsFault};
