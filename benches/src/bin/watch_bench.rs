//! Changes on their way to followers, lists at size, checks of many instances, heartbeats in the core.
//!
//! `watch_bench --part core [--quick 1]`, or against a running server
//! `watch_bench --part followers|lists|checks --to ADDRESS --pid PID [--count N] [--kind sse|poll] [--seconds S]`

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use waypost_benches::{Arguments, Histogram, Stopwatch, print_figure};
use waypost_core::{
    Access, Addresses, Command, Dialect, Epoch, InstanceKey, Lease, LeaseStart, MemoryJournal,
    MemoryStore, Opened, Parts, Policy, RegistrationSpec, Registry, Scope, ServiceChange,
    ServiceKey, SoleOwner, SystemClock, random_seeds,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> io::Result<()> {
    let mut arguments = Arguments::of_this_process()?;
    let part: String = arguments.require("part")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if part == "core" {
        let quick = arguments.take::<u8>("quick")?.unwrap_or(0) > 0;
        arguments.finish()?;
        return core(&runtime, quick);
    }
    let server = Target {
        address: arguments.require("to")?,
        pid: arguments.require("pid")?,
    };
    let count = arguments.take("count")?.unwrap_or(1_000);
    let seconds = arguments.take("seconds")?.unwrap_or(20.0);
    let kind: String = arguments.take("kind")?.unwrap_or_else(|| "sse".to_owned());
    arguments.finish()?;
    match part.as_str() {
        "followers" => runtime.block_on(followers(server, &kind, count)),
        "lists" => runtime.block_on(lists(server, count)),
        "checks" => runtime.block_on(checks(server, count, seconds)),
        other => Err(io::Error::other(format!("there is no part {other}"))),
    }
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn number(count: u64) -> f64 {
    count as f64
}

/// A server that is measured from outside.
#[derive(Clone, Copy)]
struct Target {
    address: SocketAddr,
    pid: u32,
}

impl Target {
    fn resident_bytes(self) -> io::Result<f64> {
        resident_bytes(&self.pid.to_string())
    }

    /// User and system time in seconds.
    fn cpu_seconds(self) -> io::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = after.split_whitespace().skip(11).take(2);
        Ok(ticks
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
            / 100.0)
    }

    fn open_files(self) -> io::Result<u64> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid))?;
        u64::try_from(open.count()).map_err(other)
    }
}

fn resident_bytes(of: &str) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{of}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| other("no VmRSS"))?;
    Ok(kilobytes * 1_024.0)
}

// The core.

fn access() -> Access {
    Access::everything("bench", Dialect::Rest, None)
}

fn register(service: &str, id: &str, weight: u32, lease: Option<u32>) -> io::Result<Command> {
    let key = InstanceKey::new("svc.internal", service, id).map_err(other)?;
    let addresses = Addresses::parse("host", "10.0.0.1").map_err(other)?;
    Ok(Command::Register {
        service: key.service,
        id: key.id,
        owner: None,
        spec: Arc::new(RegistrationSpec {
            weight,
            lease: lease.map(|seconds| Lease {
                seconds,
                start: LeaseStart::Registration,
                renewed_by_checks: false,
            }),
            ..RegistrationSpec::new(addresses, 8_080, Dialect::Rest)
        }),
        defaults: ServiceChange::default(),
    })
}

fn core(runtime: &Runtime, quick: bool) -> io::Result<()> {
    let opened = runtime
        .block_on(Registry::open(Parts {
            store: Arc::new(MemoryStore::new(Epoch(1))),
            journal: Arc::new(MemoryJournal::new(16)),
            clock: Arc::new(SystemClock::new()),
            ownership: Arc::new(SoleOwner),
            projections: Vec::new(),
            policy: Policy::default(),
            seeds: random_seeds(),
        }))
        .map_err(other)?;
    let Opened {
        registry,
        writer,
        timekeeper,
        ..
    } = opened;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut tasks = JoinSet::new();
    let ended = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        drop(stopped.wait_for(|stop| *stop).await);
    };
    tasks.spawn_on(writer.run(ended(stopped.clone())), runtime.handle());
    tasks.spawn_on(timekeeper.run(ended(stopped)), runtime.handle());
    for count in if quick {
        vec![1_000]
    } else {
        vec![1_000, 10_000]
    } {
        runtime.block_on(watchers(&registry, count))?;
    }
    runtime.block_on(due_heartbeats(&registry, if quick { 2 } else { 60 }))?;
    stop.send_replace(true);
    runtime.block_on(async { while tasks.join_next().await.is_some() {} });
    Ok(())
}

/// When the change of this round was made, and who has seen it.
#[derive(Default)]
struct Round {
    since: Mutex<Option<Stopwatch>>,
    times: Mutex<Histogram>,
    seen: AtomicU64,
    all: Notify,
}

impl Round {
    fn begin(&self) {
        self.seen.store(0, Ordering::SeqCst);
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = Some(Stopwatch::start());
    }

    fn see(&self, of: u64) {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = since {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.add(since.elapsed());
        }
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == of {
            self.all.notify_one();
        }
    }

    fn print(&self, name: &str, goal: &str) -> io::Result<()> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let milliseconds = |share| times.quantile(share).as_secs_f64() * 1_000.0;
        print_figure(&format!("{name}, p50"), milliseconds(0.5), "ms", "")?;
        print_figure(&format!("{name}, p99"), milliseconds(0.99), "ms", goal)
    }
}

const ROUNDS: u32 = 30;

async fn watchers(registry: &Registry, count: u64) -> io::Result<()> {
    let service = format!("watched-{count}");
    registry
        .apply(&access(), register(&service, "one", 1, None)?)
        .await
        .map_err(other)?;
    let key = ServiceKey::new("svc.internal", &service).map_err(other)?;
    let round = Arc::new(Round::default());
    let mut tasks = JoinSet::new();
    let before = resident_bytes("self")?;
    for _ in 0..count {
        let scope = Scope::Service(key.clone());
        let since = registry.view(&access()).position().revision;
        let mut watch = registry.watch(&access(), scope, since);
        let round = Arc::clone(&round);
        tasks.spawn(async move {
            while watch.next().await.is_some() {
                round.see(count);
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let each = (resident_bytes("self")? - before) / number(count);
    for weight in 2..2 + ROUNDS {
        round.begin();
        registry
            .apply(&access(), register(&service, "one", weight, None)?)
            .await
            .map_err(other)?;
        round.all.notified().await;
    }
    tasks.shutdown().await;
    let name = format!("one change to {count} watchers in the core");
    round.print(&name, "goal: p99 at most 50")?;
    let name = format!("memory of a watcher in the core, {count} of them");
    print_figure(
        &name,
        each,
        "B",
        "goal: at most 2,048; with its task; RSS difference",
    )
}

/// 100,000 instances whose leases are 3 s, and a heartbeat of each once a second.
async fn due_heartbeats(registry: &Registry, seconds: u32) -> io::Result<()> {
    const INSTANCES: usize = 100_000;
    const SLICE: usize = 1_000;
    let mut keys = Vec::with_capacity(INSTANCES);
    for start in (0..INSTANCES).step_by(1_000) {
        let mut commands = Vec::with_capacity(1_000);
        for at in start..start + 1_000 {
            let (service, id) = (format!("beating-{}", at % 1_000), format!("i-{at}"));
            keys.push(InstanceKey::new("svc.internal", &service, &id).map_err(other)?);
            commands.push(register(&service, &id, 1, Some(30))?);
        }
        registry
            .apply(&access(), Command::All(commands))
            .await
            .map_err(other)?;
    }
    let of_process = Target {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        pid: std::process::id(),
    };
    let before = of_process.cpu_seconds()?;
    let whole = Stopwatch::start();
    let mut latest = Duration::ZERO;
    let access = access();
    for slice in 0..seconds * 100 {
        let due = Duration::from_millis(10) * slice;
        match due.checked_sub(whole.elapsed()) {
            Some(early) => tokio::time::sleep(early).await,
            None => latest = latest.max(whole.elapsed().saturating_sub(due)),
        }
        let start = usize::try_from(slice).map_err(other)? % 100 * SLICE;
        for key in keys.get(start..start + SLICE).unwrap_or_default() {
            registry
                .heartbeat(&access, key, None, None)
                .await
                .map_err(other)?;
        }
    }
    let elapsed = whole.elapsed().as_secs_f64();
    let cpu = of_process.cpu_seconds()? - before;
    let name = format!("100,000 heartbeats/s in the core for {seconds} s");
    print_figure(
        &format!("{name}, CPU"),
        100.0 * cpu / elapsed,
        "% of a core",
        "timekeeper and all",
    )?;
    let note = "how far it was behind at worst";
    print_figure(
        &format!("{name}, lateness"),
        latest.as_secs_f64() * 1_000.0,
        "ms",
        note,
    )?;
    let view = registry.view(&access);
    let fit = view
        .services()
        .flat_map(|state| state.rotation().instances().iter())
        .count();
    print_figure(
        &format!("{name}, in rotation at the end"),
        number(u64::try_from(fit).map_err(other)?),
        "",
        "",
    )
}

// Over HTTP.

/// One connection that asks and is answered.
struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Client {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(to).await?,
            bytes: Vec::new(),
        })
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await
    }

    /// Takes what comes up to an end out of what came.
    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            let rest = self.bytes.get(looked..).unwrap_or_default();
            if let Some(at) = rest.windows(end.len()).position(|part| part == end) {
                return Ok(self.bytes.drain(..looked + at + end.len()).collect());
            }
            looked = self.bytes.len().saturating_sub(end.len());
            if self.stream.read_buf(&mut self.bytes).await? == 0 {
                return Err(other("the server closed the connection"));
            }
        }
    }

    /// Reads one answer with a length: its head and its body.
    async fn answer(&mut self) -> io::Result<(String, Vec<u8>)> {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await?).map_err(other)?;
        let length = header(&head, "content-length").unwrap_or("0");
        let length: usize = length.parse().map_err(other)?;
        while self.bytes.len() < length {
            if self.stream.read_buf(&mut self.bytes).await? == 0 {
                return Err(other("an answer has no end"));
            }
        }
        Ok((head, self.bytes.drain(..length).collect()))
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<(String, Vec<u8>)> {
        self.send(method, path, body).await?;
        let (head, answered) = self.answer().await?;
        if head.starts_with("HTTP/1.1 2") {
            Ok((head, answered))
        } else {
            let said = String::from_utf8_lossy(&answered).into_owned();
            Err(other(format!("{method} {path}: {head}{said}")))
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

const BENCH: &str = "/v1/namespaces/svc.internal/services/bench/instances/one";

fn weighing(weight: u32) -> String {
    format!(r#"{{"address":"10.0.0.1","port":80,"weight":{weight}}}"#)
}

/// Every follower on a connection of its own, and one change at a time.
async fn followers(server: Target, kind: &str, count: u64) -> io::Result<()> {
    let mut changing = Client::open(server.address).await?;
    changing.ask("PUT", BENCH, &weighing(1)).await?;
    let before = server.resident_bytes()?;
    let round = Arc::new(Round::default());
    let (ready, mut waiting) = mpsc::channel::<()>(64);
    let mut tasks = JoinSet::new();
    let mut held = 0;
    for _ in 0..count {
        let client = Client::open(server.address).await?;
        let (round, ready) = (Arc::clone(&round), ready.clone());
        if kind == "sse" {
            tasks.spawn(stream(client, round, ready, count));
        } else {
            tasks.spawn(poll(client, round, ready, count));
        }
        if waiting.recv().await.is_none() {
            break;
        }
        held += 1;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let each = (server.resident_bytes()? - before) / number(held);
    let cpu = server.cpu_seconds()?;
    let rounds = 10;
    for weight in 2..2 + rounds {
        round.begin();
        changing.ask("PUT", BENCH, &weighing(weight)).await?;
        tokio::select! {
            () = round.all.notified() => {}
            failed = tasks.join_next() => match failed {
                Some(failed) => failed.map_err(other)??,
                None => return Err(other("nobody follows")),
            },
        }
        // A long poll has to come back before the next change.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let cpu = (server.cpu_seconds()? - cpu) / f64::from(rounds) / number(held);
    tasks.shutdown().await;
    let name = format!("one change to {held} followers by {kind}");
    round.print(
        &name,
        "from before the PUT; followers and server share two cores",
    )?;
    print_figure(
        &format!("{name}, CPU for each"),
        cpu * 1e6,
        "us",
        "of the server",
    )?;
    print_figure(
        &format!("memory of a follower by {kind}, {held} of them"),
        each,
        "B",
        "of the server, connection and all; RSS difference",
    )
}

async fn stream(
    mut client: Client,
    round: Arc<Round>,
    ready: mpsc::Sender<()>,
    of: u64,
) -> io::Result<()> {
    client.send("GET", "/v1/watch?service=bench", "").await?;
    client.until(b"event: synced\n").await?;
    ready.send(()).await.map_err(other)?;
    loop {
        client.until(b"event: synced\n").await?;
        round.see(of);
    }
}

async fn poll(
    mut client: Client,
    round: Arc<Round>,
    ready: mpsc::Sender<()>,
    of: u64,
) -> io::Result<()> {
    let path = "/v1/discover/bench?wait=50";
    let (mut head, _) = client.ask("GET", path, "").await?;
    let mut is_first = true;
    loop {
        let revision = header(&head, "waypost-revision").ok_or_else(|| other("no revision"))?;
        client
            .send("GET", &format!("{path}&revision={revision}"), "")
            .await?;
        if is_first {
            ready.send(()).await.map_err(other)?;
            is_first = false;
        }
        let (next, _) = client.answer().await?;
        // The same again: the wait was over.
        if header(&next, "waypost-revision") != header(&head, "waypost-revision") {
            round.see(of);
        }
        head = next;
    }
}

/// Fills a server in batches and asks for pages of it.
async fn lists(server: Target, count: u64) -> io::Result<()> {
    let mut client = Client::open(server.address).await?;
    fill(&mut client, count).await?;
    pages(&mut client, count).await?;
    beat(&mut client, count).await?;
    print_figure(
        &format!("resident, {count} instances"),
        server.resident_bytes()? / 1_048_576.0,
        "MiB",
        "store in memory, which keeps everything twice",
    )
}

async fn fill(client: &mut Client, count: u64) -> io::Result<()> {
    let since = Stopwatch::start();
    for start in (0..count).step_by(1_000) {
        let items: Vec<String> = (start..(start + 1_000).min(count))
            .map(|at| {
                let service = at % (count / 200).max(1);
                // One in a hundred is rare, and none is more.
                let tag = if at % 100 == 0 { "rare" } else { "usual" };
                format!(
                    r#"{{"service":"service-{service}","id":"i-{at}","registration":{{"address":"10.{}.{}.{}","port":8080,"tags":["{tag}"],"attributes":{{"version":"1.4.2"}}}}}}"#,
                    at >> 16 & 255,
                    at >> 8 & 255,
                    at & 255
                )
            })
            .collect();
        let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
        client.ask("POST", "/v1/batch/register", &body).await?;
    }
    let rate = number(count) / since.elapsed().as_secs_f64();
    print_figure(
        &format!("registrations in batches of 1,000, up to {count}"),
        rate,
        "1/s",
        "one connection, store in memory",
    )
}

async fn pages(client: &mut Client, count: u64) -> io::Result<()> {
    for (name, path) in [
        ("100 of all instances", "/v1/instances?limit=100"),
        (
            "100 with a tag of one in 100",
            "/v1/instances?limit=100&tag=rare",
        ),
        (
            "a page of a filter that nothing passes",
            "/v1/instances?limit=100&tag=none",
        ),
        (
            "100 services",
            "/v1/namespaces/svc.internal/services?limit=100",
        ),
        (
            "one service's instances",
            "/v1/namespaces/svc.internal/services/service-0/instances?limit=200",
        ),
    ] {
        let mut times = Histogram::default();
        for _ in 0..50 {
            let one = Stopwatch::start();
            client.ask("GET", path, "").await?;
            times.add(one.elapsed());
        }
        let median = times.quantile(0.5).as_secs_f64() * 1_000.0;
        print_figure(
            &format!("{name}, {count} instances"),
            median,
            "ms",
            "median of 50 over HTTP",
        )?;
    }
    Ok(())
}

async fn beat(client: &mut Client, count: u64) -> io::Result<()> {
    let items: Vec<String> = (0..count.min(10_000))
        .map(|at| {
            let service = at % (count / 200).max(1);
            format!(r#"{{"service":"service-{service}","id":"i-{at}"}}"#)
        })
        .collect();
    let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
    let since = Stopwatch::start();
    for _ in 0..20 {
        client.ask("POST", "/v1/batch/heartbeat", &body).await?;
    }
    let rate =
        20.0 * number(u64::try_from(items.len()).map_err(other)?) / since.elapsed().as_secs_f64();
    print_figure(
        &format!(
            "heartbeats in batches of {}, {count} instances",
            items.len()
        ),
        rate,
        "1/s",
        "one connection",
    )
}

type Asked = Arc<Mutex<Vec<(SocketAddr, Stopwatch)>>>;

/// A server at every address of this machine that notes who was asked when.
async fn target(tasks: &mut JoinSet<()>) -> io::Result<(u16, Asked)> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let port = listener.local_addr()?.port();
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            connections.spawn(async move {
                let at = stream.local_addr()?;
                let mut request = [0; 1_024];
                while stream.read(&mut request).await? > 0 {
                    noted
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((at, Stopwatch::start()));
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await?;
                }
                Ok::<(), io::Error>(())
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((port, asked))
}

/// Registers instances at as many addresses of 127.0.0.0/16, each asked every 10 s.
async fn register_checked(server: Target, count: u64, port: u16) -> io::Result<()> {
    let mut client = Client::open(server.address).await?;
    for start in (0..count).step_by(1_000) {
        let items: Vec<String> = (start..(start + 1_000).min(count))
            .map(|at| {
                let (third, fourth) = (at / 250, at % 250 + 1);
                format!(
                    r#"{{"service":"checked-{}","id":"i-{at}","registration":{{"address":"127.0.{third}.{fourth}","port":{port},"checks":[{{"id":"http","kind":"http","path":"/","interval_seconds":10,"unhealthy_interval_seconds":10}}]}}}}"#,
                    at % 100
                )
            })
            .collect();
        let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
        client.ask("POST", "/v1/batch/register", &body).await?;
    }
    Ok(())
}

/// How much later than expected each was asked again.
fn lateness(asked: Vec<(SocketAddr, Stopwatch)>) -> Histogram {
    const INTERVAL: f64 = 10.0;
    let mut last: std::collections::HashMap<SocketAddr, Stopwatch> =
        std::collections::HashMap::new();
    let mut late = Histogram::default();
    for (at, when) in asked {
        if let Some(before) = last.insert(at, when) {
            let gap = before
                .elapsed()
                .saturating_sub(when.elapsed())
                .as_secs_f64();
            // Nobody is asked in step with others: each time is up to a tenth off.
            late.add(Duration::from_secs_f64((gap - INTERVAL * 1.1).max(0.0)));
        }
    }
    late
}

/// A target at every address of 127.0.0.0/16, and instances there that are asked every 10 s.
async fn checks(server: Target, count: u64, seconds: f64) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let (port, asked) = target(&mut tasks).await?;
    register_checked(server, count, port).await?;
    // New ones are asked more often; what is measured is the time after.
    tokio::time::sleep(Duration::from_secs(45)).await;
    asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let (cpu, whole) = (server.cpu_seconds()?, Stopwatch::start());
    let mut sockets = 0;
    while whole.elapsed().as_secs_f64() < seconds {
        tokio::time::sleep(Duration::from_millis(250)).await;
        sockets = sockets.max(server.open_files()?);
    }
    let elapsed = whole.elapsed().as_secs_f64();
    let cpu = server.cpu_seconds()? - cpu;
    let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
    let probes = number(u64::try_from(asked.len()).map_err(other)?);
    let late = lateness(asked);
    tasks.shutdown().await;
    let name = format!("{count} instances checked every 10 s");
    print_figure(&format!("{name}, probes"), probes / elapsed, "1/s", "")?;
    print_figure(
        &format!("{name}, CPU"),
        100.0 * cpu / elapsed,
        "% of a core",
        "of the server",
    )?;
    print_figure(
        &format!("{name}, open files at most"),
        number(sockets),
        "",
        "of the server",
    )?;
    print_figure(
        &format!("{name}, lateness p99"),
        late.quantile(0.99).as_secs_f64() * 1_000.0,
        "ms",
        "beyond 11 s since the one before",
    )
}
