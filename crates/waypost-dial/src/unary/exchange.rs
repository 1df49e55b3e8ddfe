//! The exchange of one gRPC message for another over a connection that is already open.

use std::pin::pin;

use bytes::{Buf, Bytes, BytesMut};
use h2::RecvStream;
use http::header::{self, HeaderMap};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{MAX_MESSAGE_BYTES, UnaryAnswer};
use crate::error::DialError;
use crate::progress::Progress;

#[cfg(test)]
mod tests;

/// How large the headers and the trailers of an answer may be, each.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// How much of what a target says is shown.
const DETAIL_CHARACTERS_MAX: usize = 200;
/// What stands before a message.
const PREFIX_BYTES: usize = 5;

/// Sends the message and reads the answer. The connection closes when this returns.
pub(super) async fn run<S>(
    stream: S,
    request: http::Request<()>,
    message: Bytes,
    progress: &Progress,
) -> Result<UnaryAnswer, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: h2::Error| classify(&error, progress);
    let (sender, connection) = h2::client::Builder::new()
        .enable_push(false)
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_frame_size(16 * 1024)
        .initial_window_size(64 * 1024)
        .initial_connection_window_size(64 * 1024)
        .handshake::<S, Bytes>(stream)
        .await
        .map_err(failed)?;
    let mut work = pin!(async {
        let mut sender = sender.ready().await.map_err(failed)?;
        let (response, mut body) = sender.send_request(request, false).map_err(failed)?;
        body.send_data(message, true).map_err(failed)?;
        let response = response.await.map_err(failed)?;
        progress.answered();
        let (head, body) = response.into_parts();
        read(&head, body, progress).await
    });
    // As with HTTP/1.1, the connection is driven here, so that the socket goes with the call.
    tokio::select! {
        biased;
        outcome = &mut work => outcome,
        _ = connection => work.await,
    }
}

async fn read(
    head: &http::response::Parts,
    mut body: RecvStream,
    progress: &Progress,
) -> Result<UnaryAnswer, DialError> {
    let failed = |error: h2::Error| classify(&error, progress);
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let mut answer = UnaryAnswer {
        http_status: head.status,
        content_type: content_type
            .map(|value| printable(&String::from_utf8_lossy(value.as_bytes()))),
        status: None,
        detail: String::new(),
        message: None,
    };
    // An answer without a message has its status in the headers.
    answer.take_status(&head.headers);
    if answer.status.is_some() || !answer.speaks_grpc() {
        return Ok(answer);
    }
    let mut read = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(failed)?;
        if read.len() + data.len() > PREFIX_BYTES + MAX_MESSAGE_BYTES {
            return Err(malformed(
                progress,
                "its message is over the limit (64 KiB)",
            ));
        }
        let _ = body.flow_control().release_capacity(data.len());
        read.extend_from_slice(&data);
    }
    if let Some(trailers) = body.trailers().await.map_err(failed)? {
        answer.take_status(&trailers);
    }
    answer.message = message(read.freeze(), progress)?;
    Ok(answer)
}

impl UnaryAnswer {
    /// Says whether what answered speaks gRPC at all.
    pub fn speaks_grpc(&self) -> bool {
        let kind = self.content_type.as_deref();
        self.http_status.is_success()
            && kind.is_some_and(|kind| kind.starts_with("application/grpc"))
    }

    fn take_status(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(status) = text("grpc-status") else {
            return;
        };
        // What is no number is no status that anybody knows (2, UNKNOWN).
        self.status = Some(status.parse().unwrap_or(2));
        let detail = text("grpc-message").unwrap_or_default();
        self.detail = printable(&percent_decode_str(detail).decode_utf8_lossy());
    }
}

fn printable(text: &str) -> String {
    let cut: String = text.chars().take(DETAIL_CHARACTERS_MAX).collect();
    cut.escape_debug().to_string()
}

fn message(mut read: Bytes, progress: &Progress) -> Result<Option<Bytes>, DialError> {
    if read.is_empty() {
        return Ok(None);
    }
    let (Some(compressed), Some(length)) = (read.first().copied(), read.get(1..PREFIX_BYTES))
    else {
        return Err(malformed(progress, "its message is cut"));
    };
    let length = length
        .iter()
        .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
    read.advance(PREFIX_BYTES);
    if compressed != 0 {
        return Err(malformed(
            progress,
            "its message is compressed, which nobody asked for",
        ));
    }
    if read.len() != length {
        return Err(malformed(
            progress,
            "its message has another length than it says",
        ));
    }
    Ok(Some(read))
}

fn malformed(progress: &Progress, reason: &str) -> DialError {
    let (address, _) = progress.reached();
    DialError::Malformed {
        address,
        reason: reason.to_owned(),
    }
}

fn classify(error: &h2::Error, progress: &Progress) -> DialError {
    let (address, stage) = progress.reached();
    if let Some(cause) = error.get_io() {
        return DialError::exchanging(address, stage, cause);
    }
    if error.is_library() {
        // h2 found what it read to be no HTTP/2, such as an answer in HTTP/1.1.
        return malformed(progress, &format!("no HTTP/2 ({error})"));
    }
    if error.is_go_away() || error.is_reset() {
        return malformed(progress, &format!("it refused the call ({error})"));
    }
    DialError::Closed { address, stage }
}
