//! The registry: the one way in for every protocol. A cheap handle; the state behind it is shared.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::access::{Access, Verb};
use crate::batch::Author;
use crate::command::{Command, Outcome, Policy, Report};
use crate::error::RegistryError;
use crate::heartbeat::{Beat, Sign};
use crate::id::{RegistrationId, Revision, Seed};
use crate::index::Index;
use crate::journal::{Journal, JournalError, JournalFilter, JournalPage, Refusals};
use crate::lanes::{Applied, Finding, Findings, Queued};
use crate::metrics::Metrics;
use crate::name::{InstanceKey, ServiceKey};
use crate::ownership::Ownership;
use crate::projection::Projection;
use crate::snapshot::{Snapshot, resolve_owner};
use crate::store::{Store, StoreError};
use crate::time::{Clock, Monotonic, Timestamp};
use crate::timekeeper::{Inbox, Timekeeper};
use crate::told::{self, Told};
use crate::verdict::LeaseState;
use crate::view::View;
use crate::watch::{Notifiers, Scope, Watch};
use crate::writer::Writer;

/// Longest wait for a place in the callers' queue.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(5);

/// What a registry is made of.
pub struct Parts {
    /// Where the history is kept.
    pub store: Arc<dyn Store>,
    /// Where journal lines are kept.
    pub journal: Arc<dyn Journal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which instances this process keeps time for.
    pub ownership: Arc<dyn Ownership>,
    /// Tables that are brought up to date before a change is acknowledged.
    pub projections: Vec<Arc<dyn Projection>>,
    /// Settings that decisions depend on.
    pub policy: Policy,
    /// Unique bits for new ids; [`random_seeds`] unless a test wants to repeat itself.
    pub seeds: Box<dyn FnMut() -> Seed + Send>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Returns a source of seeds from the operating system's randomness.
pub fn random_seeds() -> Box<dyn FnMut() -> Seed + Send> {
    let (high, low) = (RandomState::new(), RandomState::new());
    let mut count = 0u64;
    Box::new(move || {
        count += 1;
        Seed((u128::from(high.hash_one(count)) << 64) | u128::from(low.hash_one(count)))
    })
}

/// What opening a registry gives: the handle, and the parts that somebody has to run.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub registry: Registry,
    /// Commits and publishes; run it on a thread of its own, since engines may block.
    pub writer: Writer,
    /// Ends what ends by time.
    pub timekeeper: Timekeeper,
    /// Raw snapshots, for projections, checkers and metrics only.
    pub snapshots: Snapshots,
    /// Objects that were damaged and set aside, by name and reason.
    pub quarantined: Vec<String>,
}

/// A capability to read whole snapshots without an [`Access`]. Only the composition root hands it out.
#[derive(Clone, Debug)]
pub struct Snapshots(Registry);

impl Snapshots {
    /// Returns the revision of the latest published snapshot.
    pub fn revision(&self) -> Revision {
        self.0.shared.snapshot.load().revision()
    }

    /// Returns the wall time of the registry's clock.
    pub fn wall(&self) -> Timestamp {
        self.0.shared.clock.wall()
    }

    /// Returns the monotonic time of the registry's clock.
    pub fn monotonic(&self) -> Monotonic {
        self.0.shared.clock.monotonic()
    }

    /// Returns the latest published snapshot.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.0.shared.snapshot.load_full()
    }
}

/// The registry's handle.
#[derive(Clone)]
pub struct Registry {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) callers: mpsc::Sender<Queued>,
    pub(crate) findings: Findings,
    pub(crate) notifiers: Notifiers,
    /// Woken whenever the outcome of an ending lease is known.
    pub(crate) endings: Notify,
    pub(crate) inbox: Inbox,
    pub(crate) told: Told,
    pub(crate) index: Index,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) refusals: Refusals,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Metrics,
    pub(crate) stopped: AtomicBool,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Loads the store and makes a registry over it. Every lease starts anew: nothing ends because nobody listened.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(parts: Parts) -> Result<Opened, StoreError> {
        let mut loaded = parts.store.load().await?;
        let quarantined = std::mem::take(&mut loaded.quarantined);
        let revision = loaded.revision;
        let stream = parts
            .store
            .changes(revision)
            .await
            .map_err(|error| StoreError(error.to_string()))?;
        let snapshot = Arc::new(Snapshot::load(loaded, parts.clock.wall()));
        let (callers, queue) = mpsc::channel(parts.policy.queued_changes_max);
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::new(snapshot),
            clock: parts.clock,
            callers,
            findings: Findings::default(),
            notifiers: Notifiers::default(),
            endings: Notify::new(),
            inbox: Inbox::default(),
            told: Told::default(),
            index: Index::default(),
            journal: parts.journal,
            refusals: Refusals::default(),
            store: parts.store,
            metrics: Metrics::default(),
            stopped: AtomicBool::new(false),
        });
        let registry = Self { shared };
        let timekeeper = Timekeeper::new(registry.clone(), parts.ownership);
        let mut writer = Writer::new(
            registry.clone(),
            queue,
            stream,
            parts.projections,
            parts.policy,
            parts.seeds,
        );
        writer.start().await;
        let snapshots = Snapshots(registry.clone());
        Ok(Opened {
            registry,
            writer,
            timekeeper,
            snapshots,
            quarantined,
        })
    }

    /// Does what the command asks, if the access allows it: durable, published and projected when it returns.
    ///
    /// # Errors
    /// As [`RegistryError`] describes. `Unknown` means that it may have happened: asking again is safe.
    pub async fn apply(&self, access: &Access, command: Command) -> Result<Applied, RegistryError> {
        self.authorize(access, &command)
            .inspect_err(|_| self.shared.metrics.refused())?;
        if let Command::ReportNamed { report, .. } = &command {
            told::hear(self, &report.key, &report.check).await?;
        }
        let renewals = renewals_of(&command);
        let applied = self.submit(access, command).await?;
        self.renew_unchanged(access, renewals, &applied).await?;
        Ok(applied)
    }

    /// Does what each command asks, as if they had been asked for at once by as many callers: each alone, in order,
    /// and in as few durable steps as they fit in.
    ///
    /// The answers are those of [`Registry::apply`], in the order of the commands.
    pub async fn apply_each(
        &self,
        access: &Access,
        commands: Vec<Command>,
    ) -> Vec<Result<Applied, RegistryError>> {
        let mut waiting = Vec::with_capacity(commands.len());
        let mut refused: Option<RegistryError> = None;
        for command in commands {
            let renewals = renewals_of(&command);
            let allowed = self
                .authorize(access, &command)
                .inspect_err(|_| self.shared.metrics.refused());
            let queued = match (allowed, &refused) {
                (Err(error), _) => Err(error),
                // The queue was full for as long as anybody waits: it is for the rest too.
                (Ok(()), Some(refused)) => Err(refused.clone()),
                (Ok(()), None) => self.enqueue(access, command).await.inspect_err(|error| {
                    refused = Some(error.clone());
                }),
            };
            waiting.push((queued, renewals));
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for (queued, renewals) in waiting {
            let answer = async {
                let applied = answered(queued?).await?;
                self.renew_unchanged(access, renewals, &applied).await?;
                Ok(applied)
            };
            answers.push(answer.await);
        }
        answers
    }

    /// Registering the same again counts as a heartbeat, for those too who may register and not read.
    async fn renew_unchanged(
        &self,
        access: &Access,
        renewals: Vec<Option<Renewal>>,
        applied: &Applied,
    ) -> Result<(), RegistryError> {
        for (at, renewal) in renewals.into_iter().enumerate() {
            let outcome = applied.each.get(at).copied().unwrap_or(applied.outcome);
            let Some((service, id, owner)) = renewal.filter(|_| outcome == Outcome::Unchanged)
            else {
                continue;
            };
            let snapshot = self.shared.snapshot.load_full();
            let state = snapshot.service(&service);
            if let Some(instance) = resolve_owner(state, &service, &id, owner.as_ref())?
                && instance.verdict().lease != LeaseState::NotStarted
            {
                match self.heartbeat(access, instance.key(), None, None).await {
                    // It was registered when that was decided; somebody removed it since.
                    Ok(_) | Err(RegistryError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Does the same with documents that an adapter keeps beside, in one atomic step. The access is asked about the
    /// command only: what adapters keep is theirs.
    ///
    /// # Errors
    /// As of [`Registry::apply`]; `Denied` when a note is no document.
    pub async fn apply_noted(
        &self,
        access: &Access,
        command: Command,
        notes: Vec<Command>,
    ) -> Result<Applied, RegistryError> {
        self.authorize(access, &command)
            .inspect_err(|_| self.shared.metrics.refused())?;
        let is_note = |note: &Command| {
            matches!(
                note,
                Command::PutDocument { .. } | Command::RemoveDocument(_)
            )
        };
        if !notes.iter().all(is_note) {
            return Err(RegistryError::Denied {
                subject: access.subject().to_string(),
                verb: Verb::Admin.as_str(),
                what: "the registry itself".to_owned(),
            });
        }
        let mut all = vec![command];
        all.extend(notes);
        let applied = self.submit(access, Command::All(all)).await;
        // The caller knows of one command only.
        applied.map_err(RegistryError::without_item)
    }

    /// Returns what the access may see of the latest published state. It never waits.
    pub fn view(&self, access: &Access) -> View {
        View::new(self.shared.snapshot.load_full(), access.clone())
    }

    /// Watches a scope for changes after a revision.
    pub fn watch(&self, access: &Access, scope: Scope, since: Revision) -> Watch {
        self.watch_any(access, [scope].into(), since)
    }

    /// Watches several scopes at once for changes after a revision.
    pub fn watch_any(&self, access: &Access, scopes: Box<[Scope]>, since: Revision) -> Watch {
        Watch::new(self.clone(), access.clone(), scopes, since)
    }

    /// Renews the lease of an instance. Nothing is written unless the lease begins, or was suspect or over.
    ///
    /// # Errors
    /// `NotFound` tells the client to register; `Conflict` when the registration was replaced; `Denied`.
    pub async fn heartbeat(
        &self,
        access: &Access,
        key: &InstanceKey,
        registration: Option<RegistrationId>,
        load: Option<f32>,
    ) -> Result<Beat, RegistryError> {
        crate::heartbeat::beat(self, access, key, registration, load).await
    }

    /// Renews the leases of several instances; those that need a durable step share it.
    ///
    /// The answers are those of [`Registry::heartbeat`], in the order of the signs.
    pub async fn heartbeats(
        &self,
        access: &Access,
        signs: &[Sign],
    ) -> Vec<Result<Beat, RegistryError>> {
        crate::heartbeat::beat_all(self, access, signs).await
    }

    /// Hands over what a checker found. It is coalesced with later findings and acknowledged by nobody.
    ///
    /// Returns false when the lane is full: report again later.
    pub fn report(&self, access: &Access, report: Report) -> bool {
        let finding = Finding::Check(report.key.clone(), report.check.clone());
        self.find(access, finding, Command::Report(report))
    }

    /// Reads the journal as far as the access may see: edges of instances it may read, everything for admins.
    ///
    /// # Errors
    /// `Denied` or `NotFound` by access; `Unavailable` when the journal cannot be read.
    pub async fn journal(
        &self,
        access: &Access,
        filter: JournalFilter,
        limit: usize,
    ) -> Result<JournalPage, RegistryError> {
        match &filter.instance {
            Some(key) => access.require(Verb::Read, &key.service)?,
            None if access.allows_everywhere(Verb::Admin) => {}
            None => {
                return Err(RegistryError::Denied {
                    subject: access.subject().to_string(),
                    verb: Verb::Admin.as_str(),
                    what: "the journal".to_owned(),
                });
            }
        }
        let page = self.shared.journal.read(filter, limit).await;
        page.map_err(|error: JournalError| RegistryError::Unavailable {
            why: error.to_string(),
        })
    }

    /// Returns the clock that the registry goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Says why writes are refused, if they are.
    pub fn read_only(&self) -> Option<String> {
        if self.has_stopped() {
            return Some("the registry has stopped".to_owned());
        }
        self.shared.store.read_only()
    }

    /// Returns the registry's own counters, to be registered for scraping.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Returns how many commands wait: callers' and findings.
    pub fn queued(&self) -> (usize, usize) {
        let callers = self.shared.callers.max_capacity() - self.shared.callers.capacity();
        (callers, self.shared.findings.len())
    }

    /// Returns the share of the callers' queue that is taken, from 0 to 1.
    pub fn saturation(&self) -> f32 {
        let (callers, _) = self.queued();
        let thousandths = callers.saturating_mul(1_000) / self.shared.callers.max_capacity().max(1);
        f32::from(u16::try_from(thousandths).unwrap_or(u16::MAX)) / 1_000.0
    }

    pub(crate) fn notifiers(&self) -> &Notifiers {
        &self.shared.notifiers
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn find(&self, access: &Access, finding: Finding, command: Command) -> bool {
        let queued = Queued {
            command,
            author: author(access),
            reply: None,
            attempts: 0,
        };
        self.shared.findings.push(finding, queued)
    }

    pub(crate) async fn submit(
        &self,
        access: &Access,
        command: Command,
    ) -> Result<Applied, RegistryError> {
        answered(self.enqueue(access, command).await?).await
    }

    /// Gives a command to the writer and returns where its answer will come.
    pub(crate) async fn enqueue(
        &self,
        access: &Access,
        command: Command,
    ) -> Result<Awaited, RegistryError> {
        let (reply, answer) = oneshot::channel();
        let queued = Queued {
            command,
            author: author(access),
            reply: Some(reply),
            attempts: 0,
        };
        let permit = match self.shared.callers.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Closed(())) => return Err(stopped()),
            Err(mpsc::error::TrySendError::Full(())) => tokio::select! {
                permit = self.shared.callers.reserve() => permit.map_err(|_| stopped())?,
                () = self.shared.clock.sleep(QUEUE_WAIT_MAX) => {
                    self.shared.metrics.throttled();
                    let most = self.shared.callers.max_capacity();
                    let what = format!("{most} changes wait for the store (core.queued_changes_max)");
                    return Err(RegistryError::Throttled { what });
                }
            },
        };
        permit.send(queued);
        Ok(answer)
    }

    fn authorize(&self, access: &Access, command: &Command) -> Result<(), RegistryError> {
        if access.is_everything() {
            return Ok(());
        }
        match command {
            Command::CreateNamespace(spec) => access.require_namespace(Verb::Configure, &spec.name),
            Command::UpdateNamespace { name, .. } | Command::DeleteNamespace(name) => {
                access.require_namespace(Verb::Configure, name)
            }
            Command::CreateService(spec) => access.require(Verb::Configure, &spec.key),
            Command::UpdateService { key, .. } | Command::DeleteService(key) => {
                access.require(Verb::Configure, key)
            }
            Command::Register { service, .. } | Command::Deregister { service, .. } => {
                access.require(Verb::Register, service)
            }
            Command::Amend { key, .. } => access.require(Verb::Register, &key.service),
            // Who blocks an instance removes it and says, as an operator, that it must not come back.
            Command::Block { service, .. } => {
                access.require(Verb::Register, service)?;
                access.require(Verb::Operate, service)
            }
            Command::Report(report) | Command::ReportNamed { report, .. } => {
                access.require(Verb::Register, &report.key.service)
            }
            // Whoever may register an instance may also take it out, for as long as its registration lasts.
            Command::SetMode {
                key,
                setting: Some(setting),
            } if setting.process.is_some() => access.require(Verb::Register, &key.service),
            Command::SetMode { key, .. } | Command::ChangeMode { key, .. } => {
                access.require(Verb::Operate, &key.service)
            }
            Command::All(commands) => {
                let mut all = commands.iter().enumerate();
                all.try_for_each(|(at, command)| {
                    let allowed = self.authorize(access, command);
                    allowed.map_err(|error| RegistryError::Item {
                        at,
                        error: Box::new(error),
                    })
                })
            }
            Command::When { command, .. } => self.authorize(access, command),
            Command::PutDocument { .. } | Command::RemoveDocument(_)
                if access.allows_everywhere(Verb::Admin) =>
            {
                Ok(())
            }
            // Time's own commands, and documents, which adapters write on their own account.
            Command::RenewLease { .. }
            | Command::EndLease { .. }
            | Command::HoldLease { .. }
            | Command::RemoveExpired { .. }
            | Command::EndMode(_)
            | Command::EndReport { .. }
            | Command::CollectService(_)
            | Command::CollectNamespace(_)
            | Command::ExpireDocument(_)
            | Command::PutDocument { .. }
            | Command::RemoveDocument(_) => Err(RegistryError::Denied {
                subject: access.subject().to_string(),
                verb: Verb::Admin.as_str(),
                what: "the registry itself".to_owned(),
            }),
        }
    }
}

type Renewal = (
    ServiceKey,
    crate::name::InstanceId,
    Option<crate::name::Owner>,
);

/// Names what a command, or each of several, registers.
fn renewals_of(command: &Command) -> Vec<Option<Renewal>> {
    match command {
        Command::All(commands) => commands.iter().map(renewal_of).collect(),
        single => vec![renewal_of(single)],
    }
}

fn renewal_of(command: &Command) -> Option<Renewal> {
    match command {
        Command::Register {
            service, id, owner, ..
        } => Some((service.clone(), id.clone(), owner.clone())),
        Command::When { command, .. } => renewal_of(command),
        _ => None,
    }
}

/// Where the answer to a command will come.
pub(crate) type Awaited = oneshot::Receiver<Result<Applied, RegistryError>>;

pub(crate) async fn answered(answer: Awaited) -> Result<Applied, RegistryError> {
    answer.await.unwrap_or_else(|_| {
        Err(RegistryError::Unknown {
            why: "the registry stopped before it answered".to_owned(),
        })
    })
}

fn author(access: &Access) -> Author {
    Author {
        subject: access.subject().clone(),
        address: access.address(),
        dialect: access.dialect(),
    }
}

fn stopped() -> RegistryError {
    RegistryError::Unavailable {
        why: "the registry has stopped".to_owned(),
    }
}
