//! What one DNS answer costs without sockets, what a missing name costs beside it in a small and a large table, what a
//! change costs, and how large a compiled name is.
//!
//! `dns_bench [--quick 1]`

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use waypost_api_dns::{Context, DnsConfig, Table, Transport, answer};
use waypost_benches::{Chance, Mix, Questions, Stopwatch, print_figure};
use waypost_core::{
    Addresses, Author, Batch, Change, Dialect, Epoch, Extra, Namespace, NamespaceKind,
    NamespaceName, Object, Origin, Projection, Registration, RegistrationId, RegistrationSpec,
    Revision, Service, ServiceKey, Snapshot, Timestamp, Touched, text,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ZONE: &str = "svc.test";
const QUESTIONS: usize = 100_000;
const ROUNDS: usize = 7;
const PER_SERVICE: u64 = 3;

fn main() -> io::Result<()> {
    let mut arguments = waypost_benches::Arguments::of_this_process()?;
    let quick = arguments.take::<u8>("quick")?.unwrap_or(0) > 0;
    arguments.finish()?;

    let world = World::new(1_000)?;
    let goals = [
        ("A, three addresses", Mix::Found, "goal <= 250"),
        ("SRV, three targets with glue", Mix::Srv, "goal <= 400"),
    ];
    for (name, mix, goal) in goals {
        let figure = world.nanoseconds(mix)?;
        let name = format!("in process, {name}");
        print_figure(&name, figure, "ns", goal)?;
    }
    world.missing_beside_found("1,000")?;
    world.changes()?;
    drop(world);

    let (many, shown) = if quick {
        (20_000, "20,000")
    } else {
        (1_000_000, "1,000,000")
    };
    let world = World::new(many)?;
    world.missing_beside_found(shown)?;
    print_figure(
        &format!("compiled, {shown} services with three instances each"),
        world.bytes_each,
        "B",
        "per service, RSS difference; goal <= 350",
    )?;
    one_large_service(if quick { 1_000 } else { 10_000 })
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// A snapshot and the table compiled from it.
struct World {
    services: u64,
    snapshot: Arc<Snapshot>,
    table: Table,
    config: DnsConfig,
    bytes_each: f64,
}

impl World {
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    fn new(services: u64) -> io::Result<Self> {
        let mut snapshot = Snapshot::empty(Epoch(1));
        snapshot = snapshot.apply(Revision(1), &batch(vec![namespace()?]));
        let mut revision = 1;
        let mut changes = Vec::new();
        for number in 0..services {
            changes.push(service(number)?);
            for instance in 0..PER_SERVICE {
                changes.push(registration(
                    &service_key(number)?,
                    instance,
                    number * PER_SERVICE + instance,
                )?);
            }
            if changes.len() > 10_000 || number + 1 == services {
                revision += 1;
                snapshot = snapshot.apply(Revision(revision), &batch(std::mem::take(&mut changes)));
            }
        }
        let snapshot = Arc::new(snapshot);
        let config = DnsConfig::default();
        let table = Table::new(&config);
        // The registry draws each rotation for its first reader, whoever that is; it is not the table's.
        let drawn = snapshot
            .services()
            .filter(|state| !state.rotation().instances().is_empty());
        if u64::try_from(drawn.count()).ok() != Some(services) {
            return Err(other("a service has nobody in rotation"));
        }
        let before = resident_bytes()?;
        drop(table.project(&snapshot, None));
        let bytes_each = (resident_bytes()? - before) / services as f64;
        Ok(Self {
            services,
            snapshot,
            table,
            config,
            bytes_each,
        })
    }

    /// Measures one answer: the best of several rounds.
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    fn nanoseconds(&self, mix: Mix) -> io::Result<f64> {
        let mut chance = Chance::new(7);
        let questions = Questions::prepare(ZONE, self.services, mix, QUESTIONS, &mut chance);
        let mut out = vec![0; 4_096];
        let mut best = f64::MAX;
        let expected = if mix == Mix::Missing { 3 } else { 0 };
        for _ in 0..ROUNDS {
            let mut bytes = 0;
            let since = Stopwatch::start();
            for number in 0..QUESTIONS {
                let context = Context {
                    table: &self.table,
                    config: &self.config,
                    transport: Transport::Udp,
                    peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    local: None,
                    random: chance.draw(),
                };
                bytes += answer(questions.get(number), &mut out, &context);
                if out.get(3).is_none_or(|flags| flags & 15 != expected) {
                    return Err(other("an answer has another code than it should"));
                }
            }
            let took = since.elapsed().as_secs_f64() * 1e9;
            if bytes < QUESTIONS * 40 {
                return Err(other("the answers are too short to be answers"));
            }
            best = best.min(took / QUESTIONS as f64);
        }
        Ok(best)
    }

    fn missing_beside_found(&self, names: &str) -> io::Result<()> {
        let found = self.nanoseconds(Mix::Found)?;
        let missing = self.nanoseconds(Mix::Missing)?;
        let note = format!("a hit costs {found:.0} ns; goal <= 1.1 x");
        let name = format!("in process, NXDOMAIN, {names} names");
        print_figure(&name, missing, "ns", &note)
    }

    /// Measures what bringing one change of a service of three into the table costs.
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    fn changes(&self) -> io::Result<()> {
        let count = 20_000;
        let mut snapshot = (*self.snapshot).clone();
        let mut chance = Chance::new(9);
        let mut took = 0.0;
        for number in 0..count {
            let service = service_key(chance.below(self.services))?;
            let changed = registration(&service, 0, 10_000_000 + number)?;
            let key = changed_instance(&changed)?;
            let revision = Revision(snapshot.revision().0 + 1);
            snapshot = snapshot.apply(revision, &batch(vec![changed]));
            let shared = Arc::new(snapshot.clone());
            let since = Stopwatch::start();
            drop(self.table.project(&shared, Some(&[Touched::Instance(key)])));
            took += since.elapsed().as_secs_f64() * 1e6;
        }
        print_figure(
            "projection of one change, service of 3",
            took / count as f64,
            "us",
            "",
        )
    }
}

/// Measures what bringing one change of a large service into the table costs.
#[expect(clippy::cast_precision_loss, reason = "figures")]
fn one_large_service(instances: u64) -> io::Result<()> {
    let mut snapshot = Snapshot::empty(Epoch(1));
    let key = service_key(0)?;
    let mut changes = vec![namespace()?, service(0)?];
    for instance in 0..instances {
        changes.push(registration(&key, instance, instance)?);
    }
    snapshot = snapshot.apply(Revision(1), &batch(changes));
    let table = Table::new(&DnsConfig::default());
    drop(table.project(&Arc::new(snapshot.clone()), None));
    let count = 50;
    let mut took = 0.0;
    for number in 0..count {
        let changed = registration(&key, number, 10_000_000 + number)?;
        let instance = changed_instance(&changed)?;
        let revision = Revision(snapshot.revision().0 + 1);
        snapshot = snapshot.apply(revision, &batch(vec![changed]));
        let shared = Arc::new(snapshot.clone());
        let since = Stopwatch::start();
        drop(table.project(&shared, Some(&[Touched::Instance(instance)])));
        took += since.elapsed().as_secs_f64() * 1e6;
    }
    let name = format!("projection of one change, service of {instances}");
    print_figure(&name, took / count as f64, "us", "")
}

fn changed_instance(object: &Object) -> io::Result<waypost_core::InstanceKey> {
    match object {
        Object::Registration(key, _) => Ok(key.clone()),
        _ => Err(other("it is no registration")),
    }
}

fn batch(objects: Vec<Object>) -> Batch {
    Batch {
        at: Timestamp(1_000),
        author: Author {
            subject: text("bench"),
            address: None,
            dialect: Dialect::Internal,
        },
        preconditions: Vec::new(),
        changes: objects.into_iter().map(Change::Put).collect(),
        evidence: None,
        cause: "bench",
    }
}

fn namespace() -> io::Result<Object> {
    Ok(Object::Namespace(Arc::new(Namespace {
        name: NamespaceName::new(ZONE).map_err(other)?,
        id: text("ns-abcdefghijklmnop"),
        kind: NamespaceKind::PrivateDns,
        origin: Origin::Explicit,
        description: text(""),
        soa_ttl: None,
        tags: waypost_core::Attributes::default(),
        created: Timestamp(1_000),
        request_id: None,
        extra: Extra::default(),
    })))
}

fn service_key(number: u64) -> io::Result<ServiceKey> {
    ServiceKey::new(ZONE, &format!("s{number:04}")).map_err(other)
}

fn service(number: u64) -> io::Result<Object> {
    Ok(Object::Service(Arc::new(Service {
        key: service_key(number)?,
        id: text(&format!("srv-{number:016}")),
        origin: Origin::Implied,
        description: text(""),
        dns: None,
        checks: Arc::from([]),
        fail_open: false,
        remove_after_seconds: 60,
        lease_seconds: None,
        attributes: waypost_core::Attributes::default(),
        tags: waypost_core::Attributes::default(),
        created: Timestamp(1_000),
        request_id: None,
        extra: Extra::default(),
    })))
}

/// Registers an instance at the address of that number in 10.0.0.0/8.
fn registration(service: &ServiceKey, instance: u64, number: u64) -> io::Result<Object> {
    let low = u32::try_from(number & 0x00ff_ffff).unwrap_or(0);
    let address = Ipv4Addr::from(0x0a00_0000 | low).to_string();
    let addresses = Addresses::parse("address", &address).map_err(other)?;
    let id = waypost_core::InstanceId::new(&format!("i{instance}")).map_err(other)?;
    let registration = Registration {
        id: RegistrationId(number),
        first: Timestamp(1_000),
        judged_from: Timestamp(1_000),
        spec: RegistrationSpec::new(addresses, 8_080, Dialect::Rest),
        extra: Extra::default(),
    };
    let key = service.instance(waypost_core::Owner::SELF, id);
    Ok(Object::Registration(key, Arc::new(registration)))
}

fn resident_bytes() -> io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| other("no VmRSS"))?;
    Ok(kilobytes * 1_024.0)
}
