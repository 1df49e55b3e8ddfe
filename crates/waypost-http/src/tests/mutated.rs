//! Heads, queries and escapes that were good once.

use bytes::Bytes;
use waypost_testkit::mutations;

use super::support::local;
use crate::percent::{decode_path, decode_query};
use crate::{HttpMetrics, Query, Router, Service, StatusCode, text};

const WORDS: [&str; 12] = [
    "%2f",
    "%25",
    "%zz",
    "%e2%82%ac",
    "+",
    "&",
    "=",
    ";",
    "/",
    "..",
    "?",
    "#",
];

#[test]
fn a_query_is_read_as_its_pairs_or_refused() {
    let corpus: [&[u8]; 4] = [
        b"service=web&tag=a%20b&limit=10",
        b"wait=50s&revision=0000000000000001.7.0123456789abcdef",
        b"attribute.key=va+lue&&x",
        b"",
    ];
    mutations(&corpus, &WORDS, |input| {
        let Ok(raw) = std::str::from_utf8(input) else {
            return false;
        };
        let Ok(query) = Query::parse(raw) else {
            return false;
        };
        let pairs: Vec<_> = query.iter().collect();
        assert!(pairs.len() <= 64);
        let bytes = |(name, value): &(&str, &str)| name.len() + value.len();
        let read: usize = pairs.iter().map(bytes).sum();
        assert!(read <= input.len(), "decoding makes nothing longer");
        for (name, _) in &pairs {
            let first = pairs.iter().find(|(known, _)| known == name);
            assert_eq!(query.get(name), first.map(|(_, value)| *value));
        }
        // Written with every byte escaped it is read as the same again.
        let written: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
            .collect();
        let written = written.join("&");
        assert!(Query::parse(&written).unwrap().iter().eq(pairs));
        true
    });
}

#[test]
fn escapes_are_decoded_or_refused() {
    let corpus: [&[u8]; 3] = [b"a/b", b"a%2Fb%20c", b"%F0%9F%92%A9+"];
    mutations(&corpus, &WORDS, |input| {
        let Ok(raw) = std::str::from_utf8(input) else {
            return false;
        };
        let (path, query) = (decode_path(raw), decode_query(raw));
        assert_eq!(path.is_ok(), query.is_ok());
        let (Ok(path), Ok(query)) = (path, query) else {
            return false;
        };
        assert!(path.len() <= raw.len());
        assert_eq!(path.len(), query.len());
        assert_eq!(decode_path(&escaped(&path)).unwrap(), path);
        assert_eq!(decode_query(&escaped(&query)).unwrap(), query);
        true
    });
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Method, target, header lines and body as they are on the wire; the parser of them is hyper's.
fn request(input: &[u8]) -> Option<http::Request<Bytes>> {
    let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let request = http::Request::builder().method(first.next()?);
    let mut request = request.uri(first.next()?);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], &line[colon + 1..]);
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

fn routes() -> Router {
    Router::new()
        .get_sync("/s/{a}/x/{b}", |head| {
            let (a, b) = (head.param("a"), head.param("b"));
            let found = format!(
                "{a:?} {b:?} {:?} {:?}",
                head.query_value("q"),
                head.bearer()
            );
            text(StatusCode::OK, found)
        })
        .post("/body", |mut request| async move {
            match request.read_body().await {
                Ok(bytes) => text(StatusCode::OK, bytes.len().to_string()),
                Err(rejection) => request.head.reject(&rejection),
            }
        })
}

#[test]
fn a_head_that_reaches_the_routes_has_an_answer_of_bounded_size() {
    let service = Service::new(routes(), &HttpMetrics::default(), &local()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let corpus: [&[u8]; 4] = [
        b"GET /s/one/x/two?q=a%20b\nauthorization:Bearer abc\nx-request-id:7f3a",
        b"POST /body\ncontent-type:application/json\n\n{}",
        b"OPTIONS *",
        b"HEAD /s/%2e%2e/x/%e2%82%ac",
    ];
    let own = [
        "GET ",
        "POST ",
        "DELETE ",
        "http://x/",
        "\n",
        "x-request-id:",
        "bearer ",
    ];
    let words = [&WORDS[..], &own].concat();
    mutations(&corpus, &words, |input| {
        let Some(request) = request(input) else {
            return false;
        };
        let response = runtime.block_on(service.answer(request));
        let status = response.status().as_u16();
        assert!((200..500).contains(&status), "{status}");
        let length = response.body().as_bytes().unwrap().len();
        assert!(length <= 16 * input.len() + 1_024, "{length} bytes");
        let id = response.headers()["x-request-id"].len();
        assert!(id <= 128, "an id of {id} bytes is passed on");
        true
    });
}
