//! Connections that are there and do nothing, or do it slowly (CVE-2020-7219 of Consul, Slowloris).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Fort, SECRET, sockets};
use crate::server::{Setup, eventually, eventually_within};

/// What an idle connection may cost the process, its buffers in the kernel aside.
const IDLE_KIB_MAX: u64 = 20;

#[test]
fn twenty_thousand_idle_connections_leave_room_for_everybody_else() {
    let count = sockets(20_000);
    let setup = Setup::new()
        .env("WAYPOST__HTTP__CONNECTIONS_MAX", "30000")
        .env("WAYPOST__HTTP__CONNECTIONS_PER_LOOPBACK_MAX", "30000")
        // One on which nothing ever came has the time of a head.
        .env("WAYPOST__HTTP__HEADER_TIMEOUT_SECONDS", "600");
    let fort = Fort::build(setup);
    let connections: Vec<TcpStream> = (0..count)
        .map(|number| {
            if number % 2_000 == 0 {
                fort.serves_friends("among idle connections");
            }
            TcpStream::connect(fort.server.address()).unwrap()
        })
        .collect();
    let open = || fort.metric("waypost_http_connections") >= count as u64;
    eventually_within(
        Duration::from_secs(30),
        "all connections are accepted",
        || open().then_some(()),
    );
    fort.serves_friends("beside idle connections");
    fort.grew_at_most(count as u64 * IDLE_KIB_MAX, "idle connections");
    drop(connections);
    eventually_within(Duration::from_secs(30), "all places are given back", || {
        (fort.metric("waypost_http_connections") < 100).then_some(())
    });
}

#[test]
fn connections_over_the_bound_are_refused_and_counted_and_idle_ones_make_room_in_time() {
    let setup = Setup::new()
        .env("WAYPOST__HTTP__CONNECTIONS_MAX", "200")
        .env("WAYPOST__HTTP__HEADER_TIMEOUT_SECONDS", "2");
    let fort = Fort::build(setup);
    let mut told = 0;
    let connections: Vec<TcpStream> = (0..600)
        .map(|_| TcpStream::connect(fort.server.address()).unwrap())
        .collect();
    for mut stream in connections {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut said = Vec::new();
        // The kernel may have closed what the server did not want to talk to.
        let _ = stream.read_to_end(&mut said);
        told += usize::from(said.starts_with(b"HTTP/1.1 503"));
    }
    assert!(told > 0, "nobody was told why");
    fort.serves_friends("after a flood of connections");
    let refused = fort.refused("connections");
    assert!((390..=400).contains(&refused), "{refused} were refused");
    fort.grew_at_most(32 * 1_024, "refused connections");
}

/// Sends a byte over each connection that is still open, and gives those.
fn drip(connections: Vec<TcpStream>, byte: u8) -> Vec<TcpStream> {
    let open = connections.into_iter().filter_map(|mut stream| {
        let is_open = match stream.read(&mut [0; 512]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        let sent = is_open && stream.write(&[byte]).is_ok();
        sent.then_some(stream)
    });
    open.collect()
}

fn dripping(fort: &Fort, count: usize, begin: &str) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(fort.server.address()).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    (0..count).map(open).collect()
}

#[test]
fn heads_that_come_a_byte_at_a_time_are_cut_and_hold_up_nobody() {
    let setup = Setup::new().env("WAYPOST__HTTP__HEADER_TIMEOUT_SECONDS", "2");
    let fort = Fort::build(setup);
    let mut slow = dripping(&fort, 500, "GET /v1/discover/web HTTP/1.1\r\nX-Slow: ");
    eventually("the last slow head is cut", || {
        slow = drip(std::mem::take(&mut slow), b'a');
        fort.serves_friends("beside slow heads");
        slow.is_empty().then_some(())
    });
    assert_eq!(fort.refused("header_timeout"), 500);
    fort.grew_at_most(32 * 1_024, "slow heads");
}

#[test]
fn bodies_that_come_a_byte_at_a_time_are_cut_and_hold_up_nobody() {
    let setup = Setup::new().env("WAYPOST__HTTP__BODY_TIMEOUT_SECONDS", "2");
    let fort = Fort::build(setup);
    let begin = format!(
        "POST /v1/discovery/register HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 100000\r\n\r\n{{"
    );
    let mut slow = dripping(&fort, 300, &begin);
    eventually("the last slow body is cut", || {
        slow = drip(std::mem::take(&mut slow), b' ');
        fort.serves_friends("beside slow bodies");
        slow.is_empty().then_some(())
    });
    assert_eq!(fort.refused("body_timeout"), 300);
    fort.grew_at_most(32 * 1_024, "slow bodies");
}

/// Whoever has no token is not waited for.
#[test]
fn a_slow_body_without_a_token_is_answered_before_it_comes() {
    let fort = Fort::build(Setup::new());
    let mut connection = fort.server.connect();
    let head =
        b"POST /v1/discovery/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{";
    connection.send_raw(head).unwrap();
    connection.set_patience(Duration::from_secs(5)).unwrap();
    assert_eq!(connection.answer("POST").unwrap().status, 401);
}
