//! ETags, and what a rendered answer may lag behind.

use std::time::Duration;

use waypost_core::CheckState;

use crate::support::start;

#[tokio::test]
async fn a_client_that_has_the_answer_gets_304_until_something_changes() {
    let server = start().await;
    server.register("web", "web-1").await;
    for path in [
        "/v1/discovery/services",
        "/v1/discovery/services/web",
        "/v1/discovery/services/web/healthy",
        "/v1/discovery/services/web/instances",
        "/service-discovery/services",
        "/v1/namespaces",
        "/v1/namespaces/svc.internal/services",
        "/v1/namespaces/svc.internal/services/web/instances/web-1",
        "/v1/discover/web",
    ] {
        let first = server.get(path).await;
        let etag = first
            .header("etag")
            .unwrap_or_else(|| panic!("{path}: {first:?}"))
            .to_owned();
        assert!(etag.starts_with("W/\"00000000000000a1."), "{etag}");
        let header = format!("If-None-Match: \"x\", {etag}\r\n");
        let same = server.send("GET", path, &header, b"").await;
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{path}");
        assert_eq!(same.header("etag"), Some(etag.as_str()));
        server
            .report("web", "web-1", CheckState::Passing, "answered 200")
            .await;
        let changed = server.send("GET", path, &header, b"").await;
        assert_eq!(changed.status, 200, "{path}");
        server
            .report("web", "web-1", CheckState::Failing, "answered 500")
            .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn vitals_lag_at_most_a_second_and_health_never() {
    let server = start().await;
    server.register("web", "web-1").await;
    let load = async || {
        server.get("/v1/discovery/services/web").await.json()["instances"][0]["load_percentage"]
            .clone()
    };
    assert_eq!(load().await, 0.0);
    server.probed("web", "web-1", (200, ""), Some(0.5));
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(load().await, 0.5);
    server.probed("web", "web-1", (200, ""), Some(0.75));
    server
        .report("web", "web-1", CheckState::Passing, "answered 200")
        .await;
    assert_eq!(load().await, 0.75, "another revision is another answer");
    server.stop().await;
}
