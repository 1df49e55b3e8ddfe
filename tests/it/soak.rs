//! Two hundred clients and random faults, checked against what each client was told: 60 seconds, or 30 minutes in the long
//! form, which writes `benches/results/soak.md`.
//!
//! A client owns its instances. What was acknowledged holds, and is read back at once; of a change without an answer nobody
//! knows whether and when it happens, so that its instance is left alone until that process has ended, or no request lasts
//! so long: then it is either as before or as wanted, and is taken away.

mod client;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, Follower, Random};

use crate::attacks::rss_kib;
use crate::server::{Server, eventually_within};
use crate::skips::long_forms;

const CLIENTS: u64 = 190;
const FOLLOWERS: u64 = 10;
const SHORT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(30 * 60);
/// Changes are kept so long for `changed_since`.
const LOG_FILLS: Duration = Duration::from_secs(10 * 60);
/// What one change takes in the log of changes, and what else depends on how many there were: measured 1.4 to 2.5 KiB.
const CHANGE_KIB: u64 = 3;
/// What a process takes in its first minute for other things.
const SETTLING_KIB: u64 = 8 * 1_024;
/// What the process may hold at any time: twice what 200 clients and a full log of changes take.
const RSS_KIB_MAX: u64 = 320 * 1_024;

/// What clients and conductor share.
pub(crate) struct Stage {
    address: Mutex<SocketAddr>,
    is_over: AtomicBool,
    /// The number of the process that is there; the next one's from before its predecessor ends.
    process: AtomicU64,
    /// How many processes have ended.
    ended: AtomicU64,
    pub(crate) counts: Counts,
}

/// What happened, for the record.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) acknowledged: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) settled: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) beats: AtomicU64,
    pub(crate) events: AtomicU64,
}

impl Stage {
    fn new(server: &Server) -> Self {
        Self {
            address: Mutex::new(server.address()),
            is_over: AtomicBool::new(false),
            process: AtomicU64::new(1),
            ended: AtomicU64::new(0),
            counts: Counts::default(),
        }
    }

    /// The last process that a request without an answer may have reached.
    pub(crate) fn process(&self) -> u64 {
        self.process.load(Ordering::Acquire)
    }

    pub(crate) fn has_ended(&self, process: u64) -> bool {
        self.ended.load(Ordering::Acquire) >= process
    }

    /// Ends the server in this way and starts the next.
    fn replace(&self, server: &mut Server, end: impl FnOnce(&mut Server)) {
        self.process.fetch_add(1, Ordering::AcqRel);
        end(server);
        self.ended.fetch_add(1, Ordering::AcqRel);
        server.restart();
        *self.address.lock().unwrap() = server.address();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// What the conductor did and saw.
#[derive(Debug, Default)]
struct Faults {
    kills: u32,
    stops: u32,
    restarts: u32,
    looks: Vec<Look>,
}

/// What was seen of the process at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// For how many seconds that process has been there.
    age: u64,
    rss_kib: u64,
    /// All changes acknowledged until then.
    acknowledged: u64,
}

/// Lets things happen to the server for as long as the play lasts.
fn conduct(server: &mut Server, stage: &Stage, length: Duration) -> Faults {
    let mut random = Random::new(3);
    let mut faults = Faults::default();
    let began = Instant::now();
    let mut process_began = began;
    let (mut next_fault, mut next_look) = (Duration::from_secs(2), Duration::ZERO);
    while began.elapsed() < length {
        let now = began.elapsed();
        if now >= next_look {
            next_look = now + Duration::from_millis(500);
            faults.looks.push(Look {
                age: process_began.elapsed().as_secs(),
                rss_kib: rss_kib(server.pid()),
                acknowledged: stage.counts.acknowledged.load(Ordering::Relaxed),
            });
        }
        // The end of the play is without an end of the process, so that its memory can be looked at.
        let may_end = now < length.saturating_sub(last_of(length));
        if now >= next_fault {
            next_fault = now + Duration::from_millis(500 + random.below(4_000));
            match random.below(if may_end { 10 } else { 4 }) {
                0..4 => {
                    faults.stops += 1;
                    server.signal("-STOP");
                    thread::sleep(Duration::from_millis(random.below(1_500)));
                    server.signal("-CONT");
                }
                4..9 => {
                    faults.kills += 1;
                    stage.replace(server, Server::kill9);
                    process_began = Instant::now();
                }
                _ => {
                    faults.restarts += 1;
                    stage.replace(server, end_in_order);
                    process_began = Instant::now();
                }
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    faults
}

fn end_in_order(server: &mut Server) {
    let status = server.terminate();
    assert!(
        status.success(),
        "it ended with {status}:\n{}",
        server.log()
    );
}

#[test]
fn two_hundred_clients_and_random_faults_leave_what_was_acknowledged() {
    let length = if long_forms() { LONG } else { SHORT };
    let mut server = Server::start();
    let stage = Stage::new(&server);
    let (faults, clients) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let stage = &stage;
                scope.spawn(move || Client::new(number).play(stage))
            })
            .collect();
        for number in 0..FOLLOWERS {
            let stage = &stage;
            scope.spawn(move || Follower::new(number).play(stage));
        }
        let faults = conduct(&mut server, &stage, length);
        stage.is_over.store(true, Ordering::Release);
        let clients: Vec<Client> = clients.into_iter().map(|it| it.join().unwrap()).collect();
        // Followers wait for the end of their stream.
        stage.replace(&mut server, end_in_order);
        (faults, clients)
    });
    let counts = &stage.counts;
    println!(
        "{counts:?}, {} kills, {} stops, {} restarts",
        faults.kills, faults.stops, faults.restarts
    );
    eventually_within(Duration::from_secs(30), "it is ready", || {
        (server.get("/readyz").status == 200).then_some(())
    });
    let found = client::everything(&server);
    let known: usize = clients
        .iter()
        .map(|client| client.agrees_with(&found))
        .sum();
    assert_eq!(
        known,
        found.len(),
        "somebody is there whom nobody registered"
    );
    assert!(
        counts.acknowledged.load(Ordering::Relaxed) > 1_000,
        "{counts:?}"
    );
    assert!(counts.settled.load(Ordering::Relaxed) > 0, "{counts:?}");
    assert!(counts.events.load(Ordering::Relaxed) > 100, "{counts:?}");
    assert!(faults.kills > 1 && faults.stops > 1, "{faults:?}");
    let highest = faults.looks.iter().map(|look| look.rss_kib).max().unwrap();
    assert!(highest < RSS_KIB_MAX, "{highest} KiB");
    let (before, after) = last_process(&faults);
    println!("the last process: {before:?}, then {after:?}; at most {highest} KiB");
    // From when the log of changes is full the process does not grow; until then no more than by the log.
    let filling = if long_forms() {
        0
    } else {
        SETTLING_KIB + (after.acknowledged - before.acknowledged) * CHANGE_KIB
    };
    assert!(
        after.rss_kib * 10 <= before.rss_kib * 11 + filling * 10,
        "{before:?} became {after:?}"
    );
    if long_forms() {
        let memory = (before.rss_kib, after.rss_kib, highest);
        write_results(length, counts, &faults, memory, found.len());
    }
}

/// How long the last process is left alone: twice the time in which its log of changes fills up, if there is that much.
fn last_of(length: Duration) -> Duration {
    if length > LOG_FILLS * 2 {
        LOG_FILLS * 2
    } else {
        length / 3
    }
}

/// The medians of the first and the second half of what the last process was seen with, without the time in which its log
/// of changes fills up, if it was there for longer.
fn last_process(faults: &Faults) -> (Look, Look) {
    let looks = &faults.looks;
    let begin = looks.iter().rposition(|look| look.age == 0).unwrap_or(0);
    let is_full = |look: &Look| look.age >= LOG_FILLS.as_secs();
    let full = looks[begin..].iter().position(is_full).unwrap_or(0);
    let seen = &looks[begin + full..];
    let (first, second) = seen.split_at(seen.len() / 2);
    let median = |of: fn(&Look) -> u64, half: &[Look]| {
        let mut values: Vec<u64> = half.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let medians = |half| Look {
        age: median(|look| look.age, half),
        rss_kib: median(|look| look.rss_kib, half),
        acknowledged: median(|look| look.acknowledged, half),
    };
    (medians(first), medians(second))
}

fn write_results(
    length: Duration,
    counts: &Counts,
    faults: &Faults,
    (before, after, highest): (u64, u64, u64),
    left: usize,
) {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let text = format!(
        "# Soak\n\n\
         `WAYPOST_LONG=1 cargo test --profile long -p waypost --test it soak` wrote this.\n\n\
         | what | figure |\n|---|---|\n\
         | length | {} min |\n\
         | clients, followers | {CLIENTS}, {FOLLOWERS} |\n\
         | changes acknowledged | {} |\n\
         | changes refused | {} |\n\
         | changes that met no server | {} |\n\
         | changes without an answer, found whole or not at all later | {}, {} |\n\
         | reads, each equal to what was acknowledged before | {} |\n\
         | heartbeats | {} |\n\
         | events to followers | {} |\n\
         | `kill -9`, stops in order, SIGSTOP | {}, {}, {} |\n\
         | instances at the end, all as acknowledged | {left} |\n\
         | acknowledged and lost | 0 |\n\
         | memory of the last process, first and second half | {} MiB, {} MiB |\n\
         | most memory at any time | {} MiB |\n",
        length.as_secs() / 60,
        of(&counts.acknowledged),
        of(&counts.refused),
        of(&counts.unsent),
        of(&counts.unknown),
        of(&counts.settled),
        of(&counts.reads),
        of(&counts.beats),
        of(&counts.events),
        faults.kills,
        faults.restarts,
        faults.stops,
        before / 1_024,
        after / 1_024,
        highest / 1_024,
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/results/soak.md");
    std::fs::write(file, text).unwrap();
}
