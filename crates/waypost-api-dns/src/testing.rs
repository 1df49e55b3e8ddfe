//! A registry in memory for tests: commands in, a table beside it that is brought up to date as the writer does.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use domain::base::iana::Rcode;
use domain::base::{Message, ParsedName};
use domain::rdata::AllRecordData;
use waypost_core::{
    Addresses, Attributes, Author, Batch, CheckId, CheckState, Command, Context as Deciding,
    Dialect, DnsRecord, DnsRecordKind, DnsSettings, Epoch, InstanceId, Mode, ModeSetting,
    NamespaceChange, NamespaceKind, NamespaceName, NamespaceSpec, ObjectKey, Owner, Policy, Port,
    Projection, RegistrationSpec, Report, Revision, RoutingPolicy, Seed, ServiceChange, ServiceKey,
    Snapshot, Timestamp, Touched, decide, text,
};

use crate::{Context, DnsConfig, Table, Transport, answer};

/// A registry and its table.
pub(crate) struct World {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) table: Table,
    pub(crate) config: DnsConfig,
    seed: u128,
}

/// An answer taken apart by the oracle.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) rcode: Rcode,
    pub(crate) is_authoritative: bool,
    pub(crate) is_truncated: bool,
    pub(crate) answers: Vec<String>,
    pub(crate) authority: Vec<String>,
    pub(crate) additional: Vec<String>,
    pub(crate) bytes: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(DnsConfig::default())
    }

    pub(crate) fn with(config: DnsConfig) -> Self {
        let world = Self {
            snapshot: Arc::new(Snapshot::empty(Epoch(1))),
            // Every service that has an instance waits for its asker, so that tests see both ways.
            table: Table::new(&config).deferring(1),
            config,
            seed: 1,
        };
        world.project(None);
        world
    }

    fn project(&self, touched: Option<&[Touched]>) {
        drop(self.table.project(&self.snapshot, touched));
    }

    /// Shows the table what another registry has, as after the history was lost sight of.
    pub(crate) fn reload_from(&mut self, other: Self) {
        self.snapshot = other.snapshot;
        self.project(None);
    }

    pub(crate) fn run(&mut self, command: &Command) {
        self.try_run(command).unwrap();
    }

    pub(crate) fn try_run(&mut self, command: &Command) -> Result<(), waypost_core::RegistryError> {
        self.seed += 0x0123_4567_89ab_cdef_0123_4567;
        let context = Deciding {
            at: Timestamp(1_000),
            author: Author {
                subject: text("test"),
                address: None,
                dialect: Dialect::Internal,
            },
            seed: Seed(self.seed),
            policy: Policy::default(),
        };
        let decision = decide(&context, &self.snapshot, command)?;
        if !decision.batch.is_empty() {
            let revision = Revision(self.snapshot.revision().0 + 1);
            self.snapshot = Arc::new(self.snapshot.apply(revision, &decision.batch));
            self.project(Some(&touched(&decision.batch)));
        }
        Ok(())
    }

    pub(crate) fn namespace(&mut self, name: &str, kind: NamespaceKind, soa_ttl: Option<u32>) {
        self.run(&Command::CreateNamespace(NamespaceSpec {
            name: NamespaceName::new(name).unwrap(),
            kind,
            id: None,
            change: NamespaceChange {
                soa_ttl: Some(soa_ttl),
                ..NamespaceChange::default()
            },
            request_id: None,
        }));
    }

    /// Registers at an address or host name, with a port named `default` and of protocol `http`.
    pub(crate) fn register(&mut self, service: &str, id: &str, host: &str, port: u16) {
        let addresses = Addresses::parse("address", host).unwrap();
        let spec = RegistrationSpec::new(addresses, port, Dialect::Rest);
        self.register_spec(service, id, spec);
    }

    pub(crate) fn register_spec(&mut self, service: &str, id: &str, spec: RegistrationSpec) {
        self.run(&Command::Register {
            service: key(service),
            id: InstanceId::new(id).unwrap(),
            owner: None,
            spec: Arc::new(spec),
            defaults: ServiceChange::default(),
        });
    }

    pub(crate) fn deregister(&mut self, service: &str, id: &str) {
        self.run(&Command::Deregister {
            service: key(service),
            id: InstanceId::new(id).unwrap(),
            owner: None,
        });
    }

    pub(crate) fn mode(&mut self, service: &str, id: &str, mode: Mode, weight: Option<u32>) {
        let setting = ModeSetting {
            mode,
            reason: text("test"),
            author: text("test"),
            since: Timestamp(1_000),
            until: None,
            weight,
            weight_note: None,
            health: None,
            block: None,
            process: None,
            extra: waypost_core::Extra::default(),
        };
        self.run(&Command::SetMode {
            key: key(service).instance(Owner::SELF, InstanceId::new(id).unwrap()),
            setting: Some(Arc::new(setting)),
        });
    }

    /// Reports a passing check `up`, for which the host name had these addresses.
    pub(crate) fn resolved(&mut self, service: &str, id: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        self.run(&Command::Report(Report {
            key: key(service).instance(Owner::SELF, InstanceId::new(id).unwrap()),
            registration: None,
            check: CheckId::new("up").unwrap(),
            state: CheckState::Passing,
            reason: text("test"),
            body: None,
            resolved: Some(addresses.collect()),
        }));
    }

    pub(crate) fn change(&mut self, service: &str, change: ServiceChange) {
        self.run(&Command::UpdateService {
            key: key(service),
            change,
            expected: None,
        });
    }

    pub(crate) fn dns(
        &mut self,
        service: &str,
        routing: RoutingPolicy,
        records: &[(DnsRecordKind, u32)],
    ) {
        let records = records.iter().map(|(kind, ttl_seconds)| DnsRecord {
            kind: *kind,
            ttl_seconds: *ttl_seconds,
        });
        let settings = DnsSettings {
            routing,
            records: records.collect(),
        };
        self.change(
            service,
            ServiceChange {
                dns: Some(Some(settings)),
                ..ServiceChange::default()
            },
        );
    }

    pub(crate) fn attributes(&mut self, service: &str, pairs: &[(&str, &str)]) {
        let attributes = Attributes::new(pairs.iter().copied()).unwrap();
        self.change(
            service,
            ServiceChange {
                attributes: Some(attributes),
                ..ServiceChange::default()
            },
        );
    }

    /// Asks over UDP with EDNS and room for 1,232 bytes.
    pub(crate) fn ask(&self, name: &str, qtype: u16) -> Answered {
        self.ask_with(&question(name, qtype, Some(1_232)), Transport::Udp, 7)
    }

    pub(crate) fn ask_with(&self, query: &[u8], transport: Transport, random: u64) -> Answered {
        let bytes = self.bytes(query, transport, random);
        take_apart(&bytes)
    }

    pub(crate) fn bytes(&self, query: &[u8], transport: Transport, random: u64) -> Vec<u8> {
        let context = Context {
            table: &self.table,
            config: &self.config,
            transport,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            local: Some("127.0.0.9".parse().unwrap()),
            random,
        };
        let mut out = vec![0; 65_535];
        let len = answer(query, &mut out, &context);
        out.truncate(len);
        out
    }
}

fn touched(batch: &Batch) -> Vec<Touched> {
    let keys = batch.changes.iter().map(waypost_core::Change::key);
    keys.filter_map(|key| match key {
        ObjectKey::Namespace(name) => Some(Touched::Namespace(name)),
        ObjectKey::Service(key) => Some(Touched::Service(key)),
        ObjectKey::Registration(key) | ObjectKey::Verdict(key) | ObjectKey::Mode(key) => {
            Some(Touched::Instance(key))
        }
        ObjectKey::Document(_) => None,
    })
    .collect()
}

/// Tells whether the long forms of tests are asked for (`cargo xtask test --long`).
pub(crate) fn long_forms() -> bool {
    variable("WAYPOST_LONG").is_some()
}

/// Notes that a test did not run, and why, where `cargo xtask test` counts it.
pub(crate) fn skipped(test: &str, why: &str) {
    println!("SKIPPED: {test}: {why}");
    if let Some(file) = variable("WAYPOST_SKIPS") {
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(format!("{test}: {why}\n").as_bytes())
            .unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runner speaks to tests through the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads `web.svc.internal` as service `web` of namespace `svc.internal`; `a|b` parts elsewhere.
pub(crate) fn key(dotted: &str) -> ServiceKey {
    let (name, namespace) = dotted
        .split_once('|')
        .or_else(|| dotted.split_once('.'))
        .unwrap();
    ServiceKey::new(namespace, name).unwrap()
}

/// Writes a question with the id 0x1234 and RD set.
pub(crate) fn question(name: &str, qtype: u16, payload: Option<u16>) -> Vec<u8> {
    let mut bytes = vec![
        0x12,
        0x34,
        1,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(payload.is_some()),
    ];
    if name == "." {
        bytes.push(0);
    } else {
        bytes.extend(crate::name::to_wire(name).unwrap());
    }
    bytes.extend(qtype.to_be_bytes());
    bytes.extend([0, 1]);
    if let Some(payload) = payload {
        bytes.extend([0, 0, 41]);
        bytes.extend(payload.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0]);
    }
    bytes
}

pub(crate) fn take_apart(bytes: &[u8]) -> Answered {
    let message = Message::from_octets(bytes).unwrap();
    let header = message.header();
    let texts = |section: domain::base::message::RecordSection<'_, &[u8]>| {
        let records = section.map(|record| {
            let record = record.unwrap();
            let record = record.to_any_record::<AllRecordData<_, ParsedName<_>>>();
            record.unwrap().to_string()
        });
        records.collect::<Vec<String>>()
    };
    let message_ref = &message;
    Answered {
        rcode: header.rcode(),
        is_authoritative: header.aa(),
        is_truncated: header.tc(),
        answers: texts(message_ref.answer().unwrap()),
        authority: texts(message_ref.authority().unwrap()),
        additional: texts(message_ref.additional().unwrap()),
        bytes: bytes.to_vec(),
    }
}

/// Returns a spec with these ports: name, number, protocol.
pub(crate) fn with_ports(host: &str, ports: &[(&str, u16, &str)]) -> RegistrationSpec {
    let ports = ports.iter().map(|(name, number, protocol)| Port {
        name: text(name),
        number: *number,
        protocol: text(protocol),
        path: text(""),
    });
    RegistrationSpec {
        ports: ports.collect(),
        ..RegistrationSpec::new(Addresses::parse("address", host).unwrap(), 1, Dialect::Rest)
    }
}
