//! Clients that do not go on: in the handshake, while they are answered, and when the server stops.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::{Certificates, cli, figure};
use crate::server::{Server, Setup, eventually, eventually_within};

const SERVICE: &str = "/v1/namespaces/svc.internal/services/web/instances";
const TIMEOUTS: &str = "waypost_http_rejections_total{reason=\"tls_timeout\"}";
const CUTS: &str = "waypost_http_rejections_total{reason=\"write_timeout\"}";
const STREAMS: &str = "waypost_watchers{kind=\"Stream\"}";
/// More than what sockets and the buffers of TLS take, in answers of [`fill`].
const ANSWERS: usize = 1_000;

type Secured = StreamOwned<ClientConnection, TcpStream>;

fn session(files: &Certificates) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    let authority = fs::read(files.path("ca.pem")).unwrap();
    roots
        .add(CertificateDer::from_pem_slice(&authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap()
}

/// Gives the first half of what begins a handshake.
fn half_of_a_hello(files: &Certificates) -> Vec<u8> {
    let mut hello = Vec::new();
    session(files).write_tls(&mut hello).unwrap();
    hello.truncate(hello.len() / 2);
    hello
}

fn connected(server: &Server, files: &Certificates) -> Secured {
    StreamOwned::new(
        session(files),
        TcpStream::connect(server.address()).unwrap(),
    )
}

/// Connects with hardly any room for what comes.
fn narrow(server: &Server, files: &Certificates) -> Secured {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(&server.address().into()).unwrap();
    StreamOwned::new(session(files), TcpStream::from(socket))
}

/// Sends a request with a connection of its own.
fn put(server: &Server, files: &Certificates, path: &str, body: &Value) {
    let mut stream = connected(server, files);
    let body = body.to_string();
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}

/// Registers one instance with 3 KB to show.
fn fill(server: &Server, files: &Certificates, number: usize, id: usize) {
    let filler = format!("{number:01000}");
    let body = json!({
        "address": "10.9.8.7", "port": 1, "attributes": {"a": filler, "b": filler, "c": filler},
    });
    put(server, files, &format!("{SERVICE}/i{id}"), &body);
}

/// Waits until the server has closed the connection.
fn is_closed(mut stream: TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("it should have been closed: {other:?}"),
    }
}

#[test]
fn a_stop_does_not_wait_for_handshakes_that_do_not_come() {
    let files = Certificates::new();
    // Where there is no time for a drain they end at once, else soon.
    for drain in ["15", "0"] {
        let mut server = Setup::new()
            .file(files.section())
            .env("WAYPOST__HTTP__DRAIN_SECONDS", drain)
            .env("WAYPOST__HTTP__HEADER_TIMEOUT_SECONDS", "60")
            .start();
        let _silent = TcpStream::connect(server.address()).unwrap();
        let mut half = TcpStream::connect(server.address()).unwrap();
        half.write_all(&half_of_a_hello(&files)).unwrap();
        eventually("both are accepted", || {
            (figure(&server, &files, "waypost_http_connections ") >= 3).then_some(())
        });
        let began = Instant::now();
        let status = server.terminate();
        let took = began.elapsed();
        let log = server.log();
        assert!(status.success(), "{status}: {log}");
        assert!(
            took < Duration::from_secs(8),
            "with a drain of {drain} s it took {took:?}"
        );
        let were_cut = log.contains("connections were cut at the end of the drain");
        assert_eq!(were_cut, drain == "0", "{log}");
    }
}

#[test]
fn a_handshake_has_the_time_of_a_head_in_all_and_is_counted_when_that_is_over() {
    let files = Certificates::new();
    let server = Setup::new()
        .file(files.section())
        .env("WAYPOST__HTTP__HEADER_TIMEOUT_SECONDS", "6")
        .start();
    assert_eq!(figure(&server, &files, TIMEOUTS), 0);
    let began = Instant::now();
    let silent = TcpStream::connect(server.address()).unwrap();
    let mut late = TcpStream::connect(server.address()).unwrap();
    // It begins shortly before its time is over, which does not begin anew with that.
    late.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let early = late.read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock, "{early}");
    late.write_all(&half_of_a_hello(&files)).unwrap();
    is_closed(silent);
    is_closed(late);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(9), "it took {took:?}");
    assert_eq!(figure(&server, &files, TIMEOUTS), 2);
}

/// Starts a server that has much to tell and cuts who takes nothing of it.
fn filled() -> (Certificates, Server) {
    let files = Certificates::new();
    let server = Setup::new()
        .file(files.section())
        .env("WAYPOST__HTTP__BODY_TIMEOUT_SECONDS", "1")
        .start();
    for id in 0..10 {
        fill(&server, &files, 0, id);
    }
    (files, server)
}

/// Its bytes wait in the layer of TLS, where the socket does not show that nobody takes them.
#[test]
fn a_watcher_over_tls_that_never_reads_is_cut_in_time() {
    let (files, server) = filled();
    let mut stalled = narrow(&server, &files);
    stalled
        .write_all(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    eventually("it is held", || {
        (figure(&server, &files, STREAMS) == 1).then_some(())
    });
    let mut number = 0;
    eventually_within(Duration::from_secs(60), "it is cut", || {
        for id in 0..10 {
            number += 1;
            fill(&server, &files, number, id);
        }
        (figure(&server, &files, STREAMS) == 0).then_some(())
    });
    assert_eq!(figure(&server, &files, CUTS), 1);
}

#[test]
fn a_reader_over_tls_that_takes_nothing_of_its_answers_is_cut_in_time() {
    let (files, server) = filled();
    let mut stalled = narrow(&server, &files);
    let requests = format!("GET {SERVICE} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(ANSWERS);
    stalled.write_all(requests.as_bytes()).unwrap();
    eventually_within(Duration::from_secs(30), "it is cut", || {
        (figure(&server, &files, CUTS) == 1).then_some(())
    });
    eventually("its place is free", || {
        (figure(&server, &files, "waypost_http_connections ") == 1).then_some(())
    });
}

#[test]
fn a_stream_over_tls_ends_whole_when_its_token_is_revoked() {
    let files = Certificates::new();
    let server = Setup::new().file(files.section()).start();
    fill(&server, &files, 0, 0);
    let ca = files.path("ca.pem");
    let issued = |token: &str, name: &str| -> Value {
        let arguments = ["token", "create", name, "-q", "-o", "json"];
        let (code, told) = cli(&server, &ca, &[("WAYPOST_TOKEN", token)], &arguments);
        assert_eq!(code, 0, "{told}");
        serde_json::from_str(&told).unwrap()
    };
    let admin = issued("", "admin");
    let admin = admin["secret"].as_str().unwrap();
    let watcher = issued(admin, "watcher");
    let (id, token) = (
        watcher["id"].as_str().unwrap(),
        watcher["secret"].as_str().unwrap(),
    );
    let mut stream = connected(&server, &files);
    let ask = format!("GET /v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut came = String::new();
    while !came.contains("event: synced") {
        let mut room = [0; 4_096];
        let count = stream.read(&mut room).unwrap();
        assert!(count > 0, "{came}");
        came.push_str(std::str::from_utf8(&room[..count]).unwrap());
    }
    assert!(
        came.starts_with("HTTP/1.1 200") && came.contains("10.9.8.7"),
        "{came}"
    );
    let (code, told) = cli(
        &server,
        &ca,
        &[("WAYPOST_TOKEN", admin)],
        &["token", "revoke", id],
    );
    assert_eq!(code, 0, "{told}");
    // Without the farewell of TLS this would be an error.
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    let (code, told) = cli(&server, &ca, &[("WAYPOST_TOKEN", token)], &["ls"]);
    assert_eq!(code, 5, "{told}");
}
