//! What the tests of this crate share: a target that behaves as told.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{AddressPolicy, DialConfig, Dialer, Pinned, Resolver};

pub(crate) fn config() -> DialConfig {
    DialConfig {
        allow_loopback: true,
        ..DialConfig::default()
    }
}

pub(crate) fn resolver() -> Resolver {
    Resolver::new(&config(), AddressPolicy::new(&config(), false))
}

pub(crate) fn dialer() -> Dialer {
    Dialer::new(&config())
}

pub(crate) fn pinned(address: SocketAddr) -> Pinned {
    resolver().pin(address).unwrap()
}

/// A target that serves one connection and gives back the request head that it read.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) served: JoinHandle<String>,
}

#[expect(clippy::disallowed_methods, reason = "the test awaits the task itself")]
pub(crate) async fn target<F, R>(answer: F) -> Target
where
    F: FnOnce(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        answer(stream).await;
        head
    });
    Target { address, served }
}

/// A target that answers with these bytes and closes.
pub(crate) async fn target_that_sends(bytes: impl Into<Vec<u8>>) -> Target {
    let bytes = bytes.into();
    target(move |mut stream| async move {
        // The caller may have closed already, which is what several tests are about.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    })
    .await
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap()
}
