//! Questions without pause, and a look at every answer: is the name there, and is it one state of the registry?

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Srv};

use crate::dns_server::question;

/// Questions that are on their way at a time.
const WINDOW: u8 = 64;
const PATIENCE: Duration = Duration::from_secs(30);
const LOST_AFTER: Duration = Duration::from_secs(3);

/// What came in all.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answers: u32,
    pub(super) records: u32,
    pub(super) sizes: BTreeSet<u16>,
}

/// Somebody who asks for the names of all services, over and over.
pub(super) struct Asking {
    socket: UdpSocket,
    services: u8,
    next: u8,
    pub(super) seen: Seen,
}

impl Asking {
    pub(super) fn new(server: SocketAddr, services: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
        Self {
            socket,
            services,
            next: 0,
            seen: Seen::default(),
        }
    }

    /// Asks a window full of questions and waits for all answers.
    pub(super) fn ask_many(&mut self) {
        let mut open: BTreeSet<(u8, u8)> = BTreeSet::new();
        for number in 0..WINDOW {
            self.next = (self.next + 1) % self.services;
            open.insert((number, self.next));
        }
        let send = |open: &BTreeSet<(u8, u8)>| {
            for (number, service) in open {
                self.socket.send(&asked(*number, *service)).unwrap();
            }
        };
        send(&open);
        let end = Instant::now() + PATIENCE;
        let mut room = vec![0; 4_096];
        while !open.is_empty() {
            match self.socket.recv(&mut room) {
                Ok(len) => {
                    let answer = &room[..len];
                    // The second answer to one that was believed lost is no longer open.
                    if open.remove(&(answer[0], answer[1])) {
                        check(answer, answer[0], answer[1], &mut self.seen);
                    }
                }
                Err(error) => {
                    let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    assert!(waits && Instant::now() < end, "no answer: {error}");
                    send(&open);
                }
            }
        }
    }
}

/// The id says which question it was: every other one is for SRV.
fn asked(number: u8, service: u8) -> Vec<u8> {
    let mut bytes = question(&format!("s{service}.svc.internal"));
    bytes[..2].copy_from_slice(&[number, service]);
    if number % 2 == 1 {
        let at = bytes.len() - 3;
        bytes[at] = 33;
        // SRV with addresses needs more room than 512 bytes.
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

fn check(answer: &[u8], number: u8, service: u8, seen: &mut Seen) {
    let message = Message::from_octets(answer).unwrap();
    let counts = message.header_counts();
    assert_eq!(message.header().rcode(), Rcode::NOERROR, "s{service}");
    assert!(
        !message.header().tc() && message.header().aa(),
        "s{service}"
    );
    assert!(counts.ancount() > 0, "s{service} has nobody");
    let records = message.iter().filter(Result::is_ok).count();
    let counted = counts.ancount() + counts.nscount() + counts.arcount();
    assert_eq!(records, usize::from(counted), "s{service} is torn");
    let last = if number % 2 == 1 {
        check_srv(&message, service)
    } else {
        addresses(&message, service)
    };
    assert_eq!(
        last.len(),
        usize::from(counts.ancount()),
        "s{service}: one twice"
    );
    // The first service changes its only instance; the others have one that stays.
    assert!(
        service == 0 || last.contains(&1),
        "s{service} without the one that stays: {last:?}"
    );
    assert!(service != 0 || last.len() <= 2, "{last:?}");
    seen.answers += 1;
    seen.records += u32::from(counted);
    seen.sizes.insert(counts.ancount());
}

/// The numbers of the instances whose addresses are answered.
fn addresses(message: &Message<&[u8]>, service: u8) -> BTreeSet<u8> {
    let answers = message.answer().unwrap().limit_to::<A>();
    answers
        .map(|record| number_of(record.unwrap().data().addr(), service))
        .collect()
}

fn number_of(address: Ipv4Addr, service: u8) -> u8 {
    let [a, b, c, number] = address.octets();
    assert_eq!(
        [a, b, c],
        [127, 1, service],
        "an address of another service"
    );
    number
}

/// Port, target and address of each instance belong together.
fn check_srv(message: &Message<&[u8]>, service: u8) -> BTreeSet<u8> {
    let mut numbers = BTreeSet::new();
    for record in message.answer().unwrap().limit_to::<Srv<ParsedName<_>>>() {
        let record = record.unwrap();
        let number = u8::try_from(record.data().port() - 8_000).unwrap();
        let target = record.data().target().to_string();
        assert_eq!(
            target.trim_end_matches('.'),
            format!("i{number}.s{service}.svc.internal")
        );
        numbers.insert(number);
    }
    let mut glued = BTreeSet::new();
    for record in message.additional().unwrap().limit_to::<A>() {
        let record = record.unwrap();
        let number = number_of(record.data().addr(), service);
        let owner = record.owner().to_string();
        assert_eq!(
            owner.trim_end_matches('.'),
            format!("i{number}.s{service}.svc.internal")
        );
        glued.insert(number);
    }
    assert_eq!(numbers, glued, "s{service}");
    numbers
}
