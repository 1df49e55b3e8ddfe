//! Which handler answers, and what it sees of the request.

use super::support::{ask, body_of, body_text, header, local, start, status};
use crate::{HttpMetrics, ListenerConfig, RouteError, Router, Service, StatusCode, text};

/// Answers with the parameters `a` and `b` and the pattern.
fn echo() -> Router {
    let handler = |head: &crate::RequestHead| {
        let (a, b) = (
            head.param("a").unwrap_or("-"),
            head.param("b").unwrap_or("-"),
        );
        text(StatusCode::OK, format!("{a}|{b}|{}", head.pattern()))
    };
    Router::new()
        .get_sync("/one/{a}", handler)
        .get_sync("/two/{a}/x/{b}", handler)
        .get_sync("/rest/{*a}", handler)
        .get_sync("/one/fixed", handler)
}

#[tokio::test]
async fn parameters_are_found_by_name_and_fixed_segments_win() {
    let rows = [
        ("/one/web", "web|-|/one/{a}"),
        ("/two/w/x/i-1", "w|i-1|/two/{a}/x/{b}"),
        ("/rest/a/b/c", "a/b/c|-|/rest/{*a}"),
        ("/one/fixed", "-|-|/one/fixed"),
        ("/one/web?limit=3", "web|-|/one/{a}"),
    ];
    for (path, answer) in rows {
        assert_eq!(body_text(&ask(echo(), "GET", path).await), answer, "{path}");
    }
}

#[tokio::test]
async fn parameters_are_percent_decoded_and_an_escaped_slash_stays_inside() {
    let rows = [
        ("/one/a%20b", "a b|-|/one/{a}"),
        ("/one/a%2Fb", "a/b|-|/one/{a}"),
        ("/one/%2e%2E", "..|-|/one/{a}"),
        ("/two/%C3%A9/x/plain", "é|plain|/two/{a}/x/{b}"),
        ("/one/a+b", "a+b|-|/one/{a}"),
        ("/one/%2566", "%66|-|/one/{a}"),
        ("/one/fi%78ed", "fixed|-|/one/{a}"),
    ];
    for (path, answer) in rows {
        assert_eq!(body_text(&ask(echo(), "GET", path).await), answer, "{path}");
    }
}

#[tokio::test]
async fn bad_escapes_are_answered_400_with_the_reason() {
    let rows = [
        ("/one/%", "two hexadecimal digits"),
        ("/one/%2", "two hexadecimal digits"),
        ("/one/%zz", "two hexadecimal digits"),
        ("/one/%+1", "two hexadecimal digits"),
        ("/one/%ff", "not UTF-8"),
        ("/two/ok/x/%C3", "not UTF-8"),
    ];
    for (path, reason) in rows {
        let response = ask(echo(), "GET", path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert!(
            body_text(&response).contains(reason),
            "{path}: {}",
            body_text(&response)
        );
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_with_the_members_of_the_contract() {
    for path in [
        "/none",
        "/one",
        "/one/",
        "/one/a/b",
        "/two/a%2Fx%2Fb",
        "//one/a",
        "/",
    ] {
        let response = ask(echo(), "GET", path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let response = ask(echo(), "GET", "/none").await;
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let document: serde_json::Value = serde_json::from_str(body_text(&response)).unwrap();
    let sentence = "No route has the path /none.";
    let expected = serde_json::json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": sentence,
        "success": false, "message": sentence, "code": "not_found",
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow_and_options_answers_allow() {
    let router = || echo().post("/one/{a}", |_| async { text(StatusCode::OK, "posted") });
    let response = ask(router(), "DELETE", "/one/web").await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST, OPTIONS");
    let response = ask(router(), "OPTIONS", "/one/web").await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST, OPTIONS");
    let response = ask(router(), "BREW", "/two/a/x/b").await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
    assert_eq!(
        body_text(&ask(router(), "POST", "/one/web").await),
        "posted"
    );
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = start(echo(), &local());
    let request = "HEAD /one/web HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let response = server.exchange(request).await;
    assert_eq!(status(&response), 200);
    assert_eq!(header(&response, "content-length"), Some("14"));
    assert_eq!(body_of(&response), "");
    assert_eq!(body_of(&server.get("/one/web").await).len(), 14);
}

#[tokio::test]
async fn options_of_the_whole_server_is_answered() {
    let server = start(echo(), &local());
    let request = "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&server.exchange(request).await), 204);
}

#[tokio::test]
async fn a_target_in_absolute_form_finds_the_same_route() {
    let server = start(echo(), &local());
    let request =
        "GET http://registry/one/web HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n";
    assert_eq!(body_of(&server.exchange(request).await), "web|-|/one/{a}");
}

#[tokio::test]
async fn query_pairs_are_decoded_in_order_and_bounded() {
    let router = || {
        Router::new().get_sync("/q", |head| match head.query() {
            Ok(query) => text(
                StatusCode::OK,
                format!("{:?}", query.iter().collect::<Vec<_>>()),
            ),
            Err(rejection) => head.reject(&rejection),
        })
    };
    let rows = [
        ("/q", "[]"),
        ("/q?", "[]"),
        (
            "/q?a=1&b=x+y&a=%26&flag&&c=",
            r#"[("a", "1"), ("b", "x y"), ("a", "&"), ("flag", ""), ("c", "")]"#,
        ),
    ];
    for (path, answer) in rows {
        assert_eq!(
            body_text(&ask(router(), "GET", path).await),
            answer,
            "{path}"
        );
    }
    let many = format!("/q?{}", "a=1&".repeat(65));
    for path in ["/q?a=%f", "/q?%ff=1", many.as_str()] {
        assert_eq!(
            ask(router(), "GET", path).await.status(),
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    let full = format!("/q?{}", "a=1&".repeat(64));
    assert_eq!(ask(router(), "GET", &full).await.status(), StatusCode::OK);
}

fn table_error(router: Router) -> RouteError {
    Service::new(router, &HttpMetrics::default(), &ListenerConfig::default()).unwrap_err()
}

#[test]
fn a_table_that_contradicts_itself_is_refused_by_pattern() {
    let answer = |_: &crate::RequestHead| text(StatusCode::OK, "");
    let conflict = Router::new()
        .get_sync("/a/{x}", answer)
        .get_sync("/a/{y}", answer);
    let conflict = table_error(conflict).to_string();
    assert!(
        conflict.contains("/a/{x}") && conflict.contains("/a/{y}"),
        "{conflict}"
    );
    let twice = Router::new().get_sync("/a", answer).get_sync("/a", answer);
    assert_eq!(table_error(twice).to_string(), "GET /a has two handlers");
    let malformed = Router::new().get_sync("/a/{x", answer);
    assert!(matches!(table_error(malformed), RouteError::Invalid { .. }));
    let many = Router::new().get_sync("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", answer);
    assert!(
        table_error(many)
            .to_string()
            .contains("more than 8 parameters")
    );
}

#[tokio::test]
async fn merged_routers_answer_together_and_keep_their_own_refusals() {
    let refuse = |words: &'static str| {
        move |rejection: &crate::Rejection, _: &crate::RejectionContext<'_>| {
            text(rejection.status(), words)
        }
    };
    let own = |path: &str, words| {
        Router::new()
            .get_sync(path, |_| text(StatusCode::OK, "found"))
            .on_rejection(refuse(words))
    };
    let merged = || {
        own("/a", "from a")
            .merge(own("/b", "from b").open())
            .unwrap()
    };
    assert_eq!(body_text(&ask(merged(), "GET", "/b").await), "found");
    let refused = ask(merged(), "PUT", "/b").await;
    assert_eq!(body_text(&refused), "from b");
    assert_eq!(refused.headers()["allow"], "GET, HEAD, OPTIONS");
    assert_eq!(body_text(&ask(merged(), "PUT", "/a").await), "from a");
    assert_eq!(body_text(&ask(merged(), "GET", "/c").await), "from a");
    let routes = merged().routes();
    let rows: Vec<_> = routes
        .iter()
        .map(|it| (&*it.method, &*it.pattern, it.is_open))
        .collect();
    assert_eq!(rows, [("GET", "/a", false), ("GET", "/b", true)]);
}

#[test]
fn merging_a_route_twice_names_it() {
    let router = || Router::new().get_sync("/a/{x}", |_| text(StatusCode::OK, ""));
    let other = Router::new().get_sync("/a/{y}", |_| text(StatusCode::OK, ""));
    assert_eq!(
        router().merge(router()).unwrap_err().to_string(),
        "GET /a/{x} has two handlers"
    );
    let error = router().merge(other).unwrap_err().to_string();
    assert!(
        error.contains("/a/{x}") && error.contains("/a/{y}"),
        "{error}"
    );
}
