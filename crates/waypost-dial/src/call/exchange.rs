//! The exchange of one request for one answer over a connection that is already open.
//!
//! It takes any byte stream: TLS will hand in its own.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, MAX_BODY_BYTES, MAX_HEAD_BYTES};
use crate::error::{DialError, Stage, plain};

pub(super) type Request = http::Request<Empty<Bytes>>;

/// How far the call came, readable after its future was dropped by a timeout.
#[derive(Debug)]
pub(super) struct Progress(Mutex<(SocketAddr, Stage)>);

impl Progress {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self(Mutex::new((address, Stage::Connect)))
    }

    pub(super) fn connected(&self, address: SocketAddr) {
        *self.lock() = (address, Stage::Head);
    }

    pub(super) fn reached(&self) -> (SocketAddr, Stage) {
        *self.lock()
    }

    fn answered(&self) {
        self.lock().1 = Stage::Body;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (SocketAddr, Stage)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the request and reads the answer. The connection closes when this returns.
pub(super) async fn run<S>(
    stream: S,
    request: Request,
    progress: &Progress,
) -> Result<Answer, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: hyper::Error| classify(&error, progress);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let mut work = pin!(async {
        let response = sender.send_request(request).await.map_err(failed)?;
        progress.answered();
        let (head, body) = response.into_parts();
        let (body, truncated) = read(body).await.map_err(failed)?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            truncated,
        })
    });
    // The connection is driven here rather than in a task of its own: when the call is over or is
    // given up, the socket goes with it. Its own error reaches `work` through hyper's channel.
    tokio::select! {
        biased;
        outcome = &mut work => outcome,
        _ = connection => work.await,
    }
}

/// Reads at most the limit; an endless body is left behind with the connection.
async fn read(mut body: Incoming) -> Result<(Bytes, bool), hyper::Error> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = MAX_BODY_BYTES - read.len();
        if data.len() > room {
            read.extend_from_slice(&data.slice(..room));
            return Ok((read.freeze(), true));
        }
        read.extend_from_slice(&data);
    }
    Ok((read.freeze(), false))
}

fn classify(error: &hyper::Error, progress: &Progress) -> DialError {
    let (address, stage) = progress.reached();
    if error.is_parse_too_large() {
        return DialError::HeadTooLarge {
            address,
            limit: "32 KiB, 100 headers",
        };
    }
    if error.is_parse() {
        return DialError::Malformed {
            address,
            reason: root(error),
        };
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return DialError::Closed { address, stage };
    }
    match io_cause(error) {
        Some(cause) if ended_by_the_other_side(cause.kind()) => {
            DialError::Closed { address, stage }
        }
        // hyper reports a broken chunk or a body that ends early as an I/O error of its own making.
        Some(cause) if cause.raw_os_error().is_none() => DialError::Malformed {
            address,
            reason: plain(cause),
        },
        Some(cause) => DialError::Other {
            address,
            reason: plain(cause),
        },
        None => DialError::Other {
            address,
            reason: root(error),
        },
    }
}

fn ended_by_the_other_side(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        kind,
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

fn io_cause(error: &hyper::Error) -> Option<&std::io::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref() {
            return Some(io);
        }
        cause = current.source();
    }
    None
}

fn root(error: &hyper::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
