//! What the registry itself does, without HTTP: durable registrations, heartbeats, look-ups beside changes, bytes per
//! instance, cold start.
//!
//! `core_bench --dir DIR [--quick 1]`

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use waypost_benches::{Arguments, Histogram, Stopwatch, print_figure, print_rate};
use waypost_core::{
    Access, Addresses, Attributes, Command, Dialect, Epoch, InstanceId, InstanceKey, Lease,
    LeaseStart, MemoryJournal, MemoryStore, Opened, Parts, Policy, RegistrationSpec, Registry,
    ServiceChange, ServiceKey, Snapshots, SoleOwner, Store, SystemClock, Tags, random_seeds,
};
use waypost_store_sqlite::{SqliteConfig, SqliteStore};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INSTANCES: usize = 100_000;
const SERVICES: usize = 1_000;

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let folder: PathBuf = arguments.require("dir")?;
    let quick = arguments.take::<u8>("quick")?.unwrap_or(0) > 0;
    arguments.finish()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let seconds = if quick { 1.0 } else { 4.0 };
    bytes_per_instance(&runtime)?;
    for writers in [1, 64] {
        durable(
            &runtime,
            &folder.join(format!("writers-{writers}")),
            writers,
            seconds,
        )?;
    }
    if !quick {
        million(&runtime, &folder.join("million"))?;
    }
    Ok(())
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

struct Running {
    registry: Registry,
    snapshots: Snapshots,
    stop: tokio::sync::oneshot::Sender<()>,
    writer: std::thread::JoinHandle<io::Result<()>>,
}

/// Opens a registry with its writer on a thread of its own, as the server does.
fn open(runtime: &Runtime, store: Arc<dyn Store>) -> io::Result<Running> {
    let parts = Parts {
        store,
        journal: Arc::new(MemoryJournal::new(16)),
        clock: Arc::new(SystemClock::new()),
        ownership: Arc::new(SoleOwner),
        projections: Vec::new(),
        policy: Policy::default(),
        seeds: random_seeds(),
    };
    let Opened {
        registry,
        writer,
        snapshots,
        ..
    } = runtime.block_on(Registry::open(parts)).map_err(other)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = std::thread::spawn(move || {
        let own = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        own.block_on(writer.run(async move {
            drop(stopped.await);
        }));
        Ok(())
    });
    Ok(Running {
        registry,
        snapshots,
        stop,
        writer,
    })
}

impl Running {
    fn close(self) -> io::Result<()> {
        self.stop
            .send(())
            .map_err(|()| other("the writer has ended"))?;
        self.writer
            .join()
            .map_err(|_| other("the writer panicked"))?
    }
}

fn sqlite(folder: &Path) -> io::Result<Arc<SqliteStore>> {
    let config = SqliteConfig {
        data_dir: folder.to_owned(),
        ..SqliteConfig::default()
    };
    Ok(Arc::new(
        SqliteStore::open(&config, Arc::new(SystemClock::new())).map_err(other)?,
    ))
}

fn access() -> Access {
    Access::everything("bench", Dialect::Rest, None)
}

fn key(number: usize, services: usize) -> io::Result<InstanceKey> {
    let service = format!("service-{}", number % services);
    InstanceKey::new("svc.internal", &service, &format!("instance-{number}")).map_err(other)
}

/// An instance as fleets have them: one port, four attributes, two tags, a lease.
fn spec(number: usize) -> io::Result<Arc<RegistrationSpec>> {
    let address = format!(
        "10.{}.{}.{}",
        number >> 16 & 255,
        number >> 8 & 255,
        number & 255
    );
    let addresses = Addresses::parse("host", &address).map_err(other)?;
    let host = format!("node-{}", number % 500);
    let attributes = [
        ("version", "1.4.2"),
        ("environment", "production"),
        ("host", &host),
        ("team", "payments"),
    ];
    Ok(Arc::new(RegistrationSpec {
        attributes: Attributes::new(attributes).map_err(other)?,
        tags: Tags::new(["api", "web"]).map_err(other)?,
        lease: Some(Lease {
            seconds: 3_600,
            start: LeaseStart::Registration,
            renewed_by_checks: false,
        }),
        ..RegistrationSpec::new(addresses, 8_080, Dialect::Rest)
    }))
}

fn register(number: usize, services: usize) -> io::Result<Command> {
    let key = key(number, services)?;
    let (service, id) = (key.service, key.id);
    Ok(Command::Register {
        service,
        id,
        owner: None,
        spec: spec(number)?,
        defaults: ServiceChange::default(),
    })
}

async fn fill(registry: &Registry, instances: usize, services: usize) -> io::Result<()> {
    for start in (0..instances).step_by(1_000) {
        let commands: io::Result<Vec<Command>> = (start..(start + 1_000).min(instances))
            .map(|number| register(number, services))
            .collect();
        registry
            .apply(&access(), Command::All(commands?))
            .await
            .map_err(other)?;
    }
    Ok(())
}

/// Registers as a fleet does: each instance by itself, 64 at a time.
async fn one_by_one(registry: &Registry) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    for writer in 0..64 {
        let registry = registry.clone();
        tasks.spawn(async move {
            for number in (1_000 + writer..INSTANCES).step_by(64) {
                registry
                    .apply(&access(), register(number, SERVICES)?)
                    .await
                    .map_err(other)?;
            }
            Ok::<(), io::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(other)??;
    }
    Ok(())
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

/// A store that keeps nothing: what remains is the core's own memory.
#[derive(Debug)]
struct Sink {
    revision: std::sync::Mutex<u64>,
    log: waypost_core::CommitLog,
}

impl Store for Sink {
    fn load(
        &self,
    ) -> waypost_core::BoxFuture<'_, Result<waypost_core::Loaded, waypost_core::StoreError>> {
        Box::pin(async {
            Ok(waypost_core::Loaded {
                epoch: Epoch(1),
                revision: waypost_core::Revision::ZERO,
                objects: Vec::new(),
                quarantined: Vec::new(),
            })
        })
    }

    fn commit(
        &self,
        batches: Vec<waypost_core::Batch>,
    ) -> waypost_core::BoxFuture<'_, Vec<Result<waypost_core::Revision, waypost_core::CommitError>>>
    {
        Box::pin(async move {
            let mut revision = self
                .revision
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let numbered: Vec<_> = batches
                .into_iter()
                .map(|batch| {
                    *revision += 1;
                    (waypost_core::Revision(*revision), Arc::new(batch))
                })
                .collect();
            let results = numbered.iter().map(|(revision, _)| Ok(*revision)).collect();
            self.log.append(numbered);
            results
        })
    }

    fn changes(
        &self,
        after: waypost_core::Revision,
    ) -> waypost_core::BoxFuture<
        '_,
        Result<Box<dyn waypost_core::ChangeStream>, waypost_core::Compacted>,
    > {
        Box::pin(async move { self.log.read_after(after) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn bytes_per_instance(runtime: &Runtime) -> io::Result<()> {
    let log = waypost_core::CommitLog::new(waypost_core::Revision::ZERO, 2_048);
    let running = open(
        runtime,
        Arc::new(Sink {
            revision: std::sync::Mutex::new(0),
            log,
        }),
    )?;
    runtime.block_on(fill(&running.registry, 1_000, SERVICES))?;
    let before = resident_bytes()?;
    runtime.block_on(one_by_one(&running.registry))?;
    let after = resident_bytes()?;
    let each = (after - before) / (INSTANCES - 1_000) as f64;
    print_figure(
        "bytes per instance in the core, 100,000 instances",
        each,
        "B",
        "goal <= 512; RSS difference",
    )?;
    heartbeats(runtime, &running)?;
    running.close()
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn heartbeats(runtime: &Runtime, running: &Running) -> io::Result<()> {
    let count = 2_000_000usize;
    let keys: io::Result<Vec<InstanceKey>> =
        (0..INSTANCES).map(|number| key(number, SERVICES)).collect();
    let keys = keys?;
    for (name, spread) in [
        ("core heartbeat, 100 instances", 100),
        ("core heartbeat, 100,000 instances", INSTANCES),
    ] {
        let access = access();
        let stopwatch = Stopwatch::start();
        runtime.block_on(async {
            for number in 0..count {
                let key = keys
                    .get(number * 7_919 % spread)
                    .ok_or_else(|| other("no such key"))?;
                running
                    .registry
                    .heartbeat(&access, key, None, None)
                    .await
                    .map_err(other)?;
            }
            Ok::<(), io::Error>(())
        })?;
        let each = stopwatch.elapsed().as_nanos() as f64 / count as f64;
        print_figure(name, each, "ns", "goal <= 100")?;
    }
    Ok(())
}

fn durable(runtime: &Runtime, folder: &Path, writers: usize, seconds: f64) -> io::Result<()> {
    let running = open(runtime, sqlite(folder)?)?;
    runtime.block_on(fill(&running.registry, SERVICES, SERVICES))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopwatch = Stopwatch::start();
    let times = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for writer in 0..writers {
            tasks.spawn(write(
                running.registry.clone(),
                writer,
                writers,
                Arc::clone(&stop),
            ));
        }
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        stop.store(true, Ordering::Relaxed);
        let mut all = Histogram::default();
        while let Some(times) = tasks.join_next().await {
            all.merge(&times.map_err(other)??);
        }
        Ok::<Histogram, io::Error>(all)
    })?;
    let elapsed = stopwatch.elapsed();
    running.close()?;
    print_rate(
        &format!("durable registrations in the core, {writers} writers"),
        &times,
        elapsed,
    )
}

async fn write(
    registry: Registry,
    writer: usize,
    writers: usize,
    stop: Arc<AtomicBool>,
) -> io::Result<Histogram> {
    let mut times = Histogram::default();
    let access = access();
    let mut number = SERVICES + writer;
    while !stop.load(Ordering::Relaxed) {
        let command = register(number, SERVICES)?;
        let one = Stopwatch::start();
        registry.apply(&access, command).await.map_err(other)?;
        times.add(one.elapsed());
        number += writers;
    }
    Ok(times)
}

/// A million instances in 5,000 services: memory with the durable store, look-ups beside changes, cold start.
fn million(runtime: &Runtime, folder: &Path) -> io::Result<()> {
    let instances = 1_000_000;
    let running = open(runtime, sqlite(folder)?)?;
    runtime.block_on(fill(&running.registry, instances, 5_000))?;
    running.close()?;
    let stopwatch = Stopwatch::start();
    let running = open(runtime, sqlite(folder)?)?;
    print_figure(
        "cold start, 1,000,000 instances",
        stopwatch.elapsed().as_secs_f64(),
        "s",
        "goal <= 5",
    )?;
    let mebibytes = resident_bytes()? / (1_024.0 * 1_024.0);
    print_figure(
        "resident, 1,000,000 instances, core and SQLite",
        mebibytes,
        "MiB",
        "goal <= 700; the whole process, after everything before",
    )?;
    running.close()?;
    lookups(runtime, instances)
}

fn lookups(runtime: &Runtime, instances: usize) -> io::Result<()> {
    let running = open(runtime, Arc::new(MemoryStore::new(Epoch(1))))?;
    runtime.block_on(fill(&running.registry, instances, 5_000))?;
    let stop = Arc::new(AtomicBool::new(false));
    let changes = runtime.spawn(change(
        running.registry.clone(),
        instances,
        Arc::clone(&stop),
    ));
    let names: Vec<String> = (0..5_000)
        .map(|number| format!("service-{number}"))
        .collect();
    let mut times = Histogram::default();
    let whole = Stopwatch::start();
    let mut served = 0usize;
    for number in 0..400_000usize {
        let name = names
            .get(number * 7_919 % names.len())
            .ok_or_else(|| other("no such name"))?;
        let one = Stopwatch::start();
        let snapshot = running.snapshots.latest();
        let state = snapshot
            .service_named("svc.internal", name)
            .ok_or_else(|| other("no such service"))?;
        let chosen = state.rotation().instances();
        served += usize::from(chosen.get(number % chosen.len().max(1)).is_some());
        times.add(one.elapsed());
    }
    let elapsed = whole.elapsed();
    stop.store(true, Ordering::Relaxed);
    let changed = runtime.block_on(changes).map_err(other)??;
    let note = format!(
        "{served} served beside {:.0} changes/s; goal p50 <= 1, p99 <= 4",
        changed / elapsed.as_secs_f64()
    );
    print_figure(
        "look-up p50, 1,000,000 instances in 5,000 services",
        times.quantile(0.5).as_secs_f64() * 1e6,
        "us",
        &note,
    )?;
    print_figure(
        "look-up p99, 1,000,000 instances in 5,000 services",
        times.quantile(0.99).as_secs_f64() * 1e6,
        "us",
        &note,
    )?;
    running.close()
}

/// About 10,000 changes of weight a second.
async fn change(registry: Registry, instances: usize, stop: Arc<AtomicBool>) -> io::Result<f64> {
    let mut changed = 0u32;
    let mut number = 0usize;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let mut commands = Vec::with_capacity(100);
        for _ in 0..100 {
            number = (number + 7_919) % instances;
            let key = key(number, 5_000)?;
            let mut spec = RegistrationSpec::clone(&*spec(number)?);
            spec.weight = 2 + u32::try_from(number % 5).unwrap_or_default() + changed % 7;
            let id = InstanceId::new(key.id.as_str()).map_err(other)?;
            let service = ServiceKey { ..key.service };
            commands.push(Command::Register {
                service,
                id,
                owner: None,
                spec: Arc::new(spec),
                defaults: ServiceChange::default(),
            });
        }
        registry
            .apply(&access(), Command::All(commands))
            .await
            .map_err(other)?;
        changed += 100;
    }
    Ok(changed.into())
}
