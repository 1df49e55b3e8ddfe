//! Decisions on services.

use std::sync::Arc;

use crate::batch::{Object, Prefix};
use crate::check::validate_checks;
use crate::command::{Context, Outcome, ServiceChange, ServiceSpec};
use crate::dns::check_dns_service;
use crate::error::RegistryError;
use crate::id::Revision;
use crate::name::{CheckId, ObjectKey, ServiceKey};
use crate::namespace::{NamespaceKind, Origin};
use crate::registration::LEASE_SECONDS_MAX;
use crate::service::Service;
use crate::snapshot::implied_service;
use crate::text::Text;
use crate::verdict::effective_checks;

use super::{Draft, check_description, conflict, namespace};

pub(super) fn create(draft: &mut Draft<'_>, spec: &ServiceSpec) -> Result<Outcome, RegistryError> {
    validate(draft.context(), &spec.change)?;
    let key = ObjectKey::Service(spec.key.clone());
    if draft.state().service(&spec.key).is_some() {
        return Err(RegistryError::AlreadyExists {
            what: key.to_string(),
        });
    }
    let kind = namespace::ensure(draft, &spec.key.namespace)?;
    check_name(&spec.key, kind)?;
    draft.require_unchanged(key);
    let context = draft.context();
    let mut service = implied_service(&spec.key, context.seed, context.at);
    service.origin = Origin::Explicit;
    service.request_id.clone_from(&spec.request_id);
    change(&mut service, &spec.change);
    draft.put(Object::Service(Arc::new(service)));
    Ok(Outcome::Created)
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    key: &ServiceKey,
    wanted: &ServiceChange,
    expected: Option<Revision>,
) -> Result<Outcome, RegistryError> {
    validate(draft.context(), wanted)?;
    let object = ObjectKey::Service(key.clone());
    let state = draft
        .state()
        .service(key)
        .ok_or_else(|| RegistryError::not_found(&object))?;
    let state = Arc::clone(state);
    if expected.is_some_and(|expected| expected != state.revision()) {
        return Err(conflict(&object, Some(state.revision())));
    }
    let old = state.service();
    let mut service = Service::clone(old);
    service.origin = Origin::Explicit;
    change(&mut service, wanted);
    if service == **old {
        return Ok(Outcome::Unchanged);
    }
    draft.require_unchanged(object);
    let service = Arc::new(service);
    draft.put(Object::Service(Arc::clone(&service)));
    if service.checks != old.checks {
        rejudge(draft, &state, &service);
    }
    Ok(Outcome::Updated)
}

/// Draws every verdict of a service again after its checks changed.
fn rejudge(draft: &mut Draft<'_>, state: &crate::snapshot::ServiceState, service: &Service) {
    let at = draft.context().at;
    let old = &state.service().checks;
    // What the old check of that id said, it did not say of the new one.
    let redefined: Vec<CheckId> = old
        .iter()
        .filter(|old| {
            service
                .checks
                .iter()
                .any(|new| new.id == old.id && new.kind != old.kind)
        })
        .map(|old| old.id.clone())
        .collect();
    for instance in state.instances() {
        let checks = effective_checks(&service.checks, &instance.registration().spec.checks);
        if let Some(verdict) = instance.verdict().under(at, checks, &redefined) {
            draft.require_unchanged(ObjectKey::Registration(instance.key().clone()));
            draft.require_unchanged(ObjectKey::Verdict(instance.key().clone()));
            draft.put(Object::Verdict(instance.key().clone(), verdict));
        }
    }
}

pub(super) fn delete(draft: &mut Draft<'_>, key: &ServiceKey) -> Result<Outcome, RegistryError> {
    let object = ObjectKey::Service(key.clone());
    let state = draft
        .state()
        .service(key)
        .ok_or_else(|| RegistryError::not_found(&object))?;
    let instances = state.instances().len();
    if instances > 0 {
        let by = format!("it has {instances} instances");
        return Err(RegistryError::InUse {
            what: object.to_string(),
            by,
        });
    }
    drop_empty(draft, key);
    Ok(Outcome::Removed)
}

pub(super) fn collect(draft: &mut Draft<'_>, key: &ServiceKey) -> Result<Outcome, RegistryError> {
    let Some(state) = draft.state().service(key) else {
        return Ok(Outcome::Unchanged);
    };
    if state.service().origin == Origin::Explicit || !state.instances().is_empty() {
        return Ok(Outcome::Unchanged);
    }
    drop_empty(draft, key);
    Ok(Outcome::Removed)
}

fn drop_empty(draft: &mut Draft<'_>, key: &ServiceKey) {
    let object = ObjectKey::Service(key.clone());
    draft.require_unchanged(object.clone());
    draft.require_empty(Prefix::Instances(key.clone()));
    // Modes outlive registrations, but not their service.
    let modes: Vec<ObjectKey> = draft
        .state()
        .modes()
        .filter(|(instance, _)| instance.service == *key)
        .map(|(instance, _)| ObjectKey::Mode(instance.clone()))
        .collect();
    for mode in modes {
        draft.require_unchanged(mode.clone());
        draft.remove(mode);
    }
    draft.remove(object);
}

/// Makes the service, and its namespace, if they are not there and the policy allows it.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    key: &ServiceKey,
    defaults: &ServiceChange,
) -> Result<Arc<Service>, RegistryError> {
    let object = ObjectKey::Service(key.clone());
    if let Some(state) = draft.state().service(key) {
        let service = Arc::clone(state.service());
        // A stand-in for a damaged object is in no store: there is nothing to state about it.
        if state.revision() != Revision::ZERO {
            draft.require_unchanged(object);
        }
        return Ok(service);
    }
    let context = draft.context();
    if !context.policy.implied {
        return Err(RegistryError::not_found(&object));
    }
    validate(draft.context(), defaults)?;
    let kind = namespace::ensure(draft, &key.namespace)?;
    check_name(key, kind)?;
    draft.require_unchanged(object);
    let mut service = implied_service(key, context.seed, context.at);
    change(&mut service, defaults);
    let service = Arc::new(service);
    draft.put(Object::Service(Arc::clone(&service)));
    Ok(service)
}

/// A service of a namespace that is looked up by DNS must be a name there.
fn check_name(key: &ServiceKey, kind: NamespaceKind) -> Result<(), RegistryError> {
    match kind {
        NamespaceKind::Http => Ok(()),
        NamespaceKind::PrivateDns | NamespaceKind::PublicDns => check_dns_service(key),
    }
}

fn validate(context: &Context, wanted: &ServiceChange) -> Result<(), RegistryError> {
    check_description(wanted.description.as_ref())?;
    if let Some(checks) = &wanted.checks {
        validate_checks(checks)?;
        context.policy.judge(checks)?;
    }
    if let Some(Some(dns)) = &wanted.dns {
        dns.validate()?;
    }
    if let Some(seconds) = wanted.remove_after_seconds
        && seconds > 30 * LEASE_SECONDS_MAX
    {
        let rule = format!("must be at most {}", 30 * LEASE_SECONDS_MAX);
        return Err(RegistryError::invalid(
            "remove_after_seconds",
            seconds,
            rule,
        ));
    }
    if let Some(Some(seconds)) = wanted.lease_seconds
        && !(1..=LEASE_SECONDS_MAX).contains(&seconds)
    {
        let rule = format!("must be 1 to {LEASE_SECONDS_MAX}");
        return Err(RegistryError::invalid("lease_seconds", seconds, rule));
    }
    Ok(())
}

fn change(service: &mut Service, wanted: &ServiceChange) {
    if let Some(description) = &wanted.description {
        service.description = Text::clone(description);
    }
    if let Some(dns) = &wanted.dns {
        service.dns.clone_from(dns);
    }
    if let Some(checks) = &wanted.checks {
        service.checks = Arc::clone(checks);
    }
    if let Some(fail_open) = wanted.fail_open {
        service.fail_open = fail_open;
    }
    if let Some(seconds) = wanted.remove_after_seconds {
        service.remove_after_seconds = seconds;
    }
    if let Some(lease) = wanted.lease_seconds {
        service.lease_seconds = lease;
    }
    if let Some(attributes) = &wanted.attributes {
        service.attributes = attributes.clone();
    }
    if let Some(tags) = &wanted.tags {
        service.tags = tags.clone();
    }
}
