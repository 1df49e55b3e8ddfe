//! A service as DNS shows it, compiled when the registry changes: what its name, and the names below it, answer.

use std::cmp;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use waypost_core::{
    DnsRecordKind, Instance, Port, RoutingPolicy, ServiceKey, ServiceState, instance_label,
    is_srv_label, transport_label,
};

use crate::name::{to_lower_wire, to_wire};
use crate::settings::DnsConfig;
use crate::zone::{Protocol, Zone};

/// Most answers of a service with AWS's MULTIVALUE routing.
const MULTIVALUE_MAX: usize = 8;

/// What a weight of one is when addresses are chosen by weight: divisible by every number of addresses that a host name
/// may have.
const WHOLE_WEIGHT: u64 = 720_720;

/// How many of the rotation an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Routing {
    All,
    Multivalue,
    Weighted,
}

/// The record types that a service has at its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const A: u8 = 1;
    pub(crate) const AAAA: u8 = 2;
    pub(crate) const SRV: u8 = 4;
    pub(crate) const CNAME: u8 = 8;

    pub(crate) fn has(self, kind: u8) -> bool {
        self.0 & kind != 0
    }
}

/// Times to live by record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ttls {
    pub(crate) a: u32,
    pub(crate) aaaa: u32,
    pub(crate) srv: u32,
    pub(crate) cname: u32,
}

/// One registered instance.
#[derive(Debug)]
pub(crate) struct Member {
    instance: Arc<Instance>,
    /// Where its label, host name and IPv6 address stand in the service's text.
    at: u32,
    v4: [u8; 4],
    port: u16,
    weight: u16,
    flags: u8,
}

const HAS_V4: u8 = 1;
const HAS_V6: u8 = 2;
/// Known by a host name only.
const BY_NAME: u8 = 4;
const HAS_PORT: u8 = 8;
const UDP: u8 = 16;
/// An earlier one of the rotation has the same target in SRV records: another owner's, or at the same host name.
const TWIN: u8 = 32;

/// Running sums of weights, one for each list that is chosen from.
#[derive(Debug, Default)]
struct Weights {
    v4: Box<[u64]>,
    v6: Box<[u64]>,
    members: Box<[u64]>,
}

/// A compiled service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) zone: Arc<Zone>,
    pub(crate) kinds: Kinds,
    pub(crate) ttl: Ttls,
    routing: Routing,
    /// Protocols for which `_service._tcp` is a name.
    protocols: u8,
    /// Protocols for which `_port._tcp.service` is a name.
    port_protocols: u8,
    /// How many addresses of the rotation `bytes` begin with.
    v4_len: u32,
    v6_len: u32,
    /// The IPv4 addresses, the IPv6 addresses, then the text of the members.
    bytes: Box<[u8]>,
    /// The rotation, then everybody else; each sorted by label.
    members: Box<[Member]>,
    rotation_len: u32,
    weights: Option<Box<Weights>>,
    state: Arc<waypost_core::Service>,
    /// Whether anybody has asked for it since it was compiled.
    asked: AtomicBool,
    /// Whether the registry has changed it since.
    stale: AtomicBool,
}

/// What of a list an answer holds: so many, from there on and round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) start: usize,
    pub(crate) count: usize,
}

/// Which port of an instance an SRV record shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PortOf<'a> {
    /// The first.
    Default,
    /// The first, if it is of that protocol.
    DefaultOf(Protocol),
    /// The one of that name and protocol.
    Named(&'a [u8], Protocol),
}

/// Collects what the service's parts have in common.
#[derive(Default)]
struct Compiler {
    text: Vec<u8>,
    v4: Vec<([u8; 4], u64)>,
    v6: Vec<([u8; 16], u64)>,
    protocols: u8,
    port_protocols: u8,
}

impl Service {
    /// Compiles a service of a zone.
    pub(crate) fn compile(state: &ServiceState, zone: &Arc<Zone>, config: &DnsConfig) -> Self {
        let service = state.service();
        let (kinds, ttl, routing) = settings(service, config);
        let rotation = state.rotation();
        let mut compiler = Compiler::default();
        let mut members: Vec<Member> = Vec::with_capacity(state.instances().len());
        for instance in rotation.instances() {
            let member = compiler.member(instance);
            compiler.serve(&member);
            members.push(member);
        }
        let rotation_len = members.len();
        let everybody = state.instances().iter();
        let others = everybody.filter(|instance| !rotation.contains(instance.key()));
        // Looking for others among all costs a look for each: mostly there are none.
        let others_len = state.instances().len() - rotation_len;
        members.extend(
            others
                .take(others_len)
                .map(|instance| compiler.member(instance)),
        );
        let Compiler {
            text,
            mut v4,
            mut v6,
            protocols,
            port_protocols,
        } = compiler;
        let (served, others) = members.split_at_mut(rotation_len);
        sort_by_label(others, &text);
        sort_and_mark_twins(served, &text, &service.key);
        let weights = (routing == Routing::Weighted).then(|| {
            Box::new(Weights {
                v4: sums(v4.iter().map(|(_, weight)| *weight)),
                v6: sums(v6.iter().map(|(_, weight)| *weight)),
                members: sums(served.iter().map(|member| u64::from(member.weight))),
            })
        });
        if weights.is_none() {
            // Two instances at one address are one answer.
            v4.sort_unstable();
            v4.dedup_by_key(|(address, _)| *address);
            v6.sort_unstable();
            v6.dedup_by_key(|(address, _)| *address);
        }
        let has_srv_names = kinds.has(Kinds::SRV);
        let mut bytes = Vec::with_capacity(v4.len() * 4 + v6.len() * 16 + text.len());
        v4.iter().for_each(|(v4, _)| bytes.extend_from_slice(v4));
        v6.iter().for_each(|(v6, _)| bytes.extend_from_slice(v6));
        bytes.extend_from_slice(&text);
        Self {
            zone: Arc::clone(zone),
            kinds,
            ttl,
            routing,
            protocols: if has_srv_names && is_srv_label(service.key.name.as_str()) {
                protocols
            } else {
                0
            },
            port_protocols: if has_srv_names { port_protocols } else { 0 },
            v4_len: u32::try_from(v4.len()).unwrap_or(u32::MAX),
            v6_len: u32::try_from(v6.len()).unwrap_or(u32::MAX),
            bytes: bytes.into(),
            rotation_len: u32::try_from(rotation_len).unwrap_or(u32::MAX),
            members: members.into(),
            weights,
            state: Arc::clone(service),
            asked: AtomicBool::new(false),
            stale: AtomicBool::new(false),
        }
    }

    /// Says whether the registry has changed it since it was compiled.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// Notes that somebody asked: the next change does not wait for an asker.
    pub(crate) fn note_asker(&self) {
        // Written once only, so that askers do not take the line from each other.
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Says whether anybody has asked for it since it was compiled.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Has it compiled anew before it is shown again.
    pub(crate) fn age(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Returns the protocols for which the service has an SRV name in its zone.
    pub(crate) fn protocols(&self) -> u8 {
        self.protocols
    }

    /// Says whether `_tcp` or `_udp` below the service has names below it.
    pub(crate) fn has_ports(&self, protocol: Protocol) -> bool {
        self.port_protocols & protocol.bit() != 0
    }

    /// Says whether `_service._tcp` is a name.
    pub(crate) fn has_srv_name(&self, protocol: Protocol) -> bool {
        self.protocols & protocol.bit() != 0
    }

    /// Says whether nobody may be sent traffic.
    pub(crate) fn is_empty(&self) -> bool {
        self.rotation_len == 0
    }

    /// Returns where the IPv6 addresses and the text begin in the bytes.
    fn parts(&self) -> (usize, usize) {
        let len = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let v4 = len(self.v4_len).saturating_mul(4);
        (v4, v4.saturating_add(len(self.v6_len).saturating_mul(16)))
    }

    pub(crate) fn v4(&self) -> &[[u8; 4]] {
        let (end, _) = self.parts();
        self.bytes.get(..end).unwrap_or_default().as_chunks().0
    }

    pub(crate) fn v6(&self) -> &[[u8; 16]] {
        let (start, end) = self.parts();
        self.bytes.get(start..end).unwrap_or_default().as_chunks().0
    }

    /// Lists everybody who is registered.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Lists the rotation.
    pub(crate) fn rotation(&self) -> &[Member] {
        let len = usize::try_from(self.rotation_len).unwrap_or(usize::MAX);
        self.members.get(..len).unwrap_or_default()
    }

    fn others(&self) -> &[Member] {
        let len = usize::try_from(self.rotation_len).unwrap_or(usize::MAX);
        self.members.get(len..).unwrap_or_default()
    }

    /// Finds the instances of a label, which is in lower case: one, or one for each owner.
    pub(crate) fn labelled<'a>(
        &'a self,
        label: &'a [u8],
    ) -> impl Iterator<Item = &'a Member> + Clone {
        let text = self.text();
        [self.rotation(), self.others()]
            .into_iter()
            .flat_map(move |members| {
                let order = |member: &Member| compare_folded(member.label(text), label);
                let start = members.partition_point(|member| order(member).is_lt());
                let run = members.get(start..).unwrap_or_default().iter();
                run.take_while(move |member| order(member).is_eq())
            })
    }

    /// Chooses what of the IPv4 addresses is answered.
    pub(crate) fn share_of_v4(&self, random: u64) -> Share {
        let weights = self.weights.as_deref().map(|weights| &*weights.v4);
        self.share(self.v4().len(), weights, random)
    }

    /// Chooses what of the IPv6 addresses is answered.
    pub(crate) fn share_of_v6(&self, random: u64) -> Share {
        let weights = self.weights.as_deref().map(|weights| &*weights.v6);
        self.share(self.v6().len(), weights, random)
    }

    /// Chooses who of the rotation is answered.
    pub(crate) fn share_of_rotation(&self, random: u64) -> Share {
        let weights = self.weights.as_deref().map(|weights| &*weights.members);
        self.share(self.rotation().len(), weights, random)
    }

    fn share(&self, len: usize, weights: Option<&[u64]>, random: u64) -> Share {
        match self.routing {
            Routing::All => Share {
                start: below(random, len),
                count: len,
            },
            Routing::Multivalue => Share {
                start: below(random, len),
                count: len.min(MULTIVALUE_MAX),
            },
            Routing::Weighted => Share {
                start: weights
                    .and_then(|sums| pick(sums, random))
                    .unwrap_or_else(|| below(random, len)),
                count: len.min(1),
            },
        }
    }

    /// Says whether an earlier one of the rotation has the very SRV record of this one.
    pub(crate) fn is_repeated(&self, member: &Member, name: &[u8], wanted: PortOf<'_>) -> bool {
        let is_same = |other: &Member| {
            other.weight == member.weight
                && other.port(wanted) == member.port(wanted)
                && other
                    .target(self.text(), name)
                    .eq(member.target(self.text(), name))
        };
        let rotation = self.rotation().iter();
        member.flags & TWIN != 0
            && rotation
                .take_while(|other| !std::ptr::eq(*other, member))
                .any(is_same)
    }

    /// Returns the attributes of the service itself.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.state.attributes.iter()
    }

    /// Returns what the members' texts stand in.
    pub(crate) fn text(&self) -> &[u8] {
        let (_, start) = self.parts();
        self.bytes.get(start..).unwrap_or_default()
    }
}

impl Member {
    /// Returns its label without the length, as written.
    pub(crate) fn label<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        self.label_wire(text).get(1..).unwrap_or_default()
    }

    /// Returns its label with the length before it.
    pub(crate) fn label_wire<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let from = self.from(text);
        let len = from.first().map_or(0, |len| usize::from(*len) + 1);
        from.get(..len).unwrap_or_default()
    }

    fn from<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        text.get(at..).unwrap_or_default()
    }

    fn after_label<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let label = self.label_wire(text).len();
        self.from(text).get(label..).unwrap_or_default()
    }

    /// Returns its IPv4 address.
    pub(crate) fn v4(&self) -> Option<&[u8; 4]> {
        (self.flags & HAS_V4 != 0).then_some(&self.v4)
    }

    /// Returns its IPv6 address.
    pub(crate) fn v6<'a>(&self, text: &'a [u8]) -> Option<&'a [u8; 16]> {
        (self.flags & HAS_V6 != 0)
            .then(|| self.after_label(text).first_chunk())
            .flatten()
    }

    /// Returns the host name on the wire, if that is all that is known of where it is.
    pub(crate) fn hostname<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        if self.flags & BY_NAME == 0 {
            return None;
        }
        let from = self.after_label(text);
        let mut len = 0;
        while let Some(label) = from.get(len).filter(|label| **label != 0) {
            len += 1 + usize::from(*label);
        }
        from.get(..=len)
    }

    /// Walks the target of its SRV records on the wire, in lower case; `name` is the service's.
    fn target<'a>(&self, text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = u8> + use<'a> {
        let (first, rest) = match self.hostname(text) {
            Some(host) => (host, &[][..]),
            None => (self.label_wire(text), name),
        };
        let bytes = first.iter().chain(rest);
        bytes.map(u8::to_ascii_lowercase)
    }

    /// Returns the weight that counts.
    pub(crate) fn weight(&self) -> u16 {
        self.weight
    }

    /// Returns the port that an SRV record shows.
    pub(crate) fn port(&self, wanted: PortOf<'_>) -> Option<u16> {
        if self.flags & HAS_PORT == 0 {
            return None;
        }
        let is_udp = self.flags & UDP != 0;
        match wanted {
            PortOf::Default => Some(self.port),
            PortOf::DefaultOf(protocol) => {
                (is_udp == (protocol == Protocol::Udp)).then_some(self.port)
            }
            PortOf::Named(name, protocol) => {
                let ports = self.instance.registration().spec.ports.iter();
                ports
                    .filter(|port| protocol_of(port) == protocol)
                    .find(|port| port.name.as_bytes().eq_ignore_ascii_case(name))
                    .map(|port| port.number)
            }
        }
    }

    /// Returns the attributes of the instance.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.instance.registration().spec.attributes.iter()
    }
}

impl Compiler {
    fn member(&mut self, instance: &Arc<Instance>) -> Member {
        let spec = &instance.registration().spec;
        let key = instance.key();
        let label = instance_label(&key.service, &key.id);
        let at = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push(u8::try_from(label.len()).unwrap_or(0));
        self.text.extend_from_slice(label.as_bytes());
        let mut flags = 0;
        if spec.addresses.ipv4.is_some() {
            flags |= HAS_V4;
        }
        if let Some(v6) = spec.addresses.ipv6 {
            flags |= HAS_V6;
            self.text.extend_from_slice(&v6.octets());
        }
        if flags == 0
            && let Some(host) = &spec.addresses.hostname
            && let Some(wire) = to_wire(host)
        {
            flags |= BY_NAME;
            self.text.extend_from_slice(&wire);
        }
        let default = spec.port();
        if let Some(port) = default {
            flags |= HAS_PORT;
            if protocol_of(port) == Protocol::Udp {
                flags |= UDP;
            }
            self.protocols |= protocol_of(port).bit();
        }
        for port in spec.ports.iter().filter(|port| is_srv_label(&port.name)) {
            self.port_protocols |= protocol_of(port).bit();
        }
        Member {
            at,
            v4: spec
                .addresses
                .ipv4
                .unwrap_or(Ipv4Addr::UNSPECIFIED)
                .octets(),
            port: default.map_or(0, |port| port.number),
            weight: u16::try_from(instance.weight()).unwrap_or(u16::MAX),
            flags,
            instance: Arc::clone(instance),
        }
    }

    /// Takes a member's addresses into the service's answers: its own, or those that its host name had when it was last
    /// looked up, which share its weight.
    fn serve(&mut self, member: &Member) {
        let weight = u64::from(member.weight) * WHOLE_WEIGHT;
        if member.flags & BY_NAME == 0 {
            let addresses = &member.instance.registration().spec.addresses;
            let v4 = addresses.ipv4.map(|v4| (v4.octets(), weight));
            let v6 = addresses.ipv6.map(|v6| (v6.octets(), weight));
            self.v4.extend(v4);
            self.v6.extend(v6);
            return;
        }
        let resolved = &member.instance.verdict().resolved;
        let v4s = || resolved.iter().filter(|address| address.is_ipv4()).count();
        let share = |count: usize| weight / u64::try_from(count).unwrap_or(1).max(1);
        let (of_v4, of_v6) = (share(v4s()), share(resolved.len() - v4s()));
        for address in resolved {
            match address {
                IpAddr::V4(v4) => self.v4.push((v4.octets(), of_v4)),
                IpAddr::V6(v6) => self.v6.push((v6.octets(), of_v6)),
            }
        }
    }
}

fn sort_by_label(members: &mut [Member], text: &[u8]) {
    members.sort_by(|one, other| compare_folded(one.label(text), other.label(text)));
}

/// Sorts the rotation, and marks members whose target an earlier one may have too: few, so that answers need to look at
/// those alone.
fn sort_and_mark_twins(served: &mut [Member], text: &[u8], service: &ServiceKey) {
    sort_by_label(served, text);
    let mut hosts = HashSet::new();
    let mut last: &[u8] = &[];
    let mut has_own = false;
    for member in served.iter_mut() {
        let label = member.label(text);
        let is_twin = match member.hostname(text).map(<[u8]>::to_ascii_lowercase) {
            Some(host) => {
                has_own |= to_lower_wire(&service.to_string())
                    .is_some_and(|service| host.ends_with(&service));
                !hosts.insert(host)
            }
            None => last.eq_ignore_ascii_case(label),
        };
        last = label;
        if is_twin {
            member.flags |= TWIN;
        }
    }
    if has_own {
        // A host name below the service is another instance's own name, before or after it.
        served.iter_mut().for_each(|member| member.flags |= TWIN);
    }
}

fn settings(service: &waypost_core::Service, config: &DnsConfig) -> (Kinds, Ttls, Routing) {
    let default = config.ttl_seconds.min(config.ttl_seconds_max);
    let Some(dns) = &service.dns else {
        let ttl = Ttls {
            a: default,
            aaaa: default,
            srv: default,
            cname: default,
        };
        let kinds = Kinds(Kinds::A | Kinds::AAAA | Kinds::SRV);
        return (kinds, ttl, Routing::All);
    };
    let ttl_of = |kind: DnsRecordKind| {
        let mut records = dns.records.iter();
        let found = records.find(|record| record.kind == kind);
        found.map(|record| record.ttl_seconds.min(config.ttl_seconds_max))
    };
    let (a, aaaa) = (ttl_of(DnsRecordKind::A), ttl_of(DnsRecordKind::Aaaa));
    let (srv, cname) = (ttl_of(DnsRecordKind::Srv), ttl_of(DnsRecordKind::Cname));
    let mut kinds = 0;
    for (ttl, kind) in [
        (a, Kinds::A),
        (aaaa, Kinds::AAAA),
        (srv, Kinds::SRV),
        (cname, Kinds::CNAME),
    ] {
        if ttl.is_some() {
            kinds |= kind;
        }
    }
    // The names of instances have addresses whatever the service's own name has.
    let any = a.or(aaaa).or(srv).or(cname).unwrap_or(default);
    let ttl = Ttls {
        a: a.unwrap_or(any),
        aaaa: aaaa.unwrap_or(any),
        srv: srv.unwrap_or(any),
        cname: cname.unwrap_or(any),
    };
    let routing = match dns.routing {
        RoutingPolicy::Multivalue => Routing::Multivalue,
        RoutingPolicy::Weighted => Routing::Weighted,
    };
    (Kinds(kinds), ttl, routing)
}

fn protocol_of(port: &Port) -> Protocol {
    if transport_label(port) == "_udp" {
        Protocol::Udp
    } else {
        Protocol::Tcp
    }
}

/// Chooses a number below `len`, each as likely as the others.
pub(crate) fn below(random: u64, len: usize) -> usize {
    let len = u128::try_from(len).unwrap_or(0);
    usize::try_from((u128::from(random) * len) >> 64).unwrap_or(0)
}

fn sums(weights: impl Iterator<Item = u64>) -> Box<[u64]> {
    let sums = weights.scan(0_u64, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    sums.collect()
}

/// Chooses a place by running sums of weights; `None` when nothing weighs anything.
fn pick(sums: &[u64], random: u64) -> Option<usize> {
    let total = *sums.last().filter(|total| **total > 0)?;
    let point = u64::try_from((u128::from(random) * u128::from(total)) >> 64).ok()?;
    Some(sums.partition_point(|sum| *sum <= point))
}

fn compare_folded(one: &[u8], other: &[u8]) -> cmp::Ordering {
    fn fold(bytes: &[u8]) -> impl Iterator<Item = u8> {
        bytes.iter().map(u8::to_ascii_lowercase)
    }
    fold(one).cmp(fold(other))
}
