//! Response bodies and the short ways to make a response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{StatusCode, response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::progress::Progress;

/// An error of a streamed body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A response as handlers return it.
pub type Response = http::Response<Body>;

type BoxedStream = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

/// A response body: nothing, bytes that are ready, or a stream.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Streamed),
}

/// A stream keeps its connection busy until it is dropped: the idle time-out does not apply to it.
struct Streamed {
    stream: BoxedStream,
    is_lasting: bool,
    progress: Option<Arc<Progress>>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.request_finished(crate::clock::now_millis());
        }
    }
}

impl Body {
    /// The body without bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is sent frame by frame as `stream` produces it.
    ///
    /// The request deadline covers the handler, not the stream; a reader that takes nothing for
    /// `body_timeout_seconds` is cut off.
    pub fn stream(stream: impl HttpBody<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self(Kind::Stream(Streamed {
            stream: Box::pin(stream),
            is_lasting: false,
            progress: None,
        }))
    }

    /// The same for a stream that goes on for long and is quiet most of the time: it is sent without buffers, and the
    /// connection ends with it.
    pub fn lasting(stream: impl HttpBody<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self(Kind::Stream(Streamed {
            stream: Box::pin(stream),
            is_lasting: true,
            progress: None,
        }))
    }

    pub(crate) fn is_lasting(&self) -> bool {
        matches!(&self.0, Kind::Stream(streamed) if streamed.is_lasting)
    }

    /// The bytes of a body that is not a stream.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Empty => Some(&[]),
            Kind::Full(bytes) => Some(bytes),
            Kind::Stream(_) => None,
        }
    }

    /// Ties a stream to its connection; false when the body is no stream.
    pub(crate) fn attach(&mut self, progress: &Arc<Progress>) -> bool {
        match &mut self.0 {
            Kind::Stream(streamed) => {
                streamed.progress = Some(Arc::clone(progress));
                true
            }
            Kind::Empty | Kind::Full(_) => false,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => formatter.write_str("Body::Empty"),
            Kind::Full(bytes) => write!(formatter, "Body::Full({} bytes)", bytes.len()),
            Kind::Stream(_) => formatter.write_str("Body::Stream"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self(Kind::Empty)
        } else {
            Self(Kind::Full(bytes))
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Kind::Stream(streamed) = &mut self.0 {
            return streamed.stream.as_mut().poll_frame(context);
        }
        match std::mem::take(&mut self.0) {
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Kind::Empty | Kind::Stream(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(streamed) => streamed.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(streamed) => streamed.stream.size_hint(),
        }
    }
}

/// Makes a response of `content_type` from bytes that are ready.
pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = response::Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Makes an `application/json` response from rendered JSON.
pub fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    bytes(status, "application/json", body)
}

/// Makes an `application/problem+json` response from rendered JSON (RFC 9457).
pub fn problem(status: StatusCode, body: impl Into<Body>) -> Response {
    bytes(status, "application/problem+json", body)
}

/// Makes a `text/plain; charset=utf-8` response.
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    bytes(status, "text/plain; charset=utf-8", body)
}

/// Makes a response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = response::Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
