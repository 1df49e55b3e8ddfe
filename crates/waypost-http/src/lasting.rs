//! Responses that last, such as streams of events.
//!
//! hyper keeps a buffer for reading and one for writing as long as a connection lives, 16 KiB in all, which a stream that is
//! quiet for hours has no use for. So once the head of such a response is known, the socket is taken out of hyper, and head
//! and chunks are sent from here without a buffer. The connection ends with the response.

use std::fmt::Write as _;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::Acquire;
use std::task::{Context, Poll, Waker};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use hyper::body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::{Body, Response};
use crate::clock;
use crate::connection::Shutdown;
use crate::watch::{Armed, Watch};

/// What a client may send while it is answered; it is thrown away.
const SENT_MEANWHILE_BYTES_MAX: usize = 64 * 1024;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How a response that lasts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it was sent.
    Sent,
    /// The client has gone, or the body failed.
    Gone,
    /// A time-out or the end of the drain cut it; the reason is a metric label.
    Cut(&'static str),
}

/// What is being written: a line, bytes, and what ends them.
type Part = Chain<Chain<Bytes, Bytes>, Bytes>;

struct Sending<S> {
    socket: S,
    body: Body,
    part: Part,
    is_last: bool,
    came_meanwhile: usize,
}

/// Sends a response over a socket from which the whole request was read, and ends the connection.
pub(crate) async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    response: Response,
    watch: Watch<'_>,
    shutdown: &Shutdown,
) -> End {
    let head = head(&response);
    let mut sending = Sending {
        socket,
        body: response.into_body(),
        part: part(head, Bytes::new(), b""),
        is_last: false,
        came_meanwhile: 0,
    };
    let mut bell = pin!(shutdown.bell());
    let mut timer = pin!(tokio::time::sleep(watch.period()));
    let mut armed: Armed = watch.armed();
    let mut waker: Option<Waker> = None;
    std::future::poll_fn(move |context| {
        let is_known = |known: &Waker| known.will_wake(context.waker());
        if !waker.as_ref().is_some_and(is_known) {
            waker = Some(context.waker().clone());
            let _ = timer.as_mut().poll(context);
        }
        // The bell rings for the drain, in which a response may end by itself, and again for the end of it.
        while bell.as_mut().poll(context).is_ready() {
            bell.set(shutdown.bell());
        }
        if shutdown.is_aborted(Acquire) {
            return Poll::Ready(End::Cut("drain"));
        }
        if let Poll::Ready(end) = sending.poll(context) {
            return Poll::Ready(end);
        }
        match watch.check(&mut armed, timer.as_mut(), context) {
            Some(reason) => Poll::Ready(End::Cut(reason)),
            None => Poll::Pending,
        }
    })
    .await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sending<S> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.poll_write(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                Poll::Pending => break,
            }
            if self.is_last {
                // A client that has gone already has no use for the rest.
                let polled = Pin::new(&mut self.socket).poll_shutdown(context);
                return polled.map(|_| End::Sent);
            }
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        let size = format!("{:x}\r\n", data.len());
                        self.part = part(size.into(), data, b"\r\n");
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(End::Gone),
                Poll::Ready(None) => {
                    self.is_last = true;
                    self.part = part(Bytes::new(), Bytes::new(), LAST_CHUNK);
                }
                Poll::Pending => break,
            }
        }
        self.poll_gone(context)
    }

    /// Writes what is left of the part, and hands on what the socket itself holds back.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.part.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = self.part.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            let polled = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
            match polled {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(written)) => self.part.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Ready when the client has closed the connection, or sends without end.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let mut room = [0; 256];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.came_meanwhile += buffer.filled().len();
                    if self.came_meanwhile > SENT_MEANWHILE_BYTES_MAX {
                        return Poll::Ready(End::Gone);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(End::Gone),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn part(line: Bytes, data: Bytes, end: &'static [u8]) -> Part {
    line.chain(data).chain(Bytes::from_static(end))
}

/// Writes the head as hyper does.
fn head(response: &Response) -> Bytes {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    let mut rest = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        rest,
        "connection: close\r\ntransfer-encoding: chunked\r\ndate: {}\r\n\r\n",
        clock::http_date()
    );
    head.extend_from_slice(rest.as_bytes());
    head.into()
}
