//! Requests that two servers could understand differently (RFC 9112, sections 3.2, 6.1 and 11.2).

use super::support::{header, local, start, status};
use crate::{Router, StatusCode, text};

/// Requests whose framing is ambiguous; each is followed by a request that must never be answered.
const AMBIGUOUS: [(&str, &str); 10] = [
    (
        "two lengths",
        "Content-Length: 0\r\nContent-Length: 4\r\n\r\n",
    ),
    ("a list of lengths", "Content-Length: 0, 4\r\n\r\n"),
    ("a signed length", "Content-Length: +4\r\n\r\nabcd"),
    ("a length in hexadecimal", "Content-Length: 0x4\r\n\r\nabcd"),
    (
        "chunked not last",
        "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    (
        "an unknown coding",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a space before the colon",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a folded header",
        "X: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "a bare return in a value",
        "X: a\rTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("a zero byte in a value", "X: a\0b\r\n\r\n"),
];

fn router() -> Router {
    Router::new()
        .post("/first", |mut request| async move {
            match request.read_body().await {
                Ok(_) => text(StatusCode::OK, "first"),
                Err(rejection) => request.head.reject(&rejection),
            }
        })
        .get_sync("/smuggled", |_| text(StatusCode::OK, "smuggled"))
}

#[tokio::test]
async fn ambiguous_framing_is_refused_or_ends_the_connection() {
    for (name, rest) in AMBIGUOUS {
        let server = start(router(), &local());
        let request = format!(
            "POST /first HTTP/1.1\r\nHost: x\r\n{rest}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let response = server.exchange(request).await;
        assert!(!response.contains("smuggled"), "{name}: {response}");
        assert_eq!(status(&response), 400, "{name}: {response}");
    }
}

/// hyper reads such a request by its chunks alone, which RFC 9112 allows when the connection ends
/// after the response.
#[tokio::test]
async fn after_length_and_chunked_together_nothing_more_is_read_from_the_connection() {
    let server = start(router(), &local());
    let orders = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ];
    for headers in orders {
        let request = format!(
            "POST /first HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let response = server.exchange(request).await;
        assert!(response.ends_with("first"), "{response}");
        assert_eq!(header(&response, "connection"), Some("close"));
    }
}

#[tokio::test]
async fn chunked_in_http_1_0_is_refused() {
    let server = start(router(), &local());
    let request = "POST /first HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status(&server.exchange(request).await), 400);
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused() {
    let server = start(router(), &local());
    for hosts in ["", "Host: a\r\nHost: b\r\n"] {
        let request = format!("GET /smuggled HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let response = server.exchange(request).await;
        assert_eq!(status(&response), 400, "{hosts:?}");
        assert!(response.contains("exactly one Host header"), "{response}");
    }
    let old = "GET /smuggled HTTP/1.0\r\n\r\n";
    assert_eq!(
        status(&server.exchange(old).await),
        200,
        "HTTP/1.0 had no Host"
    );
}
