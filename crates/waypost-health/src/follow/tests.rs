use std::sync::Arc;
use std::time::Duration;

use tokio::task::Id;
use waypost_core::{
    Addresses, Author, Check, CheckId, CheckKind, CheckState, Command, Context, Dialect, Epoch,
    HttpProbe, InstanceId, InstanceKey, Monotonic, Policy, ProbeProtocol, ProbeSpec,
    RegistrationSpec, Report, Revision, Seed, ServiceChange, ServiceKey, ServiceSpec, Snapshot,
    Timestamp, decide, text,
};

use super::{AT_ONCE_MAX, Follower, Now};
use crate::chance::Chance;
use crate::config::HealthConfig;
use crate::schedule::{Schedule, SlotId};

/// A history in memory with a follower behind it.
struct World {
    snapshot: Snapshot,
    follower: Follower,
    schedule: Schedule,
    now: Now,
    seed: u128,
}

fn service() -> ServiceKey {
    ServiceKey::new("svc.internal", "web").unwrap()
}

fn key(id: &str) -> InstanceKey {
    InstanceKey::new("svc.internal", "web", id).unwrap()
}

fn tcp(id: &str) -> Check {
    let probe = ProbeSpec::new(ProbeProtocol::Tcp);
    Check::new(CheckId::new(id).unwrap(), CheckKind::Probe(probe))
}

fn spec(port: u16) -> RegistrationSpec {
    let addresses = Addresses::parse("address", "10.0.0.1").unwrap();
    RegistrationSpec::new(addresses, port, Dialect::Rest)
}

impl World {
    fn new(checks: &[Check]) -> Self {
        let mut world = Self {
            snapshot: Snapshot::empty(Epoch(1)),
            follower: Follower::default(),
            schedule: Schedule::default(),
            now: Now {
                monotonic: Monotonic(1_000),
                wall: Timestamp(1_000_000),
            },
            seed: 0,
        };
        world.configure(checks);
        world
    }

    fn apply(&mut self, command: &Command) {
        self.seed += 1;
        let context = Context {
            at: self.now.wall,
            author: Author {
                subject: text("test"),
                address: None,
                dialect: Dialect::Internal,
            },
            seed: Seed((self.seed << 64) | self.seed),
            policy: Policy::default(),
        };
        let batch = decide(&context, &self.snapshot, command).unwrap().batch;
        if !batch.is_empty() {
            let next = Revision(self.snapshot.revision().0 + 1);
            self.snapshot = self.snapshot.apply(next, &batch);
        }
    }

    fn configure(&mut self, checks: &[Check]) {
        let change = ServiceChange {
            checks: Some(Arc::from(checks)),
            ..ServiceChange::default()
        };
        if self.snapshot.service(&service()).is_none() {
            self.apply(&Command::CreateService(ServiceSpec {
                key: service(),
                change,
                request_id: None,
            }));
        } else {
            self.apply(&Command::UpdateService {
                key: service(),
                change,
                expected: None,
            });
        }
    }

    fn register(&mut self, id: &str, spec: RegistrationSpec) {
        self.apply(&Command::Register {
            service: service(),
            id: InstanceId::new(id).unwrap(),
            owner: None,
            spec: Arc::new(spec),
            defaults: ServiceChange::default(),
        });
    }

    fn deregister(&mut self, id: &str) {
        self.apply(&Command::Deregister {
            service: service(),
            id: InstanceId::new(id).unwrap(),
            owner: None,
        });
    }

    fn report(&mut self, id: &str, state: CheckState) {
        self.apply(&Command::Report(Report {
            key: key(id),
            registration: None,
            check: CheckId::new("up").unwrap(),
            state,
            reason: text("as the test says"),
            body: None,
            resolved: None,
        }));
    }

    fn pass(&mut self, duration: Duration) {
        self.now = Now {
            monotonic: self.now.monotonic.after(duration),
            wall: self.now.wall.after(duration),
        };
    }

    fn catch_up(&mut self) -> Vec<Id> {
        let config = HealthConfig::default();
        let mut chance = Chance::seeded(3);
        let with = (&config, &mut chance);
        self.follower
            .catch_up(&self.snapshot, &mut self.schedule, self.now, with)
    }

    /// A process that starts anew over the same history.
    fn restart(&mut self) {
        self.follower = Follower::default();
        self.schedule = Schedule::default();
        self.catch_up();
    }

    fn only(&self, id: &str) -> SlotId {
        let slots = self.schedule.of(&key(id));
        assert_eq!(slots.len(), 1, "{id} has {} schedules", slots.len());
        slots[0]
    }

    fn wait(&self, id: &str) -> Duration {
        let slot = self.schedule.get(self.only(id)).unwrap();
        slot.turn.due().since(self.now.monotonic)
    }

    fn is_eager(&self, id: &str) -> bool {
        let slot = self.schedule.get(self.only(id)).unwrap();
        slot.turn.is_eager(self.now.monotonic)
    }

    /// Spoils the timing of a schedule, so that one made anew is told from it.
    fn mark(&mut self, id: &str) {
        let slot = self.only(id);
        let slot = self.schedule.get_mut(slot).unwrap();
        slot.turn.spread(Duration::from_secs(999));
    }

    fn is_marked(&self, id: &str) -> bool {
        self.wait(id) >= Duration::from_secs(900)
    }
}

#[test]
fn an_instance_that_appears_alone_is_due_at_once() {
    let mut world = World::new(&[tcp("up")]);
    world.register("a", spec(80));
    world.catch_up();
    assert_eq!(
        (world.wait("a"), world.is_eager("a")),
        (Duration::ZERO, true)
    );
}

#[test]
fn only_probe_checks_are_scheduled() {
    let heartbeat = CheckKind::Heartbeat { within_seconds: 5 };
    let id = |id| CheckId::new(id).unwrap();
    let mut world = World::new(&[
        Check::new(id("beat"), heartbeat),
        Check::new(id("told"), CheckKind::Reported),
        Check::new(id("seen"), CheckKind::Observed),
    ]);
    world.register("a", spec(80));
    world.catch_up();
    assert_eq!(world.schedule.len(), 0);
}

#[test]
fn many_new_instances_are_spread_over_one_second() {
    let mut world = World::new(&[tcp("up")]);
    let ids: Vec<String> = (0..500).map(|n| format!("i-{n}")).collect();
    for id in &ids {
        world.register(id, spec(80));
    }
    world.catch_up();
    let waits: Vec<Duration> = ids.iter().map(|id| world.wait(id)).collect();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(1)));
    let late = waits.iter().filter(|wait| wait.as_millis() >= 500).count();
    assert!(
        (150..350).contains(&late),
        "{late} of 500 in the second half"
    );
}

#[test]
fn known_instances_are_spread_over_a_few_seconds_after_a_restart_and_are_not_new() {
    let mut world = World::new(&[tcp("up")]);
    let ids: Vec<String> = (0..500).map(|n| format!("i-{n}")).collect();
    for id in &ids {
        world.register(id, spec(80));
        world.report(id, CheckState::Passing);
    }
    world.restart();
    let waits: Vec<Duration> = ids.iter().map(|id| world.wait(id)).collect();
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(5)));
    let late = waits.iter().filter(|wait| wait.as_secs() >= 2).count();
    assert!((200..400).contains(&late), "{late} of 500 after 2 s");
    assert!(!world.is_eager("i-0"));
}

#[test]
fn a_short_interval_limits_the_spread() {
    let mut check = tcp("up");
    if let CheckKind::Probe(spec) = &mut check.kind {
        spec.interval_seconds = 2;
    }
    let mut world = World::new(&[check]);
    let ids: Vec<String> = (0..=AT_ONCE_MAX).map(|n| format!("i-{n}")).collect();
    for id in &ids {
        world.register(id, spec(80));
        world.report(id, CheckState::Failing);
    }
    world.restart();
    assert!(ids.iter().all(|id| world.wait(id) < Duration::from_secs(2)));
    assert!(ids.iter().any(|id| !world.wait(id).is_zero()));
}

#[test]
fn an_instance_that_never_passed_is_new_after_a_restart_only_for_what_is_left_of_its_30_s() {
    let mut world = World::new(&[tcp("up")]);
    world.register("a", spec(80));
    world.report("a", CheckState::Unknown);
    world.pass(Duration::from_secs(20));
    world.restart();
    assert!(world.is_eager("a"));
    world.pass(Duration::from_secs(10));
    assert!(!world.is_eager("a"));
    world.restart();
    assert!(!world.is_eager("a"));
}

#[test]
fn changed_tags_keep_the_schedule() {
    let mut world = World::new(&[tcp("up")]);
    world.register("a", spec(80));
    world.catch_up();
    world.report("a", CheckState::Passing);
    world.mark("a");
    world.pass(Duration::from_secs(60));
    let mut changed = spec(80);
    changed.weight = 7;
    world.register("a", changed);
    world.catch_up();
    assert!(world.is_marked("a"));
    let slot = world.schedule.get(world.only("a")).unwrap();
    let current = world.snapshot.instance(&key("a")).unwrap();
    assert_eq!(slot.vitals.registration(), current.registration_id());
}

#[test]
fn a_changed_port_begins_anew_and_drops_the_probe_under_way() {
    let mut world = World::new(&[tcp("up")]);
    world.register("a", spec(80));
    world.catch_up();
    world.mark("a");
    let mut tasks = tokio::task::JoinSet::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let flight = tasks.spawn_on(async {}, runtime.handle()).id();
    let slot = world.only("a");
    world.schedule.get_mut(slot).unwrap().flight = Some(flight);
    // Within the same millisecond.
    world.register("a", spec(81));
    assert_eq!(world.catch_up(), [flight]);
    assert_eq!(
        (world.wait("a"), world.is_eager("a")),
        (Duration::ZERO, true)
    );
}

#[test]
fn an_instance_registered_again_within_the_same_millisecond_is_new() {
    let mut world = World::new(&[tcp("up")]);
    world.register("a", spec(80));
    world.catch_up();
    world.report("a", CheckState::Passing);
    // Past its first 30 s, at a clock that stands still.
    world.now.monotonic = world.now.monotonic.after(Duration::from_secs(60));
    world.catch_up();
    world.mark("a");
    world.deregister("a");
    world.register("a", spec(80));
    world.catch_up();
    assert!(!world.is_marked("a") && world.is_eager("a"));
}

#[test]
fn a_removed_instance_leaves_the_schedule_also_when_the_changes_are_no_longer_known() {
    let mut world = World::new(&[tcp("up")]);
    for id in ["a", "b", "c"] {
        world.register(id, spec(80));
    }
    world.catch_up();
    world.deregister("a");
    world.catch_up();
    assert_eq!(world.schedule.len(), 2);
    world.deregister("b");
    world.follower = Follower::default();
    world.mark("c");
    world.catch_up();
    assert_eq!(world.schedule.len(), 1);
    assert!(
        world.is_marked("c"),
        "a full pass leaves what is unchanged alone"
    );
}

#[test]
fn checks_of_the_service_come_and_go_and_change_with_it() {
    let mut world = World::new(&[]);
    world.register("a", spec(80));
    world.catch_up();
    assert_eq!(world.schedule.len(), 0);
    world.configure(&[tcp("up"), tcp("also")]);
    world.catch_up();
    assert_eq!(world.schedule.of(&key("a")).len(), 2);
    world.configure(&[tcp("up")]);
    world.catch_up();
    world.mark("a");
    let mut changed = tcp("up");
    changed.kind = CheckKind::Probe(ProbeSpec::new(ProbeProtocol::Http(HttpProbe::default())));
    world.configure(&[changed]);
    world.catch_up();
    assert!(!world.is_marked("a"), "a changed definition is due at once");
    world.configure(&[]);
    world.catch_up();
    assert_eq!(world.schedule.len(), 0);
}

#[test]
fn a_check_of_the_instance_takes_the_place_of_the_service_s() {
    let mut world = World::new(&[tcp("up"), tcp("also")]);
    let mut own = spec(80);
    own.checks = Arc::from([Check::new(
        CheckId::new("also").unwrap(),
        CheckKind::Reported,
    )]);
    world.register("a", own);
    world.catch_up();
    let slot = world.schedule.get(world.only("a")).unwrap();
    assert_eq!(slot.check.as_str(), "up");
}

#[test]
fn a_verdict_alone_leaves_the_schedule_alone() {
    let mut world = World::new(&[tcp("up")]);
    world.register("a", spec(80));
    world.catch_up();
    world.mark("a");
    for state in [
        CheckState::Unknown,
        CheckState::Passing,
        CheckState::Failing,
    ] {
        world.report("a", state);
        assert!(world.catch_up().is_empty());
        assert!(world.is_marked("a"));
    }
}
