//! Request ids, panics, deadlines, credentials and metrics.

use super::support::{body_of, header, local, start, status};
use crate::{ListenerConfig, RequestHead, Router, StatusCode, empty, text};

fn asked(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_is_replaced() {
    let router = Router::new().get_sync("/id", |head| {
        text(StatusCode::OK, head.request_id().to_owned())
    });
    let server = start(router, &local());
    let response = server
        .exchange(asked("/id", "X-Request-Id: trace/42\r\n"))
        .await;
    assert_eq!(header(&response, "x-request-id"), Some("trace/42"));
    assert_eq!(body_of(&response), "trace/42");
    let mut made = Vec::new();
    for bad in [String::new(), "has space".to_owned(), "x".repeat(65)] {
        let response = server
            .exchange(asked("/id", &format!("X-Request-Id: {bad}\r\n")))
            .await;
        let id = header(&response, "x-request-id").unwrap().to_owned();
        assert_eq!((body_of(&response), id.len()), (id.as_str(), 25));
        made.push(id);
    }
    made.dedup();
    assert_eq!(made.len(), 3, "every request gets an id of its own");
    let response = server.exchange(asked("/none", "X-Request-Id: t\r\n")).await;
    assert_eq!(
        header(&response, "x-request-id"),
        Some("t"),
        "refusals carry it too"
    );
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_goes_on() {
    let boom = |_: &RequestHead| panic!("sync");
    let router = Router::new()
        .get_sync("/sync", boom)
        .get("/async", |_| async { panic!("async") })
        .get("/made", |request| {
            assert!(
                request.head.path().is_empty(),
                "panics while the future is made"
            );
            async { empty(StatusCode::OK) }
        })
        .get_sync("/fine", |_| text(StatusCode::OK, "fine"));
    let server = start(router, &local());
    for path in ["/sync", "/async", "/made"] {
        let response = server.get(path).await;
        assert_eq!(status(&response), 500, "{path}");
        let document: serde_json::Value = serde_json::from_str(body_of(&response)).unwrap();
        assert_eq!(document["code"], "unknown");
        let id = header(&response, "x-request-id").unwrap();
        assert!(
            document["detail"].as_str().unwrap().contains(id),
            "{document}"
        );
    }
    assert_eq!(body_of(&server.get("/fine").await), "fine");
    let metrics = server.metrics();
    assert!(
        metrics.contains("waypost_http_rejections_total{reason=\"panic\"} 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_handler_beyond_its_deadline_is_dropped_and_answered_504() {
    struct Bell(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Bell {
        fn drop(&mut self) {
            let _ = self.0.take().map(|bell| bell.send(()));
        }
    }
    let (bell, dropped) = tokio::sync::oneshot::channel();
    let bell = std::sync::Mutex::new(Some(Bell(Some(bell))));
    let router = Router::new().get("/slow", move |_| {
        let held = bell.lock().unwrap().take();
        async move {
            std::future::pending::<()>().await;
            drop(held);
            empty(StatusCode::OK)
        }
    });
    let server = start(
        router,
        &ListenerConfig {
            request_timeout_seconds: 1,
            ..local()
        },
    );
    let response = server.get("/slow").await;
    assert_eq!(status(&response), 504);
    assert!(
        body_of(&response).contains("within 1 seconds; the outcome is unknown"),
        "{response}"
    );
    super::support::patiently(dropped).await.unwrap();
}

#[tokio::test]
async fn a_bearer_token_is_taken_from_exactly_one_header() {
    let router = Router::new().get_sync("/who", |head| {
        text(StatusCode::OK, head.bearer().unwrap_or("nobody").to_owned())
    });
    let server = start(router, &local());
    let rows = [
        ("Authorization: Bearer abc\r\n", "abc"),
        ("authorization: bearer  abc \r\n", "abc"),
        ("", "nobody"),
        ("Authorization: Basic abc\r\n", "nobody"),
        ("Authorization: Bearer\r\n", "nobody"),
        ("Authorization: Bearer \r\n", "nobody"),
        (
            "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
            "nobody",
        ),
    ];
    for (headers, who) in rows {
        assert_eq!(
            body_of(&server.exchange(asked("/who", headers)).await),
            who,
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_code() {
    let router = Router::new().get_sync("/v1/{name}", |head| {
        empty(if head.param("name") == Some("odd") {
            StatusCode::IM_A_TEAPOT
        } else {
            StatusCode::OK
        })
    });
    let server = start(router, &local());
    for path in ["/v1/a", "/v1/b", "/v1/odd", "/none"] {
        server.get(path).await;
    }
    let metrics = server.metrics();
    let rows = [
        "waypost_http_requests_total{route=\"/v1/{name}\",method=\"GET\",code=\"200\"} 2",
        "waypost_http_requests_total{route=\"/v1/{name}\",method=\"GET\",code=\"other\"} 1",
        "waypost_http_requests_total{route=\"none\",method=\"GET\",code=\"404\"} 1",
        "waypost_http_request_duration_seconds_count{route=\"/v1/{name}\"} 3",
        "waypost_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"/v1/{name}\"} 3",
        "waypost_http_rejections_total{reason=\"not_found\"} 1",
    ];
    for row in rows {
        assert!(metrics.contains(row), "{row} is missing in {metrics}");
    }
}
