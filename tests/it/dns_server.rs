//! The DNS server of the real binary, asked over real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use serde_json::json;

use crate::server::{PATIENCE, Server, Setup, eventually};
use crate::skips::{peer, skipped};

const WEB: &str = "/v1/namespaces/svc.internal/services/web/instances";

pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// The code and the number of answers.
fn taken_apart(answer: &[u8]) -> (u8, u16) {
    (answer[3] & 0xf, u16::from_be_bytes([answer[6], answer[7]]))
}

pub(crate) struct Asker(UdpSocket);

impl Asker {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn ask(&self, name: &str) -> (u8, u16) {
        self.0.send(&question(name)).unwrap();
        let mut answer = [0; 4_096];
        let len = self.0.recv(&mut answer).unwrap();
        taken_apart(&answer[..len])
    }
}

#[test]
fn what_was_acknowledged_is_answered_and_what_was_removed_never_is() {
    // In memory: thousands of syncs would hold up the disk that other tests measure their leases beside.
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_MODE", "memory_only")
        .start();
    let mut connection = server.connect();
    let asker = Asker::new(server.dns());
    let instance = format!("{WEB}/a");
    let json = [("Content-Type", "application/json")];
    let body = br#"{"address":"127.0.0.1","port":8080}"#;
    for round in 0..1_000 {
        let put = connection.request("PUT", &instance, &json, body).unwrap();
        assert!(put.status < 300, "{}", put.status);
        assert_eq!(asker.ask("web.svc.internal"), (0, 1), "round {round}");
        if round % 2 == 0 {
            let mode = format!("{instance}/mode");
            let drain = br#"{"mode":"Draining","reason":"test"}"#;
            assert_eq!(
                connection
                    .request("PUT", &mode, &json, drain)
                    .unwrap()
                    .status,
                200
            );
            assert_eq!(asker.ask("web.svc.internal"), (0, 0), "round {round}");
            assert_eq!(
                connection
                    .request("DELETE", &mode, &[], b"")
                    .unwrap()
                    .status,
                204
            );
            assert_eq!(asker.ask("web.svc.internal"), (0, 1), "round {round}");
        }
        assert_eq!(
            connection
                .request("DELETE", &instance, &[], b"")
                .unwrap()
                .status,
            204
        );
        assert_eq!(asker.ask("web.svc.internal"), (0, 0), "round {round}");
    }
}

#[test]
fn a_registry_that_was_killed_answers_with_everything_or_not_at_all() {
    let mut server = Server::start();
    for number in 0..50 {
        let body = json!({"address": "127.0.0.1", "port": 8_000 + number});
        server.put(
            &format!("/v1/namespaces/svc.internal/services/s{number}/instances/a"),
            &body,
        );
    }
    server.kill9();
    server.restart();
    let asker = Asker::new(server.dns());
    for number in 0..50 {
        assert_eq!(asker.ask(&format!("s{number}.svc.internal")), (0, 1));
    }
}

#[test]
fn questions_over_one_connection_are_answered_in_order_however_they_are_cut() {
    let server = Server::start();
    server.put(
        &format!("{WEB}/a"),
        &json!({"address": "127.0.0.1", "port": 80}),
    );
    let framed = |name: &str| {
        let question = question(name);
        let mut bytes = u16::try_from(question.len())
            .unwrap()
            .to_be_bytes()
            .to_vec();
        bytes.extend(question);
        bytes
    };
    let mut stream = TcpStream::connect(server.dns()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let both = ["web.svc.internal", "no.svc.internal"].map(framed).concat();
    stream.write_all(&both).unwrap();
    assert_eq!(read_framed(&mut stream), (0, 1));
    assert_eq!(read_framed(&mut stream), (3, 0));
    for byte in framed("web.svc.internal") {
        stream.write_all(&[byte]).unwrap();
    }
    // Half closed: what was asked is answered all the same.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_framed(&mut stream), (0, 1));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

fn read_framed(stream: &mut TcpStream) -> (u8, u16) {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer).unwrap();
    taken_apart(&answer)
}

#[test]
fn a_thousand_idle_connections_do_not_keep_the_next_one_out() {
    let server = Server::start();
    let idle: Vec<TcpStream> = (0..1_000)
        .map(|_| TcpStream::connect(server.dns()).unwrap())
        .collect();
    let mut stream = TcpStream::connect(server.dns()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = question("svc.internal");
    stream
        .write_all(&u16::try_from(question.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&question).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let metrics = || String::from_utf8_lossy(&server.get("/metrics").body).into_owned();
    eventually("the connections of one client are bounded", || {
        let text = metrics();
        let line = text
            .lines()
            .find(|line| line.starts_with("waypost_dns_tcp_connections "))?;
        let open: u32 = line.rsplit(' ').next()?.parse().ok()?;
        (open <= 51).then_some(())
    });
    drop(idle);
}

#[test]
fn who_never_stops_asking_and_who_never_reads_do_not_hold_up_the_end() {
    let mut server = Server::start();
    let web = question("web.svc.internal");
    let framed = [&u16::try_from(web.len()).unwrap().to_be_bytes()[..], &web].concat();
    let many = framed.repeat(1_000);
    let connect = || TcpStream::connect(server.dns()).unwrap();
    let (busy, mut deaf) = (connect(), connect());
    // Its answers fill every buffer on the way: then nothing more is taken from it.
    deaf.set_nonblocking(true).unwrap();
    while deaf.write(&many).is_ok() {}
    let (mut asking, mut reading) = (busy.try_clone().unwrap(), busy.try_clone().unwrap());
    let asks = std::thread::spawn(move || while asking.write_all(&many).is_ok() {});
    // As long as it answers, it is asked.
    let (answered, first_answer) = std::sync::mpsc::channel();
    let reads = std::thread::spawn(move || {
        let mut room = vec![0; 1 << 16];
        while reading.read(&mut room).is_ok_and(|len| len > 0) {
            let _ = answered.send(());
        }
    });
    first_answer.recv().unwrap();
    assert!(server.terminate().success());
    asks.join().unwrap();
    reads.join().unwrap();
    drop(deaf);
}

#[test]
fn a_port_that_is_taken_is_refused_with_who_holds_it() {
    // A listener: no connection of another test can have its port.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let output = Setup::new().dns(&format!("127.0.0.1:{port}")).refusal();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(&format!("(pid {}) holds the port", std::process::id())),
        "{said}"
    );
    assert!(said.contains("--dns"), "{said}");
}

#[test]
fn questions_are_counted_and_logged_when_that_is_asked_for() {
    let server = Setup::new()
        .env("WAYPOST__DNS__QUERY_LOG_EVERY", "1")
        .start();
    server.put(
        &format!("{WEB}/a"),
        &json!({"address": "127.0.0.1", "port": 80}),
    );
    let asker = Asker::new(server.dns());
    assert_eq!(asker.ask("web.svc.internal"), (0, 1));
    let text = String::from_utf8_lossy(&server.get("/metrics").body).into_owned();
    let line = "waypost_dns_queries_total{qtype=\"A\",rcode=\"NOERROR\",transport=\"udp\"} 1";
    assert!(text.contains(line), "{text}");
    eventually("the question is logged", || {
        let log = server.log();
        (log.contains("web.svc.internal") && log.contains("127.0.0.1:")).then_some(())
    });
}

#[test]
fn it_serves_without_dns_when_dns_is_off() {
    let server = Setup::new().dns("off").start();
    assert!(
        server.banner().contains("dns        off"),
        "{}",
        server.banner()
    );
    assert_eq!(server.get("/v1/dns").json()["listen"], json!([]));
    assert_eq!(server.get("/livez").status, 200);
}

#[test]
fn dig_shows_what_source_000_shows() {
    let dig = match peer("WAYPOST_PEER_DIG") {
        Ok(dig) => dig,
        Err(why) => return skipped("dns_server::dig_shows_what_source_000_shows", &why),
    };
    let server = Server::start();
    let instances = "/v1/namespaces/secure-api.local/services/worker/instances";
    for (id, address) in [("a", "10.0.1.45"), ("b", "10.0.2.67")] {
        server.put(
            &format!("{instances}/{id}"),
            &json!({"address": address, "port": 8080}),
        );
    }
    let address = server.dns();
    let output = std::process::Command::new(dig)
        .args([
            "@127.0.0.1",
            "-p",
            &address.port().to_string(),
            "+noall",
            "+answer",
            "worker.secure-api.local",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    let expected = [
        "worker.secure-api.local. 10 IN A 10.0.1.45",
        "worker.secure-api.local. 10 IN A 10.0.2.67",
    ];
    assert_eq!(lines, expected);
}
