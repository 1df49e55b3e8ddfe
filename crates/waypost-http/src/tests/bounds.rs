//! The bounds on connections and headers, and what a listener refuses to start with.

use tokio::io::AsyncWriteExt;

use super::support::{header, local, read_to_end, read_until, start, status};
use crate::admission::Admission;
use crate::{BindError, ListenerConfig, Router, Server, StatusCode, text};

fn hello() -> Router {
    Router::new().get_sync("/", |_| text(StatusCode::OK, "hello"))
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_kept_alive_connection_answers_request_after_request() {
    let server = start(hello(), &local());
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(ASK).await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "hello").await), 200);
    }
    let metrics = server.metrics();
    assert!(
        metrics.contains("waypost_http_connections 1\n"),
        "{metrics}"
    );
    drop(stream);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let router = Router::new().get_sync("/{n}", |head| {
        text(StatusCode::OK, format!("<{}>", head.param("n").unwrap()))
    });
    let server = start(router, &local());
    let requests: String = (0..20)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    let mut stream = server.connect().await;
    stream.write_all(requests.as_bytes()).await.unwrap();
    let responses = read_until(&mut stream, "<19>").await;
    let found: Vec<_> = responses.match_indices('<').map(|(at, _)| at).collect();
    assert_eq!(found.len(), 20);
    let order: Vec<usize> = (0..20)
        .map(|n| responses.find(&format!("<{n}>")).unwrap())
        .collect();
    assert_eq!(order, found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_on_several_threads_all_get_their_own_answers() {
    let router = Router::new()
        .get_sync("/s/{n}", |head| {
            text(StatusCode::OK, format!("<{}>", head.param("n").unwrap()))
        })
        .get("/a/{n}", |request| async move {
            tokio::task::yield_now().await;
            text(
                StatusCode::OK,
                format!("<{}>", request.head.param("n").unwrap()),
            )
        });
    let mut server = start(router, &local());
    let address = server.address;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..32 {
        clients.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            for round in 0..50 {
                let kind = if round % 2 == 0 { "s" } else { "a" };
                let ask = format!("GET /{kind}/{client}-{round} HTTP/1.1\r\nHost: x\r\n\r\n");
                stream.write_all(ask.as_bytes()).await.unwrap();
                let answer = read_until(&mut stream, ">").await;
                assert!(answer.ends_with(&format!("<{client}-{round}>")), "{answer}");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    server.begin_shutdown();
    server.ended().await;
    assert!(server.metrics().contains("waypost_http_connections 0\n"));
}

#[tokio::test]
async fn one_connection_too_many_is_told_503_and_a_freed_place_is_given_again() {
    let server = start(
        hello(),
        &ListenerConfig {
            connections_max: 2,
            ..local()
        },
    );
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(ASK).await.unwrap();
        read_until(stream, "hello").await;
    }
    let mut third = server.connect().await;
    let response = read_to_end(&mut third).await;
    assert_eq!(status(&response), 503);
    assert_eq!(header(&response, "Retry-After"), Some("1"));
    assert!(
        server
            .metrics()
            .contains("rejections_total{reason=\"connections\"} 1")
    );

    first
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    read_to_end(&mut first).await;
    // The place is given back just after the close becomes visible, so the first tries may fail.
    let again = async { while status(&server.get("/").await) != 200 {} };
    super::support::patiently(again).await;
}

#[test]
fn places_are_counted_per_address_except_for_loopback() {
    let gauge = prometheus_client::metrics::gauge::Gauge::default();
    let admission = std::sync::Arc::new(Admission::new(10, 2, 10, gauge.clone()));
    let address = |text: &str| text.parse().unwrap();
    let first = admission.take(address("192.0.2.1")).unwrap();
    let _second = admission.take(address("::ffff:192.0.2.1")).unwrap();
    assert_eq!(
        admission.take(address("192.0.2.1")).unwrap_err(),
        "connections_per_address"
    );
    let _other = admission.take(address("192.0.2.2")).unwrap();
    // A host has as many addresses of its IPv6 network as it wants.
    let six = ["2001:db8::1", "2001:db8::2"].map(|six| admission.take(address(six)).unwrap());
    assert_eq!(
        admission.take(address("2001:db8::3")).unwrap_err(),
        "connections_per_address"
    );
    drop(six);
    drop(first);
    let _third = admission.take(address("192.0.2.1")).unwrap();
    let local: Vec<_> = (0..7)
        .map(|_| admission.take(address("127.0.0.1")).unwrap())
        .collect();
    assert_eq!(gauge.get(), 10);
    assert_eq!(admission.take(address("::1")).unwrap_err(), "connections");
    drop(local);
    assert_eq!(gauge.get(), 3);
}

#[tokio::test]
async fn too_many_header_lines_are_431_below_and_above_the_parsers_own_bound() {
    for (headers_max, lines) in [(64, 64), (64, 99), (64, 2_000), (200, 200)] {
        let server = start(
            hello(),
            &ListenerConfig {
                headers_max,
                ..local()
            },
        );
        // The lines of Host and Connection count, too.
        let flood = "X-A: b\r\n".repeat(lines - 1);
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{flood}\r\n");
        assert_eq!(
            status(&server.exchange(request).await),
            431,
            "{headers_max} {lines}"
        );
        let metrics = server.metrics();
        assert!(
            metrics.contains("rejections_total{reason=\"headers_too_large\"} 1"),
            "{metrics}"
        );
        let fitting = "X-A: b\r\n".repeat(headers_max - 2);
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fitting}\r\n");
        assert_eq!(
            status(&server.exchange(request).await),
            200,
            "{headers_max}"
        );
    }
}

#[tokio::test]
async fn too_many_header_bytes_are_431() {
    let server = start(hello(), &local());
    let request = |length: usize| {
        let value = "v".repeat(length);
        format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: {value}\r\n\r\n")
    };
    assert_eq!(status(&server.exchange(request(16_000)).await), 200);
    assert_eq!(status(&server.exchange(request(16_400)).await), 431);
    assert_eq!(status(&server.exchange(request(300_000)).await), 431);
    let endless = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000));
    assert!(matches!(status(&server.exchange(endless).await), 414 | 431));
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_cause() {
    let first = Server::bind(&local()).unwrap();
    let taken = ListenerConfig {
        listen: first.local_addr(),
        ..ListenerConfig::default()
    };
    let error = Server::bind(&taken).unwrap_err();
    assert!(matches!(error, BindError::Listen { .. }));
    let text = error.to_string();
    assert!(text.contains(&first.local_addr().to_string()), "{text}");
    assert!(text.to_lowercase().contains("in use"), "{text}");
}

#[tokio::test]
async fn settings_out_of_range_name_field_value_and_rule() {
    type Change = fn(&mut ListenerConfig);
    let rows: [(&str, Change); 6] = [
        ("connections_max = 0: must be between 1 and 1000000", |it| {
            it.connections_max = 0
        }),
        (
            "header_bytes_max = 10: must be between 1024 and 262144 bytes",
            |it| it.header_bytes_max = 10,
        ),
        ("headers_max = 2000: must be between 8 and 1024", |it| {
            it.headers_max = 2_000
        }),
        (
            "header_timeout_seconds = 0: must be between 1 and 3600 seconds",
            |it| {
                it.header_timeout_seconds = 0;
            },
        ),
        (
            "request_timeout_seconds = 3601: must be between 1 and 3600 seconds",
            |it| {
                it.request_timeout_seconds = 3_601;
            },
        ),
        (
            "drain_seconds = 9999: must be between 0 and 3600 seconds",
            |it| it.drain_seconds = 9_999,
        ),
    ];
    for (sentence, change) in rows {
        let mut limits = local();
        change(&mut limits);
        assert_eq!(limits.validate().unwrap_err().to_string(), sentence);
        assert!(
            Server::bind(&limits)
                .unwrap_err()
                .to_string()
                .contains(sentence)
        );
    }
    ListenerConfig::default().validate().unwrap();
}

#[test]
fn unknown_settings_are_refused_and_missing_ones_have_their_defaults() {
    let limits: ListenerConfig = serde_json::from_str(r#"{"listen": "[::1]:80"}"#).unwrap();
    assert_eq!(limits.listen.to_string(), "[::1]:80");
    assert_eq!(
        (limits.connections_max, limits.body_bytes_max),
        (10_000, 1024 * 1024)
    );
    let error = serde_json::from_str::<ListenerConfig>(r#"{"headers_maxx": 3}"#).unwrap_err();
    assert!(error.to_string().contains("headers_maxx"), "{error}");
}
