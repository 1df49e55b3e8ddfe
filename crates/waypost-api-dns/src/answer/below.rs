//! Names below a service, and the service's name among SRV names.

use waypost_core::is_srv_label;

use super::{Answer, Asked, Next};
use crate::name::{NAME_BYTES_MAX, labels, split_label};
use crate::question::rtype;
use crate::records::Records;
use crate::reply::{Full, Pointer};
use crate::service::{Member, PortOf, Service};
use crate::table::Guards;
use crate::zone::{Protocol, Zone};

impl Answer<'_, '_> {
    /// Answers for a name below a service: an instance, or an SRV name of a port.
    pub(super) fn below_service(
        &mut self,
        asked: &Asked,
        qtype: u16,
        (service, name): (&Service, &[u8]),
        own: &[u8],
        guards: &Guards<'_>,
    ) -> Result<Next, Full> {
        let mut parts = labels(own);
        let (first, second, third) = (parts.next(), parts.next(), parts.next());
        let before = self.records.answers();
        let is_there = match (first, second, third) {
            (Some(label), None, _) => match Protocol::of_label(label) {
                Some(protocol) => service.has_ports(protocol),
                None => return self.instance(asked, qtype, service, label, guards),
            },
            (Some(port), Some(protocol), None) => {
                let named = named_port(service, port, protocol);
                if let Some(wanted) = named
                    && matches!(qtype, rtype::SRV | rtype::ANY)
                {
                    self.srv(asked.pointer().ok_or(Full)?, (service, name), wanted);
                    if self.records.answers() > before || self.records.is_truncated() {
                        return Ok(Next::Done);
                    }
                    // Somebody has such a port, but nobody who may be sent traffic.
                    self.nobody = true;
                }
                named.is_some()
            }
            _ => false,
        };
        self.negative_if(asked, &service.zone, is_there, guards);
        Ok(Next::Done)
    }

    /// Answers for an instance's own name, whether it may be sent traffic or not: who asks by this name means it.
    fn instance(
        &mut self,
        asked: &Asked,
        qtype: u16,
        service: &Service,
        label: &[u8],
        guards: &Guards<'_>,
    ) -> Result<Next, Full> {
        let owner = asked.pointer().ok_or(Full)?;
        let text = service.text();
        let members = service.labelled(label);
        let before = self.records.answers();
        let is_there = members.clone().next().is_some();
        let has_address = |member: &Member| member.hostname(text).is_none();
        if !members.clone().any(has_address)
            && let Some(host) = members.clone().find_map(|member| member.hostname(text))
        {
            return self.alias(owner, qtype, service.ttl.a, host);
        }
        if matches!(qtype, rtype::A | rtype::ANY) {
            self.each_v4(owner, service, members.clone());
        }
        let is_open = |records: &Records<'_>| records.answers() == before;
        if qtype == rtype::AAAA || (qtype == rtype::ANY && is_open(&self.records)) {
            self.each_v6(owner, service, members.clone());
        }
        if qtype == rtype::TXT
            && let Some(member) = members.clone().next()
        {
            self.records.txt(owner, service.ttl.a, member.attributes());
        }
        if self.records.answers() == before && !self.records.is_truncated() {
            self.negative_if(asked, &service.zone, is_there, guards);
        }
        Ok(Next::Done)
    }

    fn each_v4<'m>(
        &mut self,
        owner: Pointer,
        service: &Service,
        members: impl Iterator<Item = &'m Member>,
    ) {
        let mut last = None;
        for v4 in members.filter_map(Member::v4) {
            // Several owners may keep one and the same instance.
            if last.replace(v4) != Some(v4) {
                self.records.address(owner, service.ttl.a, v4);
            }
        }
    }

    fn each_v6<'m>(
        &mut self,
        owner: Pointer,
        service: &Service,
        members: impl Iterator<Item = &'m Member>,
    ) {
        let mut last = None;
        for v6 in members.filter_map(|member| member.v6(service.text())) {
            if last.replace(v6) != Some(v6) {
                self.records.address(owner, service.ttl.aaaa, v6);
            }
        }
    }

    /// Answers for `_service._tcp`; says whether there is such a name.
    pub(super) fn srv_name(
        &mut self,
        asked: &Asked,
        qtype: u16,
        zone: &Zone,
        (label, protocol): (&[u8], &[u8]),
        guards: &Guards<'_>,
    ) -> Result<bool, Full> {
        let Some(protocol) = Protocol::of_label(protocol) else {
            return Ok(false);
        };
        let mut name = [0; NAME_BYTES_MAX];
        let Some(service) = label
            .strip_prefix(b"_")
            .and_then(|label| join(&mut name, label, zone.apex()))
        else {
            return Ok(false);
        };
        let Some(found) = self.context.table.service(service, guards) else {
            return Ok(false);
        };
        if !found.has_srv_name(protocol) {
            return Ok(false);
        }
        if matches!(qtype, rtype::SRV | rtype::ANY) {
            let wanted = PortOf::DefaultOf(protocol);
            let before = self.records.answers();
            self.srv(asked.pointer().ok_or(Full)?, (found, service), wanted);
            self.nobody = self.records.answers() == before && !self.records.is_truncated();
        }
        Ok(true)
    }
}

/// Reads `_port._tcp`, if any instance has such a port.
fn named_port<'a>(service: &Service, port: &'a [u8], protocol: &[u8]) -> Option<PortOf<'a>> {
    let protocol = Protocol::of_label(protocol)?;
    let name = port.strip_prefix(b"_")?;
    let is_name = std::str::from_utf8(name).is_ok_and(is_srv_label);
    if !is_name || !service.has_ports(protocol) {
        return None;
    }
    let wanted = PortOf::Named(name, protocol);
    let members = service.members();
    members
        .iter()
        .any(|member| member.port(wanted).is_some())
        .then_some(wanted)
}

/// Writes a label and the name after it into `room`.
fn join<'r>(room: &'r mut [u8], label: &[u8], name: &[u8]) -> Option<&'r [u8]> {
    let whole = room.get_mut(..1 + label.len() + name.len())?;
    let len = u8::try_from(label.len()).ok().filter(|len| *len > 0)?;
    let (first, rest) = whole.split_first_mut()?;
    *first = len;
    let (own, after) = rest.split_at_mut_checked(label.len())?;
    own.copy_from_slice(label);
    after.copy_from_slice(name);
    let whole: &[u8] = whole;
    split_label(whole).map(|_| whole)
}
