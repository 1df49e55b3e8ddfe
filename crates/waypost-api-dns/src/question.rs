//! Reading a question: the header, the one name asked for, and what EDNS adds.

use crate::name::{Name, split_label};

/// Bytes of the header of every message.
pub(crate) const HEADER_BYTES: usize = 12;

/// Record types and question types that are treated by name.
pub(crate) mod rtype {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const TKEY: u16 = 249;
    pub(crate) const TSIG: u16 = 250;
    pub(crate) const IXFR: u16 = 251;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
}

/// The class of everything here.
pub(crate) const CLASS_IN: u16 = 1;

/// Codes of answers (RFC 6895 section 2.3).
pub(crate) mod rcode {
    pub(crate) const NO_ERROR: u16 = 0;
    pub(crate) const FORMAT_ERROR: u16 = 1;
    pub(crate) const SERVER_FAILURE: u16 = 2;
    pub(crate) const NAME_ERROR: u16 = 3;
    pub(crate) const NOT_IMPLEMENTED: u16 = 4;
    pub(crate) const REFUSED: u16 = 5;
    pub(crate) const BAD_VERSION: u16 = 16;
}

/// EDNS option codes.
pub(crate) mod option {
    pub(crate) const TCP_KEEPALIVE: u16 = 11;
    pub(crate) const EXTENDED_ERROR: u16 = 15;
}

/// What EDNS says in a question (RFC 6891).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) payload: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
    pub(crate) keepalive: bool,
}

/// A question that can be answered.
pub(crate) struct Question {
    pub(crate) name: Name,
    pub(crate) qtype: u16,
    pub(crate) qclass: u16,
    /// Where the question section ends in the message.
    pub(crate) end: usize,
    pub(crate) edns: Option<Edns>,
}

/// What a message is.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one answer: a box would be an allocation for each question"
)]
pub(crate) enum Message {
    /// No question at all: not answered, so that no answer ever answers an answer.
    Silence,
    /// A question that is answered by its header alone.
    Refused(u16),
    /// A question.
    Question(Question),
}

/// Reads a message.
pub(crate) fn read(message: &[u8]) -> Message {
    let Some(header) = message.first_chunk::<HEADER_BYTES>() else {
        return Message::Silence;
    };
    let [_, _, flags, _, counts @ ..] = *header;
    if flags & 0x80 != 0 {
        return Message::Silence;
    }
    if flags & 0x78 != 0 {
        return Message::Refused(rcode::NOT_IMPLEMENTED);
    }
    match read_question(message, counts) {
        Some(question) => Message::Question(question),
        None => Message::Refused(rcode::FORMAT_ERROR),
    }
}

fn read_question(message: &[u8], counts: [u8; 8]) -> Option<Question> {
    let [q1, q2, an1, an2, ns1, ns2, ar1, ar2] = counts;
    // Exactly one question (RFC 9619).
    if [q1, q2] != [0, 1] {
        return None;
    }
    let name = Name::read(message.get(HEADER_BYTES..)?).ok()?;
    let fields = HEADER_BYTES + name.wire().len();
    let [t1, t2, c1, c2] = *message.get(fields..)?.first_chunk::<4>()?;
    let end = fields + 4;
    let qtype = u16::from_be_bytes([t1, t2]);
    if qtype == rtype::OPT {
        return None;
    }
    let before =
        u32::from(u16::from_be_bytes([an1, an2])) + u32::from(u16::from_be_bytes([ns1, ns2]));
    let additional = u16::from_be_bytes([ar1, ar2]);
    let edns = read_additional(message.get(end..)?, before, additional)?;
    Some(Question {
        name,
        qtype,
        qclass: u16::from_be_bytes([c1, c2]),
        end,
        edns,
    })
}

/// Walks the records after the question and returns what the one OPT among the last ones says. `None` is a format error.
fn read_additional(mut rest: &[u8], before: u32, additional: u16) -> Option<Option<Edns>> {
    let mut edns = None;
    for at in 0..before + u32::from(additional) {
        let (is_root, after_name) = skip_name(rest)?;
        let (head, after_head) = after_name.split_first_chunk::<10>()?;
        let [t1, t2, c1, c2, _, version, z1, _, l1, l2] = *head;
        let (data, after) = after_head.split_at_checked(u16::from_be_bytes([l1, l2]).into())?;
        rest = after;
        if u16::from_be_bytes([t1, t2]) != rtype::OPT {
            continue;
        }
        // One OPT, of the root, in its own section (RFC 6891 section 6.1.1).
        if !is_root || edns.is_some() || at < before {
            return None;
        }
        edns = Some(Edns {
            payload: u16::from_be_bytes([c1, c2]),
            version,
            dnssec_ok: z1 & 0x80 != 0,
            keepalive: read_options(data)?,
        });
    }
    Some(edns)
}

/// Walks EDNS options; says whether the TCP keepalive option (RFC 7828) is among them.
fn read_options(mut data: &[u8]) -> Option<bool> {
    let mut keepalive = false;
    while !data.is_empty() {
        let ([c1, c2, l1, l2], rest) = data.split_first_chunk::<4>()?;
        let (_, after) = rest.split_at_checked(u16::from_be_bytes([*l1, *l2]).into())?;
        keepalive |= u16::from_be_bytes([*c1, *c2]) == option::TCP_KEEPALIVE;
        data = after;
    }
    Some(keepalive)
}

/// Steps over the name of a record, compressed or not; says whether it is the root.
fn skip_name(mut rest: &[u8]) -> Option<(bool, &[u8])> {
    let mut is_root = true;
    loop {
        match rest.first()? {
            0 => return Some((is_root, rest.get(1..)?)),
            0xc0.. => return Some((false, rest.get(2..)?)),
            0x40.. => return None,
            _ => rest = split_label(rest)?.1,
        }
        is_root = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(tail: &[u8], counts: [u8; 8]) -> Option<Question> {
        let mut message = b"\x12\x34\x01\x00".to_vec();
        message.extend(counts);
        message.extend(tail);
        match read(&message) {
            Message::Question(question) => Some(question),
            Message::Refused(code) => {
                assert_eq!(code, rcode::FORMAT_ERROR);
                None
            }
            Message::Silence => panic!("silence"),
        }
    }

    const ONE: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
    const WITH_OPT: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 1];

    #[test]
    fn a_question_without_edns_has_none() {
        let read = question(b"\x01A\x00\x00\x1c\x00\x01", ONE).unwrap();
        assert_eq!(read.name.wire(), b"\x01a\x00");
        assert_eq!((read.qtype, read.qclass, read.edns), (28, 1, None));
    }

    #[test]
    fn edns_is_read_from_the_one_opt_of_the_root() {
        let opt = b"\x00\x00\x29\x04\xd0\x00\x01\x80\x00\x00\x04\x00\x0b\x00\x00";
        let tail = [&b"\x01a\x00\x00\x01\x00\x01"[..], opt].concat();
        let edns = question(&tail, WITH_OPT).unwrap().edns.unwrap();
        let expected = Edns {
            payload: 1_232,
            version: 1,
            dnssec_ok: true,
            keepalive: true,
        };
        assert_eq!(edns, expected);
        let twice = [&tail[..], opt].concat();
        assert!(question(&twice, [0, 1, 0, 0, 0, 0, 0, 2]).is_none());
        assert!(
            question(&tail, [0, 1, 0, 1, 0, 0, 0, 0]).is_none(),
            "in the answer section"
        );
        let owned = b"\x01a\x00\x00\x01\x00\x01\x01b\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
        assert!(question(owned, WITH_OPT).is_none(), "not of the root");
    }

    #[test]
    fn records_of_other_types_are_stepped_over() {
        // An SOA with a compressed owner, as IXFR has it in the authority section.
        let tail =
            b"\x01a\x00\x00\xfb\x00\x01\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02\xab\xcd";
        assert_eq!(
            question(tail, [0, 1, 0, 0, 0, 1, 0, 0]).unwrap().qtype,
            rtype::IXFR
        );
    }

    #[test]
    fn what_is_cut_short_is_a_format_error() {
        let whole = b"\x01a\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0b\x00\x00";
        assert!(question(whole, WITH_OPT).is_some());
        for len in 0..whole.len() {
            assert!(question(&whole[..len], WITH_OPT).is_none(), "{len} bytes");
        }
        assert!(question(b"\x01a\x00\x00\x01\x00\x01", [0, 2, 0, 0, 0, 0, 0, 0]).is_none());
        assert!(question(b"\xc0\x0c\x00\x01\x00\x01", ONE).is_none());
    }

    #[test]
    fn answers_and_fragments_are_met_with_silence() {
        assert!(matches!(read(&[0; 11]), Message::Silence));
        assert!(matches!(
            read(&[0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
            Message::Silence
        ));
    }
}
