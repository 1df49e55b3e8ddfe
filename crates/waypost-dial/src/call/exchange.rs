//! The exchange of one request for one answer over a connection that is already open.
//!
//! It takes any byte stream, one inside of TLS too.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, MAX_BODY_BYTES, MAX_HEAD_BYTES};
use crate::error::DialError;
use crate::progress::Progress;

pub(super) type Request = http::Request<Empty<Bytes>>;

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
    // What TLS says is told rather than what it led to.
    if let Some(cause) = io_cause(error)
        && let tls @ DialError::Tls { .. } = DialError::exchanging(address, stage, cause)
    {
        return tls;
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return DialError::Closed { address, stage };
    }
    let Some(cause) = io_cause(error) else {
        return DialError::Other {
            address,
            reason: root(error),
        };
    };
    match DialError::exchanging(address, stage, cause) {
        // hyper reports a broken chunk or a body that ends early as an I/O error of its own making.
        DialError::Other { address, reason } if cause.raw_os_error().is_none() => {
            DialError::Malformed { address, reason }
        }
        known => known,
    }
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
