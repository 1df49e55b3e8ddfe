//! What the timekeeper is to look at, and how a published change sets the lease cells.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::check::CheckKind;
use crate::command::Command;
use crate::instance::Instance;
use crate::name::CheckId;
use crate::recent::Touched;
use crate::registry::Shared;
use crate::service::Service;
use crate::snapshot::{InstanceChange, Snapshot};
use crate::time::Monotonic;
use crate::told::Of;
use crate::verdict::{LeaseState, effective_checks};
use crate::vitals::{LeaseCell, Vitals};
use crate::writer::lease_of;

/// After a failed commit a due lease is tried again this much later.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Something to look at when its time comes. Looking never trusts the task: the snapshot and the cell decide.
#[derive(Debug)]
pub(super) enum Task {
    /// The lease may be due.
    Lease(Arc<Vitals>),
    /// The lease has been over for long enough.
    Remove(Arc<Vitals>),
    /// Heartbeats may have stopped.
    Beats(Box<Beats>),
    /// Somebody may have stopped to report.
    Telling(Box<Telling>),
}

/// A reported check that fails by silence, and which of its tasks this is.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) of: Of,
    pub(super) task: u64,
}

/// A heartbeat check of an instance, and since when this process listens.
#[derive(Debug)]
pub(super) struct Beats {
    pub(super) vitals: Arc<Vitals>,
    pub(super) check: CheckId,
    pub(super) armed: Monotonic,
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
    /// Files the lease, unless it has a task already: one is enough, since looking files it again.
    pub(super) fn push_lease(&self, due: Monotonic, vitals: &Arc<Vitals>) {
        if vitals.file() {
            self.push(due, Task::Lease(Arc::clone(vitals)));
        }
    }

    fn push(&self, due: Monotonic, task: Task) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((due, task));
    }

    pub(super) fn take(&self) -> Vec<(Monotonic, Task)> {
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
            shared.inbox.push_lease(deadline, vitals);
        }
        LeaseState::Suspect { .. } => {
            vitals.set_lease(LeaseCell::Suspect(deadline));
            shared.inbox.push_lease(deadline, vitals);
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
                vitals: Arc::clone(instance.vitals()),
                check: check.id.clone(),
                armed: now,
            };
            let task = Task::Beats(Box::new(beats));
            shared.inbox.push(now, task);
        }
    }
}

/// Begins to listen for reports that are to be repeated, where that is new.
fn arm_telling(shared: &Shared, before: Option<&Arc<Instance>>, after: &Instance) {
    for said in &after.verdict().checks {
        let Some(seconds) = said.for_seconds else {
            continue;
        };
        let known = before.and_then(|before| before.verdict().check(&said.id)?.for_seconds);
        if known == Some(seconds) {
            continue;
        }
        let now = shared.clock.monotonic();
        let of = (after.key().clone(), said.id.clone());
        let task = shared.told.arm(of.clone(), now);
        let due = now.after(Duration::from_secs(seconds.into()));
        let telling = Box::new(Telling { of, task });
        shared.inbox.push(due, Task::Telling(telling));
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
    arm_telling(shared, None, instance);
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
        // An amendment is no sign of life.
        let registered = change
            .before
            .as_ref()
            .is_none_or(|before| before.registration_id() != after.registration_id());
        if registered
            && after.registration().spec.lease.is_some()
            && after.verdict().lease == LeaseState::Running
        {
            after.vitals().record_heartbeat(shared.clock.wall(), now);
        }
    }
}

/// Follows a change that was published: retires what is gone, moves the cell with the verdict.
pub(crate) fn arm_changed(shared: &Shared, next: &Snapshot, change: &InstanceChange) {
    if let Some(after) = &change.after {
        arm_telling(shared, change.before.as_ref(), after);
    }
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
    if let Command::EndReport { key, check } = command {
        shared.told.resolve(&(key.clone(), check.clone()));
        shared.endings.notify_waiters();
    }
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
            shared.inbox.push_lease(due, vitals);
        }
    }
    shared.endings.notify_waiters();
}
