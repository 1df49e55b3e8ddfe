//! The listening socket: accepts connections, bounds them, and drains them at shutdown.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::connection::{Shutdown, builder, serve_connection};
use crate::linger::linger;
use crate::metrics::HttpMetrics;
use crate::service::Service;
use crate::settings::{InvalidSetting, ListenerConfig};
use crate::tls::ListenerTls;

/// Connections the kernel keeps ready until they are accepted.
const BACKLOG: u32 = 1_024;
/// Refused connections that are told so at the same time; more are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long the listener pauses when the system has no file descriptor or memory left.
const PAUSE: Duration = Duration::from_millis(100);
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";

/// A listener that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A setting is outside its range.
    #[error("the listener's settings are invalid: {0}")]
    Setting(#[from] InvalidSetting),
    /// The system refused the address.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The system does not let the socket be used that was handed over.
    #[error("the socket that was handed over for HTTP cannot be used: {0}")]
    Given(#[source] io::Error),
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: ListenerConfig,
    tls: Option<Arc<ListenerTls>>,
}

impl Server {
    /// Binds the address of `limits` (with `SO_REUSEADDR`); must be called inside a runtime.
    ///
    /// # Errors
    /// A setting outside its range, or an address that the system refuses.
    pub fn bind(limits: &ListenerConfig) -> Result<Self, BindError> {
        limits.validate()?;
        let listener = listen(limits.listen)
            .and_then(|listener| Ok((listener.local_addr()?, listener)))
            .map_err(|cause| BindError::Listen {
                address: limits.listen,
                cause,
            })?;
        let (address, listener) = listener;
        Ok(Self {
            listener,
            address,
            limits: limits.clone(),
            tls: None,
        })
    }

    /// Speaks TLS on every connection.
    #[must_use]
    pub fn secured(mut self, tls: Option<Arc<ListenerTls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Takes a socket that listens already, in place of the address of `limits`; must be called inside a runtime.
    ///
    /// # Errors
    /// A setting outside its range, or a socket that the system does not let be used.
    pub fn over(
        limits: &ListenerConfig,
        listener: std::net::TcpListener,
    ) -> Result<Self, BindError> {
        limits.validate()?;
        let address = listener.local_addr().map_err(BindError::Given)?;
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(listener))
            .map_err(BindError::Given)?;
        Ok(Self {
            listener,
            address,
            limits: limits.clone(),
            tls: None,
        })
    }

    /// The address it listens on, with the port the system chose when port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and serves until `shutdown` resolves; then stops listening, lets requests in flight
    /// finish for up to `drain_seconds`, and cuts what is left.
    ///
    /// Every connection is a task on `tasks`. `service` should be compiled with the same settings
    /// and metrics.
    pub async fn serve(
        self,
        service: Service,
        shutdown: impl Future<Output = ()>,
        tasks: &TaskTracker,
    ) {
        let drain = Duration::from_secs(self.limits.drain_seconds);
        let serving = Serving::new(&self.limits, service, self.tls);
        {
            let mut shutdown = pin!(shutdown);
            loop {
                tokio::select! {
                    biased;
                    () = &mut shutdown => break,
                    accepted = self.listener.accept() => serving.accepted(accepted, tasks).await,
                }
            }
        }
        drop(self.listener);
        serving.drain(drain).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the connections of its predecessor to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What the accepting loop needs.
struct Serving {
    tls: Option<Arc<ListenerTls>>,
    service: Service,
    metrics: HttpMetrics,
    builder: Arc<http1::Builder>,
    admission: Arc<Admission>,
    shutdown: Arc<Shutdown>,
    connections: TaskTracker,
    refusals: TaskTracker,
}

impl Serving {
    fn new(limits: &ListenerConfig, service: Service, tls: Option<Arc<ListenerTls>>) -> Self {
        let metrics = service.inner().metrics.clone();
        let admission = Admission::new(
            limits.connections_max,
            limits.connections_per_address_max,
            limits.connections_per_loopback_max,
            metrics.connections.clone(),
        );
        Self {
            tls,
            service,
            metrics,
            builder: Arc::new(builder(limits)),
            admission: Arc::new(admission),
            shutdown: Arc::default(),
            connections: TaskTracker::new(),
            refusals: TaskTracker::new(),
        }
    }

    async fn accepted(&self, accepted: io::Result<(TcpStream, SocketAddr)>, tasks: &TaskTracker) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                self.metrics.count_rejection("accept");
                tokio::time::sleep(PAUSE).await;
                return;
            }
        };
        match self.admission.take(peer.ip()) {
            Ok(place) => {
                // It fails only on a connection that is already gone.
                let _ = stream.set_nodelay(true);
                // In a box: what wraps it would have room for it twice.
                let connection = Box::pin(serve_connection(
                    Arc::clone(&self.builder),
                    (stream, peer),
                    self.service.clone(),
                    self.tls.clone(),
                    Arc::clone(&self.shutdown),
                ));
                let connection = self.connections.track_future(async move {
                    connection.await;
                    drop(place);
                });
                tasks.spawn(connection);
            }
            Err(reason) => {
                self.metrics.count_rejection(reason);
                self.refuse(stream, tasks);
            }
        }
    }

    /// Tells a client that there are too many connections, without ever waiting for it here.
    fn refuse(&self, stream: TcpStream, tasks: &TaskTracker) {
        // A sentence without TLS would say nothing to whoever waits for a handshake.
        if self.tls.is_none() && self.refusals.len() < REFUSALS_MAX {
            tasks.spawn(self.refusals.track_future(linger(stream, REFUSAL)));
        }
    }

    async fn drain(self, limit: Duration) {
        self.shutdown.drain();
        self.connections.close();
        if tokio::time::timeout(limit, self.connections.wait())
            .await
            .is_err()
        {
            let left = self.connections.len();
            tracing::warn!(left, "connections were cut at the end of the drain");
            self.shutdown.abort();
            // All but a farewell, which has its own bound, end at this ring.
            self.connections.wait().await;
        }
    }
}

/// True for errors that tell only that one connection went away before it was accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
