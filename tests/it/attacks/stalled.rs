//! Readers of streams that never read.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::{Fort, SECRET, sockets};
use crate::server::{Setup, eventually_within};

const WATCHERS: usize = 10_000;
/// What all of them together may cost the process.
const GROWTH_KIB_MAX: u64 = 64 * 1_024;
/// Changes while nobody reads: more than sockets take.
const CHANGES: usize = 12;

/// Opens a stream with hardly any room for what comes.
fn stream(fort: &Fort) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(&fort.server.address().into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request =
        format!("GET /v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn ten_thousand_watchers_that_never_read_cost_at_most_64_mib() {
    let count = sockets(WATCHERS);
    let setup = Setup::new()
        .env("WAYPOST__HTTP__CONNECTIONS_MAX", "12000")
        .env("WAYPOST__HTTP__CONNECTIONS_PER_LOOPBACK_MAX", "12000")
        .env("WAYPOST__REST__WATCHERS_MAX", "12000")
        // They would be cut in time.
        .env("WAYPOST__HTTP__BODY_TIMEOUT_SECONDS", "600");
    let fort = Fort::build(setup);
    let change = |number: usize| {
        let body = json!({
            "address": "10.9.8.7", "port": 1, "attributes": {"number": number.to_string(), "filler": "x".repeat(1_000), "more": "y".repeat(1_000), "still": "z".repeat(1_000)},
        });
        let path = "/v1/namespaces/svc.internal/services/web/instances/changing";
        let answer = fort.as_friend("PUT", path, body.to_string().as_bytes());
        assert!(answer.is_success(), "{}", answer.text());
    };
    change(0);
    let before = fort.rss_kib();
    let streams: Vec<TcpStream> = (0..count).map(|_| stream(&fort)).collect();
    let held = || fort.metric("waypost_watchers{kind=\"Stream\"}");
    eventually_within(Duration::from_secs(60), "all streams are held", || {
        (held() == count as u64).then_some(())
    });
    let opened = fort.rss_kib();
    let began = Instant::now();
    for number in 1..=CHANGES {
        change(number);
    }
    fort.serves_friends("beside stalled watchers");
    let took = began.elapsed();
    assert_eq!(held(), count as u64, "none of them has gone");
    let after = fort.rss_kib();
    println!(
        "{count} watchers: {before} KiB before, {opened} KiB when they are open, {after} KiB after {CHANGES} changes in {took:?}"
    );
    let grown = opened.max(after).saturating_sub(before);
    let allowed = GROWTH_KIB_MAX * count as u64 / WATCHERS as u64;
    assert!(
        grown <= allowed,
        "the process grew by {grown} KiB, {allowed} KiB are allowed"
    );
    drop(streams);
    eventually_within(
        Duration::from_secs(60),
        "their places are given back",
        || (held() == 0).then_some(()),
    );
    fort.serves_friends("after stalled watchers");
}

/// A reader that takes nothing for as long as a body may take is cut, and its place is free.
#[test]
fn a_watcher_that_never_reads_is_cut_in_time() {
    let setup = Setup::new().env("WAYPOST__HTTP__BODY_TIMEOUT_SECONDS", "1");
    let fort = Fort::build(setup);
    let _stream = stream(&fort);
    let held = || fort.metric("waypost_watchers{kind=\"Stream\"}");
    eventually_within(Duration::from_secs(10), "it is held", || {
        (held() == 1).then_some(())
    });
    let mut number = 0;
    eventually_within(Duration::from_secs(30), "it is cut", || {
        for _ in 0..20 {
            number += 1;
            let filler = format!("{number:01000}");
            let body = json!({"address": "10.9.8.7", "port": 1, "attributes": {"filler": filler}});
            let path = "/v1/namespaces/svc.internal/services/web/instances/changing";
            let answer = fort.as_friend("PUT", path, body.to_string().as_bytes());
            assert!(answer.is_success(), "{}", answer.text());
        }
        (held() == 0).then_some(())
    });
    assert_eq!(fort.refused("write_timeout"), 1);
}
