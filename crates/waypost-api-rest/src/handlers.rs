//! What each path does: access, then the registry, then words.

pub(crate) mod audit;
pub(crate) mod discovery;
pub(crate) mod explain;
pub(crate) mod own;
pub(crate) mod poll;
pub(crate) mod prometheus;
pub(crate) mod server;
pub(crate) mod service_discovery;
pub(crate) mod snapshot;
mod sources;
pub(crate) mod tokens;
pub(crate) mod watch;

/// Wraps a function of `(&Rest, &mut Request)` for the router.
macro_rules! waiting {
    ($rest:expr, $handler:path) => {{
        let rest = std::sync::Arc::clone($rest);
        move |mut request: waypost_http::Request| {
            let rest = std::sync::Arc::clone(&rest);
            async move {
                let answer = $handler(&rest, &mut request).await;
                rest.settle(&request.head, answer)
            }
        }
    }};
}
/// Wraps a function of `(&Rest, &RequestHead)` for the router.
macro_rules! at_once {
    ($rest:expr, $handler:path) => {{
        let rest = std::sync::Arc::clone($rest);
        move |head: &waypost_http::RequestHead| rest.settle(head, $handler(&rest, head))
    }};
}
pub(crate) use {at_once, waiting};

use http::StatusCode;
use serde::Serialize;
use waypost_http::{RequestHead, Response, json};

use crate::wire::discovery::Success;

/// Returns a path parameter; the router only calls handlers whose parameters are there.
pub(crate) fn param<'a>(head: &'a RequestHead, name: &str) -> &'a str {
    head.param(name).unwrap_or_default()
}

/// Renders an answer. What this crate writes are structs of strings and numbers, which always serialize.
pub(crate) fn render(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Makes a JSON response.
pub(crate) fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    json(status, render(value))
}

/// Answers a change as source 003 does.
pub(crate) fn success(message: String) -> Response {
    let success = true;
    answer(StatusCode::OK, &Success { success, message })
}
