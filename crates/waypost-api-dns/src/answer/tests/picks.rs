//! Random changes and questions: numbers that choose among few names, so that they meet.

use std::sync::Arc;

use proptest::prelude::*;
use waypost_core::{
    Addresses, Attributes, Check, CheckId, CheckKind, CheckState, Command, Dialect, DnsRecord,
    DnsRecordKind, DnsSettings, Extra, InstanceId, Mode, ModeSetting, NamespaceChange,
    NamespaceKind, NamespaceName, NamespaceSpec, Owner, Port, RegistrationSpec, Report,
    RoutingPolicy, ServiceChange, ServiceKey, Timestamp, text,
};

use super::oracle::{Asked, AskedEdns};
use super::reversed::reversed;
use crate::DnsConfig;

/// What stands here several times is chosen more often: some services have many instances, others are rarely there.
pub(super) const NAMESPACES: [&str; 8] = [
    "a.test",
    "a.test",
    "a.test",
    "b.a.test",
    "x.test",
    "d.c.b.a.test",
    "h.test",
    "web.x.test",
];
pub(super) const SERVICES: [&str; 12] = [
    "web",
    "web",
    "web",
    "db",
    "b",
    "e.web",
    "_web._tcp",
    "waypost-ns",
    "q.c.b",
    "UP",
    "_odd",
    "crowd",
];
const IDS: [&str; 14] = [
    "a",
    "B",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "k",
    "i:1",
    "_x",
    "y",
    "z-1",
    "0123456789012345678901234567890123456789012345678901234567890123",
];
/// Namespaces that come and go: services have the names of the last ones, and nobody registers in those.
const COMING: [&str; 6] = [
    "a.test",
    "b.a.test",
    "h.test",
    "web.a.test",
    "c.b.a.test",
    "e.web.x.test",
];
const ADDRESSES: [&str; 9] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.3",
    "192.0.2.1",
    "198.51.100.7",
    "fd00::1",
    "fd00::2",
    "2001:db8::1",
    "2001:db9::1",
];
const HOSTS: [&str; 9] = [
    "web.a.test",
    "B.a.test.",
    "a.web.a.test",
    "nope.x.test",
    "www.example.org",
    "e.db.b.a.test",
    "_tcp.a.test",
    "1.0.0.10.in-addr.arpa",
    "UP.x.test",
];
const PORTS: [(&str, &str); 6] = [
    ("http", "http"),
    ("stats", "udp"),
    ("HTTP", "tcp"),
    ("_odd", "tcp"),
    ("dns", "UDP"),
    ("a.b", "http"),
];

/// One change, or one question: numbers that choose. Any numbers mean something, so that failures shrink well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) kind: u8,
    pub(super) a: u8,
    pub(super) b: u8,
    pub(super) c: u8,
    pub(super) d: u8,
    pub(super) bits: u64,
}

pub(super) fn pick() -> impl Strategy<Value = Pick> {
    let numbers = (
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u64>(),
    );
    numbers.prop_map(|(kind, a, b, c, d, bits)| Pick {
        kind,
        a,
        b,
        c,
        d,
        bits,
    })
}

pub(super) fn of<T: Copy>(list: &[T], at: u8) -> T {
    list[usize::from(at) % list.len()]
}

impl Pick {
    pub(super) fn bit(self, at: u32) -> bool {
        self.bits >> at & 1 == 1
    }

    fn service(self) -> ServiceKey {
        ServiceKey::new(of(&NAMESPACES, self.a), of(&SERVICES, self.b)).unwrap()
    }

    fn id(self) -> InstanceId {
        InstanceId::new(of(&IDS, self.c)).unwrap()
    }

    fn owner(self) -> Option<Owner> {
        (self.bits >> 60 == 0).then(|| Owner::new("node/1").unwrap())
    }

    pub(super) fn command(self) -> Command {
        match self.kind % 24 {
            0 | 10 => self.namespace(),
            1 | 11 => Command::DeleteNamespace(self.coming()),
            2 => Command::DeleteService(self.service()),
            3 => Command::Deregister {
                service: self.service(),
                id: self.id(),
                owner: self.owner(),
            },
            4 => self.mode(),
            5 | 6 => self.settings(),
            7 | 8 => self.report(),
            9 => Command::UpdateNamespace {
                name: self.coming(),
                change: NamespaceChange {
                    soa_ttl: Some(self.bit(0).then_some(u32::from(self.b))),
                    ..NamespaceChange::default()
                },
            },
            12 => Command::All(
                (0..12)
                    .map(|c| {
                        Self {
                            c,
                            d: self.d.wrapping_add(c),
                            ..self
                        }
                        .register()
                    })
                    .collect(),
            ),
            _ => self.register(),
        }
    }

    fn register(self) -> Command {
        Command::Register {
            service: self.service(),
            id: self.id(),
            owner: self.owner(),
            spec: Arc::new(self.spec()),
            defaults: ServiceChange::default(),
        }
    }

    fn coming(self) -> NamespaceName {
        NamespaceName::new(of(&COMING, self.a)).unwrap()
    }

    fn namespace(self) -> Command {
        let name = of(&COMING, self.a);
        let kind = match name {
            "h.test" => NamespaceKind::Http,
            _ if self.bit(3) => NamespaceKind::PublicDns,
            _ => NamespaceKind::PrivateDns,
        };
        let soa_ttl = self.bit(0).then(|| u32::from(self.d) * 3);
        Command::CreateNamespace(NamespaceSpec {
            id: None,
            name: NamespaceName::new(name).unwrap(),
            kind,
            change: NamespaceChange {
                soa_ttl: Some(soa_ttl),
                ..NamespaceChange::default()
            },
            request_id: None,
        })
    }

    fn mode(self) -> Command {
        let mode = of(
            &[
                Mode::Active,
                Mode::Draining,
                Mode::Maintenance,
                Mode::Active,
            ],
            self.d,
        );
        let setting = ModeSetting {
            mode,
            reason: text("test"),
            author: text("test"),
            since: Timestamp(1_000),
            until: None,
            weight: self.bit(0).then(|| u32::from(self.d % 3)),
            weight_note: None,
            health: None,
            block: None,
            process: None,
            extra: Extra::default(),
        };
        let setting = (self.bit(1) || self.bit(2)).then(|| Arc::new(setting));
        let key = self
            .service()
            .instance(self.owner().unwrap_or_default(), self.id());
        Command::SetMode { key, setting }
    }

    fn settings(self) -> Command {
        let mut records = Vec::new();
        for (at, kind) in [
            (0, DnsRecordKind::A),
            (1, DnsRecordKind::Aaaa),
            (2, DnsRecordKind::Srv),
        ] {
            if self.bit(at) {
                let ttl_seconds = of(
                    &[0, 7, 100_000, 30],
                    self.d.wrapping_add(u8::try_from(at).unwrap()),
                );
                records.push(DnsRecord { kind, ttl_seconds });
            }
        }
        let mut routing = if self.bit(4) {
            RoutingPolicy::Weighted
        } else {
            RoutingPolicy::Multivalue
        };
        if records.is_empty() || self.bit(5) && self.bit(6) {
            routing = RoutingPolicy::Weighted;
            records = vec![DnsRecord {
                kind: DnsRecordKind::Cname,
                ttl_seconds: u32::from(self.d),
            }];
        }
        let dns = self.bit(7).then(|| DnsSettings {
            routing,
            records: records.into_iter().collect(),
        });
        let value = "v".repeat(usize::from(self.d) * 2);
        let attributes = [("team", "shop"), ("long", value.as_str()), ("empty", "")];
        let attributes = attributes.iter().take(usize::from(self.c % 4)).copied();
        let change = ServiceChange {
            dns: Some(dns),
            fail_open: Some(self.bit(8)),
            attributes: Some(Attributes::new(attributes).unwrap()),
            ..ServiceChange::default()
        };
        Command::UpdateService {
            key: self.service(),
            change,
            expected: None,
        }
    }

    fn report(self) -> Command {
        let states = [
            CheckState::Passing,
            CheckState::Failing,
            CheckState::Warning,
            CheckState::Unknown,
        ];
        Command::Report(Report {
            key: self
                .service()
                .instance(self.owner().unwrap_or_default(), self.id()),
            registration: None,
            check: CheckId::new("c").unwrap(),
            state: of(&states, self.d),
            reason: text("test"),
            body: None,
            resolved: None,
        })
    }

    fn spec(self) -> RegistrationSpec {
        let parse = |host: &str| Addresses::parse("address", host).unwrap();
        let first = of(&ADDRESSES, self.d);
        let mut addresses = parse(first);
        if self.bit(10) {
            let other = parse(of(&ADDRESSES, self.d.wrapping_add(4)));
            addresses.ipv4 = addresses.ipv4.or(other.ipv4);
            addresses.ipv6 = addresses.ipv6.or(other.ipv6);
        }
        if self.bit(11) && self.bit(12) {
            addresses = parse(of(&HOSTS, self.d));
        } else if self.bit(13) {
            addresses.hostname = Some(text(of(&HOSTS, self.d)));
        }
        let port = |at: u8| {
            let (name, protocol) = of(&PORTS, self.d.wrapping_add(at));
            Port {
                name: text(name),
                number: 8_000 + u16::from(at),
                protocol: text(protocol),
                path: text(""),
            }
        };
        let ports: Vec<Port> = (0..u8::try_from(self.bits >> 14 & 3).unwrap())
            .map(port)
            .collect();
        let checks = self
            .bit(16)
            .then(|| Check::new(CheckId::new("c").unwrap(), CheckKind::Reported));
        RegistrationSpec {
            ports: ports.into(),
            weight: u32::from(of(&[1_u16, 0, 5, 1], self.b.wrapping_add(self.c))),
            attributes: Attributes::new(self.bit(17).then_some(("build", "7"))).unwrap(),
            checks: checks.into_iter().collect::<Vec<_>>().into(),
            ..RegistrationSpec::new(addresses, 1, Dialect::Rest)
        }
    }

    fn name(self) -> String {
        let (namespace, service) = (of(&NAMESPACES, self.a), of(&SERVICES, self.b));
        let (port, _) = of(&PORTS, self.d);
        let protocol = if self.bit(20) { "_tcp" } else { "_udp" };
        let key = self.service();
        let id = self.id();
        let label = waypost_core::instance_label(&key, &id);
        let name = match self.kind % 16 {
            0..=4 => format!("{service}.{namespace}"),
            5..=7 => format!("{label}.{service}.{namespace}"),
            8 => format!("_{service}.{protocol}.{namespace}"),
            9 => format!("_{port}.{protocol}.{service}.{namespace}"),
            10 => reversed(of(&ADDRESSES, self.c).parse().unwrap()),
            11 => namespace.to_owned(),
            12 => format!("waypost-ns.{namespace}"),
            13 => format!("{protocol}.{namespace}"),
            14 => of(
                &[
                    "waypost-ns.10.in-addr.arpa",
                    "10.in-addr.arpa",
                    "x.10.in-addr.arpa",
                    "4.1.10.0.0.1.in-addr.arpa",
                    ".",
                ],
                self.c,
            )
            .to_owned(),
            _ => of(&HOSTS, self.c).to_owned(),
        };
        match self.bits >> 21 & 15 {
            0 => format!("new.{name}"),
            1 | 2 => name
                .split_once('.')
                .map_or(name.clone(), |(_, above)| above.to_owned()),
            _ => name,
        }
    }

    pub(super) fn asked(self) -> Asked {
        let name = self.name();
        let mut wire = crate::name::to_wire(&name).unwrap_or_else(|| vec![0]);
        if self.bit(25) {
            // Lengths of labels are below the letters.
            for (at, byte) in wire.iter_mut().enumerate() {
                if byte.is_ascii_lowercase() && self.bit(u32::try_from(at % 61).unwrap()) {
                    *byte = byte.to_ascii_uppercase();
                }
            }
        }
        let qtypes = [
            1, 28, 33, 1, 28, 33, 16, 255, 12, 5, 6, 2, 1, 33, 252, 65_280,
        ];
        let edns = (self.bit(26) || self.bit(27)).then(|| AskedEdns {
            payload: of(&[1_232, 0, 512, 700, 4_096, u16::MAX], self.b),
            version: u8::from(self.bits >> 28 & 31 == 0),
            dnssec_ok: self.bit(33),
            keepalive: self.bit(34),
        });
        Asked {
            id: [self.a, self.d],
            rd: self.bit(35),
            wire,
            qtype: of(&qtypes, self.d.wrapping_add(self.kind)),
            qclass: if self.bits >> 36 & 31 == 0 { 3 } else { 1 },
            edns,
        }
    }
}

impl Asked {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![
            self.id[0],
            self.id[1],
            u8::from(self.rd),
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            u8::from(self.edns.is_some()),
        ];
        bytes.extend(&self.wire);
        bytes.extend(self.qtype.to_be_bytes());
        bytes.extend(self.qclass.to_be_bytes());
        if let Some(edns) = &self.edns {
            bytes.extend([0, 0, 41]);
            bytes.extend(edns.payload.to_be_bytes());
            bytes.extend([0, edns.version, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
            let options: &[u8] = if edns.keepalive {
                &[0, 4, 0, 11, 0, 0]
            } else {
                &[0, 0]
            };
            bytes.extend(options);
        }
        bytes
    }
}

pub(super) fn config(at: u8) -> DnsConfig {
    let mut config = DnsConfig::default();
    for network in ["192.0.2.0/27", "2001:db8::/31"] {
        config.reverse.push(network.parse().unwrap());
    }
    match at % 8 {
        0 => config.truncate_to_nothing = true,
        1 => (config.ttl_seconds, config.ttl_seconds_max) = (100, 50),
        2 => config.udp_bytes_max = 600,
        3 => config.negative_ttl_seconds = 90,
        4 => {
            config.allow = vec![
                "10.0.0.0/8".parse().unwrap(),
                "127.0.0.0/8".parse().unwrap(),
            ]
        }
        _ => {}
    }
    config
}
