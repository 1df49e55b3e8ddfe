//! Requests whose end two servers could see in different places (RFC 9112 sections 2.2, 5, 6 and 11.2): behind a proxy, the
//! second one would be somebody else's. `crates/waypost-http/src/tests/smuggling.rs` has more shapes of the same kind.

use super::{Fort, SECRET, TREASURE, exchange, status};
use crate::server::Setup;

/// What becomes of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It has one answer, and nothing after it is read.
    Single,
    /// It has one meaning, which every server knows: the request after it is a request.
    Plain,
}

use Outcome::{Plain, Single};

/// What comes between `Host` and the request that might be smuggled.
const SHAPES: [(&str, &str, Outcome); 34] = [
    (
        "length, then chunked",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "chunked, then length",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "two lengths",
        "Content-Length: 0\r\nContent-Length: 4\r\n\r\n",
        Single,
    ),
    (
        "the same length twice",
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        Plain,
    ),
    ("lengths in a list", "Content-Length: 0, 4\r\n\r\n", Single),
    ("a signed length", "Content-Length: +0\r\n\r\n", Single),
    ("a negative length", "Content-Length: -1\r\n\r\n", Single),
    (
        "a length in hexadecimal",
        "Content-Length: 0x0\r\n\r\n",
        Single,
    ),
    (
        "a length with a fraction",
        "Content-Length: 0.0\r\n\r\n",
        Single,
    ),
    (
        "a length that no number holds",
        "Content-Length: 18446744073709551616\r\n\r\n",
        Single,
    ),
    ("an empty length", "Content-Length:\r\n\r\n", Single),
    (
        "a length with a space inside",
        "Content-Length: 0 0\r\n\r\n",
        Single,
    ),
    ("a folded length", "Content-Length:\r\n 0\r\n\r\n", Single),
    (
        "a folded header",
        "X: a\r\n Transfer-Encoding: chunked\r\n\r\n",
        Single,
    ),
    ("a tab in place of a name", "\tX: a\r\n\r\n", Single),
    (
        "a space before the colon",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "a length with a space before the colon",
        "Content-Length : 4\r\n\r\n",
        Single,
    ),
    (
        "a coding nobody knows",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "chunked in quotes",
        "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "chunked that is not last",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "chunked after a vertical tab",
        "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "two codings in two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        Single,
    ),
    (
        "a name with a zero byte",
        "Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n",
        Single,
    ),
    ("a value with a zero byte", "X: a\0b\r\n\r\n", Single),
    (
        "a bare return in a value",
        "X: a\rTransfer-Encoding: chunked\r\n\r\n",
        Single,
    ),
    (
        "a line without a colon",
        "Transfer-Encoding chunked\r\n\r\n",
        Single,
    ),
    (
        "a size with a sign",
        "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
        Single,
    ),
    (
        "a size in hexadecimal with its prefix",
        "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        Single,
    ),
    (
        "a size that no number holds",
        "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n",
        Single,
    ),
    (
        "a chunk that is longer than its size",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        Single,
    ),
    (
        "a chunk with an extension",
        "Transfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\n{}\r\n0\r\n\r\n",
        Single,
    ),
    (
        "an extension with a bare line feed",
        "Transfer-Encoding: chunked\r\n\r\n2;a\nx\r\n{}\r\n0\r\n\r\n",
        Single,
    ),
    (
        "a bare line feed after a size",
        "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
        Single,
    ),
    ("bare line feeds in the head", "X: a\nY: b\n\n", Plain),
];

#[test]
fn no_shape_of_a_request_hides_another_one() {
    let fort = Fort::build(Setup::new());
    let mut wrong = Vec::new();
    for (name, rest, outcome) in SHAPES {
        let request = format!(
            "POST /v1/discovery/register HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n{rest}\
             GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(fort.server.address(), request.as_bytes());
        let first = status(&answer);
        let answers = answer.matches("HTTP/1.1 ").count();
        let found = match (first, answers) {
            // Its own answer or a refusal of the parser's, and the connection is closed.
            (400..=422 | 501, 1) => Single,
            (400..=422, 2) if answer.contains("/smuggled") => Plain,
            _ => {
                wrong.push(format!("{name}: {answer}"));
                continue;
            }
        };
        if found != outcome {
            wrong.push(format!("{name}: {found:?}, expected {outcome:?}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fort.serves_friends("after smuggling shapes");
}

/// The body of a request that is refused is not the next request.
#[test]
fn the_body_of_a_refused_request_is_never_read_as_a_request() {
    let fort = Fort::build(Setup::new());
    let hidden = format!(
        "GET /v1/namespaces/svc.internal/services/web/instances/hidden HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
    );
    for (method, path) in [
        ("POST", "/v1/discovery/register"),
        ("POST", "/no/such/path"),
        ("DELETE", "/v1/discover/web"),
        ("GET", "/livez"),
        ("GET", "/v1/discover/web"),
        ("OPTIONS", "/"),
    ] {
        for framing in [
            format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
                hidden.len()
            ),
        ] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\n{framing}GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            );
            let answer = exchange(fort.server.address(), request.as_bytes());
            assert!(!answer.contains(TREASURE), "{method} {path}: {answer}");
            let answers = answer.matches("HTTP/1.1 ").count();
            assert!([1, 2].contains(&answers), "{method} {path}: {answer}");
        }
    }
    fort.serves_friends("after bodies that look like requests");
}
