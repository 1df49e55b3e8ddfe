//! One unary call of gRPC and its answer, over HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, StatusCode};

use crate::call::within;
use crate::connect::Dialer;
use crate::error::{DialError, Stage};
use crate::progress::Progress;
use crate::resolve::Pinned;
use crate::tls::TlsClient;

mod exchange;

/// How large the message of an answer may be.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A call of one method with one message. The connection is one of HTTP/2 from its first byte on.
#[derive(Debug, Clone)]
pub struct UnaryCall {
    path: PathAndQuery,
    message: Bytes,
}

/// What the target answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnaryAnswer {
    /// The status of HTTP, 200 from whatever speaks gRPC.
    pub http_status: StatusCode,
    /// The type of the content, `application/grpc` or one that begins so from whatever speaks gRPC.
    pub content_type: Option<String>,
    /// The status of gRPC, if there was one: 0 is success.
    pub status: Option<u32>,
    /// What the target says about the status, at most 200 printable characters.
    pub detail: String,
    /// The message, if there was one.
    pub message: Option<Bytes>,
}

impl UnaryCall {
    /// Builds a call from a path, `/package.Service/Method`, and a message that is already encoded.
    ///
    /// # Errors
    /// [`DialError::Invalid`] naming `path`.
    pub fn new(path: &'static str, message: Bytes) -> Result<Self, DialError> {
        let path = PathAndQuery::try_from(path)
            .map_err(|_| DialError::invalid("path", path, "paths are as in RFC 3986, 3.3"))?;
        Ok(Self { path, message })
    }

    /// Connects to the target, calls, reads the answer and closes the connection, all within `timeout`.
    ///
    /// # Errors
    /// Those of [`Dialer::connect`]; `TimedOut`, `Closed` and `Malformed` with the stage that was
    /// reached; `HeadTooLarge`; with TLS also `Tls`, and `Invalid` when no certificate can name the target.
    pub async fn send(
        &self,
        dialer: &Dialer,
        tls: Option<&TlsClient>,
        target: &Pinned,
        timeout: Duration,
    ) -> Result<UnaryAnswer, DialError> {
        let progress = Progress::new(target.address());
        let whole = Box::pin(async {
            let stream = dialer.connect(target, timeout).await?;
            let peer = stream.peer_addr().unwrap_or(target.address());
            let Some(tls) = tls else {
                progress.connected(peer, Stage::Head);
                let request = self.request(Scheme::HTTP, &target.authority(), timeout)?;
                return exchange::run(stream, request, self.framed(), &progress).await;
            };
            progress.connected(peer, Stage::Tls);
            let request = self.request(Scheme::HTTPS, &tls.authority(target), timeout)?;
            let stream = tls.handshake(stream, target, &progress).await?;
            let asked = Arc::clone(&stream.asked);
            let answer = exchange::run(stream, request, self.framed(), &progress).await;
            answer.map_err(|error| asked.explain(error))
        });
        within(timeout, &progress, whole).await
    }

    /// The message behind one byte that says it is not compressed, and four with its length.
    fn framed(&self) -> Bytes {
        let mut framed = BytesMut::with_capacity(self.message.len() + 5);
        framed.put_u8(0);
        framed.put_u32(u32::try_from(self.message.len()).unwrap_or(u32::MAX));
        framed.extend_from_slice(&self.message);
        framed.freeze()
    }

    fn request(
        &self,
        scheme: Scheme,
        authority: &str,
        timeout: Duration,
    ) -> Result<http::Request<()>, DialError> {
        let refused = || DialError::invalid("host", authority, "not usable in an HTTP/2 request");
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(Authority::try_from(authority).map_err(|_| refused())?);
        parts.path_and_query = Some(self.path.clone());
        let mut request = http::Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| refused())?;
        // The server is told, too, so that it gives up when nobody waits any more. Eight digits are the most.
        let milliseconds = timeout.as_millis().clamp(1, 99_999_999);
        let deadline = HeaderValue::try_from(format!("{milliseconds}m")).map_err(|_| refused())?;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        headers.insert("grpc-timeout", deadline);
        let agent = concat!("waypost/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        Ok(request)
    }
}
