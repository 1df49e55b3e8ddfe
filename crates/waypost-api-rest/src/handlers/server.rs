//! The server about itself: the OpenAPI document and its page.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use waypost_core::Dialect;
use waypost_http::{RequestHead, Router, bytes, json};

use super::at_once;
use crate::error::Answer;
use crate::state::Rest;
use crate::wire::own::DnsServer;

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router
        .get_sync("/openapi.json", at_once!(rest, openapi))
        .get_sync("/docs", at_once!(rest, docs))
        .get_sync("/v1/dns", at_once!(rest, dns))
}

fn openapi(rest: &Rest, head: &RequestHead) -> Answer {
    rest.reader(head, Dialect::Rest)?;
    Ok(json(StatusCode::OK, rest.documents().openapi.clone()))
}

fn dns(rest: &Rest, head: &RequestHead) -> Answer {
    rest.reader(head, Dialect::Rest)?;
    let dns = DnsServer {
        listen: rest.dns.listen.iter().map(ToString::to_string).collect(),
        ttl_seconds: rest.dns.ttls.seconds,
        reverse_zones: rest.dns.reverse_zones.clone(),
    };
    Ok(super::answer(StatusCode::OK, &dns))
}

fn docs(rest: &Rest, head: &RequestHead) -> Answer {
    rest.reader(head, Dialect::Rest)?;
    let html = rest.documents().docs.clone();
    let mut response = bytes(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, rest.documents().policy.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
