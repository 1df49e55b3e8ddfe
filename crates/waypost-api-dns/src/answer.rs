//! From the bytes of a question to the bytes of its answer.

use std::net::IpAddr;

use crate::name::{Name, labels};
use crate::question::{
    CLASS_IN, Edns, HEADER_BYTES, Message, Question, option, rcode, read, rtype,
};
use crate::records::Records;
use crate::reply::{Full, Pointer, Reply};
use crate::service::{Kinds, PortOf, Service};
use crate::settings::DnsConfig;
use crate::table::{Guards, Place, Table};
use crate::zone::{NAME_SERVER, Protocol, Zone};

mod below;
mod reverse;
#[cfg(test)]
mod tests;

/// Most names that one answer follows from alias to alias.
const ALIASES_MAX: usize = 8;
/// Bytes of an OPT record without options.
const OPT_BYTES: usize = 11;
/// Why an answer is empty though the name is there (RFC 8914: code 0, "Other").
const NOBODY: &str = "no instance in rotation";

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// In a datagram: answers are cut to what the asker takes.
    Udp,
    /// Over a stream: answers may have 65,535 bytes.
    Tcp,
}

impl Transport {
    /// Returns the word used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// What an answer depends on besides the question.
///
/// Forwarding, transfers, cookies, rate limits and signing find their place here when they come.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What answers.
    pub table: &'a Table,
    /// The settings.
    pub config: &'a DnsConfig,
    /// How the question came.
    pub transport: Transport,
    /// Who asks.
    pub peer: IpAddr,
    /// The address that was asked, if it is known: the name server's own.
    pub local: Option<IpAddr>,
    /// Unpredictable bits, new for each question: where rotation starts, which weight wins.
    pub random: u64,
}

/// Writes the answer to `query` into `out` and returns its length; zero means silence.
///
/// It neither waits nor allocates for A, AAAA and SRV questions, unless the question is the first one after a change of a
/// large service, which is compiled for it. `out` should have 65,535 bytes for TCP.
pub fn answer(query: &[u8], out: &mut [u8], context: &Context<'_>) -> usize {
    match read(query) {
        Message::Silence => 0,
        Message::Refused(code) => header_only(query, out, code),
        Message::Question(question) => reply_to(query, &question, out, context),
    }
}

/// Flags of the second byte pair of the header that are carried over or set here.
mod flag {
    pub(super) const RESPONSE: u8 = 0x80;
    pub(super) const OPCODE: u8 = 0x78;
    pub(super) const AUTHORITATIVE: u8 = 0x04;
    pub(super) const TRUNCATED: u8 = 0x02;
    pub(super) const RECURSION_DESIRED: u8 = 0x01;
}

fn header_only(query: &[u8], out: &mut [u8], code: u16) -> usize {
    let (Some(from), Some(to)) = (
        query.first_chunk::<HEADER_BYTES>(),
        out.first_chunk_mut::<HEADER_BYTES>(),
    ) else {
        return 0;
    };
    let [id1, id2, flags, ..] = *from;
    let kept = flags & (flag::OPCODE | flag::RECURSION_DESIRED);
    *to = [
        id1,
        id2,
        kept | flag::RESPONSE,
        low_bits(code),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    HEADER_BYTES
}

/// Returns the four bits of a code that the header holds; the rest is EDNS's.
fn low_bits(code: u16) -> u8 {
    u8::try_from(code & 0xf).unwrap_or(0)
}

fn reply_to(query: &[u8], question: &Question, out: &mut [u8], context: &Context<'_>) -> usize {
    let asked = query.get(..question.end).unwrap_or_default();
    let Some(room) = out.get_mut(..asked.len()) else {
        return 0;
    };
    room.copy_from_slice(asked);
    let limit = limit_of(question, context);
    let kept = question.edns.map_or(0, |edns| opt_bytes(&edns, context));
    let reply = Reply::new(out, asked.len(), limit.saturating_sub(kept));
    let mut answer = Answer {
        records: Records::new(reply),
        context,
        code: rcode::NO_ERROR,
        is_authoritative: false,
        nobody: false,
    };
    answer.decide(question);
    answer.finish(question, limit)
}

/// Returns how many bytes the whole answer may have.
fn limit_of(question: &Question, context: &Context<'_>) -> usize {
    match context.transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => {
            let taken = question.edns.map_or(512, |edns| edns.payload.max(512));
            usize::from(taken.min(context.config.udp_bytes_max.max(512)))
        }
    }
}

fn opt_bytes(edns: &Edns, context: &Context<'_>) -> usize {
    OPT_BYTES + if sends_keepalive(edns, context) { 6 } else { 0 }
}

fn sends_keepalive(edns: &Edns, context: &Context<'_>) -> bool {
    edns.keepalive && context.transport == Transport::Tcp
}

/// A name on the way from alias to alias, and where it stands in the message, uncompressed.
struct Asked {
    name: Name,
    at: usize,
}

impl Asked {
    fn pointer(&self) -> Option<Pointer> {
        Pointer::to(self.at)
    }
}

/// What to do after a name was looked at.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one answer: a box would be an allocation for each question"
)]
enum Next {
    Done,
    /// The name is another one's alias, whose name stands at that offset of the message.
    Follow(Name, usize),
}

/// An answer in the making.
struct Answer<'a, 'c> {
    records: Records<'a>,
    context: &'c Context<'c>,
    code: u16,
    is_authoritative: bool,
    /// The name is there, but nobody may be sent traffic.
    nobody: bool,
}

impl Answer<'_, '_> {
    fn decide(&mut self, question: &Question) {
        let config = self.context.config;
        if question.edns.is_some_and(|edns| edns.version > 0) {
            self.code = rcode::BAD_VERSION;
            return;
        }
        let peer = self.context.peer.to_canonical();
        let may_ask = config.allow.is_empty() || config.allow.iter().any(|net| net.contains(&peer));
        let is_transfer = matches!(
            question.qtype,
            rtype::AXFR | rtype::IXFR | rtype::TSIG | rtype::TKEY
        );
        if !may_ask || is_transfer || question.qclass != CLASS_IN {
            self.code = rcode::REFUSED;
            return;
        }
        if !self.context.table.is_loaded() {
            self.code = rcode::SERVER_FAILURE;
            return;
        }
        let guards = self.context.table.guards();
        self.look_up(question, &guards);
    }

    fn look_up(&mut self, question: &Question, guards: &Guards<'_>) {
        let mut asked = Asked {
            name: question.name,
            at: HEADER_BYTES,
        };
        let mut seen = [0; ALIASES_MAX + 1];
        for depth in 0..=ALIASES_MAX {
            if let Some(at) = seen.get_mut(depth) {
                *at = asked.at;
            }
            let next = match self.place(&asked, question.qtype, guards) {
                Ok(None) if depth == 0 => {
                    self.code = rcode::REFUSED;
                    return;
                }
                // An alias that leads out of our zones: the asker's resolver goes on from there.
                Ok(None) => return,
                Ok(Some(next)) => next,
                Err(Full) => {
                    self.records.truncate();
                    return;
                }
            };
            match next {
                Next::Done => return,
                Next::Follow(name, at) => {
                    // A loop: a second alias of a name, or the same record twice, would be no answer at all.
                    let mut earlier = seen.iter().take(depth + 1);
                    if earlier.any(|earlier| self.records.has_name_at(*earlier, name.wire())) {
                        return;
                    }
                    asked = Asked { name, at };
                }
            }
        }
    }

    /// Answers for one name; `None` when it lies in none of the zones.
    fn place(
        &mut self,
        asked: &Asked,
        qtype: u16,
        guards: &Guards<'_>,
    ) -> Result<Option<Next>, Full> {
        let table = self.context.table;
        let wire = asked.name.wire();
        // Most questions are for a service, which is found with one look.
        if let Some(service) = table.service(wire, guards) {
            self.is_authoritative = true;
            return self.service(asked, qtype, service, wire).map(Some);
        }
        if let Some(zone) = table.own(wire) {
            self.is_authoritative = true;
            return self.own_name(asked, qtype, zone).map(Some);
        }
        match table.find(wire, guards) {
            Place::Service { service, name, own } => {
                self.is_authoritative = true;
                self.below_service(asked, qtype, (service, name), own, guards)
                    .map(Some)
            }
            Place::Zone { zone, own } => {
                self.is_authoritative = true;
                self.in_zone(asked, qtype, zone, own, guards).map(Some)
            }
            Place::Nowhere => self.reverse(asked, qtype, guards),
        }
    }

    /// Answers for a service's own name.
    fn service(
        &mut self,
        asked: &Asked,
        qtype: u16,
        service: &Service,
        name: &[u8],
    ) -> Result<Next, Full> {
        let owner = asked.pointer().ok_or(Full)?;
        let before = self.records.answers();
        if service.kinds.has(Kinds::CNAME) {
            if let Some(next) = self.chosen_alias(owner, qtype, service)? {
                return Ok(next);
            }
        } else {
            match qtype {
                rtype::A => self.service_a(owner, service),
                rtype::AAAA => self.service_aaaa(owner, service),
                rtype::SRV => self.srv(owner, (service, name), PortOf::Default),
                rtype::TXT => self.records.txt(owner, service.ttl.a, service.attributes()),
                // One RRset is enough (RFC 8482 section 4.1).
                rtype::ANY => self.any_of_service(owner, service, name),
                _ => {}
            }
        }
        if self.records.answers() == before && !self.records.is_truncated() {
            let served = service.kinds.has(kinds_of(qtype));
            self.nobody = service.is_empty() && served;
            self.negative(asked, &service.zone);
        }
        Ok(Next::Done)
    }

    fn service_a(&mut self, owner: Pointer, service: &Service) {
        if service.kinds.has(Kinds::A) {
            let share = service.share_of_v4(self.context.random);
            self.records
                .addresses(owner, service.ttl.a, service.v4(), share);
        }
    }

    fn service_aaaa(&mut self, owner: Pointer, service: &Service) {
        if service.kinds.has(Kinds::AAAA) {
            let share = service.share_of_v6(self.context.random);
            self.records
                .addresses(owner, service.ttl.aaaa, service.v6(), share);
        }
    }

    fn any_of_service(&mut self, owner: Pointer, service: &Service, name: &[u8]) {
        let before = self.records.answers();
        self.service_a(owner, service);
        if self.records.answers() == before {
            self.service_aaaa(owner, service);
        }
        if self.records.answers() == before {
            self.srv(owner, (service, name), PortOf::Default);
        }
        if self.records.answers() == before {
            self.records.txt(owner, service.ttl.a, service.attributes());
        }
    }

    /// Answers with one instance's host name, for services whose record type is CNAME.
    fn chosen_alias(
        &mut self,
        owner: Pointer,
        qtype: u16,
        service: &Service,
    ) -> Result<Option<Next>, Full> {
        let rotation = service.rotation();
        let share = service.share_of_rotation(self.context.random);
        let text = service.text();
        let (later, earlier) = (rotation.iter().skip(share.start), rotation.iter());
        let Some(host) = later
            .chain(earlier)
            .find_map(|member| member.hostname(text))
        else {
            return Ok(None);
        };
        self.alias(owner, qtype, service.ttl.cname, host).map(Some)
    }

    /// Writes an alias, and says where to go on unless the alias itself was asked for.
    fn alias(&mut self, owner: Pointer, qtype: u16, ttl: u32, host: &[u8]) -> Result<Next, Full> {
        let at = self.records.cname(owner, ttl, host)?;
        match Name::read(host) {
            Ok(name) if !matches!(qtype, rtype::CNAME | rtype::ANY) => Ok(Next::Follow(name, at)),
            _ => Ok(Next::Done),
        }
    }

    fn srv(&mut self, owner: Pointer, service: (&Service, &[u8]), wanted: PortOf<'_>) {
        if service.0.kinds.has(Kinds::SRV) {
            self.records
                .srv(owner, service, wanted, self.context.random);
        }
    }

    /// Answers for a zone's own name, and for what lies in it and is no service.
    fn in_zone(
        &mut self,
        asked: &Asked,
        qtype: u16,
        zone: &Zone,
        own: &[u8],
        guards: &Guards<'_>,
    ) -> Result<Next, Full> {
        let mut parts = labels(own);
        let (first, second, third) = (parts.next(), parts.next(), parts.next());
        let before = self.records.answers();
        let is_there = match (first, second, third) {
            (None, ..) => {
                self.apex(asked, qtype, zone)?;
                true
            }
            (Some(label), None, _) if Some(label) == NAME_SERVER.get(1..) => {
                self.name_server(asked, qtype, zone)?;
                true
            }
            (Some(label), None, _) => Protocol::of_label(label).is_some_and(|protocol| {
                self.context.table.settle_all();
                zone.has(protocol)
            }),
            (Some(service), Some(protocol), None) => {
                self.srv_name(asked, qtype, zone, (service, protocol), guards)?
            }
            _ => false,
        };
        if self.records.answers() == before && !self.records.is_truncated() {
            self.negative_if(asked, zone, is_there, guards);
        }
        Ok(Next::Done)
    }

    fn apex(&mut self, asked: &Asked, qtype: u16, zone: &Zone) -> Result<(), Full> {
        let owner = asked.pointer().ok_or(Full)?;
        match qtype {
            rtype::SOA | rtype::ANY => self.records.soa(owner, zone.ttl(), zone),
            rtype::NS => {
                let server = self.records.ns(owner, zone.ttl())?;
                match self.context.local.map(|local| local.to_canonical()) {
                    Some(IpAddr::V4(v4)) if !v4.is_unspecified() => {
                        self.records.glue(server, zone.ttl(), &v4.octets());
                    }
                    Some(IpAddr::V6(v6)) if !v6.is_unspecified() => {
                        self.records.glue(server, zone.ttl(), &v6.octets());
                    }
                    _ => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The name server has the address that was asked.
    fn name_server(&mut self, asked: &Asked, qtype: u16, zone: &Zone) -> Result<(), Full> {
        let owner = asked.pointer().ok_or(Full)?;
        let Some(local) = self.context.local.map(|local| local.to_canonical()) else {
            return Ok(());
        };
        match (local, qtype) {
            (IpAddr::V4(v4), rtype::A | rtype::ANY) if !v4.is_unspecified() => {
                self.records.address(owner, zone.ttl(), &v4.octets());
            }
            (IpAddr::V6(v6), rtype::AAAA | rtype::ANY) if !v6.is_unspecified() => {
                self.records.address(owner, zone.ttl(), &v6.octets());
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers for a name that is this server itself.
    fn own_name(&mut self, asked: &Asked, qtype: u16, zone: &Zone) -> Result<Next, Full> {
        let before = self.records.answers();
        self.name_server(asked, qtype, zone)?;
        if self.records.answers() == before {
            self.lone_zone(asked, qtype, zone, true)?;
        }
        Ok(Next::Done)
    }

    /// Answers for a name of a zone without namespace that has no records of that type.
    fn lone_zone(
        &mut self,
        asked: &Asked,
        qtype: u16,
        zone: &Zone,
        is_apex: bool,
    ) -> Result<(), Full> {
        let before = self.records.answers();
        if is_apex {
            self.apex(asked, qtype, zone)?;
        }
        if self.records.answers() == before && !self.records.is_truncated() {
            self.negative(asked, zone);
        }
        Ok(())
    }

    /// Says that there is nothing of that type, or no such name.
    fn negative_if(&mut self, asked: &Asked, zone: &Zone, is_there: bool, guards: &Guards<'_>) {
        let table = self.context.table;
        if !is_there && !table.is_above_others(asked.name.wire(), guards) {
            self.code = rcode::NAME_ERROR;
        }
        self.negative(asked, zone);
    }

    /// Adds the SOA record that says how long "nothing" may be kept (RFC 2308 section 3).
    fn negative(&mut self, asked: &Asked, zone: &Zone) {
        let before = asked.name.wire().len().saturating_sub(zone.apex().len());
        if let Some(owner) = Pointer::to(asked.at + before) {
            self.records.authority_soa(owner, zone.negative_ttl(), zone);
        }
    }

    /// Adds what EDNS asks for, fills the header in and returns the length.
    fn finish(mut self, question: &Question, limit: usize) -> usize {
        // Over TCP there is nothing to ask again with: as much as fits is the answer.
        let may_ask_again = self.context.transport == Transport::Udp;
        if self.records.is_truncated() && self.context.config.truncate_to_nothing && may_ask_again {
            self.records.clear(question.end);
        }
        if let Some(edns) = question.edns {
            self.records.allow(limit);
            self.opt(&edns);
        }
        let mut flags = flag::RESPONSE;
        if self.is_authoritative {
            flags |= flag::AUTHORITATIVE;
        }
        if self.records.is_truncated() {
            flags |= flag::TRUNCATED;
        }
        self.records.header(flags, low_bits(self.code))
    }

    fn opt(&mut self, edns: &Edns) {
        let context = self.context;
        let mut options = [0_u8; 48];
        let mut len = 0;
        if sends_keepalive(edns, context) {
            // In tenths of a second (RFC 7828 section 3.1).
            let tenths = context.config.tcp_idle_seconds.saturating_mul(10);
            let tenths = u16::try_from(tenths).unwrap_or(u16::MAX).to_be_bytes();
            len = put_option(&mut options, len, option::TCP_KEEPALIVE, &[&tenths]);
        }
        if self.nobody {
            let parts: [&[u8]; 2] = [&[0, 0], NOBODY.as_bytes()];
            len = put_option(&mut options, len, option::EXTENDED_ERROR, &parts);
        }
        let high = u8::try_from(self.code >> 4).unwrap_or(0);
        let payload = context.config.udp_bytes_max.max(512);
        let options = options.get(..len).unwrap_or_default();
        self.records.opt(payload, high, edns.dnssec_ok, options);
    }
}

fn put_option(room: &mut [u8], at: usize, code: u16, parts: &[&[u8]]) -> usize {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let end = at + 4 + bytes;
    let (Some(room), Ok(bytes)) = (room.get_mut(at..end), u16::try_from(bytes)) else {
        return at;
    };
    let [c1, c2] = code.to_be_bytes();
    let [l1, l2] = bytes.to_be_bytes();
    let head = [c1, c2, l1, l2];
    let from = head.iter().chain(parts.iter().copied().flatten());
    room.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    end
}

/// Returns the kinds of records of a service that a question is about.
fn kinds_of(qtype: u16) -> u8 {
    match qtype {
        rtype::A => Kinds::A | Kinds::CNAME,
        rtype::AAAA => Kinds::AAAA | Kinds::CNAME,
        rtype::SRV => Kinds::SRV | Kinds::CNAME,
        rtype::CNAME => Kinds::CNAME,
        rtype::ANY => Kinds::A | Kinds::AAAA | Kinds::SRV | Kinds::CNAME,
        _ => 0,
    }
}
