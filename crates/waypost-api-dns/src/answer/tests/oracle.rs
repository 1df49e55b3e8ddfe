//! What an answer should be, read from the registry naively: no table, no compiled service, one rule after the other.

use std::net::IpAddr;

use domain::base::{Name, Serial, Ttl};
use domain::rdata::{A, Aaaa, AllRecordData, Ns, Ptr, Soa};
use waypost_core::{
    NamespaceKind, NamespaceState, ServiceState, Snapshot, check_dns_service, transport_label,
};

use super::message::{Data, Parts, Rec};
use super::reading::Reading;
use super::reversed::Reversals;
use crate::DnsConfig;

pub(super) type Labels = Vec<Vec<u8>>;

/// What EDNS says in a question.
#[derive(Clone, Debug)]
pub(super) struct AskedEdns {
    pub(super) payload: u16,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
    pub(super) keepalive: bool,
}

/// A question in parts.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: [u8; 2],
    pub(super) rd: bool,
    /// The name on the wire as it was asked.
    pub(super) wire: Vec<u8>,
    pub(super) qtype: u16,
    pub(super) qclass: u16,
    pub(super) edns: Option<AskedEdns>,
}

/// An answer before anything is cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) code: u16,
    pub(super) is_authoritative: bool,
    pub(super) answer: Vec<Rec>,
    pub(super) authority: Vec<Rec>,
    pub(super) additional: Vec<Rec>,
    pub(super) nobody: bool,
    pub(super) payload: u16,
    pub(super) keepalive: Option<u16>,
}

/// Where and how it was asked.
pub(super) struct Oracle<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) config: &'a DnsConfig,
    pub(super) is_tcp: bool,
    pub(super) peer: IpAddr,
    pub(super) local: Option<IpAddr>,
    /// What came: where there is a choice, what was chosen.
    pub(super) came: &'a Parts,
}

/// A zone: its labels in lower case, and its namespace.
pub(super) struct Zone<'a> {
    pub(super) apex: Labels,
    state: Option<&'a NamespaceState>,
}

/// What a name has, besides its records.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum There {
    Yes,
    /// Only if other names lie below it.
    IfAbove,
}

pub(super) fn labels(wire: &[u8]) -> Labels {
    crate::name::labels(wire)
        .map(<[u8]>::to_ascii_lowercase)
        .collect()
}

pub(super) fn dotted(text: &str) -> Labels {
    let labels = text.split('.').filter(|label| !label.is_empty());
    labels
        .map(|label| label.as_bytes().to_ascii_lowercase())
        .collect()
}

pub(super) fn wire_of(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label);
    }
    wire.push(0);
    wire
}

pub(super) fn name(wire: Vec<u8>) -> Name<Vec<u8>> {
    Name::from_octets(wire).unwrap()
}

/// The part of a wire name that is its last `count` labels, as it is written.
fn last_labels(wire: &[u8], count: usize) -> &[u8] {
    let mut rest = wire;
    for _ in count..labels(wire).len() {
        rest = &rest[usize::from(rest[0]) + 1..];
    }
    rest
}

impl<'a> Oracle<'a> {
    pub(super) fn answer(&self, asked: &Asked) -> Model {
        let mut model = Model {
            payload: self.config.udp_bytes_max,
            ..Model::default()
        };
        if let Some(edns) = &asked.edns {
            if edns.keepalive && self.is_tcp {
                let tenths = self.config.tcp_idle_seconds * 10;
                model.keepalive = Some(u16::try_from(tenths).unwrap());
            }
            if edns.version > 0 {
                model.code = 16;
                return model;
            }
        }
        let allow = &self.config.allow;
        let may_ask = allow.is_empty() || allow.iter().any(|net| net.contains(&self.peer));
        if !may_ask || asked.qclass != 1 || [249, 250, 251, 252].contains(&asked.qtype) {
            model.code = 5;
            return model;
        }
        let mut wire = asked.wire.clone();
        // Nine names: the one asked for and eight that aliases lead to, none of them twice.
        let mut seen = Vec::new();
        for depth in 0..9 {
            seen.push(labels(&wire));
            match self.one(&wire, asked.qtype, &mut model) {
                Some(next) if seen.contains(&labels(&next)) => return model,
                Some(next) => wire = next,
                None if depth == 0 && !model.is_authoritative => {
                    model.code = 5;
                    return model;
                }
                None => return model,
            }
        }
        model
    }

    /// Answers for one name; returns the one to go on with.
    fn one(&self, wire: &[u8], qtype: u16, model: &mut Model) -> Option<Vec<u8>> {
        let labels = labels(wire);
        let Some(zone) = self.zone(&labels) else {
            self.reverse(wire, qtype, model);
            return None;
        };
        model.is_authoritative = true;
        let before = model.answer.len();
        let own = &labels[..labels.len() - zone.apex.len()];
        let service = (1..=own.len())
            .rev()
            .find_map(|count| self.service(&zone, &own[own.len() - count..]));
        let (there, next) = match service {
            Some(state) => {
                let own = &own[..own.len() - dotted(state.service().key.name.as_str()).len()];
                self.at_service(wire, own, qtype, state, model)
            }
            None => (self.in_zone(wire, own, qtype, &zone, model), None),
        };
        if next.is_some() || model.answer.len() > before {
            return next;
        }
        if there == There::IfAbove && !self.is_above(&labels) {
            model.code = 3;
        }
        model.authority.push(self.soa(wire, &zone, true));
        None
    }

    /// Finds the innermost zone that a name lies in.
    fn zone(&self, labels: &[Vec<u8>]) -> Option<Zone<'a>> {
        let zones = self.zones().filter(|zone| labels.ends_with(&zone.apex));
        zones.max_by_key(|zone| zone.apex.len())
    }

    fn zones(&self) -> impl Iterator<Item = Zone<'a>> {
        let namespaces = self.snapshot.namespaces();
        let looked_up = namespaces.filter(|state| state.namespace().kind != NamespaceKind::Http);
        looked_up.map(|state| Zone {
            apex: dotted(state.namespace().name.as_str()),
            state: Some(state),
        })
    }

    /// Lists the services that have a name, with their whole names.
    pub(super) fn services(&self) -> impl Iterator<Item = (Labels, &'a ServiceState)> {
        let services = self.snapshot.services();
        services.filter_map(|state| {
            let key = &state.service().key;
            check_dns_service(key).ok()?;
            let apex = dotted(key.namespace.as_str());
            let whole = [dotted(key.name.as_str()), apex.clone()].concat();
            // In an inner zone it is not this service's name.
            (self.zone(&whole)?.apex == apex).then_some((whole, &**state))
        })
    }

    fn service(&self, zone: &Zone<'_>, own: &[Vec<u8>]) -> Option<&'a ServiceState> {
        let wanted = [own, &zone.apex].concat();
        let found = self.services().find(|(whole, _)| *whole == wanted);
        found.map(|(_, state)| state)
    }

    fn is_above(&self, labels: &[Vec<u8>]) -> bool {
        let below = |whole: &Labels| whole.len() > labels.len() && whole.ends_with(labels);
        self.zones().any(|zone| below(&zone.apex))
            || self.services().any(|(whole, _)| below(&whole))
    }

    fn at_service(
        &self,
        wire: &[u8],
        own: &[Vec<u8>],
        qtype: u16,
        state: &'a ServiceState,
        model: &mut Model,
    ) -> (There, Option<Vec<u8>>) {
        let reading = Reading::new(self, state);
        match own {
            [] => {
                let next = reading.whole(wire, qtype, model);
                (There::Yes, next)
            }
            [label] if label == b"_tcp" || label == b"_udp" => {
                let has_ports = reading.has_ports(label);
                (
                    if has_ports {
                        There::Yes
                    } else {
                        There::IfAbove
                    },
                    None,
                )
            }
            [label] => reading.instance(wire, label, qtype, model),
            [port, protocol]
                if port.starts_with(b"_") && reading.has_port(&port[1..], protocol) =>
            {
                if [33, 255].contains(&qtype) {
                    let before = model.answer.len();
                    reading.srv(wire, model, |instance| {
                        reading.named(instance, &port[1..], protocol)
                    });
                    model.nobody = model.answer.len() == before;
                }
                (There::Yes, None)
            }
            _ => (There::IfAbove, None),
        }
    }

    fn in_zone(
        &self,
        wire: &[u8],
        own: &[Vec<u8>],
        qtype: u16,
        zone: &Zone<'_>,
        model: &mut Model,
    ) -> There {
        match own {
            [] => {
                self.apex(wire, qtype, zone, model);
                There::Yes
            }
            [label] if label == b"waypost-ns" => {
                model.answer.extend(self.address(wire, zone, Some(qtype)));
                There::Yes
            }
            [protocol] if protocol == b"_tcp" || protocol == b"_udp" => {
                let of_zone = self.services().filter(|(_, state)| in_zone(state, zone));
                let mut readings = of_zone.map(|(_, state)| Reading::new(self, state));
                let has_some = readings.any(|reading| reading.has_srv_name(protocol));
                if has_some { There::Yes } else { There::IfAbove }
            }
            [label, protocol] if label.starts_with(b"_") => {
                let found = self.service(zone, &[label[1..].to_vec()]);
                let reading = found.map(|state| Reading::new(self, state));
                let Some(reading) = reading.filter(|it| it.has_srv_name(protocol)) else {
                    return There::IfAbove;
                };
                if [33, 255].contains(&qtype) {
                    let before = model.answer.len();
                    reading.srv(wire, model, |instance| {
                        let port = instance.registration().spec.port()?;
                        (transport_label(port).as_bytes() == protocol).then_some(port.number)
                    });
                    model.nobody = model.answer.len() == before;
                }
                There::Yes
            }
            _ => There::IfAbove,
        }
    }

    pub(super) fn apex(&self, wire: &[u8], qtype: u16, zone: &Zone<'_>, model: &mut Model) {
        if [6, 255].contains(&qtype) {
            model.answer.push(self.soa(wire, zone, false));
        }
        if qtype == 2 {
            let server = [b"\x0awaypost-ns", wire].concat();
            model.additional.extend(self.address(&server, zone, None));
            model.answer.push(Rec {
                owner: wire.to_vec(),
                ttl: self.soa_times(zone).0,
                data: AllRecordData::Ns(Ns::new(name(server))),
            });
        }
    }

    /// The name server's address is the one that was asked.
    pub(super) fn address(&self, owner: &[u8], zone: &Zone<'_>, qtype: Option<u16>) -> Option<Rec> {
        let rec = address(owner, self.soa_times(zone).0, self.local?);
        let kind = if self.local?.is_ipv4() { 1 } else { 28 };
        qtype
            .is_none_or(|qtype| qtype == kind || qtype == 255)
            .then_some(rec)
    }

    /// The time to live of SOA and NS, and the SOA's MINIMUM.
    fn soa_times(&self, zone: &Zone<'_>) -> (u32, u32) {
        let own = zone.state.and_then(|state| state.namespace().soa_ttl);
        let most = self.config.ttl_seconds_max;
        let negative = own.unwrap_or(self.config.negative_ttl_seconds);
        (own.unwrap_or(60).min(most), negative.min(most))
    }

    /// The SOA record of a zone in which `wire` lies, written with the letters of `wire`.
    pub(super) fn soa(&self, wire: &[u8], zone: &Zone<'_>, is_negative: bool) -> Rec {
        let owner = last_labels(wire, zone.apex.len()).to_vec();
        let below = |label: &[u8]| name([label, &owner].concat());
        let (ttl, minimum) = self.soa_times(zone);
        let serial = match zone.state {
            #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32")]
            Some(state) => state.modified().0 as u32,
            None => self.serial_that_came(),
        };
        let seconds = Ttl::from_secs;
        let soa = Soa::new(
            below(b"\x0awaypost-ns"),
            below(b"\x0ahostmaster"),
            Serial(serial),
            seconds(60),
            seconds(15),
            seconds(86_400),
            seconds(minimum),
        );
        Rec {
            owner: owner.clone(),
            ttl: if is_negative { ttl.min(minimum) } else { ttl },
            data: AllRecordData::Soa(soa),
        }
    }

    /// Zones of addresses belong to no namespace that could say their serial.
    fn serial_that_came(&self) -> u32 {
        let mut records = self.came.answer.iter().chain(&self.came.authority);
        let soa = records.find(|record| record.rtype == 6);
        let numbers = soa.map_or(&[0; 20][..], |soa| &soa.data[soa.data.len() - 20..]);
        u32::from_be_bytes(*numbers.first_chunk().unwrap())
    }

    fn reverse(&self, wire: &[u8], qtype: u16, model: &mut Model) {
        let reversals = Reversals::new(self.services(), self.config);
        let labels = labels(wire);
        let zone = reversals
            .zone(&labels)
            .map(|apex| Zone { apex, state: None });
        let names = reversals.names(&labels);
        // Of addresses outside of the zones only their names are told.
        if zone.is_none() && (names.is_empty() || ![12, 255].contains(&qtype)) {
            return;
        }
        model.is_authoritative = true;
        let before = model.answer.len();
        let ttl = self.config.ttl_seconds.min(self.config.ttl_seconds_max);
        if [12, 255].contains(&qtype) {
            model.answer.extend(names.iter().map(|target| Rec {
                owner: wire.to_vec(),
                ttl,
                data: AllRecordData::Ptr(Ptr::new(name(target.clone()))),
            }));
        }
        let Some(zone) = zone else { return };
        let server = [vec![b"waypost-ns".to_vec()], zone.apex.clone()].concat();
        if labels == zone.apex {
            // One RRset is enough for ANY.
            if qtype != 255 || model.answer.len() == before {
                self.apex(wire, qtype, &zone, model);
            }
        } else if labels == server {
            model.answer.extend(self.address(wire, &zone, Some(qtype)));
        } else if names.is_empty() && !reversals.is_above(&labels) {
            model.code = 3;
        }
        if model.answer.len() == before {
            model.authority.push(self.soa(wire, &zone, true));
        }
    }

    /// Takes so many of what may be answered: those that were.
    pub(super) fn choose(&self, pool: Vec<Rec>, count: usize) -> Vec<Rec> {
        if pool.len() <= count {
            return pool;
        }
        let mut came: Vec<_> = self.came.answer.clone();
        let (mut chosen, mut rest) = (Vec::new(), Vec::new());
        for rec in pool {
            let plain = rec.plain();
            match came.iter().position(|other| *other == plain) {
                Some(at) if chosen.len() < count => {
                    came.swap_remove(at);
                    chosen.push(rec);
                }
                _ => rest.push(rec),
            }
        }
        let missing = count - chosen.len();
        chosen.extend(rest.into_iter().take(missing));
        chosen
    }
}

fn in_zone(state: &ServiceState, zone: &Zone<'_>) -> bool {
    dotted(state.service().key.namespace.as_str()) == zone.apex
}

pub(super) fn address(owner: &[u8], ttl: u32, address: IpAddr) -> Rec {
    let data: Data = match address {
        IpAddr::V4(v4) => AllRecordData::A(A::new(v4)),
        IpAddr::V6(v6) => AllRecordData::Aaaa(Aaaa::new(v6)),
    };
    Rec {
        owner: owner.to_vec(),
        ttl,
        data,
    }
}
