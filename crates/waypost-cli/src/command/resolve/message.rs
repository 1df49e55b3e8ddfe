//! Questions and answers as bytes.

use std::net::IpAddr;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message::RecordSection;
use domain::base::message_builder::MessageBuilder;
use domain::base::opt::ExtendedError;
use domain::base::{Message, Name, ParsedName};
use domain::rdata::AllRecordData;
use serde::Serialize;

use super::{Record, RecordType};

/// What fits into one packet on every path (DNS flag day 2020).
const PAYLOAD: u16 = 1_232;

/// An answer, taken apart.
#[derive(Debug, Serialize)]
pub(in crate::command) struct Reply {
    /// `NOERROR`, `NXDOMAIN` and so on.
    pub(in crate::command) rcode: String,
    pub(in crate::command) authoritative: bool,
    pub(in crate::command) truncated: bool,
    /// Texts of extended errors (RFC 8914).
    pub(in crate::command) errors: Vec<String>,
    pub(in crate::command) answers: Vec<Record>,
    pub(in crate::command) authority: Vec<Record>,
    pub(in crate::command) additional: Vec<Record>,
}

/// Checks that a name can be asked for.
pub(super) fn check(name: &str) -> Result<(), String> {
    wire(name).map(|_| ())
}

fn wire(name: &str) -> Result<Name<Vec<u8>>, String> {
    name.parse::<Name<Vec<u8>>>().map_err(|error| {
        format!(
            "{name:?} is no DNS name: {error}; labels have 1 to 63 bytes, the whole at most 253"
        )
    })
}

/// Returns the name of an address.
pub(super) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let nibbles = octets
                .iter()
                .rev()
                .map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

/// Builds a question.
pub(super) fn question(id: u16, name: &str, kind: RecordType) -> Result<Vec<u8>, String> {
    let name = wire(name)?;
    let build = || {
        let mut question = MessageBuilder::new_vec().question();
        question.header_mut().set_id(id);
        question.push((&name, type_of(kind), Class::IN))?;
        let mut additional = question.additional();
        additional.opt(|opt| {
            opt.set_udp_payload_size(PAYLOAD);
            Ok(())
        })?;
        Ok::<_, domain::base::message_builder::PushError>(additional.finish())
    };
    build().map_err(|error| format!("the question cannot be built: {error}"))
}

fn type_of(kind: RecordType) -> Rtype {
    match kind {
        RecordType::A => Rtype::A,
        RecordType::Aaaa => Rtype::AAAA,
        RecordType::Srv => Rtype::SRV,
        RecordType::Txt => Rtype::TXT,
        RecordType::Cname => Rtype::CNAME,
        RecordType::Ptr => Rtype::PTR,
        RecordType::Soa => Rtype::SOA,
        RecordType::Ns => Rtype::NS,
        RecordType::Any => Rtype::ANY,
    }
}

/// Says whether bytes answer a question: same id, a response, the same question.
pub(super) fn answers(bytes: &[u8], question: &[u8]) -> bool {
    let (Ok(reply), Ok(asked)) = (Message::from_octets(bytes), Message::from_octets(question))
    else {
        return false;
    };
    // Some answers, such as FORMERR, have no question to compare.
    let same_question = reply.header_counts().qdcount() == 0
        || reply.first_question().map(|q| q.to_string())
            == asked.first_question().map(|q| q.to_string());
    reply.header().qr() && reply.header().id() == asked.header().id() && same_question
}

/// Takes an answer apart.
pub(super) fn take_apart(bytes: &[u8]) -> Result<Reply, String> {
    let broken = |error: domain::base::wire::ParseError| format!("the answer is broken: {error}");
    let message =
        Message::from_octets(bytes).map_err(|error| format!("the answer is broken: {error}"))?;
    let header = message.header();
    let opt = message.opt();
    let mut errors = Vec::new();
    if let Some(opt) = &opt {
        for error in opt.opt().iter::<ExtendedError<_>>().flatten() {
            let text = error
                .text()
                .and_then(Result::ok)
                .map(|text| text.to_string());
            errors.push(text.unwrap_or_else(|| error.code().to_string()));
        }
    }
    let rcode = opt.map_or_else(
        || header.rcode().to_string(),
        |opt| opt.rcode(header).to_string(),
    );
    Ok(Reply {
        rcode,
        authoritative: header.aa(),
        truncated: header.tc(),
        errors,
        answers: records(message.answer().map_err(broken)?).map_err(broken)?,
        authority: records(message.authority().map_err(broken)?).map_err(broken)?,
        additional: records(message.additional().map_err(broken)?).map_err(broken)?,
    })
}

fn records(
    section: RecordSection<'_, &[u8]>,
) -> Result<Vec<Record>, domain::base::wire::ParseError> {
    let mut list = Vec::new();
    for record in section {
        let record = record?;
        if record.rtype() == Rtype::OPT {
            continue;
        }
        let record = record.to_any_record::<AllRecordData<_, ParsedName<_>>>()?;
        list.push(Record {
            name: record.owner().to_string(),
            ttl: record.ttl().as_secs(),
            kind: record.rtype().to_string(),
            data: record.data().to_string(),
        });
    }
    Ok(list)
}

/// Says whether an answer says that the server cannot be asked this way.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    Message::from_octets(bytes)
        .is_ok_and(|message| message.header().tc() && message.header().rcode() == Rcode::NOERROR)
}
