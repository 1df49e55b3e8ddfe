//! Keeping the schedules in step with the registry.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::task::Id;
use waypost_core::{
    Changed, Check, CheckKind, CheckState, Epoch, Instance, InstanceKey, Monotonic, ProbeSpec,
    RegistrationSpec, Revision, Scope, Service, ServiceState, Snapshot, Timestamp, Touched,
    effective_checks,
};

use crate::chance::Chance;
use crate::config::HealthConfig;
use crate::pace::{EAGER, Turn};
use crate::schedule::{Schedule, Slot, SlotId};

#[cfg(test)]
mod tests;

/// Up to so many checks that appear together are probed at once; more are spread.
const AT_ONCE_MAX: usize = 64;
/// The longest wait of a new instance for its first probe.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(1);

/// Both times at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) monotonic: Monotonic,
    pub(crate) wall: Timestamp,
}

/// What the schedules were last made to agree with.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    position: Option<(Epoch, Revision)>,
}

/// What one pass has to do after it has seen every change.
#[derive(Debug, Default)]
struct Pass {
    /// New schedules with the longest wait for the first turn, should they be many.
    added: Vec<(SlotId, Duration)>,
    /// Probes whose schedule is gone.
    dropped: Vec<Id>,
}

impl Follower {
    /// Makes the schedules agree with the snapshot. Returns the probes under way that nobody waits for any more.
    pub(crate) fn catch_up(
        &mut self,
        snapshot: &Snapshot,
        schedule: &mut Schedule,
        now: Now,
        (config, chance): (&HealthConfig, &mut Chance),
    ) -> Vec<Id> {
        let position = (snapshot.epoch(), snapshot.revision());
        let before = self.position.replace(position);
        if before == Some(position) {
            return Vec::new();
        }
        let mut pass = Pass::default();
        let changed = match before {
            Some((epoch, revision)) if epoch == position.0 => {
                snapshot.changed_since(&Scope::All, revision)
            }
            _ => Changed::Resync,
        };
        match changed {
            Changed::Resync => pass.everything(snapshot, schedule, now, config),
            Changed::Since {
                services,
                instances,
                removed,
            } => {
                for service in services.iter().filter_map(|key| snapshot.service(key)) {
                    pass.service(service, schedule, now, config);
                }
                for key in &instances {
                    pass.instance(key, snapshot, schedule, now, config);
                }
                for thing in &removed {
                    // A service goes only after its instances, which are named here too.
                    if let Touched::Instance(key) = thing {
                        pass.remove(key, schedule);
                    }
                }
            }
        }
        pass.assign_first_turns(schedule, chance);
        pass.dropped
    }
}

impl Pass {
    fn everything(
        &mut self,
        snapshot: &Snapshot,
        schedule: &mut Schedule,
        now: Now,
        config: &HealthConfig,
    ) {
        let gone: Vec<InstanceKey> = schedule
            .instances()
            .filter(|key| snapshot.instance(key).is_none())
            .cloned()
            .collect();
        for key in &gone {
            self.remove(key, schedule);
        }
        for service in snapshot.services() {
            self.service(service, schedule, now, config);
        }
    }

    fn service(
        &mut self,
        state: &ServiceState,
        schedule: &mut Schedule,
        now: Now,
        config: &HealthConfig,
    ) {
        for instance in state.instances() {
            self.agree(state.service(), instance, schedule, now, config);
        }
    }

    fn instance(
        &mut self,
        key: &InstanceKey,
        snapshot: &Snapshot,
        schedule: &mut Schedule,
        now: Now,
        config: &HealthConfig,
    ) {
        let state = snapshot.service(&key.service);
        match state.and_then(|state| Some((state.service(), state.instance(key)?))) {
            Some((service, instance)) => self.agree(service, instance, schedule, now, config),
            None => self.remove(key, schedule),
        }
    }

    fn remove(&mut self, key: &InstanceKey, schedule: &mut Schedule) {
        for id in schedule.of(key) {
            self.drop_slot(id, schedule);
        }
    }

    fn drop_slot(&mut self, id: SlotId, schedule: &mut Schedule) {
        if let Some(slot) = schedule.remove(id) {
            self.dropped.extend(slot.flight);
        }
    }

    /// Makes the schedules of one instance agree with its checks.
    fn agree(
        &mut self,
        service: &Service,
        instance: &Instance,
        schedule: &mut Schedule,
        now: Now,
        config: &HealthConfig,
    ) {
        let mut wanted: Vec<(&Check, &ProbeSpec, u32)> = probe_checks(service, instance)
            .map(|(check, spec)| (check, spec, fingerprint(check, instance)))
            .collect();
        for id in schedule.of(instance.key()) {
            let Some(slot) = schedule.get(id) else {
                continue;
            };
            let place = wanted
                .iter()
                .position(|(check, _, print)| check.id == slot.check && *print == slot.fingerprint)
                .filter(|_| still_holds(slot, instance, now.monotonic));
            match place {
                Some(place) => {
                    wanted.swap_remove(place);
                }
                None => self.drop_slot(id, schedule),
            }
        }
        let vitals = instance.vitals();
        schedule.renew(vitals);
        for (check, spec, print) in wanted {
            let turn = first_turn(check, instance, now);
            let wait = if turn.is_eager(now.monotonic) {
                FIRST_WAIT_MAX
            } else {
                let interval = Duration::from_secs(spec.interval_seconds.into());
                config.startup_spread().min(interval)
            };
            let slot = Slot::new(
                vitals.clone(),
                instance.registration().judged_from,
                (check.id.clone(), print),
                turn,
            );
            self.added.extend(schedule.add(slot).map(|id| (id, wait)));
        }
    }

    /// One that appears alone is probed at once; many at once are spread, so that they do not stay in step.
    fn assign_first_turns(&self, schedule: &mut Schedule, chance: &mut Chance) {
        let many = self.added.len() > AT_ONCE_MAX;
        for (id, wait) in &self.added {
            if let Some(slot) = schedule.get_mut(*id)
                && many
            {
                slot.turn.spread(chance.below(*wait));
            }
            schedule.arm(*id);
        }
    }
}

/// Lists the checks of an instance that Waypost runs itself.
pub(crate) fn probe_checks<'a>(
    service: &'a Service,
    instance: &'a Instance,
) -> impl Iterator<Item = (&'a Check, &'a ProbeSpec)> {
    let checks = effective_checks(&service.checks, &instance.registration().spec.checks);
    checks.filter_map(|check| match &check.kind {
        CheckKind::Probe(spec) => Some((check, spec)),
        CheckKind::Heartbeat { .. } | CheckKind::Reported | CheckKind::Observed => None,
    })
}

/// Says whether what was counted still is about this instance.
///
/// An instance that was removed and registered again within one millisecond looks like an update that keeps the verdict,
/// but for its verdict, which says nothing of a check that was probed for long.
fn still_holds(slot: &Slot, instance: &Instance, now: Monotonic) -> bool {
    let replaced = slot.vitals.registration() != instance.registration_id();
    let forgotten = !slot.turn.is_eager(now) && instance.verdict().check(&slot.check).is_none();
    slot.judged_from == instance.registration().judged_from && !(replaced && forgotten)
}

/// Decides how a schedule begins, from what the verdict remembers over a restart.
fn first_turn(check: &Check, instance: &Instance, now: Now) -> Turn {
    let (eager, failing) = match instance.verdict().check(&check.id) {
        None => (EAGER, false),
        Some(said) if said.state == CheckState::Unknown => {
            (EAGER.saturating_sub(now.wall.since(said.since)), true)
        }
        Some(said) => (Duration::ZERO, said.state == CheckState::Failing),
    };
    Turn::new(now.monotonic, eager, failing)
}

/// Tells apart what is checked, and where, without keeping it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "half of the bits tell two definitions apart well enough"
)]
fn fingerprint(check: &Check, instance: &Instance) -> u32 {
    let RegistrationSpec {
        addresses, ports, ..
    } = &instance.registration().spec;
    let mut hasher = DefaultHasher::new();
    check.hash(&mut hasher);
    (addresses.ipv4, addresses.ipv6, &addresses.hostname).hash(&mut hasher);
    for port in ports.iter() {
        (&port.name, port.number).hash(&mut hasher);
    }
    hasher.finish() as u32
}
