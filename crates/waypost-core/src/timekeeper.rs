//! The timekeeper: the only part that lets things end by time. Everything it finds becomes a command.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::access::Access;
use crate::check::{Check, CheckKind, CheckState};
use crate::command::{Command, Report};
use crate::instance::Instance;
use crate::lanes::Finding;
use crate::name::{CheckId, InstanceKey, ServiceKey};
use crate::namespace::Origin;
use crate::ownership::Ownership;
use crate::protection::{Protection, STALL};
use crate::recent::Touched;
use crate::registry::{Registry, Shared};
use crate::service::Service;
use crate::snapshot::{InstanceChange, Snapshot};
use crate::text::text;
use crate::time::Monotonic;
use crate::verdict::{LeaseState, effective_checks};
use crate::vitals::{LeaseCell, Vitals};
use crate::writer::lease_of;

/// How often leases are looked at. A dead instance is out of rotation within its lease and one second.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// How often modes are looked at.
const MODES_INTERVAL: Duration = Duration::from_secs(1);
/// How often empty implied services and old documents are looked for.
const COLLECT_INTERVAL: Duration = Duration::from_secs(30);
/// How long an implied service may be empty.
const IMPLIED_EMPTY_MAX: Duration = Duration::from_hours(24);
/// After a failed commit a due lease is tried again this much later.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Something to look at when its time comes. Looking never trusts the task: the snapshot and the cell decide.
#[derive(Debug)]
enum Task {
    /// The lease may be due.
    Lease(Arc<Vitals>),
    /// The lease has been over for long enough.
    Remove(Arc<Vitals>),
    /// Heartbeats may have stopped.
    Beats(Box<Beats>),
}

/// A heartbeat check of an instance, and since when this process listens.
#[derive(Debug)]
struct Beats {
    key: InstanceKey,
    check: CheckId,
    armed: Monotonic,
}

/// New tasks on their way to the timekeeper.
#[derive(Default)]
pub(crate) struct Inbox {
    tasks: Mutex<Vec<(Monotonic, Task)>>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    fn push(&self, due: Monotonic, task: Task) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((due, task));
    }

    fn take(&self) -> Vec<(Monotonic, Task)> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sets the cell to what the verdict says and asks the timekeeper to look when it is due.
fn arm(shared: &Shared, service: &Service, instance: &Instance, removal: Duration) {
    let now = shared.clock.monotonic();
    let vitals = instance.vitals();
    shared.index.insert(vitals);
    let deadline = now.after(vitals.lease_length());
    match instance.verdict().lease {
        LeaseState::None => vitals.set_lease(LeaseCell::None),
        LeaseState::NotStarted => vitals.set_lease(LeaseCell::NotStarted),
        LeaseState::Running => {
            vitals.set_lease(LeaseCell::Running(deadline));
            shared.inbox.push(deadline, Task::Lease(Arc::clone(vitals)));
        }
        LeaseState::Suspect { .. } => {
            vitals.set_lease(LeaseCell::Suspect(deadline));
            shared.inbox.push(deadline, Task::Lease(Arc::clone(vitals)));
        }
        LeaseState::Over { .. } => {
            let due = now.after(removal);
            vitals.set_lease(LeaseCell::Over(due));
            shared.inbox.push(due, Task::Remove(Arc::clone(vitals)));
        }
    }
    arm_beats(shared, service, instance);
}

fn arm_beats(shared: &Shared, service: &Service, instance: &Instance) {
    let now = shared.clock.monotonic();
    for check in effective_checks(&service.checks, &instance.registration().spec.checks) {
        if let CheckKind::Heartbeat { .. } = check.kind {
            let beats = Beats {
                key: instance.key().clone(),
                check: check.id.clone(),
                armed: now,
            };
            let task = Task::Beats(Box::new(beats));
            shared.inbox.push(now, task);
        }
    }
}

fn remove_after(service: &Service) -> Duration {
    Duration::from_secs(service.remove_after_seconds.into())
}

/// Arms an instance as read at start: a whole lease of grace, whatever happened while nobody listened.
pub(crate) fn arm_loaded(shared: &Shared, service: &Service, instance: &Instance) {
    let removal = match instance.verdict().lease {
        LeaseState::Over { since } => {
            let passed = shared.clock.wall().since(since);
            remove_after(service)
                .saturating_sub(passed)
                .max(instance.vitals().lease_length())
        }
        _ => remove_after(service),
    };
    arm(shared, service, instance, removal);
}

/// A later change of the same group may have gone on from here: only what is shown at its end is armed.
fn is_shown(next: &Snapshot, instance: &Instance) -> bool {
    let shown = next.instance(instance.key());
    shown.is_some_and(|shown| Arc::ptr_eq(shown.vitals(), instance.vitals()))
}

/// Arms the vitals of a new registration, before anybody can see it.
pub(crate) fn arm_new(shared: &Shared, next: &Snapshot, change: &InstanceChange) {
    let Some(after) = &change.after else { return };
    let new = change
        .before
        .as_ref()
        .is_none_or(|before| !Arc::ptr_eq(before.vitals(), after.vitals()));
    if new
        && is_shown(next, after)
        && let Some(state) = next.service(&after.key().service)
    {
        arm(
            shared,
            state.service(),
            after,
            remove_after(state.service()),
        );
        let now = shared.clock.monotonic();
        if after.registration().spec.lease.is_some() && after.verdict().lease == LeaseState::Running
        {
            after.vitals().record_heartbeat(shared.clock.wall(), now);
        }
    }
}

/// Follows a change that was published: retires what is gone, moves the cell with the verdict.
pub(crate) fn arm_changed(shared: &Shared, next: &Snapshot, change: &InstanceChange) {
    match (&change.before, &change.after) {
        (Some(before), None) => retire(shared, before),
        (Some(before), Some(after)) if !Arc::ptr_eq(before.vitals(), after.vitals()) => {
            retire(shared, before);
        }
        (Some(before), Some(after)) if before.verdict().lease != after.verdict().lease => {
            if is_shown(next, after)
                && let Some(state) = next.service(&after.key().service)
            {
                arm(
                    shared,
                    state.service(),
                    after,
                    remove_after(state.service()),
                );
            }
        }
        _ => {}
    }
}

/// Lets nothing renew a registration that is no more.
fn retire(shared: &Shared, instance: &Instance) {
    instance.vitals().set_lease(LeaseCell::Gone);
    shared.index.remove(instance.vitals());
}

/// Looks for heartbeat checks of services that changed.
pub(crate) fn arm_services(shared: &Shared, next: &Snapshot, touched: &[Touched]) {
    for thing in touched {
        let Touched::Service(key) = thing else {
            continue;
        };
        let Some(state) = next.service(key) else {
            continue;
        };
        if state
            .service()
            .checks
            .iter()
            .any(|check| matches!(check.kind, CheckKind::Heartbeat { .. }))
        {
            state
                .instances()
                .iter()
                .for_each(|instance| arm_beats(shared, state.service(), instance));
        }
    }
}

/// Follows a state that was read again as a whole.
pub(crate) fn arm_reloaded(shared: &Shared, before: &Snapshot, next: &Snapshot) {
    for state in next.services() {
        for instance in state.instances() {
            let known = before.instance(instance.key()).filter(|known| {
                Arc::ptr_eq(known.vitals(), instance.vitals())
                    && known.verdict().lease == instance.verdict().lease
            });
            if known.is_none() {
                arm_loaded(shared, state.service(), instance);
            }
        }
    }
    for state in before.services() {
        for instance in state.instances() {
            let kept = next
                .instance(instance.key())
                .is_some_and(|kept| Arc::ptr_eq(kept.vitals(), instance.vitals()));
            if !kept {
                retire(shared, instance);
            }
        }
    }
}

/// Ends the waiting for an expiry whose outcome is known: a cell that still says Ending gets its lease back.
pub(crate) fn resolve(shared: &Shared, command: &Command) {
    let Some((key, registration)) = lease_of(command) else {
        return;
    };
    let snapshot = shared.snapshot.load();
    if let Some(instance) = snapshot.instance(key)
        && instance.registration_id() == registration
    {
        // The commit failed or changed nothing. The beats that wait must find a lease that runs.
        let now = shared.clock.monotonic();
        let due = now.after(RETRY_AFTER);
        let vitals = instance.vitals();
        let restored = match instance.verdict().lease {
            LeaseState::Running => Some(LeaseCell::Running(due)),
            LeaseState::Suspect { .. } => Some(LeaseCell::Suspect(due)),
            LeaseState::None => Some(LeaseCell::None),
            LeaseState::NotStarted => Some(LeaseCell::NotStarted),
            // Published as over: following the change has set the cell already.
            LeaseState::Over { .. } => None,
        };
        if let Some(cell) = restored
            && vitals.move_lease(LeaseCell::Ending, cell)
            && matches!(cell, LeaseCell::Running(_) | LeaseCell::Suspect(_))
        {
            shared.inbox.push(due, Task::Lease(Arc::clone(vitals)));
        }
    }
    shared.endings.notify_waiters();
}

struct Due {
    at: Monotonic,
    order: u64,
    task: Task,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Ends what ends by time: leases, modes, implied services, documents.
pub struct Timekeeper {
    registry: Registry,
    ownership: Arc<dyn Ownership>,
    access: Access,
    heap: BinaryHeap<Reverse<Due>>,
    order: u64,
    /// Heartbeat checks that have a task.
    beats: HashSet<(InstanceKey, CheckId)>,
    leases: usize,
    protection: Protection,
    last_sweep: Option<Monotonic>,
    modes_due: Monotonic,
    collect_due: Monotonic,
}

impl fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeper")
            .field("leases", &self.leases)
            .finish_non_exhaustive()
    }
}

impl Timekeeper {
    pub(crate) fn new(registry: Registry, ownership: Arc<dyn Ownership>) -> Self {
        Self {
            registry,
            ownership,
            access: Access::internal("timekeeper"),
            heap: BinaryHeap::new(),
            order: 0,
            beats: HashSet::new(),
            leases: 0,
            protection: Protection::default(),
            last_sweep: None,
            modes_due: Monotonic(0),
            collect_due: Monotonic(0),
        }
    }

    /// Sweeps until `shutdown` completes.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        loop {
            let sleep = self.registry.shared.clock.sleep(SWEEP_INTERVAL);
            tokio::select! {
                () = &mut shutdown => return,
                () = sleep => self.sweep(),
            }
        }
    }

    /// Looks at everything that is due. Tests with a manual clock call it directly.
    pub fn sweep(&mut self) {
        let now = self.registry.shared.clock.monotonic();
        let stalled = self.last_sweep.is_some_and(|last| now.since(last) > STALL);
        if stalled {
            self.registry.shared.metrics.stalled();
            tracing::warn!("the process did not run for a while: leases that came due are held");
        }
        self.last_sweep = Some(now);
        for (due, task) in self.registry.shared.inbox.take() {
            self.admit(due, task);
        }
        let snapshot = self.registry.shared.snapshot.load_full();
        let mut ending = Vec::new();
        while self.heap.peek().is_some_and(|Reverse(next)| next.at <= now) {
            let Some(Reverse(due)) = self.heap.pop() else {
                break;
            };
            match due.task {
                Task::Lease(vitals) => {
                    self.leases -= 1;
                    self.look_at_lease(now, vitals, &mut ending);
                }
                Task::Remove(vitals) => self.look_at_removal(&snapshot, &vitals),
                Task::Beats(beats) => self.look_at_beats(now, &snapshot, *beats),
            }
        }
        self.end_leases(now, stalled, &snapshot, ending);
        self.sweep_slowly(now, &snapshot);
    }

    fn admit(&mut self, due: Monotonic, task: Task) {
        match &task {
            Task::Lease(_) => self.leases += 1,
            Task::Remove(_) => {}
            Task::Beats(beats) => {
                if !self.beats.insert((beats.key.clone(), beats.check.clone())) {
                    return;
                }
            }
        }
        self.file(due, task);
    }

    fn file(&mut self, at: Monotonic, task: Task) {
        self.order += 1;
        self.heap.push(Reverse(Due {
            at,
            order: self.order,
            task,
        }));
    }

    /// The task only remembers the deadline it was filed with; heartbeats since then moved the cell alone.
    fn look_at_lease(
        &mut self,
        now: Monotonic,
        vitals: Arc<Vitals>,
        ending: &mut Vec<(Arc<Vitals>, bool)>,
    ) {
        let (deadline, suspect) = match vitals.lease() {
            LeaseCell::Running(deadline) => (deadline, false),
            LeaseCell::Suspect(deadline) => (deadline, true),
            LeaseCell::None
            | LeaseCell::NotStarted
            | LeaseCell::Ending
            | LeaseCell::Over(_)
            | LeaseCell::Gone => return,
        };
        if deadline > now || self.ownership.owns(vitals.key()).is_none() {
            let again = deadline.max(now.after(SWEEP_INTERVAL));
            self.leases += 1;
            self.file(again, Task::Lease(vitals));
        } else {
            ending.push((vitals, suspect));
        }
    }

    /// Ends what is due, or holds it when too much is due at once.
    fn end_leases(
        &mut self,
        now: Monotonic,
        stalled: bool,
        snapshot: &Snapshot,
        ending: Vec<(Arc<Vitals>, bool)>,
    ) {
        if ending.is_empty() {
            return;
        }
        let mut by_service: BTreeMap<ServiceKey, Vec<Arc<Vitals>>> = BTreeMap::new();
        let mut fresh = 0usize;
        for (vitals, suspect) in ending {
            if suspect {
                // It was held once; silence for a second lease is death.
                self.move_to_ending(now, snapshot, &vitals, false);
            } else {
                fresh += 1;
                by_service
                    .entry(vitals.key().service.clone())
                    .or_default()
                    .push(vitals);
            }
        }
        let leases = self.leases + fresh;
        let node_holds = stalled || !self.protection.node_allows(now, fresh, leases);
        for (service, due) in by_service {
            let leases = snapshot.service(&service).map_or(0, |state| {
                let with = state
                    .instances()
                    .iter()
                    .filter(|i| i.registration().spec.lease.is_some());
                with.count()
            });
            let holds = node_holds
                || !self
                    .protection
                    .service_allows(now, &service, due.len(), leases);
            if holds {
                let count = u64::try_from(due.len()).unwrap_or(u64::MAX);
                self.registry.shared.metrics.held(count);
                tracing::warn!(service = %service, count, "many leases came due at once: held as suspect for one lease");
            }
            for vitals in due {
                self.move_to_ending(now, snapshot, &vitals, holds);
            }
        }
        self.protection.forget(now);
    }

    /// From here on a beat waits for the outcome, until the command is committed or has failed.
    fn move_to_ending(
        &mut self,
        now: Monotonic,
        snapshot: &Snapshot,
        vitals: &Arc<Vitals>,
        hold: bool,
    ) {
        let cell = vitals.lease();
        let due = match cell {
            LeaseCell::Running(deadline) | LeaseCell::Suspect(deadline) => deadline <= now,
            _ => false,
        };
        if !due || !vitals.move_lease(cell, LeaseCell::Ending) {
            // A beat came first.
            self.registry
                .shared
                .inbox
                .push(now, Task::Lease(Arc::clone(vitals)));
            return;
        }
        let (key, registration) = (vitals.key().clone(), vitals.registration());
        let finding = Finding::Lease(key.clone());
        let command = if hold {
            Command::HoldLease { key, registration }
        } else {
            if let Some(instance) = snapshot.instance(vitals.key()) {
                let length = instance.vitals().lease_length();
                self.protection.ended(now, &vitals.key().service, length);
            }
            Command::EndLease { key, registration }
        };
        if !self.registry.find(&self.access, finding, command.clone()) {
            resolve(&self.registry.shared, &command);
        }
    }

    fn look_at_removal(&mut self, snapshot: &Snapshot, vitals: &Arc<Vitals>) {
        let current = snapshot
            .instance(vitals.key())
            .filter(|instance| instance.registration_id() == vitals.registration());
        let now = self.registry.shared.clock.monotonic();
        // A lease that came back and ended again has a later removal, with a task of its own.
        let due = matches!(vitals.lease(), LeaseCell::Over(removal) if removal <= now);
        if !due || current.is_none() {
            return;
        }
        let (key, registration) = (vitals.key().clone(), vitals.registration());
        let command = Command::RemoveExpired {
            key: key.clone(),
            registration,
        };
        self.registry
            .find(&self.access, Finding::Lease(key), command);
        // Looked at again in case the store refuses: by then the instance is gone, or it is tried again.
        let again = self
            .registry
            .shared
            .clock
            .monotonic()
            .after(Duration::from_secs(10));
        self.file(again, Task::Remove(Arc::clone(vitals)));
    }

    fn look_at_beats(&mut self, now: Monotonic, snapshot: &Snapshot, beats: Beats) {
        let Beats { key, check, armed } = beats;
        let found = snapshot.service(&key.service).and_then(|state| {
            let instance = state.instance(&key)?;
            let mut checks = effective_checks(
                &state.service().checks,
                &instance.registration().spec.checks,
            );
            let configured = checks.find(|configured| configured.id == check)?.clone();
            Some((Arc::clone(instance), configured))
        });
        let Some((instance, configured)) = found else {
            self.beats.remove(&(key, check));
            return;
        };
        let CheckKind::Heartbeat { within_seconds } = configured.kind else {
            self.beats.remove(&(key, check));
            return;
        };
        let within = Duration::from_secs(within_seconds.into());
        let last = instance.vitals().last_heartbeat_monotonic();
        let fresh = last.is_some_and(|last| now.since(last) <= within);
        // Silence counts from when this process began to listen, never from before.
        let silent = now.since(last.unwrap_or(armed)) > within;
        let state = instance.verdict().state_of(&configured);
        if fresh && state != CheckState::Passing {
            self.report_beats(
                &instance,
                &configured,
                CheckState::Passing,
                "heartbeats arrive",
            );
        } else if silent && state != CheckState::Failing {
            let reason = format!("no heartbeat within {within_seconds} s");
            self.report_beats(&instance, &configured, CheckState::Failing, &reason);
        }
        let due = match last {
            Some(last) if fresh => last.after(within + Duration::from_millis(1)),
            _ => now.after(Duration::from_secs(1)),
        };
        self.file(
            due.max(now.after(SWEEP_INTERVAL)),
            Task::Beats(Box::new(Beats { key, check, armed })),
        );
    }

    fn report_beats(&self, instance: &Instance, check: &Check, state: CheckState, reason: &str) {
        let report = Report {
            key: instance.key().clone(),
            registration: Some(instance.registration_id()),
            check: check.id.clone(),
            state,
            reason: text(reason),
            body: None,
        };
        self.registry.report(&self.access, report);
    }

    fn sweep_slowly(&mut self, now: Monotonic, snapshot: &Snapshot) {
        if now >= self.modes_due {
            self.modes_due = now.after(MODES_INTERVAL);
            let wall = self.registry.shared.clock.wall();
            for (key, setting) in snapshot.modes() {
                if setting.until.is_some_and(|until| until <= wall) {
                    let finding = Finding::Mode(key.clone());
                    self.registry
                        .find(&self.access, finding, Command::EndMode(key.clone()));
                }
            }
        }
        if now >= self.collect_due {
            self.collect_due = now.after(COLLECT_INTERVAL);
            self.collect(snapshot);
        }
    }

    fn collect(&self, snapshot: &Snapshot) {
        let wall = self.registry.shared.clock.wall();
        for state in snapshot.services() {
            let service = state.service();
            let empty = state.instances().is_empty() && service.origin == Origin::Implied;
            if empty && wall.since(state.empty_since) >= IMPLIED_EMPTY_MAX {
                let finding = Finding::Service(service.key.clone());
                let command = Command::CollectService(service.key.clone());
                self.registry.find(&self.access, finding, command);
            }
        }
        for document in snapshot.documents() {
            if document.expiry.is_some_and(|expiry| expiry <= wall) {
                let finding = Finding::Document(document.key.clone());
                let command = Command::RemoveDocument(document.key.clone());
                self.registry.find(&self.access, finding, command);
            }
        }
    }
}
