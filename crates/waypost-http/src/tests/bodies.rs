//! Request and response bodies and their bound.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::io::AsyncWriteExt;

use super::support::{Running, body_of, header, local, read_to_end, read_until, start, status};
use crate::{Body, BoxError, ListenerConfig, Response, Router, StatusCode, text};

const MIB: usize = 1024 * 1024;

/// Answers `POST /count` with the length of the body, twice read.
fn counting() -> Router {
    Router::new().post("/count", |mut request| async move {
        match request.read_body().await {
            Ok(body) => {
                let again = request.read_body().await.unwrap();
                text(StatusCode::OK, format!("{}+{}", body.len(), again.len()))
            }
            Err(rejection) => request.head.reject(&rejection),
        }
    })
}

fn with_length(length: usize) -> Vec<u8> {
    let head = format!(
        "POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.into_bytes(), vec![b'x'; length]].concat()
}

fn chunked(length: usize) -> Vec<u8> {
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    for chunk in vec![b'x'; length].chunks(50_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// Sends all of `request`, as clients do that look at the answer only afterwards.
async fn send_all(server: &Running, request: &[u8]) -> String {
    let mut stream = server.connect().await;
    stream
        .write_all(request)
        .await
        .expect("the server takes what the client still sends");
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_body_of_exactly_the_bound_is_read_whole() {
    let server = start(counting(), &local());
    for request in [with_length(MIB), chunked(MIB)] {
        let response = send_all(&server, &request).await;
        assert_eq!(body_of(&response), "1048576+0");
    }
    assert_eq!(body_of(&send_all(&server, &with_length(0)).await), "0+0");
    assert_eq!(body_of(&send_all(&server, &with_length(3)).await), "3+0");
}

#[tokio::test]
async fn one_byte_more_is_413_with_and_without_content_length() {
    let server = start(counting(), &local());
    for request in [
        with_length(MIB + 1),
        chunked(MIB + 1),
        with_length(4 * MIB),
        chunked(4 * MIB),
    ] {
        let response = send_all(&server, &request).await;
        assert_eq!(status(&response), 413);
        assert!(
            body_of(&response).contains("longer than 1048576 bytes"),
            "{response}"
        );
    }
    let metrics = server.metrics();
    assert!(
        metrics.contains("rejections_total{reason=\"body_too_large\"} 4"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_declared_length_over_the_bound_is_refused_before_any_byte_is_asked_for() {
    let server = start(counting(), &local());
    let mut stream = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let response = read_until(&mut stream, "}").await;
    assert_eq!(
        status(&response),
        413,
        "no 100 Continue came first: {response}"
    );
}

#[tokio::test]
async fn expect_continue_is_answered_when_the_body_is_wanted() {
    let server = start(counting(), &local());
    let mut stream = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 100);
    stream.write_all(b"ok").await.unwrap();
    assert_eq!(body_of(&read_to_end(&mut stream).await), "2+0");
}

#[tokio::test]
async fn a_body_that_ends_early_or_has_a_bad_chunk_never_looks_complete() {
    let server = start(counting(), &local());
    let mut stream = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let response = read_to_end(&mut stream).await;
    assert!(!response.contains("200 OK"), "{response}");
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n";
    let response = server.exchange(head).await;
    assert_eq!(status(&response), 400, "{response}");
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408() {
    let server = start(
        counting(),
        &ListenerConfig {
            body_timeout_seconds: 1,
            ..local()
        },
    );
    let mut stream = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let response = read_until(&mut stream, "}").await;
    assert_eq!(status(&response), 408);
    assert!(
        body_of(&response).contains("did not arrive within 1 seconds"),
        "{response}"
    );
}

/// Three frames, each ready one poll after it is asked for.
struct Frames(Vec<&'static str>, bool);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.1 = !self.1;
        if self.1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.pop().map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

#[tokio::test]
async fn a_streamed_response_is_sent_in_chunks_and_the_connection_stays_usable() {
    let router = Router::new().get("/stream", |_| async {
        Response::new(Body::stream(Frames(vec!["c", "b", "a"], false)))
    });
    let server = start(router, &local());
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream
            .write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let response = read_until(&mut stream, "0\r\n\r\n").await;
        assert_eq!(header(&response, "transfer-encoding"), Some("chunked"));
        assert_eq!(
            body_of(&response),
            "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
        );
    }
}
