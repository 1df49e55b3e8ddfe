//! DNS under load: while the registry changes without pause, and when what comes are no questions.

mod checker;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::base::Message;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::dns_server::{Asker, question};
use crate::server::{Server, Setup};
use crate::skips::long_forms;
use checker::{Asking, Seen};

const SERVICES: u8 = 20;
/// Changes, and the least time that they are spread over: faster is better.
const CHANGES: u32 = 4_500;
const CHANGES_LONG: u32 = 60_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A sequence of numbers that is the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most).unwrap()).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

fn instance(service: u8, number: u8) -> String {
    format!("/v1/namespaces/svc.internal/services/s{service}/instances/i{number}")
}

/// What instance `number` of service `service` is registered as: one look at an answer says whether it is whole.
fn registration(service: u8, number: u8) -> Value {
    json!({
        "ipv4": format!("127.1.{service}.{number}"),
        "ports": [{"name": "p", "number": 8_000 + u16::from(number), "protocol": "http"}],
    })
}

/// What an instance that comes and goes is now.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Absent,
    Active,
    Draining,
}

/// The writer of all changes.
struct Churn {
    connection: Connection,
    numbers: Numbers,
    states: Vec<[State; 8]>,
}

impl Churn {
    fn new(server: &Server) -> Self {
        let mut churn = Self {
            connection: server.connect(),
            numbers: Numbers(42),
            states: vec![[State::Absent; 8]; usize::from(SERVICES)],
        };
        for service in 0..SERVICES {
            churn.ask("PUT", &instance(service, 1), &registration(service, 1));
        }
        churn
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) {
        let answer = self.connection.ask(method, path, body).unwrap();
        assert!(answer.is_success(), "{method} {path}: {}", answer.text());
    }

    /// Changes one thing after the other; every service keeps at least one instance in rotation.
    fn change(&mut self, round: u32) {
        let service = u8::try_from(round % u32::from(SERVICES)).unwrap();
        if service == 0 {
            // Nobody stays here: the next one comes, then the last one goes.
            let turn = u8::try_from(round / u32::from(SERVICES) % 200).unwrap();
            let (new, old) = (1 + (turn + 1) % 200, 1 + turn);
            self.ask("PUT", &instance(0, new), &registration(0, new));
            self.ask("DELETE", &instance(0, old), &Value::Null);
            return;
        }
        let which = self.numbers.below(8);
        let number = 2 + u8::try_from(which).unwrap();
        let path = instance(service, number);
        let mode = format!("{path}/mode");
        let state = self.states[usize::from(service)][which];
        let next = match (state, self.numbers.below(2)) {
            (State::Absent, _) => {
                self.ask("PUT", &path, &registration(service, number));
                State::Active
            }
            (State::Active, 0) => {
                self.ask("DELETE", &path, &Value::Null);
                State::Absent
            }
            (State::Active, _) => {
                self.ask(
                    "PUT",
                    &mode,
                    &json!({"mode": "Draining", "reason": "churn"}),
                );
                State::Draining
            }
            (State::Draining, _) => {
                self.ask("DELETE", &mode, &Value::Null);
                State::Active
            }
        };
        self.states[usize::from(service)][which] = next;
    }
}

#[test]
fn under_a_thousand_changes_per_second_no_name_is_missing_and_no_answer_is_torn() {
    let server = Setup::new()
        .env("SERVICE_DISCOVERY_MODE", "memory_only")
        .start();
    let mut churn = Churn::new(&server);
    let is_over = AtomicBool::new(false);
    let changes = if long_forms() { CHANGES_LONG } else { CHANGES };
    let address = server.dns();
    let begun = Instant::now();
    let seen = std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut asking = Asking::new(address, SERVICES);
            while !is_over.load(Ordering::Relaxed) {
                asking.ask_many();
            }
            asking.seen
        });
        let end = Over(&is_over);
        (0..changes).for_each(|round| churn.change(round));
        drop(end);
        asker.join().unwrap()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let Seen {
        answers,
        records,
        sizes,
    } = seen;
    println!(
        "{:.0} changes/s, {:.0} answers/s with {records} records",
        f64::from(changes) / seconds,
        f64::from(answers) / seconds
    );
    assert!(answers > 1_000, "{answers} answers are no load");
    assert!(sizes.len() > 3, "answers did not change: {sizes:?}");
}

/// Ends the load also when the changes fail.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A packet that is random, or a good question in which something was changed.
fn packet(numbers: &mut Numbers) -> Vec<u8> {
    if numbers.below(4) == 0 {
        let len = numbers.below(600);
        return numbers.bytes(len);
    }
    let names = [
        "many.svc.internal",
        "_many._tcp.svc.internal",
        "svc.internal",
        "1.1.0.127.in-addr.arpa",
    ];
    let mut packet = question(names[numbers.below(names.len())]);
    let kinds = [1, 2, 5, 6, 12, 16, 28, 33, 255];
    let at = packet.len() - 3;
    packet[at] = kinds[numbers.below(kinds.len())];
    if numbers.below(2) == 0 {
        packet[11] = 1;
        packet.extend([0, 0, 41, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    }
    for _ in 0..numbers.below(4) {
        let at = numbers.below(packet.len());
        let byte = numbers.next().to_be_bytes()[0];
        match numbers.below(3) {
            0 => packet[at] = byte,
            1 => packet.truncate(at.max(1)),
            _ => packet.insert(at, byte),
        }
    }
    packet
}

fn crowded() -> Server {
    let server = Server::start();
    for number in 1..=120_u8 {
        let path = format!("/v1/namespaces/svc.internal/services/many/instances/i{number}");
        let body = json!({"ipv4": format!("127.0.1.{number}"), "port": 80});
        server.put(&path, &body).expect(201);
    }
    server
}

/// An answer to anything is a whole message, of at most so many bytes.
fn is_whole(answer: &[u8], most: usize) {
    assert!(answer.len() <= most, "{} bytes", answer.len());
    let message = Message::from_octets(answer).unwrap();
    assert!(message.header().qr());
    let counts = message.header_counts();
    let records = message.iter().filter(Result::is_ok).count();
    let counted = counts.ancount() + counts.nscount() + counts.arcount();
    assert_eq!(records, usize::from(counted), "{answer:?}");
}

#[test]
fn random_and_mutated_packets_are_survived_over_both_transports() {
    let server = crowded();
    let rounds = if long_forms() { 2_000 } else { 40 };
    let asker = Asker::new(server.dns());
    let mut numbers = Numbers(7);
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..rounds {
        let packets: Vec<Vec<u8>> = (0..100).map(|_| packet(&mut numbers)).collect();
        sent += 2 * packets.len();
        answered += over_udp(server.dns(), &packets);
        answered += over_tcp(server.dns(), &packets);
        assert_eq!(asker.ask("svc.internal"), (0, 0));
    }
    // Streams that are no frames at all.
    for _ in 0..rounds {
        let bytes = numbers.bytes(5_000);
        stream(server.dns(), &bytes);
    }
    println!("{sent} packets, {answered} answers");
    assert!(answered > sent / 4, "{answered} answers to {sent} packets");
    assert_eq!(asker.ask("svc.internal"), (0, 0));
}

/// Sends all, then a good question, and checks what comes back until that is answered.
fn over_udp(server: SocketAddr, packets: &[Vec<u8>]) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    for packet in packets {
        socket.send(packet).unwrap();
    }
    let mut good = question("good.svc.internal");
    good[..2].copy_from_slice(&[0xab, 0xcd]);
    socket.send(&good).unwrap();
    let mut room = vec![0; 65_535];
    let mut answered = 0;
    let end = Instant::now() + PATIENCE;
    loop {
        match socket.recv(&mut room) {
            Ok(len) if room[12..len].starts_with(&good[12..]) => return answered,
            Ok(len) => {
                is_whole(&room[..len], 1_232);
                answered += 1;
            }
            Err(error) => {
                let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(waits && Instant::now() < end, "no answer any more: {error}");
                socket.send(&good).unwrap();
            }
        }
    }
}

/// Sends all as frames and reads the answers.
fn over_tcp(server: SocketAddr, packets: &[Vec<u8>]) -> usize {
    let frame = |packet: &Vec<u8>| {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&length, packet.as_slice()].concat()
    };
    let bytes: Vec<u8> = packets.iter().flat_map(frame).collect();
    let output = stream(server, &bytes);
    let mut rest = output.as_slice();
    let mut answered = 0;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (answer, after) = after.split_at(u16::from_be_bytes(*length).into());
        is_whole(answer, 65_535);
        rest = after;
        answered += 1;
    }
    answered
}

/// Writes bytes, closes its half, and reads to the end.
fn stream(server: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // The server may hang up on what is no frame while it is still being written.
    if stream.write_all(bytes).is_ok() {
        drop(stream.shutdown(Shutdown::Write));
    }
    let mut output = Vec::new();
    match stream.read_to_end(&mut output) {
        Ok(_) => output,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            Vec::new()
        }
    }
}
