//! Reading a question: the header, the one name asked for, and what EDNS adds.

use crate::name::{Name, split_label};

#[cfg(test)]
mod tests;

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
