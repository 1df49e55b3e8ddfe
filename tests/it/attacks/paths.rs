//! Paths, headers and methods that mean one thing to whoever decides and another to whoever answers (GO-2024-3241 to 3243
//! of Consul, CVE-2021-29441 of Nacos).

use serde_json::json;

use super::{Fort, HIDDEN, TREASURE, exchange, status};
use crate::server::Setup;

/// Paths with something to hide.
const PROTECTED: [&str; 9] = [
    HIDDEN,
    "/v1/discover/web",
    "/v1/discovery/services",
    "/v1/discovery/services/web/healthy",
    "/service-discovery/discover/web",
    "/v1/explain/web/hidden",
    "/v1/watch",
    "/v1/tokens",
    "/metrics",
];
/// Paths that everybody may ask.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/health"];

/// Ways to write a path that somebody might take for the same one, or for an open one.
fn variants(path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let tail = path.trim_start_matches('/');
    for open in OPEN {
        for step in [
            "/../",
            "/..%2f",
            "/%2e%2e/",
            "/%2e%2e%2f",
            "/.%2e/",
            "%2f..%2f",
            "/..;/",
            ";/../",
            "/..%5c",
            "/..%c0%af",
            "/..%252f",
            "?/../",
            "%00/../",
            "%23/../",
            "//../",
        ] {
            found.push(format!("{open}{step}{tail}"));
        }
    }
    let prefixes = [
        "//", "/./", "/%2e/", "/x/../", "/%2f", "/;/", "/;a=b/", "\\", "/\\", "/%5c", "/%00", "///",
    ];
    found.extend(prefixes.map(|prefix| format!("{prefix}{tail}")));
    let ends = [
        "/",
        "//",
        "/.",
        "/..",
        "/%2e",
        "%2f",
        ";",
        ";a=b",
        "/;",
        "%00",
        "%00.json",
        ".json",
        "%20",
        "%09",
        "?",
        "?x",
        "#",
        "%3f",
        "%23",
        "~",
        "*",
        "/livez",
        "/../../livez",
        "..;/livez",
        "%0d%0aX:%20y",
    ];
    found.extend(ends.map(|end| format!("{path}{end}")));
    found.push(path.to_uppercase());
    found.push(path.replace("v1", "V1"));
    found.push(path.replacen('/', "//", 2));
    found.push(path.replace('/', "%2f"));
    found.push(path.replacen("/v1", "/%76%31", 1));
    found.push(path.replacen("/v1", "/%2576%2531", 1));
    found.push(path.replace('e', "%65"));
    found.push(path.replace('e', "%u0065"));
    // The same letters in too many bytes, and in wide forms.
    found.push(path.replace('e', "%c1%a5"));
    found.push(path.replace('e', "%ef%bd%85"));
    found.push(format!("http://friend{path}"));
    found.push(format!("http://localhost/livez/..{path}"));
    found.push(tail.to_owned());
    found
}

fn ask(fort: &Fort, method: &str, target: &str, headers: &str) -> String {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
    );
    exchange(fort.server.address(), request.as_bytes())
}

fn is_closed(answer: &str, what: &str) {
    assert!(!answer.contains(TREASURE), "{what}: {answer}");
    assert!(!answer.contains("10.9.8.7"), "{what}: {answer}");
    assert!(
        !answer.contains("waypost_http_requests"),
        "{what}: {answer}"
    );
    assert!(
        [400, 401, 403, 404, 405, 414, 431].contains(&status(answer)),
        "{what}: {answer}"
    );
}

#[test]
fn no_way_of_writing_a_path_lets_anybody_in() {
    let fort = Fort::build(Setup::new());
    let mut asked = 0;
    for path in PROTECTED {
        let plain = ask(&fort, "GET", path, "");
        assert_eq!(status(&plain), 401, "{path}: {plain}");
        for variant in variants(path) {
            // What only looks like an open path may be one: its query says nothing.
            let is_open = OPEN
                .iter()
                .any(|open| variant.starts_with(&format!("{open}?")));
            let answer = ask(&fort, "GET", &variant, "");
            if is_open {
                assert!(!answer.contains(TREASURE), "{variant}: {answer}");
            } else {
                is_closed(&answer, &variant);
            }
            asked += 1;
        }
    }
    assert!(asked > 700, "{asked}");
    let refused = fort.answered(401) + fort.answered(404) + fort.answered(400);
    assert!(refused > 500, "{refused} of {asked} are counted");
    fort.serves_friends("after path tricks");
}

/// A token for one service does not reach another by any way of writing its name.
#[test]
fn no_way_of_writing_a_name_widens_a_token() {
    let fort = Fort::build(Setup::new());
    let grants = json!({"name": "narrow", "grants": [{"verbs": ["read"], "namespaces": "svc.internal", "services": "shop*"}]});
    let made = fort.as_friend("POST", "/v1/tokens", grants.to_string().as_bytes());
    let token = made.json()["secret"].as_str().unwrap().to_owned();
    let body = json!({"address": "127.0.0.1", "port": 1});
    let own = "/v1/namespaces/svc.internal/services/shop/instances/a";
    fort.as_friend("PUT", own, body.to_string().as_bytes())
        .expect(201);
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let seen = ask(&fort, "GET", own, &authorization);
    assert_eq!(
        status(&seen),
        200,
        "the token is good for something: {seen}"
    );
    for name in [
        "web",
        "WEB",
        "%77eb",
        "shop%2f..%2fweb",
        "shop/../web",
        "shop%00web",
        "shop;web",
        "web%00shop",
        "shop*",
        "*",
        "shop%2fweb",
        "svc.internal%2fweb",
        "shop?service=web",
        "shop%0aweb",
    ] {
        for path in [
            format!("/v1/discover/{name}"),
            format!("/v1/discovery/services/{name}"),
            format!("/v1/discovery/services/{name}/healthy"),
            format!("/service-discovery/discover/{name}"),
            format!("/v1/namespaces/svc.internal/services/{name}/instances"),
            format!("/v1/namespaces/svc.internal/services/{name}/instances/hidden"),
            format!("/v1/explain/{name}/hidden"),
            format!("/v1/instances?service={name}"),
            format!("/v1/watch?revision=1.1&service={name}&wait=1"),
        ] {
            if path.starts_with("/v1/watch") {
                // It stays open when it is allowed; it is looked at below.
                continue;
            }
            let answer = ask(&fort, "GET", &path, &authorization);
            assert!(
                !answer.contains(TREASURE) && !answer.contains("10.9.8.7"),
                "{path}: {answer}"
            );
        }
    }
    let everything = ask(&fort, "GET", "/v1/instances", &authorization);
    assert!(!everything.contains(TREASURE), "{everything}");
}

/// Headers by which some server somewhere believed a caller.
const HEADERS: [&str; 34] = [
    "User-Agent: Nacos-Server",
    "User-Agent: waypost",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: ::1",
    "Forwarded: for=127.0.0.1;host=localhost;proto=https",
    "X-Real-IP: 127.0.0.1",
    "X-Client-IP: 127.0.0.1",
    "X-Forwarded-Host: localhost",
    "X-Forwarded-Proto: https",
    "X-Forwarded-User: admin",
    "X-Remote-User: admin",
    "X-Original-URL: /livez",
    "X-Rewrite-URL: /livez",
    "X-Forwarded-Uri: /livez",
    "X-HTTP-Method-Override: OPTIONS",
    "X-HTTP-Method: OPTIONS",
    "X-Method-Override: OPTIONS",
    "Origin: http://localhost",
    "Referer: http://localhost/",
    "Cookie: token=admin",
    "Authorization: Bearer",
    "Authorization: Bearer ",
    "Authorization: Basic YWRtaW46YWRtaW4=",
    "Authorization: Negotiate YQ==",
    "Authorization: Bearer null",
    "Authorization: Bearer undefined",
    "Authorization: bearer *",
    "Authorization: AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/servicediscovery/aws4_request, SignedHeaders=host, Signature=0",
    "Proxy-Authorization: Bearer correct-horse-battery-staple",
    "X-Consul-Token: correct-horse-battery-staple",
    "X-Vault-Token: correct-horse-battery-staple",
    "serverIdentity: security",
    "Connection: Authorization",
    "X-Waypost-Internal: true",
];

#[test]
fn no_header_lets_anybody_in() {
    let fort = Fort::build(Setup::new());
    for header in HEADERS {
        for path in PROTECTED {
            let answer = ask(&fort, "GET", path, &format!("{header}\r\n"));
            is_closed(&answer, header);
            assert_eq!(status(&answer), 401, "{header}, {path}: {answer}");
        }
        // Nor does an open path become another one.
        for rewriting in [
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Forwarded-Uri",
            "X-Original-URI",
        ] {
            let both = format!("{header}\r\n{rewriting}: {HIDDEN}\r\n");
            let answer = ask(&fort, "GET", "/livez", &both);
            assert!(!answer.contains(TREASURE), "{both}: {answer}");
        }
    }
    fort.serves_friends("after header tricks");
}

#[test]
fn no_method_lets_anybody_in() {
    let fort = Fort::build(Setup::new());
    for method in [
        "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Get", "GETS", "GE", "PATCH",
        "DELETE", "PUT", "POST",
    ] {
        for path in PROTECTED {
            for header in [
                "",
                "X-HTTP-Method-Override: GET\r\n",
                "X-HTTP-Method: GET\r\n",
            ] {
                let answer = ask(&fort, method, path, header);
                assert!(!answer.contains(TREASURE), "{method} {path}: {answer}");
                let status = status(&answer);
                let told = matches!(status, 400 | 401 | 404 | 405 | 501);
                // Which methods a path has is in the documents.
                let options = method == "OPTIONS" && matches!(status, 200 | 204);
                assert!(told || options, "{method} {path}: {answer}");
            }
        }
    }
    // What an open path says is no secret, whatever the method is called; and it changes nothing.
    let before = fort.metric("waypost_deregistrations_total");
    let answer = ask(&fort, "GET", HIDDEN, "X-HTTP-Method-Override: DELETE\r\n");
    assert_eq!(status(&answer), 401, "{answer}");
    assert_eq!(fort.metric("waypost_deregistrations_total"), before);
    fort.serves_friends("after method tricks");
}
