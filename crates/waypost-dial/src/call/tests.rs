use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::error::Stage;
use crate::testing::{self, Target, target, target_that_sends};

const PATIENT: Duration = Duration::from_secs(10);
const IMPATIENT: Duration = Duration::from_millis(200);

fn get(path: &str) -> HttpCall {
    HttpCall::new("GET", path).unwrap()
}

async fn send(call: &HttpCall, to: SocketAddr, timeout: Duration) -> Result<Answer, DialError> {
    call.send(&testing::dialer(), &testing::pinned(to), timeout)
        .await
}

#[tokio::test]
async fn the_request_has_the_path_the_host_and_the_headers_of_the_call() {
    let Target { address, served } =
        target_that_sends("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok").await;
    let call = get("/health?deep=1").with_header("X-Probe", "yes").unwrap();
    let answer = send(&call, address, PATIENT).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-a"], "1");
    assert_eq!(&answer.body[..], b"ok");
    assert!(!answer.truncated);
    let head = served.await.unwrap();
    assert!(
        head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"),
        "{head}"
    );
    for line in [
        &format!("host: {address}\r\n"),
        "x-probe: yes\r\n",
        "connection: close\r\n",
    ] {
        assert!(head.contains(line), "{line:?} in {head}");
    }
}

#[tokio::test]
async fn the_host_header_is_the_name_and_not_the_address_it_resolved_to() {
    let Target { address, served } = target_that_sends("HTTP/1.1 204 No Content\r\n\r\n").await;
    let pinned = testing::resolver()
        .resolve("localhost", address.port())
        .await
        .unwrap();
    get("/")
        .send(&testing::dialer(), &pinned, PATIENT)
        .await
        .unwrap();
    let head = served.await.unwrap();
    assert!(
        head.contains(&format!("host: localhost:{}\r\n", address.port())),
        "{head}"
    );
}

#[tokio::test]
async fn a_host_header_of_the_call_replaces_ours() {
    let Target { address, served } = target_that_sends("HTTP/1.1 204 No Content\r\n\r\n").await;
    let call = get("/").with_header("Host", "web.example").unwrap();
    send(&call, address, PATIENT).await.unwrap();
    let head = served.await.unwrap();
    assert_eq!(head.matches("host: ").count(), 1, "{head}");
    assert!(head.contains("host: web.example\r\n"), "{head}");
}

#[tokio::test]
async fn a_redirect_to_the_metadata_service_is_an_answer_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    for to in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://{location}/"),
    ] {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let Target { address, .. } = target_that_sends(answer).await;
        let answer = send(&get("/"), address, PATIENT).await.unwrap();
        assert_eq!(answer.status, 302);
        assert_eq!(answer.headers["location"], to.as_str());
    }
    let visit = tokio::time::timeout(IMPATIENT, elsewhere.accept()).await;
    assert!(visit.is_err(), "somebody followed the redirect");
}

#[tokio::test]
async fn a_body_over_64_kib_is_cut() {
    let length = 1_000_000;
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    let Target { address, .. } = target_that_sends(bytes).await;
    let answer = send(&get("/"), address, PATIENT).await.unwrap();
    assert_eq!(answer.body.len(), MAX_BODY_BYTES);
    assert!(answer.truncated);
}

#[tokio::test]
async fn a_body_of_exactly_64_kib_is_whole() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + MAX_BODY_BYTES, b'x');
    let Target { address, .. } = target_that_sends(bytes).await;
    let answer = send(&get("/"), address, PATIENT).await.unwrap();
    assert_eq!(answer.body.len(), MAX_BODY_BYTES);
    assert!(!answer.truncated);
}

#[tokio::test]
async fn an_endless_chunked_body_is_cut_and_its_connection_closed() {
    let Target { address, served } = target(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
        // Ends only when the caller closes.
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let answer = send(&get("/"), address, PATIENT).await.unwrap();
    assert_eq!(answer.body.len(), MAX_BODY_BYTES);
    assert!(answer.truncated);
    served.await.unwrap();
}

#[tokio::test]
async fn endless_headers_are_cut_and_their_connection_closed() {
    let Target { address, served } = target(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream
            .write_all(b"X-Flood: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    let error = send(&get("/"), address, PATIENT).await.unwrap_err();
    assert!(matches!(error, DialError::HeadTooLarge { .. }), "{error:?}");
    served.await.unwrap();
}

#[tokio::test]
async fn one_header_over_the_limit_is_cut() {
    let value = "y".repeat(MAX_HEAD_BYTES);
    let Target { address, .. } =
        target_that_sends(format!("HTTP/1.1 200 OK\r\nX-Long: {value}\r\n\r\n")).await;
    let error = send(&get("/"), address, PATIENT).await.unwrap_err();
    assert!(matches!(error, DialError::HeadTooLarge { .. }), "{error:?}");
}

/// Keeps the connection open and silent until the caller closes it.
async fn hold(mut stream: tokio::net::TcpStream) {
    let _ = stream.read(&mut [0]).await;
}

#[tokio::test]
async fn a_target_that_accepts_and_says_nothing_times_out_while_its_answer_is_awaited() {
    let Target { address, .. } = target(hold).await;
    let error = send(&get("/"), address, IMPATIENT).await.unwrap_err();
    assert_eq!(
        error,
        DialError::TimedOut {
            address,
            stage: Stage::Head,
            after: IMPATIENT
        }
    );
    assert_eq!(
        error.to_string(),
        format!("{address} accepted the connection and sent no answer within 200 ms")
    );
}

#[tokio::test]
async fn a_body_that_stalls_times_out_while_it_is_read() {
    let Target { address, .. } = target(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            .await
            .unwrap();
        hold(stream).await;
    })
    .await;
    let error = send(&get("/"), address, IMPATIENT).await.unwrap_err();
    assert_eq!(
        error,
        DialError::TimedOut {
            address,
            stage: Stage::Body,
            after: IMPATIENT
        }
    );
}

#[tokio::test]
async fn a_target_that_closes_without_an_answer_is_named() {
    let Target { address, .. } = target_that_sends("").await;
    let error = send(&get("/"), address, PATIENT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address} closed the connection before it answered")
    );
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error_and_not_a_short_body() {
    let Target { address, .. } =
        target_that_sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    let error = send(&get("/"), address, PATIENT).await.unwrap_err();
    assert_eq!(
        error,
        DialError::Closed {
            address,
            stage: Stage::Body
        }
    );
}

#[tokio::test]
async fn what_is_not_http_is_malformed() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno header at all\r\n\r\n",
    ] {
        let Target { address, .. } = target_that_sends(bytes).await;
        let error = send(&get("/"), address, PATIENT).await.unwrap_err();
        assert!(
            matches!(error, DialError::Malformed { .. }),
            "{bytes:?}: {error:?}"
        );
    }
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let Target { address, .. } = target_that_sends(chunk).await;
    let error = send(&get("/"), address, PATIENT).await.unwrap_err();
    assert!(matches!(error, DialError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_is_the_error_of_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = send(&get("/"), address, PATIENT).await.unwrap_err();
    assert_eq!(error, DialError::Refused { address });
}

#[test]
fn a_call_that_cannot_be_sent_is_refused_when_it_is_built() {
    let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
    for path in [
        "",
        "health",
        "http://10.0.0.1/",
        "/a b",
        "/a\r\nX: y",
        "/a#b",
        "/\u{e9}",
        &long,
    ] {
        let error = HttpCall::new("GET", path).unwrap_err();
        assert!(
            matches!(error, DialError::Invalid { field: "path", .. }),
            "{path:?}: {error}"
        );
    }
    for method in ["", "G T", "CONNECT", "TRACE", "A\r\n"] {
        let error = HttpCall::new(method, "/").unwrap_err();
        assert!(
            matches!(
                error,
                DialError::Invalid {
                    field: "method",
                    ..
                }
            ),
            "{method:?}"
        );
    }
    let headers = [
        ("bad name", "x"),
        ("x", "a\r\nb: c"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
    ];
    for (name, value) in headers {
        let error = get("/").with_header(name, value).unwrap_err();
        assert!(
            matches!(
                error,
                DialError::Invalid {
                    field: "headers",
                    ..
                }
            ),
            "{name}: {error}"
        );
    }
}

#[test]
fn the_headers_of_a_call_are_bounded() {
    let mut call = get("/");
    for n in 0..MAX_REQUEST_HEADERS {
        call = call.with_header(&format!("x-{n}"), "v").unwrap();
    }
    assert!(call.with_header("x-last", "v").is_err());
    assert!(
        get("/")
            .with_header("x", &"v".repeat(MAX_REQUEST_HEADER_BYTES))
            .is_err()
    );
}

#[tokio::test]
async fn a_call_can_be_sent_from_any_thread() {
    fn movable<T: Send>(value: T) -> T {
        value
    }
    let Target { address, .. } = target_that_sends("HTTP/1.1 204 No Content\r\n\r\n").await;
    let answer = movable(send(&get("/"), address, PATIENT)).await.unwrap();
    assert_eq!(answer.status, 204);
}
