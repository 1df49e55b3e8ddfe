//! The one place with tasks and sockets: runs the probes that are due and tells the registry what they found.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use waypost_core::{
    Access, Check, CheckState, Instance, InstanceKey, Monotonic, Ownership, ProbeSpec, Registry,
    Revision, Scope, Snapshot, Snapshots, View, Watch,
};
use waypost_dial::{Full, Limits, Resolver};

use crate::chance::Chance;
use crate::config::HealthConfig;
use crate::follow::{Follower, Now, probe_checks};
use crate::metrics::{Metrics, Skip};
use crate::pace::Intervals;
use crate::probe::{ProbeReport, Probes};
use crate::schedule::{Schedule, SlotId};

mod alarm;
mod attempt;
mod report;
#[cfg(test)]
mod tests;

use alarm::Alarm;
use attempt::{Attempt, LOOKUPS_MAX, Outbound, Start};

/// Most turns taken before the loop looks at what else happened.
const TURNS_AT_ONCE: usize = 256;

/// What a checker is made of.
pub struct Parts {
    /// Where reports and renewals go.
    pub registry: Registry,
    /// What it follows.
    pub snapshots: Snapshots,
    /// Which instances this process probes.
    pub ownership: Arc<dyn Ownership>,
    /// Turns hosts into judged addresses.
    pub resolver: Resolver,
    /// How many probes may be under way, in all and to one address.
    pub limits: Limits,
    /// What runs a probe.
    pub probes: Probes,
    /// The settings.
    pub config: HealthConfig,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Probes every instance that has a probe check.
///
/// One task holds every schedule; each probe under way is a task of its own that this one owns, so that a probe that
/// panics is counted and never more.
pub struct Checker {
    registry: Registry,
    snapshots: Snapshots,
    ownership: Arc<dyn Ownership>,
    access: Access,
    config: HealthConfig,
    metrics: Metrics,
    outbound: Outbound,
    schedule: Schedule,
    follower: Follower,
    chance: Chance,
    alarm: Alarm,
    probes: JoinSet<Attempt>,
    flights: HashMap<Id, Flight>,
    renewals: JoinSet<()>,
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker")
            .field("config", &self.config)
            .field("scheduled", &self.schedule.len())
            .finish_non_exhaustive()
    }
}

/// A probe under way.
struct Flight {
    slot: SlotId,
    started: Monotonic,
    kind: &'static str,
    abort: AbortHandle,
}

enum Woken {
    Stop,
    Changed,
    Ended(Result<(Id, Attempt), JoinError>),
    Renewed,
    Due,
}

impl Checker {
    /// Makes a checker and registers its metrics (`health_checks` and what follows, without a prefix).
    pub fn new(parts: Parts, metrics: &mut prometheus_client::registry::Registry) -> Self {
        let clock = Arc::clone(parts.registry.clock());
        Self {
            outbound: Outbound {
                clock: Arc::clone(&clock),
                resolver: parts.resolver,
                lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
                limits: parts.limits,
                probes: parts.probes,
            },
            registry: parts.registry,
            snapshots: parts.snapshots,
            ownership: parts.ownership,
            access: Access::internal("checker"),
            config: parts.config,
            metrics: Metrics::new(metrics),
            schedule: Schedule::default(),
            follower: Follower::default(),
            chance: Chance::new(),
            alarm: Alarm::new(clock),
            probes: JoinSet::new(),
            flights: HashMap::new(),
            renewals: JoinSet::new(),
        }
    }

    /// Works until `shutdown` completes or the registry stops; probes under way are dropped then.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        if !self.config.enabled {
            tracing::info!("health.enabled is false: this process runs no probes");
            return shutdown.await;
        }
        let mut watch = self
            .registry
            .watch(&self.access, Scope::All, Revision::ZERO);
        loop {
            let snapshot = self.catch_up();
            self.take_turns(&snapshot);
            self.metrics.sizes(self.flights.len(), self.schedule.len());
            match self.wake(&mut watch, shutdown.as_mut()).await {
                Woken::Stop => break,
                Woken::Ended(ended) => self.land(ended),
                Woken::Changed | Woken::Renewed | Woken::Due => {}
            }
        }
        self.probes.shutdown().await;
        self.renewals.shutdown().await;
        self.metrics.sizes(0, 0);
    }

    async fn wake(
        &mut self,
        watch: &mut Watch,
        shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Woken {
        let next = self.schedule.next_due();
        tokio::select! {
            () = shutdown => Woken::Stop,
            view = watch.next() => view.map_or(Woken::Stop, |_: View| Woken::Changed),
            Some(ended) = self.probes.join_next_with_id() => Woken::Ended(ended),
            Some(renewed) = self.renewals.join_next() => {
                if let Err(error) = renewed && error.is_panic() {
                    tracing::error!(%error, "renewing a lease panicked");
                }
                Woken::Renewed
            }
            () = self.alarm.at(next) => Woken::Due,
        }
    }

    fn now(&self) -> Now {
        let clock = self.registry.clock();
        Now {
            monotonic: clock.monotonic(),
            wall: clock.wall(),
        }
    }

    /// Brings the schedules up to the latest snapshot, which is what everything after it goes by.
    fn catch_up(&mut self) -> Arc<Snapshot> {
        let snapshot = self.snapshots.latest();
        let now = self.now();
        let with = (&self.config, &mut self.chance);
        let dropped = self
            .follower
            .catch_up(&snapshot, &mut self.schedule, now, with);
        for id in dropped {
            if let Some(flight) = self.flights.remove(&id) {
                flight.abort.abort();
            }
        }
        snapshot
    }

    fn take_turns(&mut self, snapshot: &Snapshot) {
        let now = self.now().monotonic;
        for _ in 0..TURNS_AT_ONCE {
            let Some(id) = self.schedule.take_due(now) else {
                break;
            };
            self.take_turn(id, snapshot, now);
            self.schedule.arm(id);
        }
    }

    /// Starts the probe whose turn it is, or says why not.
    fn take_turn(&mut self, id: SlotId, snapshot: &Snapshot, now: Monotonic) {
        let Some(slot) = self.schedule.get_mut(id) else {
            return;
        };
        let key = slot.vitals.key();
        let Some((instance, check, spec)) = find(snapshot, key, slot.check.as_str()) else {
            // The schedules agree with this snapshot, so that this cannot be; a turn later it is looked at again.
            return slot.turn.spread(Duration::from_secs(1));
        };
        let times = Intervals::of(spec, self.config.jitter_percent);
        if self.ownership.owns(key).is_none() {
            // Another node probes it. The turns go on, so that this one begins when that ends.
            return slot.turn.skip(now, &times, &mut self.chance);
        }
        if slot.flight.is_some() {
            self.metrics.skipped(Skip::Late, 1);
            return slot.turn.skip(now, &times, &mut self.chance);
        }
        let kind = check.kind_word();
        match self.outbound.start(spec, instance) {
            Start::Full(skip) => {
                self.metrics.skipped(skip, 1);
                slot.turn.put_off(now, &times, &mut self.chance);
            }
            Start::Task(task) => {
                let missed = slot.turn.take(now, &times, &mut self.chance);
                self.metrics.skipped(Skip::Late, missed);
                let abort = self.probes.spawn(task);
                slot.flight = Some(abort.id());
                let flight = Flight {
                    slot: id,
                    started: now,
                    kind,
                    abort,
                };
                self.flights.insert(flight.abort.id(), flight);
            }
            Start::Report(report) => {
                let missed = slot.turn.take(now, &times, &mut self.chance);
                self.metrics.skipped(Skip::Late, missed);
                self.metrics.ended(kind, result(&report));
                self.conclude(id, snapshot, now, &report);
            }
        }
    }

    /// Takes in a probe that ended, unless its schedule is gone.
    fn land(&mut self, ended: Result<(Id, Attempt), JoinError>) {
        let snapshot = self.catch_up();
        let task = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(flight) = self.flights.remove(&task) else {
            return;
        };
        let Some(slot) = self.schedule.get_mut(flight.slot) else {
            return;
        };
        slot.flight = None;
        match ended {
            Ok((_, Attempt::Report(report))) => {
                let took = self.now().monotonic.since(flight.started);
                self.metrics.ended(flight.kind, result(&report));
                self.metrics.took(flight.kind, took);
                self.conclude(flight.slot, &snapshot, flight.started, &report);
                self.schedule.arm(flight.slot);
            }
            Ok((_, Attempt::Full(full))) => {
                self.metrics.skipped(skip_of(full), 1);
                let key = slot.vitals.key();
                if let Some((_, _, spec)) = find(&snapshot, key, slot.check.as_str()) {
                    let times = Intervals::of(spec, self.config.jitter_percent);
                    let now = self.registry.clock().monotonic();
                    slot.turn.put_off(now, &times, &mut self.chance);
                    self.schedule.arm(flight.slot);
                }
            }
            Err(error) => {
                // A fault of ours says nothing about the instance: no report, and the next turn as planned.
                self.metrics.ended(flight.kind, "panicked");
                let instance = slot.vitals.key();
                tracing::error!(%instance, check = slot.check.as_str(), %error, "a probe panicked");
            }
        }
    }
}

/// Finds the instance with one of its probe checks.
fn find<'a>(
    snapshot: &'a Snapshot,
    key: &InstanceKey,
    check: &str,
) -> Option<(&'a Instance, &'a Check, &'a ProbeSpec)> {
    let state = snapshot.service(&key.service)?;
    let instance = state.instance(key)?;
    let mut checks = probe_checks(state.service(), instance);
    let (check, spec) = checks.find(|(known, _)| known.id.as_str() == check)?;
    Some((instance, check, spec))
}

fn result(report: &ProbeReport) -> &'static str {
    match report.state {
        _ if report.refused => "refused_by_policy",
        CheckState::Failing => "failing",
        CheckState::Warning => "warning",
        CheckState::Passing | CheckState::Unknown => "passing",
    }
}

fn skip_of(full: Full) -> Skip {
    match full {
        Full::InAll { .. } => Skip::GlobalLimit,
        Full::Host { .. } => Skip::HostLimit,
    }
}
