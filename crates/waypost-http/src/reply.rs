//! The answer to one request while it is being made.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use http::{Method, StatusCode, Uri};
use tokio::time::Sleep;

use crate::body::{Response, empty};
use crate::progress::Progress;
use crate::rejection::{Rejection, RejectionContext};
use crate::request::Request;
use crate::router::HandlerFuture;
use crate::service::{Done, Inner, RouteIndex};

/// The answer to one request, when it comes.
pub(crate) struct Reply(State);

/// hyper keeps one slot for it per connection, so boxing would only allocate per request.
enum State {
    Ready(Option<Response>),
    Running(Running),
}

/// An asynchronous handler at work.
struct Running {
    service: Arc<Inner>,
    future: HandlerFuture,
    /// Made at the first wait, so that a handler that never waits costs no timer.
    deadline: Option<Pin<Box<Sleep>>>,
    route: RouteIndex,
    method: Method,
    uri: Uri,
    request_id: HeaderValue,
    started: Instant,
    must_close: bool,
    progress: Option<Arc<Progress>>,
}

impl Reply {
    pub(crate) fn ready(response: Response) -> Self {
        Self(State::Ready(Some(response)))
    }

    pub(crate) fn running(
        service: &Arc<Inner>,
        handler: &Arc<dyn Fn(Request) -> HandlerFuture + Send + Sync>,
        request: Request,
        started: Instant,
        progress: Option<Arc<Progress>>,
    ) -> Self {
        let (method, uri) = (
            request.head.parts.method.clone(),
            request.head.parts.uri.clone(),
        );
        let (route, request_id) = (request.head.route, request.head.request_id.clone());
        let must_close = request.body.is_chunked();
        // Only the making of the future can panic here; a future that panics does so when polled.
        let made = catch_unwind(AssertUnwindSafe(|| handler(request)));
        let future =
            made.unwrap_or_else(|cause| Box::pin(async move { std::panic::resume_unwind(cause) }));
        Self(State::Running(Running {
            service: Arc::clone(service),
            future,
            deadline: None,
            route,
            method,
            uri,
            request_id,
            started,
            must_close,
            progress,
        }))
    }
}

impl Future for Reply {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match &mut self.0 {
            State::Ready(response) => {
                // A future is not polled after it is ready; an empty 500 is better than a panic.
                let response = response.take();
                Poll::Ready(response.unwrap_or_else(|| empty(StatusCode::INTERNAL_SERVER_ERROR)))
            }
            State::Running(running) => running.poll(context),
        }
    }
}

impl Running {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(context)));
        let response = match polled {
            Ok(Poll::Ready(response)) => response,
            Ok(Poll::Pending) => {
                let limit_seconds = self.service.limits.request_timeout_seconds;
                let limit = Duration::from_secs(limit_seconds);
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                if deadline.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.reject(&Rejection::Deadline { limit_seconds })
            }
            Err(cause) => {
                log_panic(
                    &*cause,
                    self.uri.path(),
                    self.request_id.to_str().unwrap_or_default(),
                );
                self.reject(&Rejection::Panicked)
            }
        };
        // The handler must not run on behind a response that has been sent.
        self.future = Box::pin(std::future::pending());
        let (uri, method) = (&self.uri, &self.method);
        let Self {
            route,
            started,
            must_close,
            ..
        } = *self;
        let done = Done {
            route,
            method,
            uri,
            started,
            must_close,
        };
        let (id, progress) = (self.request_id.clone(), self.progress.as_ref());
        Poll::Ready(self.service.finish(response, done, id, progress))
    }

    fn reject(&self, rejection: &Rejection) -> Response {
        let context = RejectionContext {
            method: &self.method,
            path: self.uri.path(),
            request_id: self.request_id.to_str().unwrap_or_default(),
            pattern: self.service.pattern(self.route),
        };
        self.service.reject(rejection, self.route, &context)
    }
}

/// Logs the cause of a panic with the request it ended.
pub(crate) fn log_panic(cause: &(dyn Any + Send), path: &str, request_id: &str) {
    let text = cause.downcast_ref::<&str>().copied();
    let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        path,
        request_id,
        cause = text.unwrap_or("unknown"),
        "a handler panicked"
    );
}
