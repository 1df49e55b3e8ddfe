//! Requests that never end, and bodies that are small to send and large to read (GO-2025-4081 and 4082 of Consul).

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::{Fort, HIDDEN, SECRET, TREASURE, exchange, status};
use crate::connection::Connection;
use crate::server::Setup;

const FLOODS: usize = 20;
/// Where each attacker stops by itself; the server must not let it come so far.
const FLOOD_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Sends the head and then the part over and over, and gives how many bytes the server let come, and its answer.
fn flood(fort: &Fort, head: &str, part: &[u8]) -> (usize, u16) {
    let mut stream = TcpStream::connect(fort.server.address()).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut reader = Connection::over(stream.try_clone().unwrap()).unwrap();
    let mut sent = head.len();
    if stream.write_all(head.as_bytes()).is_ok() {
        while sent < FLOOD_BYTES_MAX && stream.write_all(part).is_ok() {
            sent += part.len();
        }
    }
    let answer = reader.answer("POST").map_or(0, |answer| answer.status);
    (sent, answer)
}

fn many(fort: &Fort, head: &str, part: &[u8], expected: u16) {
    thread::scope(|scope| {
        let floods: Vec<_> = (0..FLOODS)
            .map(|_| scope.spawn(|| flood(fort, head, part)))
            .collect();
        while floods.iter().any(|flood| !flood.is_finished()) {
            fort.serves_friends("beside a flood");
        }
        let ends: Vec<(usize, u16)> = floods.into_iter().map(|it| it.join().unwrap()).collect();
        for (sent, answer) in &ends {
            assert!(*sent < FLOOD_BYTES_MAX, "{sent} bytes were taken");
            // The reset that ends a flood can overtake the answer.
            assert!([expected, 0].contains(answer), "{answer} for {head}");
        }
        assert!(
            ends.iter().any(|(_, answer)| *answer == expected),
            "nobody was told: {ends:?}"
        );
    });
    fort.serves_friends("after a flood");
}

#[test]
fn endless_header_lines_are_refused_and_counted() {
    let fort = Fort::build(Setup::new());
    let line = "X-Flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(100);
    many(&fort, "GET / HTTP/1.1\r\nHost: x\r\n", line.as_bytes(), 431);
    many(
        &fort,
        "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ",
        &[b'a'; 4_096],
        431,
    );
    assert_eq!(fort.refused("headers_too_large"), 2 * FLOODS as u64);
    fort.grew_at_most(48 * 1_024, "header floods");
}

fn chunked(method: &str, path: &str, authorization: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

fn chunk() -> Vec<u8> {
    [b"2000\r\n", &[b' '; 0x2000][..], b"\r\n"].concat()
}

#[test]
fn endless_chunked_bodies_are_refused_and_counted() {
    let fort = Fort::build(Setup::new());
    let token = format!("Authorization: Bearer {SECRET}\r\n");
    let head = chunked("POST", "/v1/discovery/register", &token);
    many(&fort, &head, &chunk(), 413);
    assert_eq!(fort.refused("body_too_large"), FLOODS as u64);
    many(
        &fort,
        &chunked("POST", "/v1/discovery/register", ""),
        &chunk(),
        401,
    );
    // An endless chunk extension is as bad as an endless body.
    many(&fort, &format!("{head}1;"), &[b'a'; 4_096], 400);
    // Each may fill the bound of a body, which is gathered in a buffer that doubles.
    fort.grew_at_most(FLOODS as u64 * 5 * 1_024, "chunked floods");
}

/// Every route of every adapter that reads a body has the same bound, with a length and without.
#[test]
fn no_route_reads_a_body_without_a_bound() {
    let fort = Fort::build(Setup::new());
    let token = format!("Authorization: Bearer {SECRET}\r\n");
    let document = fort.as_friend("GET", "/openapi.json", b"").json();
    let mut routes = vec![
        ("POST".to_owned(), "/".to_owned()),
        (
            "POST".to_owned(),
            "/service/Route53AutoNaming_v20170314/operation/ListNamespaces".to_owned(),
        ),
    ];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation.get("requestBody").is_some() {
                routes.push((method.to_uppercase(), path.replace(['{', '}'], "x")));
            }
        }
    }
    assert!(routes.len() > 8, "{routes:?}");
    let body = [b"\"", &b"a".repeat(1_100_000)[..]].concat();
    let sized = chunk().repeat(140);
    for (method, path) in &routes {
        let with_length = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{token}Content-Type: application/json\r\nX-Amz-Target: Route53AutoNaming_v20170314.ListNamespaces\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [with_length.as_bytes(), &body].concat();
        let answer = exchange(fort.server.address(), &bytes);
        assert_eq!(status(&answer), 413, "{method} {path}: {answer}");
        let head = chunked(method, path, &token).replace(
            "Host: x\r\n",
            "Host: x\r\nX-Amz-Target: Route53AutoNaming_v20170314.ListNamespaces\r\n",
        );
        let bytes = [head.as_bytes(), &sized, b"0\r\n\r\n"].concat();
        let answer = exchange(fort.server.address(), &bytes);
        assert_eq!(status(&answer), 413, "{method} {path}: {answer}");
    }
    fort.grew_at_most(64 * 1_024, "bodies over the bound");
}

/// Documents that are cheap to send and dear to read, each with what it is.
fn bombs() -> Vec<(&'static str, String)> {
    let million = 1_000_000;
    let nested = |open: &str, close: &str, times: usize| open.repeat(times) + &close.repeat(times);
    let in_field = |value: &str| {
        format!(
            r#"{{"service_name":"web","instance_id":"bomb","host":"127.0.0.1","port":{value}}}"#
        )
    };
    let key = r#""port":1,"#.repeat(100_000);
    vec![
        ("arrays in arrays", nested("[", "]", million / 2)),
        (
            "objects in objects",
            nested(r#"{"metadata":"#, "}", 60_000).replace(":}", ":1}"),
        ),
        (
            "an array of half a million",
            in_field(&format!("[{}0]", "0,".repeat(million / 2))),
        ),
        (
            "a number of a million digits",
            in_field(&"9".repeat(million)),
        ),
        ("a number that no type holds", in_field("1e999999999")),
        (
            "a small number of many digits",
            in_field(&format!("0.{}1", "0".repeat(million / 2))),
        ),
        (
            "a text of a million bytes",
            in_field(&format!("\"{}\"", "a".repeat(million))),
        ),
        (
            "escapes without end",
            in_field(&format!("\"{}\"", r"\u0000".repeat(150_000))),
        ),
        ("half a pair of surrogates", in_field(r#""\ud800""#)),
        (
            "a key a hundred thousand times",
            format!(r#"{{{key}"service_name":"web","instance_id":"bomb","host":"127.0.0.1"}}"#),
        ),
        (
            "a hundred thousand keys",
            format!(
                r#"{{"metadata":{{{}"a":1}},"service_name":"web","instance_id":"bomb","host":"127.0.0.1","port":1}}"#,
                (0..60_000)
                    .map(|n| format!("\"k{n}\":\"v\","))
                    .collect::<String>()
            ),
        ),
        ("spaces", " ".repeat(million)),
    ]
}

#[test]
fn json_bombs_are_refused_quickly_and_take_no_memory() {
    let fort = Fort::build(Setup::new());
    for (name, body) in bombs() {
        for (method, path) in [
            ("POST", "/v1/discovery/register"),
            ("POST", "/service-discovery/register"),
            ("PUT", HIDDEN),
            ("PATCH", HIDDEN),
            ("POST", "/v1/batch/register"),
            ("POST", "/v1/tokens"),
        ] {
            let started = Instant::now();
            let answer = fort.as_friend(method, path, body.as_bytes());
            let took = started.elapsed();
            // The sources' bodies are read as their examples are: of a field that comes twice the last one counts.
            let is_taken = name.contains("hundred thousand times") && answer.status < 300;
            assert!(
                is_taken || (400..500).contains(&answer.status),
                "{name}, {method} {path}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(
                answer.body.len() < 4_096,
                "{name}: {} bytes",
                answer.body.len()
            );
            assert!(took < Duration::from_secs(3), "{name}, {path}: {took:?}");
        }
    }
    fort.serves_friends("after JSON bombs");
    let kept = fort.as_friend("GET", HIDDEN, b"").expect(200).text();
    assert!(kept.contains(TREASURE), "{kept}");
    fort.grew_at_most(48 * 1_024, "JSON bombs");
}
