//! A running server, and clients that send bytes as they are.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::{HttpMetrics, ListenerConfig, Response, Router, Server, Service};

/// Longer than anything a test waits for; hitting it is a failure, not a wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of the system's choice.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) registry: Registry,
    stop: Option<oneshot::Sender<()>>,
    tasks: TaskTracker,
}

pub(super) fn local() -> ListenerConfig {
    ListenerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ListenerConfig::default()
    }
}

pub(super) fn start(router: Router, limits: &ListenerConfig) -> Running {
    serve(Server::bind(limits).unwrap(), router, limits)
}

/// Serves on a listener that is bound already.
pub(super) fn serve(server: Server, router: Router, limits: &ListenerConfig) -> Running {
    let mut registry = Registry::with_prefix("waypost");
    let metrics = HttpMetrics::register(&mut registry);
    let address = server.local_addr();
    let service = Service::new(router, &metrics, limits).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let tasks = TaskTracker::new();
    let of_connections = tasks.clone();
    tasks.spawn(async move {
        let shutdown = async move {
            let _ = stopped.await;
        };
        server.serve(service, shutdown, &of_connections).await;
    });
    tasks.close();
    Running {
        address,
        registry,
        stop: Some(stop),
        tasks,
    }
}

impl Running {
    pub(super) fn begin_shutdown(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server and every task of a connection have ended.
    pub(super) async fn ended(&self) {
        patiently(self.tasks.wait()).await;
    }

    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` on a connection of its own and reads until the server closes it.
    pub(super) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// `GET path` on a connection of its own.
    pub(super) async fn get(&self, path: &str) -> String {
        self.exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

/// Waits for `event`, and fails instead of hanging when it does not come.
pub(super) async fn patiently<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(PATIENCE, event)
        .await
        .expect("the awaited event came")
}

pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    patiently(stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Reads until what came ends in `end`, and leaves the connection open.
pub(super) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut chunk = [0; 1_024];
        let count = patiently(stream.read(&mut chunk)).await.unwrap();
        assert!(count > 0, "the connection closed after {text:?}");
        text.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
    }
    text
}

/// The status of a response in text form.
pub(super) fn status(response: &str) -> u16 {
    let code = response
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no status line in {response:?}"))
}

/// The value of a header of a response in text form.
pub(super) fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = response.split_once("\r\n\r\n")?;
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub(super) fn body_of(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Asks a router in the same process.
pub(super) async fn ask(router: Router, method: &str, path: &str) -> Response {
    let metrics = HttpMetrics::default();
    let service = Service::new(router, &metrics, &ListenerConfig::default()).unwrap();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .body(Bytes::new())
        .unwrap();
    service.answer(request).await
}

pub(super) fn body_text(response: &Response) -> &str {
    std::str::from_utf8(response.body().as_bytes().unwrap()).unwrap()
}
