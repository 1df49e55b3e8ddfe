//! Messages built and taken apart by the `domain` crate: what ours are compared with.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;

use domain::base::iana::{Class, OptRcode, Rcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, MessageBuilder};
use domain::base::name::ToName;
use domain::base::opt::{ExtendedError, TcpKeepalive};
use domain::base::rdata::{ComposeRecordData, RecordData as _};
use domain::base::wire::Composer;
use domain::base::{Message, Name, ParsedName, Record, Ttl};
use domain::dep::octseq::{OctetsBuilder, Truncate};
use domain::rdata::AllRecordData;

use super::oracle::{Asked, Model};

pub(super) type Data = AllRecordData<Vec<u8>, Name<Vec<u8>>>;

/// A record in the making: its owner on the wire, its time to live, its data.
#[derive(Clone)]
pub(super) struct Rec {
    pub(super) owner: Vec<u8>,
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// A record without compression, so that it can be compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plain {
    pub(super) owner: Vec<u8>,
    pub(super) rtype: u16,
    class: u16,
    ttl: u32,
    pub(super) data: Vec<u8>,
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, data) = (self.owner.escape_ascii(), self.data.escape_ascii());
        write!(f, "{owner} {} TYPE{} {data}", self.ttl, self.rtype)
    }
}

impl Plain {
    /// Bytes that it takes at most, when its owner is a pointer.
    pub(super) fn len(&self) -> usize {
        12 + self.data.len()
    }
}

impl fmt::Debug for Rec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain().fmt(f)
    }
}

impl Rec {
    pub(super) fn plain(&self) -> Plain {
        let mut data = Vec::new();
        self.data.compose_rdata(&mut data).unwrap();
        Plain {
            owner: self.owner.clone(),
            rtype: self.data.rtype().to_int(),
            class: 1,
            ttl: self.ttl,
            data,
        }
    }

    /// The name in the data that later owners may point to.
    fn target(&self) -> Option<&[u8]> {
        match &self.data {
            AllRecordData::Cname(cname) => Some(cname.cname().as_slice()),
            AllRecordData::Srv(srv) => Some(srv.target().as_slice()),
            _ => None,
        }
    }
}

/// A message in parts; each section's records in order of their bytes, since rotation is free.
#[derive(PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) head: [u8; 4],
    pub(super) question: Vec<u8>,
    pub(super) answer: Vec<Plain>,
    pub(super) authority: Vec<Plain>,
    pub(super) additional: Vec<Plain>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, question) = (self.head, self.question.escape_ascii());
        writeln!(f, "{head:02x?} {question}")?;
        let sections = [&self.answer, &self.authority, &self.additional];
        let mut lines = sections.iter().copied().flatten();
        lines.try_for_each(|line| writeln!(f, "    {line:?}"))
    }
}

pub(super) fn parts(bytes: &[u8]) -> Parts {
    let message = Message::from_octets(bytes).unwrap();
    let section = |section: domain::base::message::RecordSection<'_, &[u8]>| {
        let mut list: Vec<Plain> = section
            .map(|record| {
                let record = record.unwrap();
                let (class, ttl) = (record.class().to_int(), record.ttl().as_secs());
                let owner: Name<Vec<u8>> = record.owner().to_name();
                let any = record.to_any_record::<AllRecordData<_, ParsedName<_>>>();
                let mut data = Vec::new();
                any.unwrap().data().compose_rdata(&mut data).unwrap();
                Plain {
                    owner: owner.as_slice().to_vec(),
                    rtype: record.rtype().to_int(),
                    class,
                    ttl,
                    data,
                }
            })
            .collect();
        list.sort();
        list
    };
    let counts = message.header_counts();
    let records = usize::from(counts.ancount())
        + usize::from(counts.nscount())
        + usize::from(counts.arcount());
    let found = Parts {
        head: *bytes.first_chunk().unwrap(),
        question: question(&message),
        answer: section(message.answer().unwrap()),
        authority: section(message.authority().unwrap()),
        additional: section(message.additional().unwrap()),
    };
    assert_eq!(
        found.answer.len() + found.authority.len() + found.additional.len(),
        records
    );
    found
}

fn question(message: &Message<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for question in message.question() {
        let question = question.unwrap();
        let name: Name<Vec<u8>> = question.qname().to_name();
        bytes.extend(name.as_slice());
        bytes.extend(question.qtype().to_int().to_be_bytes());
        bytes.extend(question.qclass().to_int().to_be_bytes());
    }
    bytes
}

/// What of a model is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) glue: bool,
    pub(super) reason: bool,
}

/// Writes a model as a message.
pub(super) fn build(asked: &Asked, model: &Model, written: Written) -> Vec<u8> {
    let mut builder = MessageBuilder::from_target(Squeezed::default()).unwrap();
    let header = builder.header_mut();
    header.set_id(u16::from_be_bytes(asked.id));
    header.set_qr(true);
    header.set_rd(asked.rd);
    header.set_aa(model.is_authoritative);
    header.set_rcode(Rcode::checked_from_int(u8::try_from(model.code & 0xf).unwrap()).unwrap());
    let mut builder = builder.question();
    let name = Name::from_octets(asked.wire.clone()).unwrap();
    let kind = (Rtype::from_int(asked.qtype), Class::from_int(asked.qclass));
    builder.push((name, kind.0, kind.1)).unwrap();
    let mut answer = builder.answer();
    model.answer.iter().for_each(|rec| push(&mut answer, rec));
    let mut authority = answer.authority();
    for rec in &model.authority {
        squeeze(authority.as_target(), rec);
        authority.push(record(rec)).unwrap();
    }
    let mut additional = authority.additional();
    if written.glue {
        for rec in &model.additional {
            squeeze(additional.as_target(), rec);
            additional.push(record(rec)).unwrap();
        }
    }
    opt(&mut additional, asked, model, written);
    additional.finish().bytes
}

fn push(answer: &mut AnswerBuilder<Squeezed>, rec: &Rec) {
    squeeze(answer.as_target(), rec);
    answer.push(record(rec)).unwrap();
    if let Some(target) = rec.target() {
        let end = answer.as_target().bytes.len();
        answer.as_target().note(target, end - target.len());
    }
}

fn record(rec: &Rec) -> Record<Name<Vec<u8>>, &Data> {
    let owner = Name::from_octets(rec.owner.clone()).unwrap();
    Record::new(owner, Class::IN, Ttl::from_secs(rec.ttl), &rec.data)
}

/// Our names of zones point into the question; every other name in data is written out, as RFC 3597 section 4 has it
/// for all but the oldest types.
fn squeeze(target: &Squeezed, rec: &Rec) {
    let squeezes = matches!(rec.data, AllRecordData::Soa(_) | AllRecordData::Ns(_));
    target.squeezes.set(squeezes);
    target.is_data.set(false);
}

fn opt(
    additional: &mut AdditionalBuilder<Squeezed>,
    asked: &Asked,
    model: &Model,
    written: Written,
) {
    let Some(edns) = &asked.edns else { return };
    let keepalive = model
        .keepalive
        .map(|tenths| TcpKeepalive::new(Some(tenths.into())));
    let reason = (model.nobody && written.reason).then(|| {
        let code = domain::base::iana::ExtendedErrorCode::OTHER;
        ExtendedError::<Vec<u8>>::new_with_str(code, "no instance in rotation").unwrap()
    });
    additional
        .opt(|opt| {
            opt.set_udp_payload_size(model.payload);
            opt.set_dnssec_ok(edns.dnssec_ok);
            opt.set_rcode(OptRcode::masked_from_int(model.code));
            if let Some(keepalive) = &keepalive {
                opt.push(keepalive)?;
            }
            if let Some(reason) = &reason {
                opt.push(reason)?;
            }
            Ok(())
        })
        .unwrap();
}

/// A target that compresses owners, and names in data where it is told to.
#[derive(Debug, Default)]
pub(super) struct Squeezed {
    bytes: Vec<u8>,
    names: RefCell<HashMap<Vec<u8>, u16>>,
    squeezes: Cell<bool>,
    /// The owner is written: what comes now is data.
    is_data: Cell<bool>,
}

impl Squeezed {
    /// Remembers that this name, and with it all that end it, stands at `at`.
    fn note(&self, wire: &[u8], at: usize) {
        let mut from = 0;
        while wire[from] != 0 {
            let pointer = u16::try_from(at + from).unwrap();
            if pointer < 0x4000 {
                let mut names = self.names.borrow_mut();
                names.entry(wire[from..].to_vec()).or_insert(pointer);
            }
            from += usize::from(wire[from]) + 1;
        }
    }
}

impl OctetsBuilder for Squeezed {
    type AppendError = Infallible;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), Infallible> {
        self.bytes.extend_from_slice(slice);
        Ok(())
    }
}

impl Truncate for Squeezed {
    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

impl AsRef<[u8]> for Squeezed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Squeezed {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Composer for Squeezed {
    fn append_compressed_name<N: ToName + ?Sized>(&mut self, name: &N) -> Result<(), Infallible> {
        let name: Name<Vec<u8>> = name.to_name();
        let wire = name.as_slice();
        let start = self.bytes.len();
        // In data the first label is always written: it is the name server's or the mailbox's, below the zone's name.
        let is_data = self.is_data.replace(true);
        let mut from = 0;
        while wire[from] != 0 {
            let known = self.names.borrow().get(&wire[from..]).copied();
            let known = known.filter(|_| from > 0 || !is_data);
            if let Some(pointer) = known {
                self.bytes.extend((0xc000 | pointer).to_be_bytes());
                let own = wire[..from].to_vec();
                self.note_first(&own, wire, start);
                return Ok(());
            }
            let end = from + usize::from(wire[from]) + 1;
            self.bytes.extend(&wire[from..end]);
            from = end;
        }
        self.bytes.push(0);
        self.note(wire, start);
        Ok(())
    }

    fn can_compress(&self) -> bool {
        self.squeezes.get()
    }
}

impl Squeezed {
    /// Remembers the names that begin with the labels that were written out before a pointer.
    fn note_first(&self, own: &[u8], wire: &[u8], start: usize) {
        let mut from = 0;
        while from < own.len() {
            if let Some(pointer) = u16::try_from(start + from).ok().filter(|at| *at < 0x4000) {
                let mut names = self.names.borrow_mut();
                names.entry(wire[from..].to_vec()).or_insert(pointer);
            }
            from += usize::from(wire[from]) + 1;
        }
    }
}
