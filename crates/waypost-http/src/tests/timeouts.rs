//! Clients that are slow, silent or do not read.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{local, patiently, read_to_end, read_until, start};
use crate::clock::monotonic;
use crate::{ListenerConfig, Router, StatusCode, text};

fn hello() -> Router {
    Router::new().get_sync("/", |_| text(StatusCode::OK, "hello"))
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A listener that gives heads one second and idle connections as long as they like.
fn impatient() -> ListenerConfig {
    ListenerConfig {
        header_timeout_seconds: 1,
        idle_timeout_seconds: 3_600,
        ..local()
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_even_when_bytes_keep_coming() {
    let server = start(hello(), &impatient());
    let mut stream = server.connect().await;
    let (mut reading, mut writing) = stream.split();
    let drip = async {
        writing
            .write_all(b"GET / HTTP/1.1\r\nX-Slow: ")
            .await
            .unwrap();
        loop {
            if writing.write_all(b"a").await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let end = async {
        let mut bytes = Vec::new();
        let _ = reading.read_to_end(&mut bytes).await;
        assert_eq!(bytes, b"");
    };
    patiently(async {
        tokio::select! { () = drip => {}, () = end => {} }
    })
    .await;
    let metrics = server.metrics();
    assert!(
        metrics.contains("rejections_total{reason=\"header_timeout\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_silent_connection_and_a_slow_second_head_are_cut_as_well() {
    let server = start(hello(), &impatient());
    let mut silent = server.connect().await;
    let mut second = server.connect().await;
    second.write_all(ASK).await.unwrap();
    read_until(&mut second, "hello").await;
    second.write_all(b"GET / HT").await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "");
    assert_eq!(read_to_end(&mut second).await, "");
    let metrics = server.metrics();
    assert!(
        metrics.contains("rejections_total{reason=\"header_timeout\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_of_a_head_and_ends_at_its_own() {
    let limits = ListenerConfig {
        header_timeout_seconds: 1,
        idle_timeout_seconds: 2,
        ..local()
    };
    let server = start(hello(), &limits);
    let mut stream = server.connect().await;
    let started = monotonic();
    stream.write_all(ASK).await.unwrap();
    read_until(&mut stream, "hello").await;
    assert_eq!(read_to_end(&mut stream).await, "");
    let lasted_millis = started.elapsed().as_millis();
    assert!(
        (1_950..15_000).contains(&lasted_millis),
        "{lasted_millis} ms"
    );
    let metrics = server.metrics();
    assert!(
        metrics.contains("rejections_total{reason=\"idle_timeout\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_handler_may_take_longer_than_heads_and_idle_connections() {
    let limits = ListenerConfig {
        header_timeout_seconds: 1,
        idle_timeout_seconds: 1,
        ..local()
    };
    let router = Router::new().get("/wait", |_| async {
        tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
        text(StatusCode::OK, "waited")
    });
    let server = start(router, &limits);
    assert!(server.get("/wait").await.ends_with("waited"));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_cut() {
    let router = Router::new().get_sync("/big", |_| text(StatusCode::OK, vec![b'x'; 64 << 20]));
    let limits = ListenerConfig {
        body_timeout_seconds: 1,
        ..local()
    };
    let mut server = start(router, &limits);
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    // One byte shows that the response has begun; then nothing more is read.
    let mut byte = [0];
    patiently(stream.read_exact(&mut byte)).await.unwrap();
    let cut = async {
        while !server
            .metrics()
            .contains("rejections_total{reason=\"write_timeout\"} 1")
        {
            tokio::task::yield_now().await;
        }
    };
    patiently(cut).await;
    server.begin_shutdown();
    server.ended().await;
}
