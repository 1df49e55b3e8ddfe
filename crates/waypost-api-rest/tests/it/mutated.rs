//! Whole requests that were good once, over every dialect: each has an answer, and what was taken can be read.

use bytes::Bytes;
use waypost_testkit::slow_mutations;

use crate::support::start;

const CORPUS: [&str; 12] = [
    "PUT /v1/namespaces/svc.internal/services/web/instances/a\n{\"address\":\"10.0.0.1\",\"port\":8080,\"lease_seconds\":30,\"checks\":[{\"id\":\"h\",\"kind\":\"http\",\"path\":\"/\"}]}",
    "PATCH /v1/namespaces/svc.internal/services/web/instances/a\n{\"port\":8081,\"attributes\":{\"a\":\"b\"}}",
    "PUT /v1/namespaces/svc.internal/services/web\n{\"fail_open\":true,\"tags\":[\"a\"],\"checks\":[{\"id\":\"t\",\"kind\":\"tcp\"}]}",
    "PUT /v1/namespaces/shop.example\n{\"kind\":\"PrivateDns\"}",
    "PUT /v1/namespaces/svc.internal/services/web/instances/a/mode\n{\"mode\":\"Draining\",\"reason\":\"x\",\"weight\":3}",
    "POST /v1/namespaces/svc.internal/services/web/instances/a/heartbeat\n{\"load\":0.5}",
    "POST /v1/batch/register\n{\"atomic\":false,\"items\":[{\"service\":\"web\",\"id\":\"b\",\"address\":\"10.0.0.2\",\"port\":1}]}",
    "POST /v1/batch/heartbeat\n{\"items\":[{\"service\":\"web\",\"id\":\"b\"}]}",
    "POST /v1/discovery/register\n{\"service_name\":\"web\",\"instance_id\":\"c\",\"host\":\"127.0.0.1\",\"port\":1,\"metadata\":{\"a\":\"b\"}}",
    "POST /service-discovery/register\n{\"service_name\":\"web\",\"host\":\"127.0.0.1\",\"port\":1,\"tags\":[\"x\"],\"metadata\":{}}",
    "GET /v1/instances?service=web&health=Healthy&limit=5&tag=x\n",
    "GET /v1/discover/web?namespace=svc.internal\n",
];
const WORDS: [&str; 22] = [
    r#""items":"#,
    r#""service":"#,
    r#""id":"#,
    r#""owner":"#,
    r#""checks":"#,
    r#""kind":"grpc""#,
    r#""tls":{}"#,
    r#""headers":{"a":"b"}"#,
    r#""until":"#,
    r#""2030-01-01T00:00:00Z""#,
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "%2f",
    "..",
    "/instances/",
    "/services/",
    "?limit=",
    "&after=",
];

/// Method, path and body.
fn parts(input: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (head, body) = (lines.next().unwrap_or_default(), lines.next());
    let mut words = head.splitn(2, |byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next());
    (method, path.unwrap_or_default(), body.unwrap_or_default())
}

#[test]
fn every_request_has_an_answer_and_what_was_taken_can_be_read() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(start());
    let answer = |method: &[u8], path: &[u8], body: &[u8]| {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Bytes::copy_from_slice(body))
            .ok()?;
        let response = runtime.block_on(server.service.answer(request));
        let body = response.body().as_bytes().map(<[u8]>::to_vec);
        Some((response.status().as_u16(), body.unwrap_or_default()))
    };
    let corpus = CORPUS.map(str::as_bytes);
    slow_mutations(&corpus, &WORDS, |input| {
        let (method, path, body) = parts(input);
        // A read that waits would wait for a clock that stands still.
        if path.windows(4).any(|part| part == b"wait") {
            return false;
        }
        let Some((status, told)) = answer(method, path, body) else {
            return false;
        };
        let shown = String::from_utf8_lossy(&told);
        assert!((200..500).contains(&status), "{status}: {shown}");
        let is_success = status < 300;
        // A refusal may show what was sent, the path twice.
        let told_max = 8 * input.len() + 8 * 1_024;
        assert!(is_success || told.len() <= told_max, "{} bytes", told.len());
        if is_success && method == b"PUT" && !path.contains(&b'?') {
            let (again, shown) = answer(b"GET", path, b"").unwrap();
            assert_eq!(again, 200, "{}", String::from_utf8_lossy(&shown));
        }
        is_success
    });
    let (status, _) = answer(b"GET", b"/v1/instances?limit=1000", b"").unwrap();
    assert_eq!(status, 200);
}
