//! The core against a naive model: any sequence of commands, beats, time and restarts leaves both equal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use waypost_core::{
    Check, CheckId, CheckKind, CheckState, Clock, Command, Epoch, Health, HealthOverride,
    InstanceKey, LeaseState, ManualClock, MemoryStore, Mode, ModeChange, ModeSetting, Note,
    RegistrationId, RegistrationSpec, SWEEP_INTERVAL, ServiceChange, ServiceKey, Tags, Tier, text,
};

use crate::harness::{
    Harness, START, deregister, everything, key, leased, register, run, said, service, spec,
};

const REMOVE_AFTER: u64 = 20_000;
const IDS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Register {
        who: usize,
        lease: Option<u8>,
        checked: bool,
        port: u8,
        tag: bool,
    },
    Deregister {
        who: usize,
    },
    Beat {
        who: usize,
        stale: bool,
    },
    Say {
        who: usize,
        state: u8,
    },
    SetMode {
        who: usize,
        mode: u8,
        seconds: Option<u8>,
    },
    Override {
        who: usize,
        weight: Option<Option<u8>>,
        healthy: Option<Option<bool>>,
        seconds: Option<u8>,
    },
    Block {
        who: usize,
        seconds: u8,
    },
    Clear {
        who: usize,
    },
    Pass {
        quarters: u8,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..IDS.len();
    let lease = prop_oneof![Just(None), (2u8..6).prop_map(Some)];
    let step = prop_oneof![
        4 => (who.clone(), lease, any::<bool>(), 1u8..3, any::<bool>())
            .prop_map(|(who, lease, checked, port, tag)| Step::Register { who, lease, checked, port, tag }),
        2 => who.clone().prop_map(|who| Step::Deregister { who }),
        4 => (who.clone(), prop::bool::weighted(0.2)).prop_map(|(who, stale)| Step::Beat { who, stale }),
        3 => (who.clone(), 0u8..3).prop_map(|(who, state)| Step::Say { who, state }),
        2 => (who.clone(), 0u8..3, prop::option::of(1u8..9))
            .prop_map(|(who, mode, seconds)| Step::SetMode { who, mode, seconds }),
        3 => (who.clone(), prop::option::of(prop::option::of(2u8..9)), prop::option::of(prop::option::of(any::<bool>())),
                prop::option::of(1u8..9))
            .prop_map(|(who, weight, healthy, seconds)| Step::Override { who, weight, healthy, seconds }),
        1 => (who.clone(), 1u8..9).prop_map(|(who, seconds)| Step::Block { who, seconds }),
        1 => who.prop_map(|who| Step::Clear { who }),
        6 => (1u8..24).prop_map(|quarters| Step::Pass { quarters }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

#[derive(Clone, Debug, PartialEq)]
enum Lease {
    None,
    Running(u64),
    Suspect(u64),
    Over { since: u64, removed_at: u64 },
}

#[derive(Clone, Debug)]
struct Entry {
    shape: (Option<u8>, bool, u8, bool),
    lease: Lease,
    said: Option<CheckState>,
    ever_healthy: bool,
}

impl Entry {
    fn health(&self) -> Health {
        match (&self.lease, self.shape.1, self.said) {
            (Lease::Over { .. }, _, _) => Health::Unhealthy,
            (_, false, _) => Health::Healthy,
            (_, true, None) => Health::Unknown,
            (_, true, Some(CheckState::Passing)) => Health::Healthy,
            (_, true, Some(CheckState::Warning)) => Health::Warning,
            (_, true, Some(_)) => Health::Unhealthy,
        }
    }

    fn note_health(&mut self) {
        self.ever_healthy |= matches!(self.health(), Health::Healthy | Health::Warning);
    }
}

/// What is set beside the registrations: each part with its end.
#[derive(Clone, Debug, Default, PartialEq)]
struct Set {
    mode: Mode,
    until: Option<u64>,
    weight: Option<(u32, Option<u64>)>,
    health: Option<(Health, Option<u64>)>,
    blocked_until: Option<u64>,
}

impl Set {
    fn end(&mut self, now: u64) {
        let ends = |until: Option<u64>| until.is_some_and(|until| until <= now);
        if ends(self.until) {
            self.until = None;
            self.mode = if self.mode == Mode::Draining {
                Mode::Maintenance
            } else {
                Mode::Active
            };
        }
        self.weight = self.weight.filter(|(_, until)| !ends(*until));
        self.health = self.health.filter(|(_, until)| !ends(*until));
        self.blocked_until = self.blocked_until.filter(|until| *until > now);
    }
}

/// The model: plain maps and plain time.
#[derive(Default)]
struct Model {
    now: u64,
    entries: BTreeMap<usize, Entry>,
    modes: BTreeMap<usize, Set>,
    /// Until when each end counts, for protection.
    ends: Vec<u64>,
    modes_due: u64,
    sweeps: u64,
}

impl Model {
    fn register(&mut self, who: usize, shape: (Option<u8>, bool, u8, bool)) {
        let lease = match shape.0 {
            None => Lease::None,
            Some(seconds) => Lease::Running(self.now + u64::from(seconds) * 1_000),
        };
        let kept = self
            .entries
            .get(&who)
            .filter(|old| (old.shape.1, old.shape.2) == (shape.1, shape.2));
        let (said, ever) = kept.map_or((None, false), |old| (old.said, old.ever_healthy));
        let mut entry = Entry {
            shape,
            lease,
            said,
            ever_healthy: ever,
        };
        entry.note_health();
        self.entries.insert(who, entry);
    }

    fn beat(&mut self, who: usize) -> bool {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(&who) else {
            return false;
        };
        if let Some(seconds) = entry.shape.0 {
            entry.lease = Lease::Running(now + u64::from(seconds) * 1_000);
            entry.note_health();
        }
        true
    }

    fn sweep(&mut self) {
        let now = self.now;
        let leases = self
            .entries
            .values()
            .filter(|entry| entry.shape.0.is_some())
            .count();
        let due: Vec<usize> = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.lease, Lease::Running(deadline) if deadline <= now))
            .map(|(who, _)| *who)
            .collect();
        // Those that were held once end whatever else happens, and count before the fresh ones are judged.
        for entry in self.entries.values_mut() {
            if matches!(entry.lease, Lease::Suspect(deadline) if deadline <= now) {
                entry.lease = Lease::Over {
                    since: now,
                    removed_at: now + REMOVE_AFTER,
                };
                self.ends
                    .push(now + u64::from(entry.shape.0.unwrap_or(0)) * 1_000);
            }
        }
        self.ends.retain(|until| *until > now);
        let bound = 3.max(leases * 15 / 100);
        let holds = !due.is_empty() && self.ends.len() + due.len() > bound;
        for who in due {
            let entry = self.entries.get_mut(&who).unwrap();
            let length = u64::from(entry.shape.0.unwrap_or(0)) * 1_000;
            if holds {
                entry.lease = Lease::Suspect(now + length);
            } else {
                entry.lease = Lease::Over {
                    since: now,
                    removed_at: now + REMOVE_AFTER,
                };
                self.ends.push(now + length);
            }
        }
        let gone = |entry: &Entry| matches!(entry.lease, Lease::Over { removed_at, since } if removed_at <= now && since < now);
        self.entries.retain(|_, entry| !gone(entry));
        if now >= self.modes_due {
            self.modes_due = now + 1_000;
            for set in self.modes.values_mut() {
                set.end(now);
            }
            self.modes.retain(|_, set| *set != Set::default());
        }
        self.sweeps += 1;
    }

    fn restart(&mut self) {
        self.ends.clear();
        self.modes_due = 0;
        for entry in self.entries.values_mut() {
            let length = u64::from(entry.shape.0.unwrap_or(0)) * 1_000;
            match &mut entry.lease {
                Lease::None => {}
                Lease::Running(deadline) | Lease::Suspect(deadline) => {
                    *deadline = self.now + length
                }
                Lease::Over { removed_at, .. } => {
                    let left = removed_at.saturating_sub(self.now).max(length);
                    *removed_at = self.now + left;
                }
            }
        }
    }

    fn set(&self, who: usize) -> Set {
        self.modes.get(&who).cloned().unwrap_or_default()
    }

    /// What is shown: an operator's word, but against a lease that is over.
    fn health(&self, who: usize) -> Health {
        let entry = &self.entries[&who];
        match (self.set(who).health, &entry.lease) {
            (Some((health, _)), Lease::None | Lease::Running(_) | Lease::Suspect(_)) => health,
            _ => entry.health(),
        }
    }

    fn tier(&self, who: usize) -> Tier {
        let entry = &self.entries[&who];
        if self.set(who).mode != Mode::Active {
            return Tier::Out;
        }
        match (self.health(who), &entry.lease) {
            (Health::Unhealthy, _) if entry.ever_healthy => Tier::FailOpen,
            (Health::Unhealthy | Health::Unknown, _) => Tier::Out,
            (_, Lease::Suspect(_)) => Tier::Suspect,
            _ => Tier::Fit,
        }
    }

    fn rotation(&self) -> Vec<String> {
        let tiers: Vec<(usize, Tier)> = self
            .entries
            .keys()
            .map(|who| (*who, self.tier(*who)))
            .collect();
        let best = tiers
            .iter()
            .map(|(_, tier)| *tier)
            .filter(|tier| *tier <= Tier::Suspect)
            .min();
        let chosen = tiers.iter().filter(|(_, tier)| Some(*tier) == best);
        chosen.map(|(who, _)| IDS[*who].to_owned()).collect()
    }
}

fn shaped(lease: Option<u8>, checked: bool, port: u8, tag: bool) -> RegistrationSpec {
    let base = match lease {
        None => spec(port.into()),
        Some(seconds) => leased(port.into(), seconds.into()),
    };
    let check = Check::new(CheckId::new("said").unwrap(), CheckKind::Reported);
    let checks = if checked {
        Arc::from([check])
    } else {
        Arc::default()
    };
    let tags = if tag {
        Tags::new(["t"]).unwrap()
    } else {
        Tags::default()
    };
    RegistrationSpec {
        checks,
        tags,
        ..base
    }
}

struct World {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    harness: Option<Harness>,
    model: Model,
    old: BTreeMap<usize, RegistrationId>,
    starts: u64,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Epoch(1)));
        let clock = Arc::new(ManualClock::new(START));
        let harness = Harness::over(store.clone(), clock.clone(), 1).await;
        let remove_after_seconds = Some(u32::try_from(REMOVE_AFTER / 1_000).unwrap());
        let change = ServiceChange {
            remove_after_seconds,
            ..ServiceChange::default()
        };
        let service = waypost_core::ServiceSpec {
            key: service(),
            change,
            request_id: None,
        };
        harness
            .apply(Command::CreateService(service))
            .await
            .unwrap();
        Self {
            store,
            clock,
            harness: Some(harness),
            model: Model::default(),
            old: BTreeMap::new(),
            starts: 1,
        }
    }

    fn harness(&mut self) -> &mut Harness {
        self.harness.as_mut().unwrap()
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Register {
                who,
                lease,
                checked,
                port,
                tag,
            } => {
                self.register(who, (lease, checked, port, tag)).await;
            }
            Step::Deregister { who } => {
                let done = self.harness().apply(deregister(IDS[who])).await.is_ok();
                assert_eq!(done, self.model.entries.remove(&who).is_some());
            }
            Step::Beat { who, stale } => self.beat(who, stale).await,
            Step::Say { who, state } => self.say(who, state).await,
            Step::SetMode { who, mode, seconds } => self.set_mode(who, mode, seconds).await,
            Step::Override {
                who,
                weight,
                healthy,
                seconds,
            } => self.override_parts(who, weight, healthy, seconds).await,
            Step::Block { who, seconds } => self.block(who, seconds).await,
            Step::Clear { who } => {
                let known = self.model.entries.contains_key(&who);
                let known = known || self.model.modes.contains_key(&who);
                let change = ModeChange::to_plain(self.clock.wall());
                assert_eq!(self.change(who, change).await, known);
                self.model.modes.remove(&who);
            }
            Step::Pass { quarters } => {
                for _ in 0..quarters {
                    self.harness().pass(SWEEP_INTERVAL).await;
                    self.model.now += 250;
                    self.model.sweep();
                }
            }
            Step::Restart => {
                self.harness.take().unwrap().kill().await;
                self.starts += 1;
                let harness =
                    Harness::over(self.store.clone(), self.clock.clone(), self.starts).await;
                self.harness = Some(harness);
                self.model.restart();
            }
        }
    }

    async fn register(&mut self, who: usize, shape: (Option<u8>, bool, u8, bool)) {
        let (lease, checked, port, tag) = shape;
        if let Some(instance) = self.harness().instance(IDS[who]) {
            self.old.insert(who, instance.registration_id());
        }
        let command = register(IDS[who], shaped(lease, checked, port, tag));
        let done = self.harness().apply(command).await.is_ok();
        assert_eq!(done, self.model.set(who).blocked_until.is_none());
        if done {
            self.model.register(who, shape);
        }
    }

    async fn say(&mut self, who: usize, state: u8) {
        let state = [
            CheckState::Passing,
            CheckState::Warning,
            CheckState::Failing,
        ][usize::from(state)];
        let done = self
            .harness()
            .apply(said(key(IDS[who]), state))
            .await
            .is_ok();
        let entry = self
            .model
            .entries
            .get_mut(&who)
            .filter(|entry| entry.shape.1);
        assert_eq!(done, entry.is_some());
        if let Some(entry) = entry {
            entry.said = Some(state);
            entry.note_health();
        }
    }

    async fn beat(&mut self, who: usize, stale: bool) {
        let instance = InstanceKey { ..key(IDS[who]) };
        let old = self.old.get(&who).copied().filter(|_| stale);
        let current = self
            .harness()
            .instance(IDS[who])
            .map(|instance| instance.registration_id());
        let done = self
            .harness()
            .registry
            .heartbeat(&everything(), &instance, old, None)
            .await;
        if old.is_some() && old != current {
            assert!(done.is_err(), "a beat of an earlier registration was taken");
        } else {
            assert_eq!(done.is_ok(), self.model.beat(who));
        }
    }

    async fn set_mode(&mut self, who: usize, mode: u8, seconds: Option<u8>) {
        let mode = [Mode::Active, Mode::Draining, Mode::Maintenance][usize::from(mode)];
        let now = self.clock.wall();
        let until = seconds.map(|seconds| now.after(Duration::from_secs(seconds.into())));
        let setting = (mode != Mode::Active).then(|| {
            Arc::new(ModeSetting {
                mode,
                reason: text("why"),
                author: text("ann"),
                since: now,
                until,
                weight: None,
                weight_note: None,
                health: None,
                block: None,
                process: None,
                extra: waypost_core::Extra::default(),
            })
        });
        let known = self.model.entries.contains_key(&who) || self.model.modes.contains_key(&who);
        let command = Command::SetMode {
            key: key(IDS[who]),
            setting,
        };
        assert_eq!(self.harness().apply(command).await.is_ok(), known);
        if known && mode == Mode::Active {
            self.model.modes.remove(&who);
        } else if known {
            let until = until.map(|until| until.0 - START.0);
            let set = Set {
                mode,
                until,
                ..Set::default()
            };
            self.model.modes.insert(who, set);
        }
    }

    async fn override_parts(
        &mut self,
        who: usize,
        weight: Option<Option<u8>>,
        healthy: Option<Option<bool>>,
        seconds: Option<u8>,
    ) {
        let note = self.note(seconds);
        let until = note.until.map(|until| until.0 - START.0);
        let word = |healthy| {
            if healthy {
                Health::Healthy
            } else {
                Health::Unhealthy
            }
        };
        let change = ModeChange {
            weight: weight.map(|weight| weight.map(|weight| (weight.into(), note.clone()))),
            health: healthy.map(|healthy| {
                healthy.map(|healthy| HealthOverride {
                    health: word(healthy),
                    note: note.clone(),
                })
            }),
            ..ModeChange::default()
        };
        let known = self.model.entries.contains_key(&who);
        assert_eq!(self.change(who, change).await, known);
        if !known {
            return;
        }
        let mut set = self.model.set(who);
        if let Some(weight) = weight {
            set.weight = weight.map(|weight| (weight.into(), until));
        }
        if let Some(healthy) = healthy {
            set.health = healthy.map(|healthy| (word(healthy), until));
        }
        self.model.modes.insert(who, set);
        self.model.modes.retain(|_, set| *set != Set::default());
    }

    async fn block(&mut self, who: usize, seconds: u8) {
        let note = self.note(Some(seconds));
        let mut set = self.model.set(who);
        let known = self.model.entries.contains_key(&who) || set.blocked_until.is_some();
        set.blocked_until = note.until.map(|until| until.0 - START.0);
        let command = Command::Block {
            service: service(),
            id: key(IDS[who]).id,
            owner: None,
            note,
        };
        assert_eq!(self.harness().apply(command).await.is_ok(), known);
        if known {
            self.model.entries.remove(&who);
            self.model.modes.insert(who, set);
        }
    }

    fn note(&self, seconds: Option<u8>) -> Note {
        let since = self.clock.wall();
        Note {
            reason: text("why"),
            author: text("ann"),
            since,
            until: seconds.map(|seconds| since.after(Duration::from_secs(seconds.into()))),
        }
    }

    async fn change(&mut self, who: usize, change: ModeChange) -> bool {
        let command = Command::ChangeMode {
            key: key(IDS[who]),
            change: Box::new(change),
            expected: None,
        };
        self.harness().apply(command).await.is_ok()
    }

    fn compare(&mut self) {
        let snapshot = self.harness().snapshots.latest();
        let service: ServiceKey = service();
        let state = snapshot.service(&service).unwrap();
        let shown: Vec<String> = state
            .instances()
            .iter()
            .map(|i| i.key().id.to_string())
            .collect();
        let expected: Vec<String> = self
            .model
            .entries
            .keys()
            .map(|who| IDS[*who].to_owned())
            .collect();
        assert_eq!(shown, expected, "who is registered");
        for (who, entry) in &self.model.entries {
            let instance = state.instance(&key(IDS[*who])).unwrap();
            let judged = instance.verdict().health;
            assert_eq!(judged, entry.health(), "verdict on {}", IDS[*who]);
            assert_eq!(instance.health(), self.model.health(*who));
            assert_eq!(instance.verdict().ever_healthy, entry.ever_healthy);
            let same = match (&entry.lease, instance.verdict().lease) {
                (Lease::None, LeaseState::None) | (Lease::Running(_), LeaseState::Running) => true,
                (Lease::Suspect(_), LeaseState::Suspect { .. }) => true,
                (Lease::Over { since, .. }, LeaseState::Over { since: shown }) => {
                    shown.0 - START.0 == *since
                }
                _ => false,
            };
            assert!(
                same,
                "lease of {}: {:?} and {:?}",
                IDS[*who],
                entry.lease,
                instance.verdict().lease
            );
            let set = self.model.set(*who);
            assert_eq!(instance.mode(), set.mode);
            assert_eq!(
                instance.weight(),
                set.weight.map_or(1, |(weight, _)| weight)
            );
            assert_eq!(instance.tier(), self.model.tier(*who));
        }
        assert_eq!(self.harness().rotation(), self.model.rotation());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("WAYPOST_LONG").is_some() { 4_000 } else { 200 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_leaves_the_registry_equal_to_the_model(steps in steps()) {
        run(async {
            let mut world = World::new().await;
            for step in &steps {
                world.take(step).await;
                world.compare();
            }
        });
    }
}
