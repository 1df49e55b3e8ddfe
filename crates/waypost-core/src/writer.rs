//! The one writer of the process: decide, commit, publish, project, acknowledge.
//!
//! Own commits and those of other nodes take the same path: they are published in the order in which the store's
//! change stream delivers them, and a caller is answered once its revision has come by.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::batch::{Batch, Precondition, Prefix};
use crate::command::{Command, Context, Policy};
use crate::decide::{Decision, decide};
use crate::error::RegistryError;
use crate::id::{Revision, Seed};
use crate::journal::{entries, written_objects};
use crate::lanes::{Applied, Queued};
use crate::metrics::Stopwatch;
use crate::name::ObjectKey;
use crate::projection::Projection;
use crate::recent::Touched;
use crate::registry::Registry;
use crate::snapshot::{Effects, Snapshot};
use crate::store::{ChangeStream, CommitError, Committed};
use crate::timekeeper;

/// Most commands decided for one durable step.
const GROUP_MAX: usize = 1_024;
/// Places of a group that callers leave to findings.
const FINDINGS_MIN: usize = 128;
/// Longest time an acknowledgement waits for one projection.
const PROJECTION_WAIT_MAX: Duration = Duration::from_secs(1);
/// Most instances of a service whose rotation is chosen before a reader asks.
const CHOSEN_EARLY_MAX: usize = 1_024;
/// How often a command is decided again because another writer was first.
const ATTEMPTS_MAX: u8 = 8;
/// Longest wait for the other writer's change after a conflict.
const CONFLICT_WAIT_MAX: Duration = Duration::from_millis(200);

/// Commits and publishes. Run it on a thread of its own: engines may block.
pub struct Writer {
    registry: Registry,
    callers: mpsc::Receiver<Queued>,
    stream: Box<dyn ChangeStream>,
    projections: Vec<Arc<dyn Projection>>,
    policy: Policy,
    seeds: Box<dyn FnMut() -> Seed + Send>,
    /// Commands that touch what another of their group wrote: first in the next group.
    deferred: Vec<Queued>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

enum Woken {
    Work(Vec<Queued>),
    Changes(Vec<Committed>),
    Compacted,
    Stop,
}

struct Undecided {
    queued: Queued,
    decision: Decision,
}

impl Writer {
    pub(crate) fn new(
        registry: Registry,
        callers: mpsc::Receiver<Queued>,
        stream: Box<dyn ChangeStream>,
        projections: Vec<Arc<dyn Projection>>,
        policy: Policy,
        seeds: Box<dyn FnMut() -> Seed + Send>,
    ) -> Self {
        Self {
            registry,
            callers,
            stream,
            projections,
            policy,
            seeds,
            deferred: Vec::new(),
        }
    }

    /// Arms every lease of the loaded state and shows it to the projections.
    pub(crate) async fn start(&mut self) {
        let snapshot = self.registry.shared.snapshot.load_full();
        for state in snapshot.services() {
            for instance in state.instances() {
                timekeeper::arm_loaded(&self.registry.shared, state.service(), instance);
            }
        }
        self.project(&snapshot, None).await;
    }

    /// Works until `shutdown` completes, then finishes what is queued and returns.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        loop {
            let woken = if self.deferred.is_empty() {
                tokio::select! {
                    biased;
                    () = &mut shutdown => Woken::Stop,
                    first = self.callers.recv() => Woken::Work(first.into_iter().collect()),
                    () = self.registry.shared.findings.ready() => Woken::Work(Vec::new()),
                    changes = self.stream.next() => match changes {
                        Ok(changes) => Woken::Changes(changes),
                        Err(_) => Woken::Compacted,
                    },
                }
            } else {
                Woken::Work(Vec::new())
            };
            match woken {
                Woken::Work(first) => self.work(first).await,
                Woken::Changes(changes) => self.publish(changes).await,
                Woken::Compacted => self.reload().await,
                Woken::Stop => break,
            }
        }
        self.finish().await;
    }

    /// Answers everything that was queued before the stop; later commands find the queue closed.
    async fn finish(&mut self) {
        self.callers.close();
        loop {
            let group = self.collect(Vec::new());
            if group.is_empty() {
                break;
            }
            self.step(group).await;
        }
        self.registry.shared.stopped.store(true, Ordering::Release);
        self.registry.shared.endings.notify_waiters();
        self.registry.notifiers().wake_all();
    }

    async fn work(&mut self, first: Vec<Queued>) {
        let group = self.collect(first);
        if !group.is_empty() {
            self.step(group).await;
        }
    }

    /// Gathers what waits: what was deferred, then callers, then findings.
    fn collect(&mut self, first: Vec<Queued>) -> Vec<Queued> {
        let mut group = std::mem::take(&mut self.deferred);
        group.extend(first);
        // Callers go first, but never so many that time's own findings find no place.
        while group.len() < GROUP_MAX - FINDINGS_MIN {
            let Ok(queued) = self.callers.try_recv() else {
                break;
            };
            group.push(queued);
        }
        let room = GROUP_MAX.saturating_sub(group.len());
        group.extend(self.registry.shared.findings.take(room));
        group
    }

    /// Decides a group against the published snapshot, commits it in one durable step and answers.
    async fn step(&mut self, group: Vec<Queued>) {
        let snapshot = self.registry.shared.snapshot.load_full();
        let mut written = Written::default();
        let mut ready = Vec::with_capacity(group.len());
        for queued in group {
            match self.decide(&snapshot, &queued) {
                Err(error) => self.answer(queued, Err(error)),
                Ok(decision) if decision.batch.is_empty() => {
                    let applied = Applied {
                        revision: snapshot.revision(),
                        outcome: decision.outcome,
                        each: decision.each,
                    };
                    self.answer(queued, Ok(applied));
                }
                Ok(decision) if written.touches(&decision.batch) => {
                    // What it would write must wait too, or a later command would overtake it.
                    written.add(&decision.batch);
                    self.deferred.push(queued);
                }
                Ok(decision) => {
                    written.add(&decision.batch);
                    ready.push(Undecided { queued, decision });
                }
            }
        }
        if !ready.is_empty() {
            self.commit(ready).await;
        }
    }

    fn decide(&mut self, snapshot: &Snapshot, queued: &Queued) -> Result<Decision, RegistryError> {
        let context = Context {
            at: self.registry.shared.clock.wall(),
            author: queued.author.clone(),
            seed: (self.seeds)(),
            policy: self.policy.clone(),
        };
        decide(&context, snapshot, &queued.command)
    }

    async fn commit(&mut self, ready: Vec<Undecided>) {
        let batches: Vec<Batch> = ready
            .iter()
            .map(|undecided| undecided.decision.batch.clone())
            .collect();
        let count = batches.len();
        let stopwatch = Stopwatch::start();
        let results = self.registry.shared.store.commit(batches).await;
        self.registry
            .shared
            .metrics
            .committed(count, stopwatch.seconds());
        let newest = results
            .iter()
            .filter_map(|result| result.as_ref().ok())
            .max()
            .copied();
        if let Some(newest) = newest {
            self.publish_up_to(newest).await;
        }
        let mut conflicted = Vec::new();
        let mut results = results.into_iter();
        for Undecided { queued, decision } in ready {
            // An engine that answers too few results leaves the rest unknown.
            let missing = || Err(CommitError::Unknown("the store did not answer".to_owned()));
            match results.next().unwrap_or_else(missing) {
                Ok(revision) => {
                    self.answer(
                        queued,
                        Ok(Applied {
                            revision,
                            outcome: decision.outcome,
                            each: decision.each,
                        }),
                    );
                }
                Err(CommitError::Conflict(_)) if queued.attempts < ATTEMPTS_MAX => {
                    conflicted.push(Queued {
                        attempts: queued.attempts + 1,
                        ..queued
                    });
                }
                Err(error) => {
                    self.answer(queued, Err(commit_error(error, &queued_name(&decision))))
                }
            }
        }
        if !conflicted.is_empty() {
            self.catch_up_after_conflict().await;
            conflicted.append(&mut self.deferred);
            self.deferred = conflicted;
        }
    }

    /// Publishes until the given revision has come by in the stream.
    async fn publish_up_to(&mut self, newest: Revision) {
        while self.registry.shared.snapshot.load().revision() < newest {
            match self.stream.next().await {
                Ok(changes) => self.publish(changes).await,
                Err(_) => self.reload().await,
            }
        }
    }

    async fn catch_up_after_conflict(&mut self) {
        let sleep = self.registry.shared.clock.sleep(CONFLICT_WAIT_MAX);
        let changes = tokio::select! {
            biased;
            changes = self.stream.next() => Some(changes),
            () = sleep => None,
        };
        match changes {
            Some(Ok(changes)) => self.publish(changes).await,
            Some(Err(_)) => self.reload().await,
            None => {}
        }
    }

    /// The one apply path: publishes committed batches, own or others', in the store's order.
    async fn publish(&mut self, changes: Vec<Committed>) {
        let shared = Arc::clone(&self.registry.shared);
        let before = shared.snapshot.load_full();
        let mut next = Snapshot::clone(&before);
        let mut all: Vec<(Committed, Effects)> = Vec::with_capacity(changes.len());
        let mut lines = Vec::new();
        for committed in changes {
            if committed.revision <= next.revision() {
                continue;
            }
            let written = written_objects(&next, &committed.batch);
            let effects = next.apply_batch(committed.revision, &committed.batch);
            lines.extend(entries(&committed, written, &effects));
            all.push((committed, effects));
        }
        if all.is_empty() {
            return;
        }
        let next = Arc::new(next);
        choose_rotations(&next, &all);
        for change in all.iter().flat_map(|(_, effects)| &effects.instances) {
            timekeeper::arm_new(&shared, &next, change);
        }
        shared.snapshot.store(Arc::clone(&next));
        for (committed, effects) in &all {
            for change in &effects.instances {
                timekeeper::arm_changed(&shared, &next, change);
                shared
                    .metrics
                    .instance_changed(committed.batch.cause, change);
            }
            timekeeper::arm_services(&shared, &next, &effects.touched);
        }
        let touched: Vec<Touched> = all
            .iter()
            .flat_map(|(_, effects)| effects.touched.iter().cloned())
            .collect();
        self.project(&next, Some(&touched)).await;
        shared.journal.append(lines);
        shared.notifiers.wake(touched.iter());
    }

    async fn project(&mut self, snapshot: &Arc<Snapshot>, touched: Option<&[Touched]>) {
        for projection in &self.projections {
            let sleep = self.registry.shared.clock.sleep(PROJECTION_WAIT_MAX);
            tokio::select! {
                biased;
                () = projection.project(snapshot, touched) => {}
                () = sleep => {
                    self.registry.shared.metrics.late(projection.name());
                    tracing::warn!(projection = projection.name(), "a projection is late");
                }
            }
        }
    }

    /// Reads everything again after the history was lost sight of.
    async fn reload(&mut self) {
        let shared = Arc::clone(&self.registry.shared);
        shared.metrics.reloaded();
        loop {
            let loaded = match shared.store.load().await {
                Ok(loaded) => loaded,
                Err(error) => {
                    tracing::error!(error = %error, "the store cannot be read again");
                    shared.clock.sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let revision = loaded.revision;
            let Ok(stream) = shared.store.changes(revision).await else {
                continue;
            };
            self.stream = stream;
            let before = shared.snapshot.load_full();
            let mut next = Snapshot::load(loaded, shared.clock.wall());
            next.adopt_vitals(&before);
            let next = Arc::new(next);
            shared.snapshot.store(Arc::clone(&next));
            timekeeper::arm_reloaded(&shared, &before, &next);
            self.project(&next, None).await;
            let touched: Vec<Touched> = before
                .services()
                .chain(next.services())
                .map(|state| Touched::Service(state.service().key.clone()))
                .collect();
            shared.notifiers.wake(touched.iter());
            return;
        }
    }

    fn answer(&self, queued: Queued, answer: Result<Applied, RegistryError>) {
        timekeeper::resolve(&self.registry.shared, &queued.command);
        match (queued.reply, answer) {
            // Nobody waits any more: the command was carried out all the same.
            (Some(reply), answer) => drop(reply.send(answer)),
            (None, Err(error)) => {
                tracing::debug!(error = %error, command = ?queued.command, "a finding was not taken");
            }
            (None, Ok(_)) => {}
        }
    }
}

/// Chooses the rotations that changed, so that no reader has to. Those of very large services wait for their reader:
/// choosing one for each change in a row would hold up everybody else's.
fn choose_rotations(next: &Snapshot, all: &[(Committed, Effects)]) {
    for thing in all.iter().flat_map(|(_, effects)| &effects.touched) {
        let key = match thing {
            Touched::Namespace(_) => continue,
            Touched::Service(key) => key,
            Touched::Instance(key) => &key.service,
        };
        if let Some(state) = next.service(key)
            && state.instances().len() <= CHOSEN_EARLY_MAX
        {
            state.rotation();
        }
    }
}

fn queued_name(decision: &Decision) -> String {
    let first = decision.batch.changes.first();
    first.map_or_else(
        || "the change".to_owned(),
        |change| change.key().to_string(),
    )
}

fn commit_error(error: CommitError, what: &str) -> RegistryError {
    match error {
        CommitError::Conflict(by) => RegistryError::Conflict {
            what: what.to_owned(),
            why: format!("somebody else changed {by} first, again and again"),
        },
        CommitError::Unknown(why) => RegistryError::Unknown { why },
        CommitError::Unavailable(why) => RegistryError::Unavailable { why },
    }
}

/// What a group writes so far.
#[derive(Default)]
struct Written {
    keys: HashSet<ObjectKey>,
    /// Registrations by service and services by namespace, for preconditions on prefixes.
    parents: HashSet<Prefix>,
}

impl Written {
    fn touches(&self, batch: &Batch) -> bool {
        let stated = batch
            .preconditions
            .iter()
            .any(|precondition| match precondition {
                Precondition::At(key, _) | Precondition::Absent(key) => self.keys.contains(key),
                Precondition::Empty(prefix) => self.parents.contains(prefix),
            });
        stated
            || batch.changes.iter().any(|change| {
                let key = change.key();
                self.keys.contains(&key) || self.is_above(&key)
            })
    }

    /// Whoever changes a service or namespace has looked at what lies under it, which this group has changed.
    fn is_above(&self, key: &ObjectKey) -> bool {
        match key {
            ObjectKey::Service(service) => {
                self.parents.contains(&Prefix::Instances(service.clone()))
            }
            ObjectKey::Namespace(name) => self.parents.contains(&Prefix::Services(name.clone())),
            _ => false,
        }
    }

    fn add(&mut self, batch: &Batch) {
        for change in &batch.changes {
            let key = change.key();
            match &key {
                ObjectKey::Registration(instance) => {
                    self.parents
                        .insert(Prefix::Instances(instance.service.clone()));
                }
                ObjectKey::Service(service) => {
                    self.parents
                        .insert(Prefix::Services(service.namespace.clone()));
                }
                _ => {}
            }
            self.keys.insert(key);
        }
    }
}

/// Commands that concern a lease whose cell may be ending.
pub(crate) fn lease_of(
    command: &Command,
) -> Option<(&crate::name::InstanceKey, crate::id::RegistrationId)> {
    match command {
        Command::EndLease { key, registration } | Command::HoldLease { key, registration } => {
            Some((key, *registration))
        }
        _ => None,
    }
}
