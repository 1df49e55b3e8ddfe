//! The table of routes, as adapters write it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use http::header::HeaderValue;

use crate::body::Response;
use crate::head::{PARAMS_MAX, RequestHead};
use crate::rejection::{Rejection, RejectionContext, RejectionRenderer};
use crate::request::Request;

pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers at once from the head.
type AtOnce = Arc<dyn Fn(&RequestHead) -> Response + Send + Sync>;
/// May read the body and wait.
type Waiting = Arc<dyn Fn(Request) -> HandlerFuture + Send + Sync>;

/// What answers one request.
pub(crate) enum Chosen<'a> {
    AtOnce(&'a AtOnce),
    Waiting(&'a Waiting),
}

/// A handler of one method on one path.
#[derive(Clone)]
pub(crate) enum Handler {
    /// Answers at once from the head; nothing is allocated for the call.
    Sync(AtOnce),
    /// May read the body and wait.
    Async(Waiting),
    /// The first, unless the head says that it is to wait.
    Either {
        waits: fn(&RequestHead) -> bool,
        at_once: AtOnce,
        waiting: Waiting,
    },
}

impl Handler {
    /// Chooses how a request is answered.
    pub(crate) fn of(&self, head: &RequestHead) -> Chosen<'_> {
        match self {
            Self::Sync(handler) => Chosen::AtOnce(handler),
            Self::Async(handler) => Chosen::Waiting(handler),
            Self::Either { waits, waiting, .. } if waits(head) => Chosen::Waiting(waiting),
            Self::Either { at_once, .. } => Chosen::AtOnce(at_once),
        }
    }
}

/// The methods a route may have; `HEAD` and `OPTIONS` are answered by the layer.
pub(crate) const ROUTED: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// One path with its handlers.
pub(crate) struct Endpoint {
    pub(crate) pattern: Arc<str>,
    pub(crate) params: Vec<Box<str>>,
    pub(crate) handlers: [Option<Handler>; ROUTED.len()],
    pub(crate) renderer: Option<RejectionRenderer>,
    pub(crate) is_open: bool,
}

impl Endpoint {
    /// Lists its methods.
    pub(crate) fn routes(&self) -> impl Iterator<Item = RouteInfo> {
        let handled = ROUTED.iter().zip(&self.handlers);
        let handled = handled.filter(|(_, handler)| handler.is_some());
        handled.map(|(method, _)| RouteInfo {
            method: method.to_string(),
            pattern: self.pattern.to_string(),
            is_open: self.is_open,
        })
    }

    /// The value of the `Allow` header.
    pub(crate) fn allow(&self) -> HeaderValue {
        let mut names = Vec::new();
        for (method, handler) in ROUTED.iter().zip(&self.handlers) {
            if handler.is_some() {
                names.push(method.as_str());
                if *method == Method::GET {
                    names.push("HEAD");
                }
            }
        }
        names.push("OPTIONS");
        HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
    }
}

/// One route of a router, for comparison with a description of the interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteInfo {
    /// The method in capitals.
    pub method: String,
    /// The pattern, in the form `/v1/services/{name}`.
    pub pattern: String,
    /// True when the route needs no credentials (see [`Router::open`]).
    pub is_open: bool,
}

/// A table of routes that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Two patterns match the same paths in different words.
    #[error("the pattern {pattern} conflicts with {with}")]
    Conflict {
        /// The pattern that was added later.
        pattern: String,
        /// The pattern that was there.
        with: String,
    },
    /// One method of one pattern has two handlers.
    #[error("{method} {pattern} has two handlers")]
    Duplicate {
        /// The method in capitals.
        method: String,
        /// The pattern of both.
        pattern: String,
    },
    /// The pattern is malformed.
    #[error("the pattern {pattern} is invalid: {reason}")]
    Invalid {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A table of routes: patterns, methods and handlers.
///
/// Patterns have matchit's syntax: `/v1/services/{name}` (one segment), `/files/{*rest}` (the rest).
/// They are matched against the path as it came, so an escaped slash (`%2F`) never changes what
/// matches; parameters are decoded afterwards. Mistakes in the table are kept and reported by
/// [`Router::merge`] and [`crate::Service::new`].
#[derive(Default)]
pub struct Router {
    pub(crate) matcher: matchit::Router<usize>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) renderer: Option<RejectionRenderer>,
    pub(crate) error: Option<RouteError>,
}

impl Router {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `GET` (and `HEAD`) of `pattern` with an asynchronous handler.
    #[must_use]
    pub fn get<H, F>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add(pattern, &Method::GET, asynchronous(handler))
    }

    /// Answers `GET` (and `HEAD`) of `pattern` at once: the cheapest way, for reads from memory.
    #[must_use]
    pub fn get_sync<H>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(&RequestHead) -> Response + Send + Sync + 'static,
    {
        self.add(pattern, &Method::GET, Handler::Sync(Arc::new(handler)))
    }

    /// Answers `GET` (and `HEAD`) of `pattern` at once, unless `waits` says that the request is one for `waiting`: a read
    /// from memory that may also be a long poll.
    #[must_use]
    pub fn get_either<S, H, F>(
        self,
        pattern: &str,
        waits: fn(&RequestHead) -> bool,
        at_once: S,
        waiting: H,
    ) -> Self
    where
        S: Fn(&RequestHead) -> Response + Send + Sync + 'static,
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let handler = Handler::Either {
            waits,
            at_once: Arc::new(at_once),
            waiting: Arc::new(move |request| Box::pin(waiting(request))),
        };
        self.add(pattern, &Method::GET, handler)
    }

    /// Answers `POST` of `pattern`.
    #[must_use]
    pub fn post<H, F>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add(pattern, &Method::POST, asynchronous(handler))
    }

    /// Answers `PUT` of `pattern`.
    #[must_use]
    pub fn put<H, F>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add(pattern, &Method::PUT, asynchronous(handler))
    }

    /// Answers `PATCH` of `pattern`.
    #[must_use]
    pub fn patch<H, F>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add(pattern, &Method::PATCH, asynchronous(handler))
    }

    /// Answers `DELETE` of `pattern`.
    #[must_use]
    pub fn delete<H, F>(self, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add(pattern, &Method::DELETE, asynchronous(handler))
    }

    /// Marks every route so far as open: it needs no credentials.
    ///
    /// The layer knows no credentials; the mark is for [`Router::routes`].
    #[must_use]
    pub fn open(mut self) -> Self {
        for endpoint in &mut self.endpoints {
            endpoint.is_open = true;
        }
        self
    }

    /// Renders the refusals of this router's routes; a router that is merged into another keeps
    /// its own renderer for its own routes.
    #[must_use]
    pub fn on_rejection<R>(mut self, renderer: R) -> Self
    where
        R: Fn(&Rejection, &RejectionContext<'_>) -> Response + Send + Sync + 'static,
    {
        self.renderer = Some(Arc::new(renderer));
        self
    }

    /// Adds the routes of `other`.
    ///
    /// # Errors
    /// Two handlers for one method and path, patterns that conflict, or a mistake made earlier in
    /// either router.
    pub fn merge(mut self, other: Self) -> Result<Self, RouteError> {
        if let Some(error) = self.error.or(other.error) {
            return Err(error);
        }
        self.error = None;
        for mut endpoint in other.endpoints {
            let renderer = endpoint.renderer.take().or_else(|| other.renderer.clone());
            for (method, handler) in ROUTED.iter().zip(endpoint.handlers) {
                let Some(handler) = handler else { continue };
                let added = self.try_add(&endpoint.pattern, method, handler)?;
                if let Some(added) = self.endpoints.get_mut(added) {
                    added.is_open = endpoint.is_open;
                    added.renderer = added.renderer.take().or_else(|| renderer.clone());
                }
            }
        }
        Ok(self)
    }

    /// Every route, sorted by pattern and method.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteInfo> {
        let mut routes: Vec<RouteInfo> = self.endpoints.iter().flat_map(Endpoint::routes).collect();
        routes.sort_by(|a, b| (&a.pattern, &a.method).cmp(&(&b.pattern, &b.method)));
        routes
    }

    fn add(mut self, pattern: &str, method: &Method, handler: Handler) -> Self {
        if let Err(error) = self.try_add(pattern, method, handler) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Adds one handler and returns the index of its endpoint.
    fn try_add(
        &mut self,
        pattern: &str,
        method: &Method,
        handler: Handler,
    ) -> Result<usize, RouteError> {
        let known = self
            .endpoints
            .iter()
            .position(|endpoint| *endpoint.pattern == *pattern);
        let index = match known {
            Some(index) => index,
            None => self.insert_endpoint(pattern)?,
        };
        let column = ROUTED
            .iter()
            .position(|known| known == method)
            .unwrap_or_default();
        let slot = self
            .endpoints
            .get_mut(index)
            .and_then(|it| it.handlers.get_mut(column));
        match slot {
            Some(slot @ None) => *slot = Some(handler),
            Some(Some(_)) | None => {
                return Err(RouteError::Duplicate {
                    method: method.to_string(),
                    pattern: pattern.to_owned(),
                });
            }
        }
        Ok(index)
    }

    fn insert_endpoint(&mut self, pattern: &str) -> Result<usize, RouteError> {
        let params = param_names(pattern);
        if params.len() > PARAMS_MAX {
            return Err(RouteError::Invalid {
                pattern: pattern.to_owned(),
                reason: format!("it has more than {PARAMS_MAX} parameters"),
            });
        }
        let index = self.endpoints.len();
        self.matcher
            .insert(pattern, index)
            .map_err(|error| match error {
                matchit::InsertError::Conflict { with } => RouteError::Conflict {
                    pattern: pattern.to_owned(),
                    with,
                },
                other => RouteError::Invalid {
                    pattern: pattern.to_owned(),
                    reason: other.to_string(),
                },
            })?;
        self.endpoints.push(Endpoint {
            pattern: Arc::from(pattern),
            params,
            handlers: Default::default(),
            renderer: None,
            is_open: false,
        });
        Ok(index)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Router")
            .field("routes", &self.routes())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

fn asynchronous<H, F>(handler: H) -> Handler
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    Handler::Async(Arc::new(move |request| Box::pin(handler(request))))
}

/// The names between braces, in order; doubled braces are literal ones in matchit's syntax.
fn param_names(pattern: &str) -> Vec<Box<str>> {
    let plain = pattern.replace("{{", "").replace("}}", "");
    let inside = plain
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'));
    inside
        .map(|(name, _)| Box::from(name.trim_start_matches('*')))
        .collect()
}
