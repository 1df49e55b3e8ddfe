//! Packets of all kinds: whatever comes, what goes out is a whole message within its limit, or nothing.

use std::net::IpAddr;

use domain::base::Message;

use super::message::parts;
use super::picks::{NAMESPACES, Pick, SERVICES, config};
use crate::chance::Chance;
use crate::testing::{World, long_forms, skipped};
use crate::{Context, Transport, answer};

const THREADS: u64 = 2;
const PACKETS: u64 = 20_000;
const PACKETS_LONG: u64 = 10_000_000;

/// What became of the packets.
#[derive(Debug, Default)]
struct Counts {
    packets: u64,
    silence: u64,
    format_errors: u64,
    not_implemented: u64,
    refused: u64,
    name_errors: u64,
    truncated: u64,
    with_answers: u64,
    bytes_max: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.silence += other.silence;
        self.format_errors += other.format_errors;
        self.not_implemented += other.not_implemented;
        self.refused += other.refused;
        self.name_errors += other.name_errors;
        self.truncated += other.truncated;
        self.with_answers += other.with_answers;
        self.bytes_max = self.bytes_max.max(other.bytes_max);
    }
}

#[test]
fn random_and_mutated_packets_get_whole_answers_or_silence() {
    let counts = flood(PACKETS);
    assert!(
        counts.silence > 0 && counts.format_errors > 0 && counts.with_answers > 0,
        "{counts:?}"
    );
    assert!(counts.truncated > 0 && counts.name_errors > 0, "{counts:?}");
}

#[test]
fn ten_million_random_and_mutated_packets_get_whole_answers_or_silence() {
    if !long_forms() {
        return skipped(
            "answer::tests::flood::ten_million_random_and_mutated_packets_get_whole_answers_or_silence",
            "it is a long form: WAYPOST_LONG=1, with --release",
        );
    }
    let counts = flood(PACKETS_LONG);
    println!("{counts:?}");
    assert_eq!(counts.packets, PACKETS_LONG);
}

/// Sends so many packets, and looks at what comes of each.
fn flood(packets: u64) -> Counts {
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || flood_worlds(thread, packets / THREADS)))
            .collect();
        for thread in threads {
            counts.add(&thread.join().unwrap());
        }
    });
    counts
}

fn flood_worlds(thread: u64, packets: u64) -> Counts {
    let mut chance = Chance::new(thread);
    let worlds: Vec<World> = (0..8).map(|at| world(at, &mut chance)).collect();
    let mut counts = Counts::default();
    let mut room = vec![0; 65_535];
    for _ in 0..packets {
        let world = &worlds[below(&mut chance, worlds.len())];
        let packet = packet(&mut chance);
        one(world, &packet, &mut room, &mut chance, &mut counts);
    }
    counts
}

/// A world of random contents, and a service that is too large for any datagram.
fn world(at: u8, chance: &mut Chance) -> World {
    let mut world = World::with(config(at));
    for _ in 0..400 {
        // What the registry refuses changes nothing.
        drop(world.try_run(&pick(chance).command()));
    }
    for number in 0..150 {
        let address = format!("10.0.2.{number}");
        world.register("crowd.x.test", &format!("n:{number}"), &address, 80);
    }
    world
}

fn pick(chance: &mut Chance) -> Pick {
    let [kind, a, b, c, d, ..] = chance.next().to_be_bytes();
    let bits = chance.next();
    Pick {
        kind,
        a,
        b,
        c,
        d,
        bits,
    }
}

fn below(chance: &mut Chance, most: usize) -> usize {
    crate::service::below(chance.next(), most)
}

fn place(list: &[&str], name: &str) -> u8 {
    let at = list.iter().position(|other| *other == name).unwrap();
    u8::try_from(at).unwrap()
}

/// A random packet, a good question, or one that was good.
fn packet(chance: &mut Chance) -> Vec<u8> {
    if below(chance, 8) == 0 {
        let len = below(chance, 300);
        return (0..len).map(|_| chance.next().to_be_bytes()[0]).collect();
    }
    let mut pick = pick(chance);
    if below(chance, 4) == 0 {
        // The name of the crowd.
        (pick.kind, pick.a, pick.b) = (0, place(&NAMESPACES, "x.test"), place(&SERVICES, "crowd"));
    }
    let mut packet = pick.asked().bytes();
    for _ in 0..below(chance, 6).saturating_sub(2) {
        let [kind, value, ..] = chance.next().to_be_bytes();
        let at = below(chance, packet.len());
        match kind % 6 {
            0 | 1 => packet[at] = value,
            2 => packet[at] ^= 1 << (value % 8),
            3 => packet.insert(at, value),
            4 => packet.truncate(at.max(1)),
            _ => {
                let tail = packet[at..].to_vec();
                packet.extend(tail);
            }
        }
    }
    packet
}

fn one(world: &World, packet: &[u8], room: &mut [u8], chance: &mut Chance, counts: &mut Counts) {
    let random = chance.next();
    let transport = if random & 1 == 0 {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    let context = Context {
        table: &world.table,
        config: &world.config,
        transport,
        peer: IpAddr::from([127, 0, 0, 1]),
        local: Some(IpAddr::from([127, 0, 0, 9])),
        random,
    };
    let len = answer(packet, room, &context);
    let answered = &room[..len];
    counts.packets += 1;
    if answered.is_empty() {
        assert!(
            packet.len() < 12 || packet[2] & 0x80 != 0,
            "silence: {packet:02x?}"
        );
        counts.silence += 1;
        return;
    }
    let most = match transport {
        Transport::Udp => usize::from(world.config.udp_bytes_max),
        Transport::Tcp => 65_535,
    };
    assert!(answered.len() <= most, "{len} bytes: {packet:02x?}");
    let found = parts(answered);
    let [id1, id2, flags, code] = found.head;
    assert_eq!([id1, id2], packet[..2]);
    assert_eq!(flags & 0xf8, 0x80 | (packet[2] & 0x78), "{packet:02x?}");
    let code = code & 0xf;
    if is_malformed(packet) {
        assert!(matches!(code, 1 | 4), "code {code}: {packet:02x?}");
        assert_eq!(answered.len(), 12, "{packet:02x?}");
    }
    counts.format_errors += u64::from(code == 1);
    counts.not_implemented += u64::from(code == 4);
    counts.refused += u64::from(code == 5);
    counts.name_errors += u64::from(code == 3);
    counts.truncated += u64::from(flags & 2 != 0);
    counts.with_answers += u64::from(!found.answer.is_empty());
    counts.bytes_max = counts.bytes_max.max(len);
}

/// Says whether the oracle cannot read one question, or what is counted after it.
fn is_malformed(packet: &[u8]) -> bool {
    let Ok(message) = Message::from_octets(packet) else {
        return true;
    };
    if message.header_counts().qdcount() != 1 {
        return true;
    }
    if message.first_question().is_none() {
        return true;
    }
    // The oracle follows the names of all records, which are none of an answer's business: only what ends early counts.
    let opts = message.additional().map(|section| {
        let records = section.map_while(Result::ok);
        records
            .filter(|record| record.rtype().to_int() == 41)
            .count()
    });
    opts.is_ok_and(|count| count > 1)
}
