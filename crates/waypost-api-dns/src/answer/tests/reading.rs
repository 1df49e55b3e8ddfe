//! A service read as it is registered: what its name, its instances and its ports should answer.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::rdata::{AllRecordData, Cname, Srv, Txt};
use waypost_core::{
    DnsRecordKind, Instance, Port, RoutingPolicy, ServiceState, Tier, instance_label, is_srv_label,
    transport_label,
};

use super::message::{Plain, Rec};
use super::oracle::{Model, Oracle, There, address, dotted, name, wire_of};

/// An SRV record with the addresses of its target.
type Glue = (Plain, Option<Rec>, Option<Rec>);

/// A service as it is registered.
pub(super) struct Reading<'o, 'a> {
    oracle: &'o Oracle<'a>,
    state: &'a ServiceState,
    pub(super) rotation: Vec<&'a Instance>,
    /// In the order in which their labels are looked through.
    all: Vec<&'a Instance>,
}

impl<'o, 'a> Reading<'o, 'a> {
    pub(super) fn new(oracle: &'o Oracle<'a>, state: &'a ServiceState) -> Self {
        let all: Vec<&Instance> = state.instances().iter().map(|it| &**it).collect();
        let served = |instance: &&&Instance| {
            let tier = instance.tier();
            tier <= Tier::Suspect || (tier == Tier::FailOpen && state.service().fail_open)
        };
        let best = all.iter().filter(served).map(|it| it.tier()).min();
        let (rotation, others): (Vec<_>, Vec<_>) =
            all.iter().copied().partition(|it| Some(it.tier()) == best);
        let all = [rotation.clone(), others].concat();
        Self {
            oracle,
            state,
            rotation,
            all,
        }
    }

    fn ttl(&self, kind: DnsRecordKind) -> Option<u32> {
        let most = self.oracle.config.ttl_seconds_max;
        let Some(dns) = &self.state.service().dns else {
            let default = self.oracle.config.ttl_seconds.min(most);
            return (kind != DnsRecordKind::Cname).then_some(default);
        };
        let found = dns.records.iter().find(|record| record.kind == kind);
        found.map(|record| record.ttl_seconds.min(most))
    }

    /// The time to live of a kind that the service may not have itself.
    fn any_ttl(&self, kind: DnsRecordKind) -> u32 {
        let kinds = [
            kind,
            DnsRecordKind::A,
            DnsRecordKind::Aaaa,
            DnsRecordKind::Srv,
            DnsRecordKind::Cname,
        ];
        kinds.iter().find_map(|kind| self.ttl(*kind)).unwrap()
    }

    fn is_weighted(&self) -> bool {
        let dns = self.state.service().dns.as_ref();
        dns.is_some_and(|dns| dns.routing == RoutingPolicy::Weighted)
    }

    fn most(&self) -> usize {
        match &self.state.service().dns {
            None => usize::MAX,
            Some(dns) if dns.routing == RoutingPolicy::Multivalue => 8,
            Some(_) => 1,
        }
    }

    /// With weights, what weighs nothing is answered only when nothing weighs anything.
    fn weighed<T>(&self, pool: Vec<(u32, T)>) -> Vec<T> {
        let has_weight = pool.iter().any(|(weight, _)| *weight > 0);
        let counts = |weight: u32| !self.is_weighted() || !has_weight || weight > 0;
        let kept = pool.into_iter().filter(|(weight, _)| counts(*weight));
        kept.map(|(_, it)| it).collect()
    }

    fn addresses(
        &self,
        wire: &[u8],
        kind: DnsRecordKind,
        ip: impl Fn(&Instance) -> Option<IpAddr>,
    ) -> Vec<Rec> {
        let Some(ttl) = self.ttl(kind) else {
            return Vec::new();
        };
        let rotation = self.rotation.iter();
        let mut pool: Vec<(u32, IpAddr)> = rotation
            .filter_map(|it| Some((it.weight(), ip(it)?)))
            .collect();
        if !self.is_weighted() {
            let mut seen = BTreeSet::new();
            pool.retain(|(_, ip)| seen.insert(*ip));
        }
        let pool = self.weighed(pool);
        let pool = pool.into_iter().map(|ip| address(wire, ttl, ip)).collect();
        self.oracle.choose(pool, self.most())
    }

    pub(super) fn whole(&self, wire: &[u8], qtype: u16, model: &mut Model) -> Option<Vec<u8>> {
        let before = model.answer.len();
        if let Some(ttl) = self.ttl(DnsRecordKind::Cname) {
            let hosts = self.rotation.iter().filter_map(|it| host(it));
            let pool: Vec<Rec> = hosts.map(|host| alias(wire, ttl, &host)).collect();
            if let Some(rec) = self.oracle.choose(pool, 1).pop() {
                return follow(rec, qtype, model);
            }
        }
        let a = || self.addresses(wire, DnsRecordKind::A, v4);
        let aaaa = || self.addresses(wire, DnsRecordKind::Aaaa, v6);
        let default = |it: &Instance| it.registration().spec.port().map(|port| port.number);
        let is_alias = self.ttl(DnsRecordKind::Cname).is_some();
        match qtype {
            1 => model.answer.extend(a()),
            28 => model.answer.extend(aaaa()),
            33 => self.srv(wire, model, default),
            16 if !is_alias => model.answer.extend(self.texts(wire)),
            255 if !is_alias => {
                model.answer.extend(a());
                if model.answer.len() == before {
                    model.answer.extend(aaaa());
                }
                if model.answer.len() == before {
                    self.srv(wire, model, default);
                }
                if model.answer.len() == before {
                    model.answer.extend(self.texts(wire));
                }
            }
            _ => {}
        }
        if model.answer.len() == before {
            let has = |kind| self.ttl(kind).is_some();
            let served = match qtype {
                1 => has(DnsRecordKind::A) || is_alias,
                28 => has(DnsRecordKind::Aaaa) || is_alias,
                33 => has(DnsRecordKind::Srv) || is_alias,
                5 => is_alias,
                255 => true,
                _ => false,
            };
            model.nobody = served && self.rotation.is_empty();
        }
        None
    }

    fn texts(&self, wire: &[u8]) -> Vec<Rec> {
        let attributes = self.state.service().attributes.iter();
        texts(wire, self.any_ttl(DnsRecordKind::A), attributes)
    }

    fn label(&self, instance: &Instance) -> String {
        instance_label(&self.state.service().key, &instance.key().id).into_owned()
    }

    pub(super) fn instance(
        &self,
        wire: &[u8],
        label: &[u8],
        qtype: u16,
        model: &mut Model,
    ) -> (There, Option<Vec<u8>>) {
        let named = self.all.iter().copied();
        let named = named.filter(|it| self.label(it).as_bytes().eq_ignore_ascii_case(label));
        let named: Vec<&Instance> = named.collect();
        let Some(first) = named.first() else {
            return (There::IfAbove, None);
        };
        let (a, aaaa) = (
            self.any_ttl(DnsRecordKind::A),
            self.any_ttl(DnsRecordKind::Aaaa),
        );
        if named.iter().all(|it| host(it).is_some()) {
            let rec = alias(wire, a, &host(first).unwrap());
            return (There::Yes, follow(rec, qtype, model));
        }
        let before = model.answer.len();
        let all = |ttl, ip: fn(&Instance) -> Option<IpAddr>| {
            let ips: BTreeSet<IpAddr> = named.iter().filter_map(|it| ip(it)).collect();
            ips.into_iter().map(move |ip| address(wire, ttl, ip))
        };
        if [1, 255].contains(&qtype) {
            model.answer.extend(all(a, v4));
        }
        if qtype == 28 || (qtype == 255 && model.answer.len() == before) {
            model.answer.extend(all(aaaa, v6));
        }
        if qtype == 16 {
            let attributes = first.registration().spec.attributes.iter();
            model.answer.extend(texts(wire, a, attributes));
        }
        (There::Yes, None)
    }

    pub(super) fn srv(
        &self,
        wire: &[u8],
        model: &mut Model,
        port: impl Fn(&Instance) -> Option<u16>,
    ) {
        let Some(ttl) = self.ttl(DnsRecordKind::Srv) else {
            return;
        };
        let mut pool = Vec::new();
        let mut glue: Vec<Glue> = Vec::new();
        for instance in &self.rotation {
            let Some(port) = port(instance) else { continue };
            let own = self.own_wire(instance);
            let target = host(instance).unwrap_or_else(|| own.clone());
            let weight = u16::try_from(instance.weight()).unwrap();
            let srv = Srv::new(1, weight, port, name(target.clone()));
            let rec = Rec {
                owner: wire.to_vec(),
                ttl,
                data: AllRecordData::Srv(srv),
            };
            let a = v4(instance).map(|ip| address(&target, self.any_ttl(DnsRecordKind::A), ip));
            let aaaa =
                v6(instance).map(|ip| address(&target, self.any_ttl(DnsRecordKind::Aaaa), ip));
            // Several owners may keep one and the same instance: one record, unless one is chosen by weight. Whose
            // addresses come with it is free.
            let plain = rec.plain();
            let is_there = glue.iter().any(|(other, ..)| *other == plain);
            glue.push((plain, a, aaaa));
            if is_there && self.most() > 1 {
                continue;
            }
            pool.push((instance.weight(), rec));
        }
        // Whoever has no such port passes its turn on, whatever the next one weighs.
        let all_have_it = pool.len() == self.rotation.len();
        let pool = match all_have_it {
            true => self.weighed(pool),
            false => pool.into_iter().map(|(_, rec)| rec).collect(),
        };
        let chosen = self.oracle.choose(pool, self.most());
        for rec in &chosen {
            let plain = rec.plain();
            let count = |(_, a, aaaa): &Glue| a.iter().chain(aaaa).count();
            let came = |(other, a, aaaa): &Glue| {
                let additional = &self.oracle.came.additional;
                let mut both = a.iter().chain(aaaa);
                *other == plain && both.all(|rec| additional.contains(&rec.plain()))
            };
            let mine = (0..glue.len()).filter(|at| came(&glue[*at]));
            let at = mine.max_by_key(|at| count(&glue[*at]));
            let first = || glue.iter().position(|(other, ..)| *other == plain);
            let at = at.or_else(first).unwrap();
            let (_, a, aaaa) = glue.remove(at);
            model.additional.extend(a.into_iter().chain(aaaa));
        }
        model.answer.extend(chosen);
    }

    fn own_wire(&self, instance: &Instance) -> Vec<u8> {
        let key = &self.state.service().key;
        let service = [dotted(key.name.as_str()), dotted(key.namespace.as_str())].concat();
        wire_of(&[vec![self.label(instance).into_bytes()], service].concat())
    }

    fn ports(&self) -> impl Iterator<Item = &'a Port> {
        let all = self.all.clone();
        all.into_iter()
            .flat_map(|it| it.registration().spec.ports.iter())
    }

    /// `_tcp.service` is above the names of its ports.
    pub(super) fn has_ports(&self, protocol: &[u8]) -> bool {
        let mut ports = self.ports().filter(|port| is_srv_label(&port.name));
        self.ttl(DnsRecordKind::Srv).is_some()
            && ports.any(|port| transport_label(port).as_bytes() == protocol)
    }

    pub(super) fn has_port(&self, label: &[u8], protocol: &[u8]) -> bool {
        let is_it = |port: &Port| {
            is_srv_label(&port.name)
                && port.name.as_bytes().eq_ignore_ascii_case(label)
                && transport_label(port).as_bytes() == protocol
        };
        self.ttl(DnsRecordKind::Srv).is_some() && self.ports().any(is_it)
    }

    pub(super) fn named(&self, instance: &Instance, label: &[u8], protocol: &[u8]) -> Option<u16> {
        let ports = instance.registration().spec.ports.iter();
        let mut of_protocol = ports.filter(|port| transport_label(port).as_bytes() == protocol);
        let port = of_protocol.find(|port| port.name.as_bytes().eq_ignore_ascii_case(label));
        port.map(|port| port.number)
    }

    /// `_service._tcp` is there when an instance's first port is of that protocol.
    pub(super) fn has_srv_name(&self, protocol: &[u8]) -> bool {
        let mut firsts = self
            .all
            .iter()
            .filter_map(|it| it.registration().spec.port());
        self.ttl(DnsRecordKind::Srv).is_some()
            && is_srv_label(self.state.service().key.name.as_str())
            && firsts.any(|port| transport_label(port).as_bytes() == protocol)
    }
}

fn v4(instance: &Instance) -> Option<IpAddr> {
    let address: Option<Ipv4Addr> = instance.registration().spec.addresses.ipv4;
    address.map(IpAddr::V4)
}

fn v6(instance: &Instance) -> Option<IpAddr> {
    let address: Option<Ipv6Addr> = instance.registration().spec.addresses.ipv6;
    address.map(IpAddr::V6)
}

/// The host name on the wire, where that is all that is known.
fn host(instance: &Instance) -> Option<Vec<u8>> {
    let addresses = &instance.registration().spec.addresses;
    if addresses.ipv4.is_some() || addresses.ipv6.is_some() {
        return None;
    }
    crate::name::to_wire(addresses.hostname.as_ref()?)
}

fn alias(wire: &[u8], ttl: u32, host: &[u8]) -> Rec {
    Rec {
        owner: wire.to_vec(),
        ttl,
        data: AllRecordData::Cname(Cname::new(name(host.to_vec()))),
    }
}

fn follow(rec: Rec, qtype: u16, model: &mut Model) -> Option<Vec<u8>> {
    let AllRecordData::Cname(cname) = &rec.data else {
        panic!("no alias: {rec:?}");
    };
    let target = cname.cname().as_slice().to_vec();
    model.answer.push(rec);
    (![5, 255].contains(&qtype)).then_some(target)
}

fn texts<'t>(
    wire: &[u8],
    ttl: u32,
    attributes: impl Iterator<Item = (&'t str, &'t str)>,
) -> Vec<Rec> {
    let text = |(key, value): (&str, &str)| {
        let text: Txt<Vec<u8>> =
            Txt::build_from_slice(format!("{key}={value}").as_bytes()).unwrap();
        Rec {
            owner: wire.to_vec(),
            ttl,
            data: AllRecordData::Txt(text),
        }
    };
    attributes.map(text).collect()
}
