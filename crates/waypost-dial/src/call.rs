//! One HTTP/1.1 request and its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use crate::connect::Dialer;
use crate::error::{DialError, Stage};
use crate::progress::Progress;
use crate::resolve::Pinned;
use crate::tls::TlsClient;

mod exchange;
#[cfg(test)]
mod tests;

/// How much of a body is read; the rest is never asked for.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// How large the status line and headers of an answer may be, together.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

const MAX_PATH_BYTES: usize = 2_048;
const MAX_REQUEST_HEADERS: usize = 32;
const MAX_REQUEST_HEADER_BYTES: usize = 8 * 1024;

/// A request without a body, checked when it is built, so that sending it can only fail for
/// reasons that lie with the target.
#[derive(Debug, Clone)]
pub struct HttpCall {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
}

/// What the target answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, as sent: a redirect is an answer like any other.
    pub status: StatusCode,
    /// The headers, at most [`MAX_HEAD_BYTES`] and 100 of them.
    pub headers: HeaderMap,
    /// The first [`MAX_BODY_BYTES`] of the body.
    pub body: Bytes,
    /// Whether the body went on after that.
    pub truncated: bool,
}

impl HttpCall {
    /// Builds a request from a method name and an absolute path with an optional query.
    ///
    /// # Errors
    /// [`DialError::Invalid`] naming `method` or `path`.
    pub fn new(method: &str, path: &str) -> Result<Self, DialError> {
        Ok(Self {
            method: method_of(method)?,
            path: path_of(path)?,
            headers: HeaderMap::new(),
        })
    }

    /// Adds a header. A `host` header replaces the one made from the target.
    ///
    /// # Errors
    /// [`DialError::Invalid`] naming `headers`: not a header name or value, one that frames the
    /// message or steers the connection, more than 32 headers, or more than 8 KiB of them.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, DialError> {
        let refused = |given: &str, rule| DialError::invalid("headers", given, rule);
        let header = HeaderName::try_from(name)
            .map_err(|_| refused(name, "header names are HTTP tokens (RFC 9110, 5.6.2)"))?;
        if steers_the_connection(&header) {
            return Err(refused(name, "this header is set by Waypost itself"));
        }
        let content = HeaderValue::try_from(value)
            .map_err(|_| refused(name, "header values have no control characters"))?;
        self.headers.append(header, content);
        let bytes: usize = self
            .headers
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len())
            .sum();
        if self.headers.len() > MAX_REQUEST_HEADERS || bytes > MAX_REQUEST_HEADER_BYTES {
            return Err(refused(
                name,
                "a call has at most 32 headers and 8 KiB of them",
            ));
        }
        Ok(self)
    }

    /// Gives the method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Gives path and query.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// Connects to the target, sends the request, reads the answer and closes the connection, all
    /// within `timeout`.
    ///
    /// # Errors
    /// Those of [`Dialer::connect`]; `TimedOut`, `Closed` and `Malformed` with the stage that was
    /// reached; `HeadTooLarge`.
    pub async fn send(
        &self,
        dialer: &Dialer,
        target: &Pinned,
        timeout: Duration,
    ) -> Result<Answer, DialError> {
        let progress = Progress::new(target.address());
        let whole = async {
            let stream = dialer.connect(target, timeout).await?;
            let peer = stream.peer_addr().unwrap_or(target.address());
            progress.connected(peer, Stage::Head);
            exchange::run(stream, self.request(&target.authority())?, &progress).await
        };
        within(timeout, &progress, whole).await
    }

    /// Does the same inside of TLS. The `Host` header has the server name of the client, if it has one.
    ///
    /// # Errors
    /// Those of [`HttpCall::send`]; `Tls`; `Invalid` when no certificate can name the target.
    pub async fn send_secured(
        &self,
        dialer: &Dialer,
        tls: &TlsClient,
        target: &Pinned,
        timeout: Duration,
    ) -> Result<Answer, DialError> {
        let progress = Progress::new(target.address());
        let whole = Box::pin(async {
            let stream = dialer.connect(target, timeout).await?;
            let peer = stream.peer_addr().unwrap_or(target.address());
            progress.connected(peer, Stage::Tls);
            let request = self.request(&tls.authority(target))?;
            let stream = tls.handshake(stream, target, &progress).await?;
            let asked = Arc::clone(&stream.asked);
            let answer = exchange::run(stream, request, &progress).await;
            answer.map_err(|error| asked.explain(error))
        });
        within(timeout, &progress, whole).await
    }

    fn request(&self, authority: &str) -> Result<exchange::Request, DialError> {
        let mut request = exchange::Request::default();
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone().into();
        let host = HeaderValue::try_from(authority)
            .map_err(|_| DialError::invalid("host", authority, "not usable in a Host header"))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let agent = concat!("waypost/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        // `extend` replaces what is there already and keeps repeated headers of the call.
        headers.extend(self.headers.clone());
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }
}

/// Gives a call its time, and says how far it came when that is over.
pub(crate) async fn within<T>(
    timeout: Duration,
    progress: &Progress,
    whole: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    let outcome = tokio::time::timeout(timeout, whole).await;
    outcome.unwrap_or_else(|_| {
        let (address, stage) = progress.reached();
        Err(DialError::TimedOut {
            address,
            stage,
            after: timeout,
        })
    })
}

fn method_of(name: &str) -> Result<Method, DialError> {
    let refused = |rule| DialError::invalid("method", name, rule);
    let method = Method::from_bytes(name.as_bytes())
        .map_err(|_| refused("methods are HTTP tokens (RFC 9110, 9.1)"))?;
    // CONNECT would turn the target into a proxy, TRACE would send our own headers back.
    if name.len() > 32 || method == Method::CONNECT || method == Method::TRACE {
        return Err(refused(
            "CONNECT, TRACE and names over 32 characters are not sent",
        ));
    }
    Ok(method)
}

fn path_of(path: &str) -> Result<PathAndQuery, DialError> {
    let refused = |rule| DialError::invalid("path", path, rule);
    if !path.starts_with('/') || path.len() > MAX_PATH_BYTES {
        return Err(refused(
            "paths begin with a slash and have at most 2048 bytes",
        ));
    }
    if path.contains('#') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused(
            "paths are printable ASCII without spaces or a fragment",
        ));
    }
    path.parse()
        .map_err(|_| refused("paths are as in RFC 3986, 3.3"))
}

fn steers_the_connection(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 8] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        header::PROXY_AUTHORIZATION,
    ];
    OURS.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}
