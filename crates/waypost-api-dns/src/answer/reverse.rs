//! Names of addresses.

use std::net::IpAddr;

use super::{Answer, Asked, Next};
use crate::question::{rcode, rtype};
use crate::reply::{Full, Pointer};
use crate::reverse::{Reversed, each_name, is_reverse};
use crate::service::Member;
use crate::table::Guards;
use crate::zone::NAME_SERVER;

impl Answer<'_, '_> {
    /// Answers for the name of an address.
    pub(super) fn reverse(
        &mut self,
        asked: &Asked,
        qtype: u16,
        guards: &Guards<'_>,
    ) -> Result<Option<Next>, Full> {
        let table = self.context.table;
        if !is_reverse(asked.name.wire()) {
            return Ok(None);
        }
        table.settle_all();
        match table.reverse().find(asked.name.wire()) {
            Reversed::Foreign => return Ok(None),
            Reversed::Services(names, address, zone) => {
                let before = self.records.answers();
                if matches!(qtype, rtype::PTR | rtype::ANY) {
                    let owner = asked.pointer().ok_or(Full)?;
                    for name in each_name(&names) {
                        self.names_of(owner, name, address, guards);
                    }
                }
                if self.records.answers() == before && !self.records.is_truncated() {
                    // Outside of the zones only the names themselves are ours to tell.
                    let Some(zone) = zone else {
                        return Ok(None);
                    };
                    // A network of one address is a zone of one name.
                    let is_apex = asked.name.wire() == zone.apex();
                    self.lone_zone(asked, qtype, &zone, is_apex)?;
                }
                self.is_authoritative = true;
            }
            Reversed::Empty(zone, is_apex) => {
                self.is_authoritative = true;
                self.lone_zone(asked, qtype, &zone, is_apex)?;
            }
            Reversed::Missing(zone) => {
                self.is_authoritative = true;
                let before = self.records.answers();
                if asked.name.wire().strip_prefix(NAME_SERVER) == Some(zone.apex()) {
                    self.name_server(asked, qtype, &zone)?;
                } else {
                    self.code = rcode::NAME_ERROR;
                }
                if self.records.answers() == before && !self.records.is_truncated() {
                    self.negative(asked, &zone);
                }
            }
        }
        Ok(Some(Next::Done))
    }

    /// Writes the names that the instances of a service have at an address.
    fn names_of(&mut self, owner: Pointer, name: &[u8], address: IpAddr, guards: &Guards<'_>) {
        let Some(service) = self.context.table.service(name, guards) else {
            return;
        };
        let config = self.context.config;
        let ttl = config.ttl_seconds.min(config.ttl_seconds_max);
        let text = service.text();
        let has_it = |member: &&Member| match address {
            IpAddr::V4(v4) => member.v4() == Some(&v4.octets()),
            IpAddr::V6(v6) => member.v6(text) == Some(&v6.octets()),
        };
        let members = service.members().iter().filter(has_it);
        for (at, member) in members.clone().enumerate() {
            let label = member.label_wire(text);
            // Several owners may keep one and the same instance.
            let is_repeated = members
                .clone()
                .take(at)
                .any(|other| other.label_wire(text).eq_ignore_ascii_case(label));
            if !is_repeated {
                self.records.ptr(owner, ttl, [label, name]);
            }
            if self.records.is_truncated() {
                break;
            }
        }
    }
}
