//! Who is let in.

use waypost_api_rest::{RestConfig, RestContext, RestMetrics, router};

use crate::support::{Running, TOKEN, start, start_with, with_secret};

/// Every route of the router, with parameters filled in.
async fn routes(server: &Running) -> Vec<(String, String, bool)> {
    let key = waypost_access::ServerKey::from_bytes(&[1; 32]);
    let access = waypost_access::AccessConfig::default();
    let authenticator = waypost_access::Authenticator::new(&access, key, true).unwrap();
    let context = RestContext {
        registry: server.registry.clone(),
        snapshots: server.snapshots.clone(),
        authenticator: authenticator.into(),
        config: RestConfig::default(),
        version: String::new(),
        metrics: RestMetrics::default(),
        dns: waypost_api_rest::DnsFacts::default(),
        stopping: tokio::sync::watch::channel(false).1,
    };
    let filled = |pattern: &str| {
        let parts = pattern
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        if path == "/v1/watch" {
            // A stream would not end: what is asked is refused, for whoever is let in.
            return format!("{path}?unknown=1");
        }
        path
    };
    let routes = router(context).routes().into_iter();
    routes
        .map(|route| (route.method, filled(&route.pattern), route.is_open))
        .collect()
}

#[tokio::test]
async fn every_route_but_health_needs_the_token_once_there_is_one() {
    let server = start_with(with_secret(false)).await;
    let routes = routes(&server).await;
    assert!(routes.len() >= 30);
    for (method, path, is_open) in routes {
        for header in [
            "",
            "Authorization: Bearer wrong-token\r\n",
            "Authorization: Basic YTpi\r\n",
        ] {
            let answered = server.send(&method, &path, header, b"{}").await;
            if is_open {
                assert_eq!((path.as_str(), answered.status), ("/health", 200));
                continue;
            }
            let problem = answered.problem(401);
            assert_eq!(problem["code"], "unauthenticated", "{method} {path}");
            assert_eq!(
                answered.header("www-authenticate"),
                Some("Bearer"),
                "{method} {path}"
            );
        }
        let header = format!("Authorization: Bearer {TOKEN}\r\n");
        let answered = server.send(&method, &path, &header, b"{}").await;
        assert_ne!(answered.status, 401, "{method} {path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn public_reads_open_reads_and_no_writes() {
    let server = start_with(with_secret(true)).await;
    for (method, path, is_open) in routes(&server).await {
        let status = server.send(&method, &path, "", b"{}").await.status;
        let refused = status == 401;
        assert_eq!(
            refused,
            method != "GET" && !is_open,
            "{method} {path} {status}"
        );
        let wrong = server
            .send(
                &method,
                &path,
                "Authorization: Bearer wrong-token\r\n",
                b"{}",
            )
            .await;
        assert_eq!(wrong.status == 401, !is_open, "{method} {path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_shared_secret_registers_as_source_003_sends_it() {
    let server = start_with(with_secret(true)).await;
    let body = br#"{"service_name":"web","instance_id":"web-1","host":"localhost","port":8080}"#;
    let header = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    let registered = server
        .send("POST", "/v1/discovery/register", &header, body)
        .await;
    assert_eq!(registered.status, 200);
    assert_eq!(
        server.get("/v1/discovery/services").await.json()["services"]["web"][0]["port"],
        8080
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_and_ours_may() {
    let server = start().await;
    let body = br#"{"service_name":"web","instance_id":"web-1","host":"localhost","port":8080}"#;
    let own = format!("Origin: http://{}\r\n", server.address);
    for (headers, allowed) in [
        (
            "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n",
            false,
        ),
        ("Sec-Fetch-Site: same-site\r\n", false),
        ("Origin: https://evil.example\r\n", false),
        ("Origin: null\r\n", false),
        ("Sec-Fetch-Site: same-origin\r\n", true),
        (own.as_str(), true),
        ("", true),
    ] {
        let answered = server
            .send("POST", "/v1/discovery/register", headers, body)
            .await;
        if allowed {
            assert_eq!(answered.status, 200, "{headers}");
        } else {
            assert_eq!(answered.problem(403)["code"], "denied", "{headers}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_open_server_hears_browsers_under_local_names_only() {
    let server = start().await;
    let body = r#"{"service_name":"web","instance_id":"web-1","host":"localhost","port":8080}"#;
    let status = async |method: &str, path: &str, host: &str, headers: &str| {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        server.exchange(request.as_bytes()).await.status
    };
    let reads_and_writes = [
        ("POST", "/v1/discovery/register"),
        ("GET", "/v1/discovery/services"),
        ("GET", "/openapi.json"),
    ];
    for (host, is_local) in [
        ("evil.example:4701", false),
        ("127.0.0.1.evil.example", false),
        ("localhost.evil.example:4701", false),
        ("evillocalhost", false),
        ("127.0.0.1@evil.example", false),
        ("[::1].evil.example", false),
        ("", false),
        ("127.0.0.1:4701", true),
        ("10.0.0.7", true),
        ("[::1]:4701", true),
        ("localhost:4701", true),
        ("LOCALHOST", true),
        ("registry.localhost:4701", true),
    ] {
        let origin = format!("Origin: http://{host}\r\n");
        let both = format!("{origin}Sec-Fetch-Site: same-origin\r\n");
        for (method, path) in reads_and_writes {
            for headers in [
                both.as_str(),
                origin.as_str(),
                "Sec-Fetch-Site: none\r\n",
                "Sec-Fetch-Mode: cors\r\n",
            ] {
                let expected = if is_local { 200 } else { 403 };
                let found = status(method, path, host, headers).await;
                assert_eq!(found, expected, "{method} {path} {host} {headers}");
            }
            if !host.is_empty() && !host.contains(['@', ']']) {
                assert_eq!(status(method, path, host, "").await, 200, "{host}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_with_a_token_has_any_name() {
    let server = start_with(with_secret(false)).await;
    let request = format!(
        "GET /v1/discovery/services HTTP/1.1\r\nHost: registry.example\r\nConnection: close\r\n\
         Origin: http://registry.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    assert_eq!(server.exchange(request.as_bytes()).await.status, 200);
    server.stop().await;
}
