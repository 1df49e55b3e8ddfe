//! The records of an answer by type. What does not fit is left out and marked, never cut in the middle.

use crate::question::{HEADER_BYTES, rtype};
use crate::reply::{Full, Pointer, Reply};
use crate::service::{Member, PortOf, Service, Share};
use crate::zone::Zone;

/// What the first two numbers of SRV records are: AWS Cloud Map writes 1 for the priority.
const PRIORITY: u16 = 1;
/// Longest character string (RFC 1035 section 3.3).
const STRING_BYTES_MAX: usize = 255;
/// Bytes of a record before its data, when the owner is a pointer.
const HEAD_BYTES: usize = 12;
/// Bytes of SRV data before the target.
const SRV_NUMBERS_BYTES: usize = 6;

/// Counts of the sections after the question, and the bytes themselves.
pub(crate) struct Records<'a> {
    reply: Reply<'a>,
    answers: u16,
    authorities: u16,
    additionals: u16,
    is_truncated: bool,
}

impl<'a> Records<'a> {
    pub(crate) fn new(reply: Reply<'a>) -> Self {
        Self {
            reply,
            answers: 0,
            authorities: 0,
            additionals: 0,
            is_truncated: false,
        }
    }

    /// Returns how many answers there are.
    pub(crate) fn answers(&self) -> u16 {
        self.answers
    }

    /// Says whether an answer did not fit.
    pub(crate) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    pub(crate) fn truncate(&mut self) {
        self.is_truncated = true;
    }

    /// Takes everything back but the question.
    pub(crate) fn clear(&mut self, question_end: usize) {
        self.reply.cut(question_end);
        (self.answers, self.authorities, self.additionals) = (0, 0, 0);
    }

    pub(crate) fn allow(&mut self, limit: usize) {
        self.reply.allow(limit);
    }

    fn count(&mut self, written: Result<(), Full>) {
        match written {
            Ok(()) => self.answers += 1,
            Err(Full) => self.is_truncated = true,
        }
    }

    /// Adds one address.
    pub(crate) fn address<const N: usize>(&mut self, owner: Pointer, ttl: u32, address: &[u8; N]) {
        let written = self.reply.address(owner, ttl, address);
        self.count(written);
    }

    /// Adds a share of the addresses, as many as fit.
    pub(crate) fn addresses<const N: usize>(
        &mut self,
        owner: Pointer,
        ttl: u32,
        addresses: &[[u8; N]],
        share: Share,
    ) {
        for address in round(addresses, share) {
            if self.reply.address(owner, ttl, address).is_err() {
                self.is_truncated = true;
                return;
            }
            self.answers += 1;
        }
    }

    /// Adds an alias and returns where the name it stands for was written.
    pub(crate) fn cname(&mut self, owner: Pointer, ttl: u32, host: &[u8]) -> Result<usize, Full> {
        self.reply.record(owner, rtype::CNAME, ttl, &[host])?;
        self.answers += 1;
        Ok(self.reply.len() - host.len())
    }

    /// Says whether the uncompressed name that stands at `at` is this one, which is in lower case.
    pub(crate) fn has_name_at(&self, at: usize, wire: &[u8]) -> bool {
        self.reply.has_at(at, wire)
    }

    /// Adds a name of an address.
    pub(crate) fn ptr(&mut self, owner: Pointer, ttl: u32, name: [&[u8]; 2]) {
        if !self.is_truncated {
            let written = self.reply.record(owner, rtype::PTR, ttl, &name);
            self.count(written);
        }
    }

    /// Adds one record for each attribute: `key=value`, in as many strings as it needs (RFC 1464).
    pub(crate) fn txt<'t>(
        &mut self,
        owner: Pointer,
        ttl: u32,
        attributes: impl Iterator<Item = (&'t str, &'t str)>,
    ) {
        for (key, value) in attributes {
            if self.is_truncated {
                return;
            }
            let text = [key.as_bytes(), b"=", value.as_bytes()].concat();
            let mut data = Vec::with_capacity(text.len() + 8);
            for string in text.chunks(STRING_BYTES_MAX) {
                data.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
                data.extend_from_slice(string);
            }
            let written = self.reply.record(owner, rtype::TXT, ttl, &[&data]);
            self.count(written);
        }
    }

    /// Adds an SRV record for each instance that is answered, and then the addresses of their targets if they fit.
    pub(crate) fn srv(
        &mut self,
        owner: Pointer,
        (service, name): (&Service, &[u8]),
        wanted: PortOf<'_>,
        random: u64,
    ) {
        let text = service.text();
        let share = service.share_of_rotation(random);
        let everybody = Share {
            count: service.rotation().len(),
            ..share
        };
        let start = self.reply.len();
        // An RRset has no record twice (RFC 2181 section 5); where one is chosen, each counts with its weight.
        let with_port = round(service.rotation(), everybody)
            .filter(|member| share.count < 2 || !service.is_repeated(member, name, wanted))
            .filter_map(|member| Some((member, member.port(wanted)?)));
        let mut written = 0;
        for (member, port) in with_port.clone().take(share.count) {
            let numbers = numbers(member, port);
            let parts: [&[u8]; 3] = match member.hostname(text) {
                Some(host) => [&numbers, host, &[]],
                None => [&numbers, member.label_wire(text), name],
            };
            if self
                .reply
                .record(owner, rtype::SRV, service.ttl.srv, &parts)
                .is_err()
            {
                self.is_truncated = true;
                break;
            }
            written += 1;
        }
        self.answers += u16::try_from(written).unwrap_or(u16::MAX);
        if self.is_truncated {
            return;
        }
        let mut at = start;
        for (member, _) in with_port.take(written) {
            let target = at + HEAD_BYTES + SRV_NUMBERS_BYTES;
            let target_bytes = match member.hostname(text) {
                Some(host) => host.len(),
                None => member.label_wire(text).len() + name.len(),
            };
            at = target + target_bytes;
            if let Some(target) = Pointer::to(target)
                && self.targets_addresses(target, service, member).is_err()
            {
                return;
            }
        }
    }

    fn targets_addresses(
        &mut self,
        target: Pointer,
        service: &Service,
        member: &Member,
    ) -> Result<(), Full> {
        if let Some(v4) = member.v4() {
            self.reply.address(target, service.ttl.a, v4)?;
            self.additionals += 1;
        }
        if let Some(v6) = member.v6(service.text()) {
            self.reply.address(target, service.ttl.aaaa, v6)?;
            self.additionals += 1;
        }
        Ok(())
    }

    /// Adds an address to the additional section if there is room.
    pub(crate) fn glue<const N: usize>(
        &mut self,
        owner: Option<Pointer>,
        ttl: u32,
        address: &[u8; N],
    ) {
        if let Some(owner) = owner
            && self.reply.address(owner, ttl, address).is_ok()
        {
            self.additionals += 1;
        }
    }

    /// Adds the zone's name server and returns where its name was written.
    pub(crate) fn ns(&mut self, zone: Pointer, ttl: u32) -> Result<Option<Pointer>, Full> {
        let (server, _) = Zone::soa_labels();
        let target = [server, &zone.bytes()].concat();
        self.reply.record(zone, rtype::NS, ttl, &[&target])?;
        self.answers += 1;
        Ok(Pointer::to(self.reply.len() - target.len()))
    }

    /// Answers with the SOA record.
    pub(crate) fn soa(&mut self, owner: Pointer, ttl: u32, zone: &Zone) -> Result<(), Full> {
        self.put_soa(owner, ttl, zone)?;
        self.answers += 1;
        Ok(())
    }

    /// Adds the SOA record to the authority section.
    pub(crate) fn authority_soa(&mut self, owner: Pointer, ttl: u32, zone: &Zone) {
        if self.put_soa(owner, ttl, zone).is_ok() {
            self.authorities += 1;
        } else {
            self.is_truncated = true;
        }
    }

    fn put_soa(&mut self, owner: Pointer, ttl: u32, zone: &Zone) -> Result<(), Full> {
        let (server, mailbox) = Zone::soa_labels();
        let zone_name = owner.bytes();
        let parts: [&[u8]; 5] = [server, &zone_name, mailbox, &zone_name, &zone.soa_numbers()];
        self.reply.record(owner, rtype::SOA, ttl, &parts)
    }

    /// Adds the OPT record (RFC 6891 section 6.1.2).
    pub(crate) fn opt(&mut self, payload: u16, high: u8, dnssec_ok: bool, options: &[u8]) {
        let [p1, p2] = payload.to_be_bytes();
        let [t1, t2] = rtype::OPT.to_be_bytes();
        let flags = if dnssec_ok { 0x80 } else { 0 };
        let before = self.reply.len();
        let put = |reply: &mut Reply<'_>, options: &[u8]| {
            let len = u16::try_from(options.len()).unwrap_or(0).to_be_bytes();
            let [l1, l2] = len;
            reply.put(&[0, t1, t2, p1, p2, high, 0, flags, 0, l1, l2])?;
            reply.put(options)
        };
        if put(&mut self.reply, options).is_err() {
            self.reply.cut(before);
            if put(&mut self.reply, &[]).is_err() {
                self.reply.cut(before);
                return;
            }
        }
        self.additionals += 1;
    }

    /// Fills the header in and returns how long the answer is.
    pub(crate) fn header(mut self, flags: u8, code: u8) -> usize {
        let recursion_desired = self.reply.byte(2) & 0x01;
        let counts = [self.answers, self.authorities, self.additionals];
        let [[a1, a2], [n1, n2], [r1, r2]] = counts.map(u16::to_be_bytes);
        let rest: [u8; HEADER_BYTES - 2] = [
            flags | recursion_desired,
            code,
            0,
            1,
            a1,
            a2,
            n1,
            n2,
            r1,
            r2,
        ];
        self.reply.overwrite(2, &rest);
        self.reply.len()
    }
}

fn numbers(member: &Member, port: u16) -> [u8; SRV_NUMBERS_BYTES] {
    let [p1, p2] = PRIORITY.to_be_bytes();
    let [w1, w2] = member.weight().to_be_bytes();
    let [n1, n2] = port.to_be_bytes();
    [p1, p2, w1, w2, n1, n2]
}

/// Walks a share of a list: from its start on, and round.
fn round<T>(list: &[T], share: Share) -> impl Iterator<Item = &T> + Clone {
    let (earlier, later) = list.split_at_checked(share.start).unwrap_or((&[], list));
    later.iter().chain(earlier).take(share.count)
}
