//! The head of a request: everything but the body.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, Uri, request};

use crate::body::Response;
use crate::certificate::ClientCertificate;
use crate::connection::Peer;
use crate::percent::decode_path;
use crate::query::Query;
use crate::rejection::{Rejection, RejectionContext};
use crate::service::{Inner, RouteIndex};

/// The most parameters a pattern may have.
pub(crate) const PARAMS_MAX: usize = 8;

/// Where the path parameters lie in the path, in the order of the pattern.
///
/// A path is shorter than 64 KiB (hyper refuses longer ones), so 16 bits hold a position.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params {
    ranges: [(u16, u16); PARAMS_MAX],
    /// Present only when some parameter has an escape; then it holds every parameter.
    decoded: Option<Vec<String>>,
}

impl Params {
    /// Locates and decodes the parameters that `matched` found in `path`.
    pub(crate) fn new(path: &str, matched: &matchit::Params<'_, '_>) -> Result<Self, Rejection> {
        let mut params = Self::default();
        let mut has_escape = false;
        for (range, (_, value)) in params.ranges.iter_mut().zip(matched.iter()) {
            let start = (value.as_ptr() as usize).wrapping_sub(path.as_ptr() as usize);
            let position = |at: usize| {
                u16::try_from(at).map_err(|_| Rejection::BadPath {
                    reason: "it is too long",
                })
            };
            *range = (position(start)?, position(start + value.len())?);
            has_escape |= value.contains('%');
        }
        if has_escape {
            let decoded = matched
                .iter()
                .map(|(_, value)| decode_path(value).map(String::from));
            let decoded: Result<Vec<String>, _> = decoded.collect();
            params.decoded = Some(decoded.map_err(|reason| Rejection::BadPath { reason })?);
        }
        Ok(params)
    }

    fn get<'a>(&'a self, path: &'a str, index: usize) -> Option<&'a str> {
        match &self.decoded {
            Some(decoded) => decoded.get(index).map(String::as_str),
            None => {
                let (start, end) = *self.ranges.get(index)?;
                path.get(usize::from(start)..usize::from(end))
            }
        }
    }
}

/// The head of a request: method, path, parameters, query, headers, peer and id.
pub struct RequestHead {
    pub(crate) parts: request::Parts,
    pub(crate) peer: Peer,
    pub(crate) request_id: HeaderValue,
    pub(crate) params: Params,
    pub(crate) route: RouteIndex,
    pub(crate) service: Arc<Inner>,
}

impl RequestHead {
    /// The method; `HEAD` requests reach handlers of `GET`.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path as it came, not decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The request target as it came.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The pattern of the route, as it was given to the router.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.service.pattern(self.route).unwrap_or_default()
    }

    /// The path parameter `name`, percent-decoded; none when the pattern has no such parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let index = self.service.param_index(self.route, name)?;
        self.params.get(self.path(), index)
    }

    /// The query string as it came, without the question mark.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The parsed query string; allocates nothing when there is none.
    ///
    /// # Errors
    /// [`Rejection::BadQuery`] for more than 64 pairs, a bad escape or bytes that are not UTF-8.
    pub fn query(&self) -> Result<Query<'_>, Rejection> {
        self.parts
            .uri
            .query()
            .map_or_else(|| Ok(Query::default()), Query::parse)
    }

    /// The first value of `name` in the query string.
    ///
    /// # Errors
    /// As [`RequestHead::query`].
    pub fn query_value(&self, name: &str) -> Result<Option<String>, Rejection> {
        match self.parts.uri.query() {
            None => Ok(None),
            Some(text) => Ok(Query::parse(text)?.get(name).map(str::to_owned)),
        }
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The text of the header `name` when it is there and visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// The token of `Authorization: Bearer <token>`.
    ///
    /// None when the header is missing, comes twice, has another scheme or an empty token.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let mut values = self.parts.headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let token = token.trim_matches(' ');
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// The address of the other end of the connection.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer.address
    }

    /// The client's certificate.
    #[must_use]
    pub fn certificate(&self) -> &ClientCertificate {
        &self.peer.certificate
    }

    /// What an adapter keeps with the connection of this request: the first type that is asked for, which begins as its
    /// default. None for every other type.
    #[must_use]
    pub fn kept<T: Any + Default + Send + Sync>(&self) -> Option<&T> {
        self.peer.kept.of()
    }

    /// The id of this request, which the response carries as `X-Request-Id`.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Renders and counts a refusal the way the router renders its own.
    #[must_use]
    pub fn reject(&self, rejection: &Rejection) -> Response {
        let context = RejectionContext {
            method: self.method(),
            path: self.path(),
            request_id: self.request_id(),
            pattern: self.service.pattern(self.route),
        };
        self.service.reject(rejection, self.route, &context)
    }
}

impl std::fmt::Debug for RequestHead {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RequestHead")
            .field("method", self.method())
            .field("path", &self.path())
            .field("request_id", &self.request_id)
            .field("peer", &self.peer.address)
            .finish_non_exhaustive()
    }
}
