//! The orderly end of a server.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::support::{Running, header, local, patiently, read_to_end, read_until, start, status};
use crate::{ListenerConfig, Router, Server, StatusCode, text};

/// A route that tells when its handler has begun and answers when it may.
fn held() -> (Router, oneshot::Receiver<()>, Arc<Notify>) {
    let (begun, has_begun) = oneshot::channel();
    let begun = Mutex::new(Some(begun));
    let release = Arc::new(Notify::new());
    let may_answer = Arc::clone(&release);
    let router = Router::new()
        .get("/held", move |_| {
            let begun = begun.lock().unwrap().take();
            let may_answer = Arc::clone(&may_answer);
            async move {
                let _ = begun.map(|begun| begun.send(()));
                may_answer.notified().await;
                text(StatusCode::OK, "finished")
            }
        })
        .get_sync("/", |_| text(StatusCode::OK, "hello"));
    (router, has_begun, release)
}

async fn refuses_connections(server: &Running) {
    let refused = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    patiently(refused).await;
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_new_connections_are_refused() {
    let (router, has_begun, release) = held();
    let mut server = start(router, &local());
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut idle, "hello").await;
    let mut untouched = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    patiently(has_begun).await.unwrap();

    server.begin_shutdown();
    assert_eq!(
        read_to_end(&mut idle).await,
        "",
        "idle connections are closed at once"
    );
    assert_eq!(read_to_end(&mut untouched).await, "");
    refuses_connections(&server).await;

    release.notify_one();
    let response = read_to_end(&mut busy).await;
    assert!(response.ends_with("finished"), "{response}");
    assert_eq!(header(&response, "connection"), Some("close"));
    server.ended().await;
    let metrics = server.metrics();
    assert!(
        metrics.contains("waypost_http_connections 0\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn who_had_just_connected_when_the_drain_begins_is_still_answered() {
    let (router, _, _) = held();
    let mut server = start(router, &local());
    let mut known = server.connect().await;
    known
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut known, "hello").await;
    let mut fresh = server.connect().await;
    // Accepted in turn: what came before is being served once this one is answered.
    let mut later = server.connect().await;
    later
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut later, "hello").await;
    server.begin_shutdown();
    assert_eq!(read_to_end(&mut known).await, "", "it was told to stop");
    fresh
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let response = read_to_end(&mut fresh).await;
    assert!(response.ends_with("hello"), "{response}");
    server.ended().await;
}

#[tokio::test]
async fn a_socket_that_was_handed_over_is_served() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let kept = listener.try_clone().unwrap();
    let server = Server::over(&local(), listener).unwrap();
    assert_eq!(server.local_addr(), address);
    drop(server);
    // Whoever handed it over still holds it: the next server finds who came meanwhile.
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let (router, _, _) = held();
    let mut server = super::support::serve(Server::over(&local(), kept).unwrap(), router, &local());
    waiting
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let response = read_to_end(&mut waiting).await;
    assert!(response.ends_with("hello"), "{response}");
    server.begin_shutdown();
    server.ended().await;
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_at_the_end_of_the_drain() {
    let (router, has_begun, _release) = held();
    let mut server = start(
        router,
        &ListenerConfig {
            drain_seconds: 1,
            ..local()
        },
    );
    let mut busy = server.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    patiently(has_begun).await.unwrap();
    server.begin_shutdown();
    server.ended().await;
    assert_eq!(read_to_end(&mut busy).await, "");
    let metrics = server.metrics();
    assert!(
        metrics.contains("rejections_total{reason=\"drain\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_head_that_is_half_sent_when_the_drain_begins_is_still_answered() {
    let (router, ..) = held();
    let mut server = start(router, &local());
    let mut witness = server.connect().await;
    witness
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut witness, "hello").await;
    let mut half = server.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    // The later connection has been answered, so the earlier bytes have been read.
    let mut later = server.connect().await;
    later
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut later, "hello").await;
    server.begin_shutdown();
    assert_eq!(read_to_end(&mut witness).await, "");
    half.write_all(b"st: x\r\n\r\n").await.unwrap();
    let response = read_to_end(&mut half).await;
    assert_eq!(
        (status(&response), header(&response, "connection")),
        (200, Some("close"))
    );
    server.ended().await;
}
