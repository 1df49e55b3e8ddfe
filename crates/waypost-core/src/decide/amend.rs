//! Changing what is registered of an instance without registering it anew: no sign of life, and no other registration.

use std::sync::Arc;

use crate::batch::Object;
use crate::command::Outcome;
use crate::error::RegistryError;
use crate::id::Revision;
use crate::instance::Instance;
use crate::name::{InstanceKey, ObjectKey};
use crate::registration::{LeaseStart, Registration, RegistrationSpec};
use crate::service::Service;
use crate::verdict::{LeaseState, Verdict, effective_checks};

use super::{Draft, fact, instance};

pub(super) fn amend(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    written: Revision,
    spec: &Arc<RegistrationSpec>,
) -> Result<Outcome, RegistryError> {
    spec.validate()?;
    draft.context().policy.judge(&spec.checks)?;
    let object = ObjectKey::Registration(key.clone());
    let state = draft.state().service(&key.service);
    let found = state.and_then(|state| Some((state.instance(key)?, state.service())));
    let (before, service) = found.ok_or_else(|| RegistryError::not_found(&object))?;
    if before.registered() != written {
        return Err(fact::changed(&object, Some(before.modified())));
    }
    if before.registration().spec == **spec {
        return Ok(Outcome::Unchanged);
    }
    let (before, service) = (Arc::clone(before), Arc::clone(service));
    draft.require_unchanged(ObjectKey::Service(key.service.clone()));
    instance::state_facts(draft, key);
    put(draft, &before, &service, spec);
    Ok(Outcome::Updated)
}

fn put(
    draft: &mut Draft<'_>,
    before: &Arc<Instance>,
    service: &Service,
    spec: &Arc<RegistrationSpec>,
) {
    let context = draft.context();
    let key = before.key();
    let old = before.registration();
    let moved = spec.is_reached_otherwise(&old.spec);
    let is_other = asks_elsewhere(spec, &old.spec);
    let mut kept = RegistrationSpec::clone(spec);
    kept.share();
    let registration = Registration {
        // What is still under way about another place or question must not be taken for an answer to this one.
        id: if is_other {
            context.seed.registration()
        } else {
            old.id
        },
        first: old.first,
        judged_from: if moved { context.at } else { old.judged_from },
        spec: kept,
        extra: old.extra.clone(),
    };
    let checks = effective_checks(&service.checks, &spec.checks);
    let lease = lease_after(before.verdict().lease, spec);
    let verdict = if moved {
        let initial = Verdict::initial(spec, checks.clone(), context.at);
        (initial.lease != lease).then(|| initial.with_lease(lease, context.at, checks))
    } else {
        let verdict = before.verdict();
        (verdict.lease != lease).then(|| verdict.with_lease(lease, context.at, checks))
    };
    let verdict_key = ObjectKey::Verdict(key.clone());
    if moved && verdict.is_none() && draft.state().written(&verdict_key).is_some() {
        draft.remove(verdict_key);
    }
    draft.put(Object::Registration(key.clone(), Arc::new(registration)));
    if let Some(verdict) = verdict {
        draft.put(Object::Verdict(key.clone(), verdict));
    }
    if is_other {
        super::mode::end_process_mode(draft, before);
    }
}

/// Says whether a probe under way may be about another place, or asks something else under the same name.
fn asks_elsewhere(spec: &RegistrationSpec, old: &RegistrationSpec) -> bool {
    let redefined = spec.checks.iter().any(|new| {
        let same = old.checks.iter().find(|check| check.id == new.id);
        same.is_some_and(|same| same != new)
    });
    spec.addresses != old.addresses || spec.ports != old.ports || redefined
}

/// Where the lease stands: as before, unless there was none or is none now.
fn lease_after(before: LeaseState, spec: &RegistrationSpec) -> LeaseState {
    match (spec.lease.map(|lease| lease.start), before) {
        (None, _) => LeaseState::None,
        (Some(LeaseStart::Registration), LeaseState::None) => LeaseState::Running,
        (Some(LeaseStart::FirstHeartbeat), LeaseState::None) => LeaseState::NotStarted,
        (Some(_), stands) => stands,
    }
}
