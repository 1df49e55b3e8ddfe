//! One connection: its socket, its time-outs and its orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, Ordering::Acquire, Ordering::Release};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Method, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::body::Response;
use crate::certificate::ClientCertificate;
use crate::clock;
use crate::kept::Kept;
use crate::lasting;
use crate::linger::linger;
use crate::progress::Progress;
use crate::reply::Reply;
use crate::request::RequestBody;
use crate::service::Service;
use crate::settings::ListenerConfig;
use crate::socket::Socket;
use crate::tls::ListenerTls;
use crate::watch::{FRESH_MILLIS, UNUSED, Watch};

/// Tells connections to finish (`drain`), and later to stop at once (`abort`).
///
/// A flag per step and one bell for both: a connection looks at the flags on every poll, which is
/// cheaper than polling a cancellation future per request.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    draining: AtomicBool,
    aborted: AtomicBool,
    bell: Notify,
}

impl Shutdown {
    /// Completes at the next ring.
    pub(crate) fn bell(&self) -> Notified<'_> {
        self.bell.notified()
    }

    pub(crate) fn is_aborted(&self, order: Ordering) -> bool {
        self.aborted.load(order)
    }

    /// Completes once a flag of it is up.
    async fn comes_to(&self, flag: &AtomicBool) {
        loop {
            // Before the look at the flag: a ring in between counts.
            let bell = self.bell();
            if flag.load(Acquire) {
                return;
            }
            bell.await;
        }
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Release);
        self.bell.notify_waiters();
    }

    pub(crate) fn abort(&self) {
        self.aborted.store(true, Release);
        self.bell.notify_waiters();
    }
}

/// The socket, which reports its progress.
struct Watched {
    stream: Socket,
    progress: Arc<Progress>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.progress.bytes_read();
        }
        polled
    }
}

impl Watched {
    fn note_write(&self, polled: &Poll<std::io::Result<usize>>) {
        if polled.is_pending() {
            self.progress.write_blocked()
        } else {
            self.progress.write_advanced()
        }
    }

    /// Notes how what was written before is handed on: it may still wait in the socket, and a client that takes nothing
    /// shows only there.
    fn note_handing_on(&self, is_pending: bool) {
        if !self.stream.holds_bytes() {
            return;
        }
        if is_pending {
            self.progress.write_blocked();
        } else {
            self.progress.write_advanced();
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_write(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_write(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.note_handing_on(polled.is_pending());
        polled
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.note_handing_on(polled.is_pending());
        polled
    }
}

/// The service of one connection.
struct Answering {
    service: Service,
    peer: Peer,
    progress: Arc<Progress>,
}

/// The other end of a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: ClientCertificate,
    pub(crate) kept: Kept,
}

/// hyper wants a result; a reply cannot fail.
struct Infallibly {
    reply: Reply,
    /// Where a response that lasts goes instead, where the client understands chunks.
    hand_over: Option<Arc<Progress>>,
}

impl Future for Infallibly {
    type Output = Result<Response, std::convert::Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match (Pin::new(&mut self.reply).poll(context), &self.hand_over) {
            (Poll::Ready(response), Some(progress)) if response.body().is_lasting() => {
                // Whoever drives the connection finds it, and never polls here again.
                progress.hand_over(response);
                Poll::Pending
            }
            (polled, _) => polled.map(Ok),
        }
    }
}

impl hyper::service::Service<http::Request<Incoming>> for Answering {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Infallibly;

    fn call(&self, request: http::Request<Incoming>) -> Infallibly {
        let (parts, body) = request.into_parts();
        let is_plain = parts.method == Method::GET && parts.version == Version::HTTP_11;
        let has_nothing_more = is_plain && body.is_end_stream();
        let hand_over = has_nothing_more.then(|| Arc::clone(&self.progress));
        let body = RequestBody::incoming(body, Arc::clone(&self.progress));
        let reply = self
            .service
            .call(parts, body, self.peer.clone(), Some(&self.progress));
        Infallibly { reply, hand_over }
    }
}

type Connection = http1::Connection<TokioIo<Watched>, Answering>;

/// The hyper settings that follow from a listener's.
pub(crate) fn builder(limits: &ListenerConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The time-outs here are this module's: hyper's one for heads runs while a connection is idle
    // too, and costs a timer per request.
    builder.header_read_timeout(None);
    builder.max_header_size(limits.header_bytes_max);
    builder.max_buf_size(limits.header_bytes_max.max(64 * 1024));
    // hyper's `pipeline_flush` stays off: it keeps a finished response back while any byte of a
    // next request is in the buffer, and so swallows the 400 and 431 of malformed requests.
    // Up to 100 header lines hyper parses on its stack, beyond that it allocates per request.
    // The bound below 100 is checked by the service, which can render the refusal.
    if limits.headers_max > 100 {
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// Serves one connection to its end.
pub(crate) async fn serve_connection(
    builder: Arc<http1::Builder>,
    (stream, address): (TcpStream, SocketAddr),
    service: Service,
    tls: Option<Arc<ListenerTls>>,
    shutdown: Arc<Shutdown>,
) {
    let Some((stream, peer)) = secured(stream, address, &service, tls, &shutdown).await else {
        return;
    };
    let progress = Arc::new(Progress::new(clock::now_millis()));
    let io = TokioIo::new(Watched {
        stream,
        progress: Arc::clone(&progress),
    });
    let inner = Arc::clone(service.inner());
    let answering = Answering {
        service,
        peer,
        progress: Arc::clone(&progress),
    };
    let mut connection = builder.serve_connection(io, answering);
    let mut ended = {
        let watch = Watch::new(&inner.limits, &progress);
        drive(&mut connection, watch, &shutdown).await
    };
    if let Ended::Lasting(response) = ended {
        // hyper and its buffers go.
        let io = connection.into_parts().io.into_inner();
        let watch = Watch::new(&inner.limits, &progress);
        if let lasting::End::Cut(reason) = lasting::send(io, *response, watch, &shutdown).await {
            inner.metrics.count_rejection(reason);
        }
        return;
    }
    if let Ended::Cut(reason) = ended {
        inner.metrics.count_rejection(reason);
    }
    if let Ended::Failed(error) = &ended {
        let reason = if error.is_parse_too_large() {
            Some("headers_too_large")
        } else {
            None
        };
        let reason = reason.or_else(|| error.is_parse().then_some("malformed"));
        if let Some(reason) = reason {
            inner.metrics.count_rejection(reason);
        }
        tracing::debug!(peer = %address, %error, "connection ended");
        if reason.is_some() {
            progress.body_left_unread();
            ended = Ended::Finished;
        }
    }
    if matches!(ended, Ended::Finished) && progress.has_unread_body() {
        linger(connection.into_parts().io.into_inner().stream, b"").await;
    }
}

/// Puts TLS on a connection if the listener has it; a client that fails to is counted and gone.
async fn secured(
    stream: TcpStream,
    address: SocketAddr,
    service: &Service,
    tls: Option<Arc<ListenerTls>>,
    shutdown: &Shutdown,
) -> Option<(Socket, Peer)> {
    let Some(tls) = tls else {
        let peer = Peer {
            address,
            certificate: ClientCertificate::default(),
            kept: Kept::default(),
        };
        return Some((Socket::Plain(stream), peer));
    };
    let inner = service.inner();
    let limit = Duration::from_secs(inner.limits.header_timeout_seconds);
    let too_late = handshake_ends(limit, shutdown);
    // In a box of its own: a connection without TLS does not carry the room for a handshake.
    match Box::pin(tls.accept(stream, address, too_late)).await {
        Ok((stream, certificate)) => {
            let peer = Peer {
                address,
                certificate,
                kept: Kept::default(),
            };
            Some((Socket::Secured(Box::new(stream)), peer))
        }
        Err(reason) => {
            if let Some(reason) = reason {
                inner.metrics.count_rejection(reason);
            }
            None
        }
    }
}

/// Completes when a handshake may not go on, with the reason for the metric; none where it only was not needed any more.
async fn handshake_ends(limit: Duration, shutdown: &Shutdown) -> Option<&'static str> {
    let unused = async {
        shutdown.comes_to(&shutdown.draining).await;
        tokio::time::sleep(Duration::from_millis(FRESH_MILLIS)).await;
    };
    tokio::select! {
        () = tokio::time::sleep(limit) => Some("tls_timeout"),
        () = unused => None,
        () = shutdown.comes_to(&shutdown.aborted) => Some("drain"),
    }
}

/// How a connection ended.
enum Ended {
    Finished,
    Failed(hyper::Error),
    /// A time-out or the end of the drain cut it; the reason is a metric label.
    Cut(&'static str),
    /// Nothing had been asked when the server began to drain.
    Unused,
    /// What is to be sent next lasts, and is sent outside of hyper.
    Lasting(Box<Response>),
}

/// Polls the connection, and between its polls the time-outs and the shutdown.
async fn drive(connection: &mut Connection, watch: Watch<'_>, shutdown: &Shutdown) -> Ended {
    let mut bell = pin!(shutdown.bell.notified());
    let mut timer = pin!(tokio::time::sleep(watch.period()));
    let mut armed = watch.armed();
    let mut waker: Option<Waker> = None;
    let mut is_draining = false;
    let mut is_told = false;
    std::future::poll_fn(move |context| {
        // The bell and the timer remember the task's waker, so they need no poll per request.
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(context.waker()))
        {
            waker = Some(context.waker().clone());
            let _ = bell.as_mut().poll(context);
            let _ = timer.as_mut().poll(context);
        }
        if shutdown.aborted.load(Acquire) {
            return Poll::Ready(Ended::Cut("drain"));
        }
        if shutdown.draining.load(Acquire) && !is_draining {
            is_draining = true;
            watch.drain();
            // The second ring is for the end of the drain.
            bell.set(shutdown.bell.notified());
            let _ = bell.as_mut().poll(context);
            if shutdown.aborted.load(Acquire) {
                return Poll::Ready(Ended::Cut("drain"));
            }
        }
        // hyper would close a connection at once on which nothing has come: it is told after the first bytes, which
        // may be those that this very poll reads.
        loop {
            let is_to_be_told = is_draining && !is_told && !watch.progress.is_untouched();
            if is_to_be_told {
                is_told = true;
                Pin::new(&mut *connection).graceful_shutdown();
            }
            match Pin::new(&mut *connection).poll(context) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ended::Finished),
                Poll::Ready(Err(error)) => return Poll::Ready(Ended::Failed(error)),
                Poll::Pending => {}
            }
            if let Some(response) = watch.progress.taken_over() {
                return Poll::Ready(Ended::Lasting(response));
            }
            if !is_draining || is_told || watch.progress.is_untouched() {
                break;
            }
        }
        match watch.check(&mut armed, timer.as_mut(), context) {
            Some(UNUSED) => Poll::Ready(Ended::Unused),
            Some(reason) => Poll::Ready(Ended::Cut(reason)),
            None => Poll::Pending,
        }
    })
    .await
}
