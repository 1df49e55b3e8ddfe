//! Decisions on instances: registering, leaving and leases.

use std::sync::Arc;

use crate::batch::Object;
use crate::check::Check;
use crate::command::{Outcome, ServiceChange};
use crate::error::RegistryError;
use crate::id::RegistrationId;
use crate::instance::Instance;
use crate::name::{InstanceId, InstanceKey, ObjectKey, Owner, ServiceKey};
use crate::registration::{LeaseStart, Registration, RegistrationSpec};
use crate::service::Service;
use crate::snapshot::resolve_owner;
use crate::verdict::{LeaseState, Verdict, effective_checks};

use super::{Draft, mode, service};

pub(super) fn register(
    draft: &mut Draft<'_>,
    service: &ServiceKey,
    id: &InstanceId,
    owner: Option<&Owner>,
    spec: &Arc<RegistrationSpec>,
    defaults: &ServiceChange,
) -> Result<Outcome, RegistryError> {
    spec.validate()?;
    draft.context().policy.judge(&spec.checks)?;
    let state = draft.state().service(service).cloned();
    let before = resolve_owner(state.as_ref(), service, id, owner)?.cloned();
    let key = match &before {
        Some(before) => before.key().clone(),
        None => service.instance(owner.cloned().unwrap_or_default(), id.clone()),
    };
    mode::refuse_blocked(draft, &key)?;
    if owner.is_none() {
        // Who says no owner means the instance's own registration, whoever else keeps one of that id.
        mode::refuse_blocked(draft, &service.instance(Owner::SELF, id.clone()))?;
    }
    let instances = state.as_ref().map_or(0, |state| state.instances().len());
    let most = draft.context().policy.instances_per_service_max;
    if before.is_none() && instances >= most {
        return Err(RegistryError::TooLarge {
            field: "instances".into(),
            rule: format!(
                "service {service} has {instances} instances, at most {most} (core.instances_per_service_max)"
            ),
        });
    }
    match before {
        Some(before) if before.registration().spec == **spec => renew_same(draft, &before),
        before => {
            let service = service::ensure(draft, service, defaults)?;
            put_registration(draft, &key, before.as_ref(), spec, &service);
            Ok(if before.is_some() {
                Outcome::Updated
            } else {
                Outcome::Created
            })
        }
    }
}

/// The same content renews the lease; that moves the history only when the lease was suspect or over.
fn renew_same(draft: &mut Draft<'_>, before: &Arc<Instance>) -> Result<Outcome, RegistryError> {
    match before.verdict().lease {
        LeaseState::Suspect { .. } | LeaseState::Over { .. } => {
            renew(draft, before.key(), before.registration_id())
        }
        LeaseState::None | LeaseState::NotStarted | LeaseState::Running => Ok(Outcome::Unchanged),
    }
}

fn put_registration(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    before: Option<&Arc<Instance>>,
    spec: &Arc<RegistrationSpec>,
    service: &Service,
) {
    let context = draft.context();
    let kept = before.filter(|before| !spec.is_reached_otherwise(&before.registration().spec));
    let mut spec_kept = RegistrationSpec::clone(spec);
    spec_kept.share();
    let registration = Registration {
        id: context.seed.registration(),
        first: before.map_or(context.at, |before| before.registration().first),
        judged_from: kept.map_or(context.at, |kept| kept.registration().judged_from),
        spec: spec_kept,
        extra: crate::attributes::Extra::default(),
    };
    let verdict_key = ObjectKey::Verdict(key.clone());
    state_facts(draft, key);
    let orphan = before.is_none() && draft.state().written(&verdict_key).is_some();
    if orphan || (before.is_some() && kept.is_none()) {
        // What was found at the old address, or before a removal, says nothing about the new one.
        draft.remove(verdict_key.clone());
    }
    draft.put(Object::Registration(key.clone(), Arc::new(registration)));
    if let Some(kept) = kept
        && draft.state().written(&verdict_key).is_some()
    {
        let lease = lease_after(kept.verdict().lease, spec);
        if lease != kept.verdict().lease {
            let checks = effective_checks(&service.checks, &spec.checks);
            let verdict = kept.verdict().with_lease(lease, context.at, checks);
            draft.put(Object::Verdict(key.clone(), verdict));
        }
    }
    if let Some(before) = before {
        mode::end_process_mode(draft, before);
    }
}

/// States that all parts of the instance are as this state shows them: what is decided of one depends on the others.
pub(super) fn state_facts(draft: &mut Draft<'_>, key: &InstanceKey) {
    draft.require_unchanged(ObjectKey::Registration(key.clone()));
    draft.require_unchanged(ObjectKey::Verdict(key.clone()));
    draft.require_unchanged(ObjectKey::Mode(key.clone()));
}

/// Where the lease stands after an update: registering counts as a heartbeat.
fn lease_after(before: LeaseState, spec: &RegistrationSpec) -> LeaseState {
    match (spec.lease.map(|lease| lease.start), before) {
        (None, _) => LeaseState::None,
        (Some(LeaseStart::FirstHeartbeat), LeaseState::None | LeaseState::NotStarted) => {
            LeaseState::NotStarted
        }
        (Some(_), _) => LeaseState::Running,
    }
}

pub(super) fn deregister(
    draft: &mut Draft<'_>,
    service: &ServiceKey,
    id: &InstanceId,
    owner: Option<&Owner>,
) -> Result<Outcome, RegistryError> {
    let state = draft.state().service(service);
    let found = resolve_owner(state, service, id, owner)?.cloned();
    let Some(found) = found else {
        return Err(RegistryError::not_found(format!("instance {service}/{id}")));
    };
    drop_instance(draft, &found);
    mode::end_process_mode(draft, &found);
    Ok(Outcome::Removed)
}

/// Removes everything of an instance but its mode.
pub(super) fn drop_instance(draft: &mut Draft<'_>, instance: &Arc<Instance>) {
    let key = instance.key();
    let registration = ObjectKey::Registration(key.clone());
    state_facts(draft, key);
    if draft
        .state()
        .written(&ObjectKey::Verdict(key.clone()))
        .is_some()
    {
        draft.remove(ObjectKey::Verdict(key.clone()));
    }
    draft.remove(registration);
}

/// Finds the instance and the service that a sign of life or a report belongs to.
pub(super) fn current(
    draft: &Draft<'_>,
    key: &InstanceKey,
    registration: Option<RegistrationId>,
) -> Result<(Arc<Instance>, Arc<Service>), RegistryError> {
    let state = draft.state().service(&key.service);
    let found = state.and_then(|state| Some((state.instance(key)?, state.service())));
    let (instance, service) =
        found.ok_or_else(|| RegistryError::not_found(format!("instance {key}")))?;
    if registration.is_some_and(|id| id != instance.registration_id()) {
        return Err(RegistryError::Replaced {
            what: format!("instance {key}"),
        });
    }
    Ok((Arc::clone(instance), Arc::clone(service)))
}

pub(super) fn checks_of<'a>(
    service: &'a Service,
    instance: &'a Instance,
) -> impl Iterator<Item = &'a Check> + Clone {
    effective_checks(&service.checks, &instance.registration().spec.checks)
}

pub(super) fn put_verdict(draft: &mut Draft<'_>, instance: &Instance, verdict: Verdict) {
    let key = instance.key().clone();
    // The checks it was drawn from stand with the service.
    draft.require_unchanged(ObjectKey::Service(key.service.clone()));
    state_facts(draft, &key);
    draft.put(Object::Verdict(key, verdict));
}

pub(super) fn renew(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    registration: RegistrationId,
) -> Result<Outcome, RegistryError> {
    let (instance, service) = current(draft, key, Some(registration))?;
    match instance.verdict().lease {
        LeaseState::None | LeaseState::Running => Ok(Outcome::Unchanged),
        LeaseState::NotStarted | LeaseState::Suspect { .. } | LeaseState::Over { .. } => {
            move_lease(draft, &instance, &service, LeaseState::Running);
            Ok(Outcome::Updated)
        }
    }
}

pub(super) fn end_lease(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    registration: RegistrationId,
) -> Result<Outcome, RegistryError> {
    let (instance, service) = current(draft, key, Some(registration))?;
    match instance.verdict().lease {
        LeaseState::Running | LeaseState::Suspect { .. } => {
            let over = LeaseState::Over {
                since: draft.context().at,
            };
            move_lease(draft, &instance, &service, over);
            Ok(Outcome::Updated)
        }
        LeaseState::None | LeaseState::NotStarted | LeaseState::Over { .. } => {
            Ok(Outcome::Unchanged)
        }
    }
}

pub(super) fn hold_lease(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    registration: RegistrationId,
) -> Result<Outcome, RegistryError> {
    let (instance, service) = current(draft, key, Some(registration))?;
    if instance.verdict().lease != LeaseState::Running {
        return Ok(Outcome::Unchanged);
    }
    let suspect = LeaseState::Suspect {
        since: draft.context().at,
    };
    move_lease(draft, &instance, &service, suspect);
    Ok(Outcome::Updated)
}

fn move_lease(draft: &mut Draft<'_>, instance: &Instance, service: &Service, lease: LeaseState) {
    let at = draft.context().at;
    let verdict = instance
        .verdict()
        .with_lease(lease, at, checks_of(service, instance));
    put_verdict(draft, instance, verdict);
}

pub(super) fn remove_expired(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    registration: RegistrationId,
) -> Result<Outcome, RegistryError> {
    let (instance, _) = current(draft, key, Some(registration))?;
    let LeaseState::Over { .. } = instance.verdict().lease else {
        return Ok(Outcome::Unchanged);
    };
    drop_instance(draft, &instance);
    mode::end_process_mode(draft, &instance);
    Ok(Outcome::Removed)
}
