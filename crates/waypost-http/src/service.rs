//! A compiled router: finds the handler of a request and wraps the one layer around it.
//!
//! The layer gives every request its id, its deadline and its metrics, and turns a panic of a
//! handler into a response.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, HOST, HeaderValue};
use http::{Method, StatusCode, Uri, Version, request};

use crate::body::{Response, empty};
use crate::certificate::ClientCertificate;
use crate::clock;
use crate::connection::Peer;
use crate::head::{Params, RequestHead};
use crate::kept::Kept;
use crate::metrics::{HttpMetrics, RouteMetrics};
use crate::progress::Progress;
use crate::rejection::{Rejection, RejectionContext, RejectionRenderer, render_problem};
use crate::reply::{Reply, log_panic};
use crate::request::{Request, RequestBody};
use crate::request_id::{RequestIds, X_REQUEST_ID};
use crate::router::{Chosen, Endpoint, Handler, ROUTED, RouteError, RouteInfo, Router};
use crate::settings::ListenerConfig;

/// The position of a route in the table; the last one stands for "no route".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteIndex(usize);

/// Says whether a request of an address is let in now; the error is how long to wait, and the setting that says so.
pub type Gate = Arc<dyn Fn(IpAddr) -> Result<(), (Duration, &'static str)> + Send + Sync>;

/// A router ready to answer requests under the bounds of a listener.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

pub(crate) struct Inner {
    matcher: matchit::Router<usize>,
    endpoints: Vec<Compiled>,
    unmatched: RouteMetrics,
    renderer: RejectionRenderer,
    pub(crate) metrics: HttpMetrics,
    pub(crate) limits: ListenerConfig,
    ids: RequestIds,
    gate: OnceLock<Gate>,
}

struct Compiled {
    endpoint: Endpoint,
    allow: HeaderValue,
    metrics: RouteMetrics,
}

impl Service {
    /// Compiles `router` for a listener with the bounds of `limits`.
    ///
    /// # Errors
    /// The first mistake in the table of routes.
    pub fn new(
        router: Router,
        metrics: &HttpMetrics,
        limits: &ListenerConfig,
    ) -> Result<Self, RouteError> {
        if let Some(error) = router.error {
            return Err(error);
        }
        let compile = |endpoint: Endpoint| Compiled {
            allow: endpoint.allow(),
            metrics: metrics.for_route(&endpoint.pattern),
            endpoint,
        };
        Ok(Self(Arc::new(Inner {
            matcher: router.matcher,
            endpoints: router.endpoints.into_iter().map(compile).collect(),
            unmatched: metrics.for_route(&Arc::from("none")),
            renderer: router.renderer.unwrap_or_else(|| Arc::new(render_problem)),
            metrics: metrics.clone(),
            limits: limits.clone(),
            ids: RequestIds::new(),
            gate: OnceLock::new(),
        })))
    }

    /// Every route, sorted by pattern and method.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteInfo> {
        let endpoints = self.0.endpoints.iter();
        let mut routes: Vec<RouteInfo> = endpoints.flat_map(|it| it.endpoint.routes()).collect();
        routes.sort_by(|a, b| (&a.pattern, &a.method).cmp(&(&b.pattern, &b.method)));
        routes
    }

    /// Asks `gate` about every request but those of open routes; who is not let in is answered 429. The first gate stays.
    #[must_use]
    pub fn guarded_by(self, gate: Gate) -> Self {
        self.0.gate.get_or_init(|| gate);
        self
    }

    /// Answers a request of the same process, without a socket, under the same layer.
    ///
    /// A missing `Host` header is not refused here.
    pub async fn answer(&self, request: http::Request<Bytes>) -> Response {
        let (parts, body) = request.into_parts();
        let peer = Peer {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            certificate: ClientCertificate::default(),
            kept: Kept::default(),
        };
        self.call(parts, RequestBody::given(body), peer, None).await
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Starts to answer; a synchronous handler has answered when this returns.
    pub(crate) fn call(
        &self,
        parts: request::Parts,
        body: RequestBody,
        peer: Peer,
        progress: Option<&Arc<Progress>>,
    ) -> Reply {
        let inner = &self.0;
        let started = clock::monotonic();
        let must_close = body.is_chunked();
        if let Some(progress) = progress {
            progress.request_started();
        }
        let request_id = inner.ids.for_request(&parts.headers);
        let (route, found) = inner.find(&parts, progress.is_some());
        let found = match inner.let_in(route, peer.address.ip()) {
            Ok(()) => found,
            Err(rejection) => Err(rejection.into()),
        };
        let done = |parts| Done::new(route, parts, started, must_close);
        let (handler, params) = match found {
            Ok(found) => found,
            Err(instead) => {
                drop(body);
                let response = inner.answer_instead(instead, route, &parts, &request_id);
                return Reply::ready(inner.finish(response, done(&parts), request_id, progress));
            }
        };
        let service = Arc::clone(inner);
        let head = RequestHead {
            parts,
            peer,
            request_id,
            params,
            route,
            service,
        };
        match handler.of(&head) {
            Chosen::AtOnce(handler) => {
                drop(body);
                let outcome = catch_unwind(AssertUnwindSafe(|| handler(&head)));
                let response = outcome.unwrap_or_else(|cause| {
                    log_panic(&*cause, head.path(), head.request_id());
                    head.reject(&Rejection::Panicked)
                });
                let (parts, request_id) = (head.parts, head.request_id);
                Reply::ready(inner.finish(response, done(&parts), request_id, progress))
            }
            Chosen::Waiting(handler) => {
                let request = Request { head, body };
                Reply::running(inner, handler, request, started, progress.map(Arc::clone))
            }
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns: Vec<&str> = self
            .0
            .endpoints
            .iter()
            .map(|it| it.endpoint.pattern.as_ref())
            .collect();
        formatter
            .debug_struct("Service")
            .field("patterns", &patterns)
            .finish_non_exhaustive()
    }
}

/// What the layer answers instead of a handler.
enum Instead {
    Options(HeaderValue),
    Rejection(Rejection),
}

impl From<Rejection> for Instead {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

/// The parts of a finished request that metrics and the log need.
#[derive(Clone, Copy)]
pub(crate) struct Done<'a> {
    pub(crate) route: RouteIndex,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) started: Instant,
    pub(crate) must_close: bool,
}

impl<'a> Done<'a> {
    fn new(
        route: RouteIndex,
        parts: &'a request::Parts,
        started: Instant,
        must_close: bool,
    ) -> Self {
        Self {
            route,
            method: &parts.method,
            uri: &parts.uri,
            started,
            must_close,
        }
    }
}

impl Inner {
    fn compiled(&self, route: RouteIndex) -> Option<&Compiled> {
        self.endpoints.get(route.0)
    }

    pub(crate) fn pattern(&self, route: RouteIndex) -> Option<&str> {
        self.compiled(route).map(|it| it.endpoint.pattern.as_ref())
    }

    pub(crate) fn param_index(&self, route: RouteIndex, name: &str) -> Option<usize> {
        self.compiled(route)?
            .endpoint
            .params
            .iter()
            .position(|known| **known == *name)
    }

    /// Renders and counts a refusal.
    pub(crate) fn reject(
        &self,
        rejection: &Rejection,
        route: RouteIndex,
        context: &RejectionContext<'_>,
    ) -> Response {
        self.metrics.count_rejection(rejection.reason());
        let own = self
            .compiled(route)
            .and_then(|it| it.endpoint.renderer.as_ref());
        let mut response = own.unwrap_or(&self.renderer)(rejection, context);
        rejection.add_headers(&mut response);
        response
    }

    fn answer_instead(
        &self,
        instead: Instead,
        route: RouteIndex,
        parts: &request::Parts,
        request_id: &HeaderValue,
    ) -> Response {
        let rejection = match instead {
            Instead::Options(allow) => return options(allow),
            Instead::Rejection(rejection) => rejection,
        };
        let context = RejectionContext {
            method: &parts.method,
            path: parts.uri.path(),
            request_id: request_id.to_str().unwrap_or_default(),
            pattern: self.pattern(route),
        };
        self.reject(&rejection, route, &context)
    }

    /// Finds the handler of a request and its parameters.
    fn find(
        &self,
        parts: &request::Parts,
        needs_host: bool,
    ) -> (RouteIndex, Result<(&Handler, Params), Instead>) {
        let path = parts.uri.path();
        let nowhere = RouteIndex(self.endpoints.len());
        if let Err(rejection) = self.check_head(parts, needs_host) {
            return (nowhere, Err(rejection.into()));
        }
        let Ok(matched) = self.matcher.at(path) else {
            let is_server_wide = parts.method == Method::OPTIONS && path == "*";
            let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            let answer = Instead::Rejection(Rejection::NotFound);
            return (
                nowhere,
                Err(if is_server_wide {
                    Instead::Options(allow)
                } else {
                    answer
                }),
            );
        };
        let route = RouteIndex(*matched.value);
        let Some(compiled) = self.compiled(route) else {
            return (nowhere, Err(Rejection::NotFound.into()));
        };
        let found = match compiled.handler(&parts.method) {
            Some(handler) => Params::new(path, &matched.params)
                .map(|it| (handler, it))
                .map_err(Instead::from),
            None if parts.method == Method::OPTIONS => {
                Err(Instead::Options(compiled.allow.clone()))
            }
            None => Err(Rejection::MethodNotAllowed {
                allow: compiled.allow.clone(),
            }
            .into()),
        };
        (route, found)
    }

    fn let_in(&self, route: RouteIndex, peer: IpAddr) -> Result<(), Rejection> {
        let Some(gate) = self.gate.get() else {
            return Ok(());
        };
        if self.compiled(route).is_some_and(|it| it.endpoint.is_open) {
            return Ok(());
        }
        gate(peer).map_err(|(wait, setting)| Rejection::Throttled {
            retry_after_seconds: wait.as_secs() + 1,
            setting,
        })
    }

    fn check_head(&self, parts: &request::Parts, needs_host: bool) -> Result<(), Rejection> {
        if parts.headers.len() > self.limits.headers_max {
            return Err(Rejection::HeadersTooLarge {
                limit: self.limits.headers_max,
            });
        }
        // RFC 9112, section 3.2: a 1.1 request without exactly one Host is answered 400.
        if needs_host && parts.version == Version::HTTP_11 {
            let mut hosts = parts.headers.get_all(HOST).iter();
            if hosts.next().is_none() || hosts.next().is_some() {
                let reason = "it must have exactly one Host header".to_owned();
                return Err(Rejection::BadRequest { reason });
            }
        }
        Ok(())
    }

    /// Counts and logs the request and sets its id on the response.
    pub(crate) fn finish(
        &self,
        mut response: Response,
        done: Done<'_>,
        request_id: HeaderValue,
        progress: Option<&Arc<Progress>>,
    ) -> Response {
        let ended = clock::monotonic();
        let elapsed = ended.saturating_duration_since(done.started);
        let metrics = self
            .compiled(done.route)
            .map_or(&self.unmatched, |it| &it.metrics);
        metrics.count(done.method, response.status(), elapsed);
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(
                method = %done.method,
                path = done.uri.path(),
                status = response.status().as_u16(),
                elapsed_micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
                request_id = ?request_id,
                "request"
            );
        }
        response.headers_mut().insert(X_REQUEST_ID, request_id);
        // RFC 9112, section 6.3: after a request with both Content-Length and Transfer-Encoding the
        // connection must end, whatever followed was framed by one of two readings. hyper obeys
        // the latter and removes the former, so every chunked request has to be taken for one.
        if done.must_close {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(progress) = progress
            && !response.body_mut().attach(progress)
        {
            progress.request_finished(clock::millis_at(ended));
        }
        response
    }
}

impl Compiled {
    fn handler(&self, method: &Method) -> Option<&Handler> {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let column = ROUTED.iter().position(|known| known == method)?;
        self.endpoint.handlers.get(column)?.as_ref()
    }
}

fn options(allow: HeaderValue) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(ALLOW, allow);
    response
}
