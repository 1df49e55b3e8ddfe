//! The timekeeper: the only part that lets things end by time. Everything it finds becomes a command.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::check::{Check, CheckKind, CheckState};
use crate::command::{Command, Report};
use crate::id::RegistrationId;
use crate::instance::Instance;
use crate::lanes::Finding;
use crate::name::{CheckId, ServiceKey};
use crate::namespace::Origin;
use crate::ownership::Ownership;
use crate::protection::{Protection, STALL};
use crate::registry::Registry;
use crate::snapshot::Snapshot;
use crate::text::text;
use crate::time::Monotonic;
use crate::told::Look;
use crate::verdict::effective_checks;
use crate::vitals::{LeaseCell, Vitals};

mod arming;

use arming::{Beats, Task, Telling};
pub(crate) use arming::{
    Inbox, arm_changed, arm_loaded, arm_new, arm_reloaded, arm_services, resolve,
};

/// How often leases are looked at. A dead instance is out of rotation within its lease and one second.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// How often modes are looked at.
const MODES_INTERVAL: Duration = Duration::from_secs(1);
/// How often empty implied services and old documents are looked for.
const COLLECT_INTERVAL: Duration = Duration::from_secs(30);
/// Tasks that may be there beside twice those that are looked after.
const TASKS_SPARE: usize = 4_096;
/// How long an implied service may be empty.
const IMPLIED_EMPTY_MAX: Duration = Duration::from_hours(24);

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
    /// The length of the heap from which it is looked through for what is over.
    crowded: usize,
    order: u64,
    /// Heartbeat checks that have a task.
    beats: HashSet<(RegistrationId, CheckId)>,
    leases: usize,
    protection: Protection,
    last_sweep: Option<Monotonic>,
    /// When the process was last found not to have run.
    stalled_at: Option<Monotonic>,
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
            crowded: TASKS_SPARE,
            order: 0,
            beats: HashSet::new(),
            leases: 0,
            protection: Protection::default(),
            last_sweep: None,
            stalled_at: None,
            modes_due: Monotonic(0),
            collect_due: Monotonic(0),
        }
    }

    /// Returns how many leases, removals and reports it is to look at.
    pub fn tasks(&self) -> usize {
        self.heap.len()
    }

    /// Sweeps until `shutdown` completes.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        // A pause before the first sweep is one, too.
        self.last_sweep = Some(self.registry.shared.clock.monotonic());
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
            self.stalled_at = Some(now);
            tracing::warn!("the process did not run for a while: leases get one more");
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
                Task::Telling(telling) => self.look_at_telling(now, &snapshot, telling),
            }
        }
        self.end_leases(now, &snapshot, ending);
        self.sweep_slowly(now, &snapshot);
        self.forget_what_is_over(&snapshot);
        self.registry.shared.metrics.waits_for(self.tasks());
    }

    /// Lets go of what registrations left behind that are no more: it would wait until their leases had been due. Looked
    /// for when the tasks are twice as many as were left the last time.
    fn forget_what_is_over(&mut self, snapshot: &Snapshot) {
        if self.heap.len() < self.crowded {
            return;
        }
        let (leases, beats) = (&mut self.leases, &mut self.beats);
        let told = &self.registry.shared.told;
        self.heap.retain(|Reverse(due)| match &due.task {
            Task::Lease(vitals) => {
                let holds = vitals.lease() != LeaseCell::Gone;
                *leases -= usize::from(!holds);
                holds
            }
            Task::Remove(vitals) => matches!(vitals.lease(), LeaseCell::Over(_)),
            Task::Beats(waiting) => {
                let holds = waiting.vitals.lease() != LeaseCell::Gone;
                if !holds {
                    beats.remove(&(waiting.vitals.registration(), waiting.check.clone()));
                }
                holds
            }
            Task::Telling(telling) => {
                let holds = snapshot.instance(&telling.of.0).is_some();
                if !holds {
                    told.forget(&telling.of, telling.task);
                }
                holds && told.is_task(&telling.of, telling.task)
            }
        });
        self.crowded = self.heap.len() * 2 + TASKS_SPARE;
        self.heap.shrink_to(self.crowded);
    }

    fn admit(&mut self, due: Monotonic, task: Task) {
        match &task {
            Task::Lease(_) => self.leases += 1,
            Task::Remove(_) | Task::Telling(_) => {}
            Task::Beats(beats) => {
                let of = (beats.vitals.registration(), beats.check.clone());
                if !self.beats.insert(of) {
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
        // Given up before the look: whoever moves the cell from here on files it anew.
        vitals.unfile();
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
            self.registry.shared.inbox.push_lease(again, &vitals);
        } else {
            ending.push((vitals, suspect));
        }
    }

    /// Returns until when nothing of this lease ends, because the process was found not to have run.
    fn grace(&self, now: Monotonic, vitals: &Vitals) -> Option<Monotonic> {
        let until = self.stalled_at?.after(vitals.lease_length());
        (until > now).then_some(until)
    }

    /// Ends what is due, or holds it when too much is due at once or nobody could be heard.
    fn end_leases(
        &mut self,
        now: Monotonic,
        snapshot: &Snapshot,
        ending: Vec<(Arc<Vitals>, bool)>,
    ) {
        if ending.is_empty() {
            return;
        }
        let mut by_service: BTreeMap<ServiceKey, Vec<Arc<Vitals>>> = BTreeMap::new();
        let mut fresh = Vec::new();
        for (vitals, suspect) in ending {
            match (suspect, self.grace(now, &vitals)) {
                (true, Some(until)) => self.extend(&vitals, until),
                // It was held once; silence for a second lease is death.
                (true, None) => {
                    self.move_to_ending(now, &vitals, false);
                }
                (false, _) => {
                    fresh.push(vitals.registration());
                    let service = vitals.key().service.clone();
                    by_service.entry(service).or_default().push(vitals);
                }
            }
        }
        let node_holds = !self
            .protection
            .node_allows(now, &fresh, self.leases + fresh.len());
        for (service, due) in by_service {
            let leases = snapshot.service(&service).map_or(0, |state| {
                let with = state
                    .instances()
                    .iter()
                    .filter(|i| i.registration().spec.lease.is_some());
                with.count()
            });
            let ids: Vec<RegistrationId> = due.iter().map(|it| it.registration()).collect();
            let allowed = self.protection.service_allows(now, &service, &ids, leases);
            let mut held = 0;
            for vitals in due {
                let hold = node_holds || !allowed || self.grace(now, &vitals).is_some();
                held += u64::from(hold);
                if self.move_to_ending(now, &vitals, hold) {
                    // One that is held counts too: those due a sweep later are part of the same silence.
                    let length = vitals.lease_length();
                    let id = vitals.registration();
                    self.protection.came_due(now, &service, id, length);
                }
            }
            if held > 0 {
                self.registry.shared.metrics.held(held);
                tracing::warn!(service = %service, held, "leases came due that protection holds for one more");
            }
        }
        self.protection.forget(now);
    }

    /// Gives a suspect more time without a word in the history: it stays what it was.
    fn extend(&self, vitals: &Arc<Vitals>, until: Monotonic) {
        let cell = vitals.lease();
        if let LeaseCell::Suspect(_) = cell {
            vitals.move_lease(cell, LeaseCell::Suspect(until));
        }
        self.registry.shared.inbox.push_lease(until, vitals);
    }

    /// From here on a beat waits for the outcome, until the command is committed or has failed. Says whether it did:
    /// a beat may have come first.
    fn move_to_ending(&mut self, now: Monotonic, vitals: &Arc<Vitals>, hold: bool) -> bool {
        let cell = vitals.lease();
        let due = match cell {
            LeaseCell::Running(deadline) | LeaseCell::Suspect(deadline) => deadline <= now,
            _ => false,
        };
        if !due || !vitals.move_lease(cell, LeaseCell::Ending) {
            // A beat came first.
            self.registry.shared.inbox.push_lease(now, vitals);
            return false;
        }
        let (key, registration) = (vitals.key().clone(), vitals.registration());
        let finding = Finding::Lease(key.clone());
        let command = if hold {
            Command::HoldLease { key, registration }
        } else {
            Command::EndLease { key, registration }
        };
        if !self.registry.find(&self.access, finding, command.clone()) {
            resolve(&self.registry.shared, &command);
        }
        true
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
        if self.ownership.owns(vitals.key()).is_none() {
            self.file(now.after(SWEEP_INTERVAL), Task::Remove(Arc::clone(vitals)));
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
        self.file(
            now.after(Duration::from_secs(10)),
            Task::Remove(Arc::clone(vitals)),
        );
    }

    fn look_at_beats(&mut self, now: Monotonic, snapshot: &Snapshot, beats: Beats) {
        let Beats {
            vitals,
            check,
            armed,
        } = beats;
        let Some((instance, configured)) = beats_check(snapshot, &vitals, &check) else {
            self.beats.remove(&(vitals.registration(), check));
            return;
        };
        let CheckKind::Heartbeat { within_seconds } = configured.kind else {
            self.beats.remove(&(vitals.registration(), check));
            return;
        };
        let within = Duration::from_secs(within_seconds.into());
        let last = vitals.last_heartbeat_monotonic();
        let fresh = last.is_some_and(|last| now.since(last) <= within);
        // Silence counts from when this process began to listen, or could listen again, never from before.
        let heard = last.unwrap_or(armed).max(self.stalled_at.unwrap_or(armed));
        let silent = now.since(heard) > within;
        let state = instance.verdict().state_of(&configured);
        if self.ownership.owns(vitals.key()).is_none() {
            // Another node speaks for it.
        } else if fresh && state != CheckState::Passing {
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
        let beats = Beats {
            vitals,
            check,
            armed,
        };
        self.file(
            due.max(now.after(SWEEP_INTERVAL)),
            Task::Beats(Box::new(beats)),
        );
    }

    /// Fails a reported check that nobody reported on in time.
    fn look_at_telling(&mut self, now: Monotonic, snapshot: &Snapshot, telling: Box<Telling>) {
        let told = &self.registry.shared.told;
        let (key, check) = &telling.of;
        let seconds = snapshot
            .instance(key)
            .and_then(|instance| instance.verdict().check(check)?.for_seconds);
        let Some(seconds) = seconds else {
            told.forget(&telling.of, telling.task);
            return;
        };
        let again = now.after(SWEEP_INTERVAL);
        if self.ownership.owns(key).is_none() {
            self.file(again, Task::Telling(telling));
            return;
        }
        let within = Duration::from_secs(seconds.into());
        let due = match told.look(&telling.of, telling.task, now, self.stalled_at, within) {
            Look::NotMine => return,
            Look::Later(due) => due,
            Look::Silent => {
                let finding = Finding::Silence(key.clone(), check.clone());
                let command = Command::EndReport {
                    key: key.clone(),
                    check: check.clone(),
                };
                if !self.registry.find(&self.access, finding, command) {
                    told.resolve(&telling.of);
                }
                // Until its end is published: a commit that failed is tried again.
                now.after(MODES_INTERVAL)
            }
        };
        self.file(due.max(again), Task::Telling(telling));
    }

    fn report_beats(&self, instance: &Instance, check: &Check, state: CheckState, reason: &str) {
        let report = Report {
            key: instance.key().clone(),
            registration: Some(instance.registration_id()),
            check: check.id.clone(),
            state,
            reason: text(reason),
            body: None,
            resolved: None,
        };
        self.registry.report(&self.access, report);
    }

    fn sweep_slowly(&mut self, now: Monotonic, snapshot: &Snapshot) {
        if now >= self.modes_due {
            self.modes_due = now.after(MODES_INTERVAL);
            let wall = self.registry.shared.clock.wall();
            for (key, setting) in snapshot.modes() {
                if setting.ends_at().is_some_and(|end| end <= wall) {
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
        for state in snapshot.namespaces() {
            let namespace = state.namespace();
            let empty = state.services_len() == 0 && namespace.origin == Origin::Implied;
            if empty && wall.since(state.empty_since) >= IMPLIED_EMPTY_MAX {
                let finding = Finding::Namespace(namespace.name.clone());
                let command = Command::CollectNamespace(namespace.name.clone());
                self.registry.find(&self.access, finding, command);
            }
        }
        for document in snapshot.documents() {
            if document.expiry.is_some_and(|expiry| expiry <= wall) {
                let finding = Finding::Document(document.key.clone());
                let command = Command::ExpireDocument(document.key.clone());
                self.registry.find(&self.access, finding, command);
            }
        }
    }
}

/// Finds the registration that is shown, and the check as it is configured now.
fn beats_check(
    snapshot: &Snapshot,
    vitals: &Vitals,
    id: &CheckId,
) -> Option<(Arc<Instance>, Check)> {
    let key = vitals.key();
    let state = snapshot.service(&key.service)?;
    let instance = state.instance(key)?;
    if instance.registration_id() != vitals.registration() {
        return None;
    }
    let own = &instance.registration().spec.checks;
    let mut checks = effective_checks(&state.service().checks, own);
    let configured = checks.find(|configured| configured.id == *id)?.clone();
    Some((Arc::clone(instance), configured))
}
