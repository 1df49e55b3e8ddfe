//! Questions as bytes, and answers as text.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use domain::base::message::RecordSection;
use domain::base::opt::AllOptData;
use domain::base::{Message, Name, ParsedName};
use domain::rdata::AllRecordData;

use super::book::{Ask, Over};

/// Longest wait for an answer, and for how long a datagram is believed not to be lost.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(3);
/// The ids of the probe and of the questions after it.
const ID: [u8; 2] = [0x12, 0x34];
const SENTINEL: u8 = 0xf0;
const SENTINELS: u8 = 3;

/// Names as they are on the wire.
pub(super) fn name(dotted: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in dotted.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    let pairs = digits.chunks_exact(2);
    assert!(pairs.remainder().is_empty(), "half a byte: {text}");
    pairs
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

/// A question without EDNS.
pub(super) fn question(id: [u8; 2], dotted: &str, qtype: u16) -> Vec<u8> {
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend(name(dotted));
    bytes.extend(qtype.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

impl Ask {
    pub(super) fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return hex(raw);
        }
        let mut bytes = question(ID, &self.name, self.qtype);
        let end = bytes.len();
        bytes[end - 2..].copy_from_slice(&self.class.to_be_bytes());
        bytes[2] = (self.opcode << 3) | u8::from(self.rd);
        if let Some(payload) = self.edns {
            bytes[11] = 1;
            let options = hex(&self.options);
            bytes.extend([0, 0, 41]);
            bytes.extend(payload.to_be_bytes());
            bytes.extend([0, self.version]);
            bytes.extend(self.z.to_be_bytes());
            bytes.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
            bytes.extend(options);
        }
        if let Some([question, answer, authority, additional]) = self.counts {
            for (at, count) in [(5, question), (7, answer), (9, authority), (11, additional)] {
                bytes[at] = count;
            }
        }
        bytes.extend(hex(&self.tail));
        bytes
    }

    /// Asks, and gives what came; nothing when three questions after it were answered and it was not.
    pub(super) fn send(&self, server: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.over {
            Over::Tcp => Some(over_tcp(server, bytes)),
            Over::Udp => {
                let from = self.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                over_udp(server, from, bytes)
            }
        }
    }
}

pub(super) fn over_tcp(server: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, bytes].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer).unwrap();
    answer
}

pub(super) fn over_udp(server: SocketAddr, from: IpAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    let end = Instant::now() + PATIENCE;
    let mut sentinels = 0;
    let mut room = vec![0; 65_535];
    let ask = |sentinel: u8| {
        socket.send(bytes).unwrap();
        let after = question([SENTINEL, sentinel], "svc.internal", 6);
        socket.send(&after).unwrap();
    };
    ask(0);
    loop {
        match socket.recv(&mut room) {
            Ok(len) if len > 1 && room[..2] == [SENTINEL, sentinels] => {
                sentinels += 1;
                if sentinels == SENTINELS {
                    return None;
                }
                ask(sentinels);
            }
            // One that was believed lost.
            Ok(len) if len > 1 && room[0] == SENTINEL => {}
            Ok(len) => return Some(room[..len].to_vec()),
            Err(error) => {
                let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
                assert!(waits && Instant::now() < end, "no answer at all: {error}");
                ask(sentinels);
            }
        }
    }
}

/// An answer as text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) rcode: String,
    pub(super) flags: String,
    pub(super) answer: Vec<String>,
    pub(super) authority: Vec<String>,
    pub(super) additional: Vec<String>,
    /// Version, payload size and flags of the OPT record, and its options.
    pub(super) opt: Option<(String, Vec<String>)>,
    pub(super) len: usize,
    /// Why it is no answer to the question at all.
    pub(super) wrong: Option<String>,
}

/// Takes an answer apart; the error says why it is no message.
pub(super) fn read(asked: &[u8], bytes: &[u8]) -> Result<Answered, String> {
    let message = Message::from_octets(bytes).map_err(|_| "shorter than a header".to_owned())?;
    let header = message.header();
    let mut answered = Answered {
        flags: flags(bytes),
        len: bytes.len(),
        wrong: wrong(asked, bytes),
        ..Answered::default()
    };
    let mut rcode = u16::from(bytes[3] & 0xf);
    if let Some(opt) = message.opt() {
        rcode |= opt.rcode(header).to_int() & 0xff0;
        let options = opt.opt().iter::<AllOptData<_, Name<_>>>();
        let options =
            options.map(|option| option.map_or_else(|e| e.to_string(), |o| one_option(&o)));
        let flags = if opt.dnssec_ok() { " do" } else { "" };
        let head = format!(
            "version {} payload {}{flags}",
            opt.version(),
            opt.udp_payload_size()
        );
        answered.opt = Some((head, options.collect()));
    }
    answered.rcode = rcode_word(rcode);
    answered.answer = texts(message.answer())?;
    answered.authority = texts(message.authority())?;
    answered.additional = texts(message.additional())?;
    let mut records = 0_u64;
    for record in message.iter() {
        record.map_err(|error| error.to_string())?;
        records += 1;
    }
    let counts = message.header_counts();
    let counted = counts.ancount() + counts.nscount() + counts.arcount();
    if records != u64::from(counted) {
        return Err(format!("{records} records, {counted} counted"));
    }
    Ok(answered)
}

fn one_option(option: &AllOptData<&[u8], Name<&[u8]>>) -> String {
    match option {
        AllOptData::ExtendedError(error) => {
            let text = error.text().and_then(Result::ok).map(|text| &**text);
            format!("ede {} {}", error.code().to_int(), text.unwrap_or_default())
        }
        AllOptData::TcpKeepalive(keepalive) => {
            let timeout = keepalive.timeout();
            format!("keepalive {}", timeout.map_or(0, u16::from))
        }
        other => format!("{other:?}")
            .split('(')
            .next()
            .unwrap_or_default()
            .to_lowercase(),
    }
}

fn texts(
    section: Result<RecordSection<'_, &[u8]>, domain::base::wire::ParseError>,
) -> Result<Vec<String>, String> {
    let mut list = Vec::new();
    for record in section.map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        if record.rtype().to_int() == 41 {
            continue;
        }
        let (owner, ttl) = (record.owner().to_string(), record.ttl().as_secs());
        let kind = record.rtype();
        let any = record.to_any_record::<AllRecordData<_, ParsedName<_>>>();
        let data = any.map_err(|error| error.to_string())?.data().to_string();
        let mut words: Vec<&str> = vec![&owner];
        let (ttl, kind) = (ttl.to_string(), kind.to_string());
        words.extend([ttl.as_str(), kind.as_str()]);
        words.extend(data.split_whitespace());
        let mut words: Vec<&str> = words
            .into_iter()
            .map(|word| word.strip_suffix('.').unwrap_or(word))
            .collect();
        if kind == "SOA" {
            words[5] = "*";
        }
        list.push(words.join(" "));
    }
    Ok(list)
}

fn wrong(asked: &[u8], bytes: &[u8]) -> Option<String> {
    if bytes[..2] != asked[..2] {
        return Some("another id".to_owned());
    }
    if bytes[2] & 0xf8 != 0x80 | (asked[2] & 0x78) {
        return Some("no answer, or another opcode".to_owned());
    }
    let is_header_only = bytes[4..6] == [0, 0];
    let echoed = name_len(asked).is_some_and(|len| {
        let end = 12 + len + 4;
        bytes[4..6] == [0, 1] && bytes.get(12..end) == asked.get(12..end)
    });
    let needs_question = matches!(bytes[3] & 0xf, 0 | 2 | 3 | 5);
    (!echoed && (needs_question || !is_header_only))
        .then(|| "the question is not echoed".to_owned())
}

fn name_len(message: &[u8]) -> Option<usize> {
    let mut at = 12;
    loop {
        match *message.get(at)? {
            0 => return Some(at - 11),
            len @ 1..=63 => at += usize::from(len) + 1,
            _ => return None,
        }
    }
}

fn flags(bytes: &[u8]) -> String {
    let flags = [
        (2, 0x04, "aa"),
        (2, 0x02, "tc"),
        (2, 0x01, "rd"),
        (3, 0x80, "ra"),
        (3, 0x40, "z"),
        (3, 0x20, "ad"),
        (3, 0x10, "cd"),
    ];
    let set = flags.iter().filter(|(at, bit, _)| bytes[*at] & bit != 0);
    set.map(|(_, _, word)| *word).collect::<Vec<_>>().join(" ")
}

fn rcode_word(code: u16) -> String {
    let words = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
    ];
    match words.get(usize::from(code)) {
        Some(word) => (*word).to_owned(),
        None if code == 9 => "NOTAUTH".to_owned(),
        None if code == 16 => "BADVERS".to_owned(),
        None => code.to_string(),
    }
}
