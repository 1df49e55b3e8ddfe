//! Decisions on modes: what operators and processes say, and what keeps an instance from coming back.

use std::sync::Arc;

use crate::batch::Object;
use crate::command::Outcome;
use crate::error::RegistryError;
use crate::id::Revision;
use crate::instance::Instance;
use crate::mode::{Mode, ModeChange, ModeSetting, Note};
use crate::name::{InstanceId, InstanceKey, ObjectKey, Owner, ServiceKey};
use crate::snapshot::resolve_owner;

use super::Draft;
use super::instance::{drop_instance, state_facts};

pub(super) fn set(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    setting: Option<&Arc<ModeSetting>>,
) -> Result<Outcome, RegistryError> {
    let known = draft.state().instance(key).is_some();
    let old = draft
        .state()
        .mode(key)
        .map(|(setting, _)| Arc::clone(setting));
    if !known && old.is_none() {
        return Err(RegistryError::not_found(format!("instance {key}")));
    }
    let Some(setting) = setting.map(|setting| effective_mode(draft, key, setting, old.as_deref()))
    else {
        return put_mode(draft, key, None, old.as_deref());
    };
    match setting? {
        Wanted::AsItIs => Ok(Outcome::Unchanged),
        Wanted::Mode(setting) => put_mode(draft, key, setting.as_ref(), old.as_deref()),
    }
}

/// What a request for a mode comes to.
enum Wanted {
    AsItIs,
    Mode(Option<Arc<ModeSetting>>),
}

/// A process speaks for its own registration only, and never against an operator.
fn effective_mode(
    draft: &Draft<'_>,
    key: &InstanceKey,
    setting: &Arc<ModeSetting>,
    old: Option<&ModeSetting>,
) -> Result<Wanted, RegistryError> {
    setting.validate()?;
    let Some(process) = setting.process else {
        return Ok(Wanted::Mode(Some(Arc::clone(setting))));
    };
    let current = draft.state().instance(key);
    if current.map(|instance| instance.registration_id()) != Some(process) {
        return Err(RegistryError::Conflict {
            what: format!("instance {key}"),
            why: format!("{process} is not its registration any more"),
        });
    }
    let now = draft.context().at;
    let said = setting.mode != Mode::Active || setting.weight.is_some();
    Ok(match old {
        Some(old) if old.process.is_none() && old.mode != Mode::Active => Wanted::AsItIs,
        Some(old) if said => Wanted::Mode(Some(Arc::new(old.with_process(setting)))),
        Some(old) => Wanted::Mode(match old.process {
            Some(own) => old.after_registration(own, now).map(Arc::new),
            None => Some(Arc::new(old.clone())),
        }),
        None => Wanted::Mode(said.then(|| Arc::clone(setting))),
    })
}

fn put_mode(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    setting: Option<&Arc<ModeSetting>>,
    old: Option<&ModeSetting>,
) -> Result<Outcome, RegistryError> {
    let object = ObjectKey::Mode(key.clone());
    match (setting, old) {
        (None, None) => Ok(Outcome::Unchanged),
        (Some(setting), Some(old)) if setting.says_the_same(old) => Ok(Outcome::Unchanged),
        (setting, _) => {
            state_facts(draft, key);
            match setting {
                Some(setting) => draft.put(Object::Mode(key.clone(), Arc::clone(setting))),
                None => draft.remove(object),
            }
            Ok(Outcome::Updated)
        }
    }
}

pub(super) fn end(draft: &mut Draft<'_>, key: &InstanceKey) -> Result<Outcome, RegistryError> {
    let now = draft.context().at;
    let Some((setting, _)) = draft.state().mode(key) else {
        return Ok(Outcome::Unchanged);
    };
    let next = setting.after(now);
    if next.as_ref() == Some(&**setting) {
        return Ok(Outcome::Unchanged);
    }
    let object = ObjectKey::Mode(key.clone());
    draft.require_unchanged(object.clone());
    match next {
        Some(next) => draft.put(Object::Mode(key.clone(), Arc::new(next))),
        None => draft.remove(object),
    }
    Ok(Outcome::Updated)
}

pub(super) fn change(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    change: &ModeChange,
    expected: Option<Revision>,
) -> Result<Outcome, RegistryError> {
    change.validate()?;
    let known = draft.state().instance(key).is_some();
    let old = draft
        .state()
        .mode(key)
        .map(|(setting, _)| Arc::clone(setting));
    // A mode may outlive its instance, but none is set for one that is not there; what was kept can be taken back.
    let takes_back = change.lifts_block && old.is_some();
    if !known && !takes_back {
        return Err(RegistryError::not_found(format!("instance {key}")));
    }
    let object = ObjectKey::Mode(key.clone());
    let written = draft.state().written(&object);
    if expected.is_some_and(|expected| written.unwrap_or(Revision::ZERO) != expected) {
        let why = match written {
            Some(revision) => format!("it was changed since, its revision is {revision}"),
            None => "nothing is said of it".to_owned(),
        };
        return Err(RegistryError::Changed {
            what: object.to_string(),
            why,
            revision: written,
        });
    }
    let next = change.over(old.as_deref(), draft.context().at);
    put_mode(draft, key, next.map(Arc::new).as_ref(), old.as_deref())
}

pub(super) fn block(
    draft: &mut Draft<'_>,
    service: &ServiceKey,
    id: &InstanceId,
    owner: Option<&Owner>,
    note: &Note,
) -> Result<Outcome, RegistryError> {
    note.validate()?;
    let now = draft.context().at;
    if note.until.is_none_or(|until| until <= now) {
        let until = note.until.map_or_else(String::new, |until| until.in_utc());
        let rule = "must be a time to come: a block has an end";
        return Err(RegistryError::invalid("block.until", until, rule));
    }
    let state = draft.state().service(service);
    let found = resolve_owner(state, service, id, owner)?.cloned();
    let key = match &found {
        Some(found) => found.key().clone(),
        None => service.instance(owner.cloned().unwrap_or_default(), id.clone()),
    };
    let old = draft
        .state()
        .mode(&key)
        .map(|(setting, _)| ModeSetting::clone(setting));
    // What is gone already can only be blocked for longer, or shorter.
    if found.is_none() && old.as_ref().is_none_or(|old| old.block.is_none()) {
        return Err(RegistryError::not_found(format!("instance {key}")));
    }
    state_facts(draft, &key);
    let kept = match &found {
        Some(found) => {
            drop_instance(draft, found);
            old.and_then(|old| old.after_registration(found.registration_id(), now))
        }
        None => old,
    };
    let mut next = kept.unwrap_or_else(|| ModeSetting::plain(now));
    next.block = Some(Box::new(note.clone()));
    draft.put(Object::Mode(key, Arc::new(next)));
    Ok(if found.is_some() {
        Outcome::Removed
    } else {
        Outcome::Updated
    })
}

/// Refuses a registration that an operator blocks. Time alone does not end a block: the timekeeper does.
pub(super) fn refuse_blocked(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
) -> Result<(), RegistryError> {
    let Some((setting, _)) = draft.state().mode(key) else {
        return Ok(());
    };
    let Some(block) = &setting.block else {
        return Ok(());
    };
    Err(RegistryError::Blocked {
        what: format!("instance {key}"),
        block: block.clone(),
    })
}

/// What the process set for itself ends with its registration.
pub(super) fn end_process_mode(draft: &mut Draft<'_>, before: &Instance) {
    let key = before.key();
    let Some(setting) = before.mode_setting() else {
        return;
    };
    let left = setting.after_registration(before.registration_id(), draft.context().at);
    if left.as_ref() == Some(setting) {
        return;
    }
    let object = ObjectKey::Mode(key.clone());
    draft.require_unchanged(object.clone());
    match left {
        Some(left) => draft.put(Object::Mode(key.clone(), Arc::new(left))),
        None => draft.remove(object),
    }
}
