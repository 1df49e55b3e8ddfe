//! Pure decisions: a command against a snapshot becomes a batch, or an error.
//!
//! A batch carries every fact it was decided on as a precondition, so that a store with other writers can refuse it.

mod amend;
mod fact;
mod instance;
mod mode;
mod namespace;
mod report;
mod service;

use std::collections::HashSet;
use std::sync::Arc;

use crate::batch::{Batch, Change, DOCUMENT_BYTES_MAX, Evidence, Object, Precondition, Prefix};
use crate::command::{Command, Context, Outcome};
use crate::error::RegistryError;
use crate::id::Revision;
use crate::name::{DocumentKey, ObjectKey};
use crate::snapshot::Snapshot;

/// Most commands in one atomic step.
pub const ATOMIC_MAX: usize = 1_000;

/// A batch with what the caller is told once it is committed. An empty batch changes nothing and needs no commit.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What to write.
    pub batch: Batch,
    /// What to say.
    pub outcome: Outcome,
    /// What each command of [`Command::All`] did, in order; empty for any other.
    pub each: Box<[Outcome]>,
}

/// Decides a command.
///
/// # Errors
/// As [`RegistryError`] describes; the snapshot is never changed.
pub fn decide(
    context: &Context,
    snapshot: &Snapshot,
    command: &Command,
) -> Result<Decision, RegistryError> {
    let mut draft = Draft::new(context, snapshot);
    let (outcome, each) = match command {
        Command::All(commands) => {
            let each = decide_all(&mut draft, commands)?;
            let changed = each.iter().any(|one| *one != Outcome::Unchanged);
            let outcome = if changed {
                Outcome::Updated
            } else {
                Outcome::Unchanged
            };
            (outcome, each)
        }
        single => (decide_one(&mut draft, single)?, Box::default()),
    };
    let mut batch = draft.batch;
    batch.cause = cause(command);
    Ok(Decision {
        batch,
        outcome,
        each,
    })
}

fn decide_all(
    draft: &mut Draft<'_>,
    commands: &[Command],
) -> Result<Box<[Outcome]>, RegistryError> {
    if commands.len() > ATOMIC_MAX {
        return Err(RegistryError::TooLarge {
            field: "commands".into(),
            rule: format!("at most {ATOMIC_MAX} in one step"),
        });
    }
    let mut each = Vec::with_capacity(commands.len());
    let mut has_document = false;
    for (at, command) in commands.iter().enumerate() {
        // A document beside a change looks at documents only, and catching up copies what a large service has.
        let is_document = is_of_document(command);
        if at > 0 && (!is_document || has_document) {
            draft.catch_up();
        }
        has_document |= is_document;
        let one = decide_one(draft, command).map_err(|error| RegistryError::Item {
            at,
            error: Box::new(error),
        })?;
        each.push(one);
    }
    Ok(each.into())
}

fn is_of_document(command: &Command) -> bool {
    matches!(
        command,
        Command::PutDocument { .. } | Command::RemoveDocument(_) | Command::ExpireDocument(_)
    )
}

fn decide_one(draft: &mut Draft<'_>, command: &Command) -> Result<Outcome, RegistryError> {
    match command {
        Command::CreateNamespace(spec) => namespace::create(draft, spec),
        Command::UpdateNamespace { name, change } => namespace::update(draft, name, change),
        Command::DeleteNamespace(name) => namespace::delete(draft, name),
        Command::CreateService(spec) => service::create(draft, spec),
        Command::UpdateService {
            key,
            change,
            expected,
        } => service::update(draft, key, change, *expected),
        Command::DeleteService(key) => service::delete(draft, key),
        Command::CollectService(key) => service::collect(draft, key),
        Command::CollectNamespace(name) => namespace::collect(draft, name),
        Command::Register {
            service,
            id,
            owner,
            spec,
            defaults,
        } => instance::register(draft, service, id, owner.as_ref(), spec, defaults),
        Command::Amend { key, written, spec } => amend::amend(draft, key, *written, spec),
        Command::Deregister { service, id, owner } => {
            instance::deregister(draft, service, id, owner.as_ref())
        }
        Command::Block {
            service,
            id,
            owner,
            note,
        } => mode::block(draft, service, id, owner.as_ref(), note),
        Command::Report(report) => report::report(draft, report),
        Command::ReportNamed {
            report,
            for_seconds,
        } => report::report_named(draft, report, *for_seconds),
        Command::EndReport { key, check } => report::end_report(draft, key, check),
        Command::RenewLease { key, registration } => instance::renew(draft, key, *registration),
        Command::EndLease { key, registration } => instance::end_lease(draft, key, *registration),
        Command::HoldLease { key, registration } => instance::hold_lease(draft, key, *registration),
        Command::RemoveExpired { key, registration } => {
            instance::remove_expired(draft, key, *registration)
        }
        Command::SetMode { key, setting } => mode::set(draft, key, setting.as_ref()),
        Command::ChangeMode {
            key,
            change,
            expected,
        } => mode::change(draft, key, change, *expected),
        Command::EndMode(key) => mode::end(draft, key),
        Command::PutDocument { document, expected } => put_document(draft, document, *expected),
        Command::RemoveDocument(key) => remove_document(draft, key),
        Command::ExpireDocument(key) => expire_document(draft, key),
        Command::When { facts, command } => {
            facts.iter().try_for_each(|fact| fact::check(draft, fact))?;
            decide_one(draft, command)
        }
        Command::All(_) => Err(RegistryError::invalid(
            "commands",
            "all",
            "must not be nested",
        )),
    }
}

fn put_document(
    draft: &mut Draft<'_>,
    document: &Arc<crate::batch::Document>,
    expected: Option<Revision>,
) -> Result<Outcome, RegistryError> {
    if document.bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(RegistryError::TooLarge {
            field: "document".into(),
            rule: format!(
                "{} bytes, at most {DOCUMENT_BYTES_MAX}",
                document.bytes.len()
            ),
        });
    }
    let object = ObjectKey::Document(document.key.clone());
    let written = draft.state().written(&object);
    if let Some(expected) = expected
        && written.unwrap_or(Revision::ZERO) != expected
    {
        return Err(conflict(&object, written));
    }
    draft.require_unchanged(object);
    draft.put(Object::Document(Arc::clone(document)));
    Ok(if written.is_some() {
        Outcome::Updated
    } else {
        Outcome::Created
    })
}

fn remove_document(draft: &mut Draft<'_>, key: &DocumentKey) -> Result<Outcome, RegistryError> {
    let object = ObjectKey::Document(key.clone());
    if draft.state().document(key).is_none() {
        return Err(RegistryError::not_found(&object));
    }
    draft.require_unchanged(object.clone());
    draft.remove(object);
    Ok(Outcome::Removed)
}

fn expire_document(draft: &mut Draft<'_>, key: &DocumentKey) -> Result<Outcome, RegistryError> {
    let now = draft.context().at;
    let known = draft
        .state()
        .document(key)
        .and_then(|(document, _)| document.expiry);
    if known.is_none_or(|expiry| expiry > now) {
        return Ok(Outcome::Unchanged);
    }
    remove_document(draft, key)
}

fn conflict(object: &ObjectKey, written: Option<Revision>) -> RegistryError {
    let why = match written {
        Some(revision) => format!("it was changed since, its revision is {revision}"),
        None => "it is not there".to_owned(),
    };
    RegistryError::Conflict {
        what: object.to_string(),
        why,
    }
}

fn cause(command: &Command) -> &'static str {
    match command {
        Command::CreateNamespace(_) => "create_namespace",
        Command::UpdateNamespace { .. } => "update_namespace",
        Command::DeleteNamespace(_) => "delete_namespace",
        Command::CreateService(_) => "create_service",
        Command::UpdateService { .. } => "update_service",
        Command::DeleteService(_) => "delete_service",
        Command::Register { .. } => "register",
        Command::Amend { .. } => "amend",
        Command::Deregister { .. } => "deregister",
        Command::Block { .. } => "block",
        Command::Report(_) | Command::ReportNamed { .. } => "report",
        Command::EndReport { .. } => "report_ended",
        Command::RenewLease { .. } => "lease_renewed",
        Command::EndLease { .. } => "lease_ended",
        Command::HoldLease { .. } => "lease_held",
        Command::RemoveExpired { .. } => "expired",
        Command::SetMode { .. } | Command::ChangeMode { .. } => "set_mode",
        Command::EndMode(_) => "mode_ended",
        Command::CollectService(_) | Command::CollectNamespace(_) => "collected",
        Command::PutDocument { .. } => "put_document",
        Command::RemoveDocument(_) => "remove_document",
        Command::ExpireDocument(_) => "document_expired",
        Command::All(_) => "batch",
        Command::When { command, .. } => cause(command),
    }
}

/// A batch in the making, with the state as it will be after what was drafted so far.
pub(crate) struct Draft<'a> {
    context: &'a Context,
    base: &'a Snapshot,
    /// Only made when a step builds on an earlier one of the same batch.
    ahead: Option<Snapshot>,
    batch: Batch,
    /// What the batch writes, and what it has stated: both are asked for at every step.
    written: HashSet<ObjectKey>,
    stated: HashSet<ObjectKey>,
    applied: usize,
}

impl<'a> Draft<'a> {
    fn new(context: &'a Context, base: &'a Snapshot) -> Self {
        Self {
            context,
            base,
            ahead: None,
            batch: batch_of(context, Vec::new()),
            written: HashSet::new(),
            stated: HashSet::new(),
            applied: 0,
        }
    }

    fn context(&self) -> &'a Context {
        self.context
    }

    fn state(&self) -> &Snapshot {
        self.ahead.as_ref().unwrap_or(self.base)
    }

    /// Takes the changes drafted so far into the state that later steps see.
    fn catch_up(&mut self) {
        let new = self.batch.changes.get(self.applied..).unwrap_or_default();
        if new.is_empty() {
            return;
        }
        let step = batch_of(self.context, new.to_vec());
        self.applied = self.batch.changes.len();
        let revision = Revision(self.base.revision().0 + 1);
        let ahead = self.ahead.get_or_insert_with(|| self.base.clone());
        ahead.apply_batch(revision, &step);
    }

    /// States that nothing lies under a prefix, unless this batch itself has put something there or taken it away.
    fn require_empty(&mut self, prefix: Prefix) {
        if !self.written.iter().any(|key| prefix.holds(key)) {
            self.batch.preconditions.push(Precondition::Empty(prefix));
        }
    }

    /// States that the object is as this state shows it: written then, or not there. About what this batch itself
    /// wrote there is nothing to state.
    fn require_unchanged(&mut self, key: ObjectKey) {
        if self.written.contains(&key) || !self.stated.insert(key.clone()) {
            return;
        }
        self.batch
            .preconditions
            .push(match self.state().written(&key) {
                Some(revision) => Precondition::At(key, revision),
                None => Precondition::Absent(key),
            });
    }

    fn put(&mut self, object: Object) {
        self.change(Change::Put(object));
    }

    fn remove(&mut self, key: ObjectKey) {
        self.change(Change::Remove(key));
    }

    fn change(&mut self, change: Change) {
        self.written.insert(change.key());
        self.batch.changes.push(change);
    }

    fn attach(&mut self, evidence: Evidence) {
        self.batch.evidence = Some(evidence);
    }
}

fn batch_of(context: &Context, changes: Vec<Change>) -> Batch {
    Batch {
        at: context.at,
        author: context.author.clone(),
        preconditions: Vec::new(),
        changes,
        evidence: None,
        cause: "",
    }
}

/// Longest description in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1_024;

fn check_description(description: Option<&crate::text::Text>) -> Result<(), RegistryError> {
    let Some(value) = description else {
        return Ok(());
    };
    if value.len() > DESCRIPTION_BYTES_MAX {
        return Err(RegistryError::TooLarge {
            field: "description".into(),
            rule: format!("at most {DESCRIPTION_BYTES_MAX} bytes"),
        });
    }
    if value
        .chars()
        .any(|character| character.is_control() && !"\n\t".contains(character))
    {
        let rule = "must not contain control characters";
        return Err(RegistryError::invalid(
            "description",
            value.escape_debug(),
            rule,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
