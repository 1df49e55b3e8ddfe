//! Decisions on namespaces.

use std::sync::Arc;

use crate::batch::{Object, Prefix};
use crate::command::{NamespaceChange, NamespaceSpec, Outcome};
use crate::error::RegistryError;
use crate::name::{NamespaceName, ObjectKey};
use crate::namespace::{Namespace, NamespaceKind, Origin};
use crate::snapshot::implied_namespace;
use crate::text::Text;

use super::{Draft, check_description};

pub(super) fn create(
    draft: &mut Draft<'_>,
    spec: &NamespaceSpec,
) -> Result<Outcome, RegistryError> {
    check_description(spec.change.description.as_ref())?;
    if spec.kind != NamespaceKind::Http && !spec.name.is_dns_name() {
        return Err(RegistryError::invalid(
            "namespace",
            &spec.name,
            "must be a DNS name for this kind",
        ));
    }
    let key = ObjectKey::Namespace(spec.name.clone());
    if draft.state().namespace(&spec.name).is_some() {
        return Err(RegistryError::AlreadyExists {
            what: key.to_string(),
        });
    }
    if let Some(id) = &spec.id
        && draft.state().namespace_by_id(id).is_some()
    {
        return Err(RegistryError::AlreadyExists {
            what: format!("namespace {id}"),
        });
    }
    draft.require_unchanged(key);
    let context = draft.context();
    let mut namespace = implied_namespace(&spec.name, context.seed, context.at);
    if let Some(id) = &spec.id {
        namespace.id = Text::clone(id);
    }
    namespace.kind = spec.kind;
    namespace.origin = Origin::Explicit;
    namespace.request_id.clone_from(&spec.request_id);
    change(&mut namespace, &spec.change);
    draft.put(Object::Namespace(Arc::new(namespace)));
    Ok(Outcome::Created)
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    name: &NamespaceName,
    wanted: &NamespaceChange,
) -> Result<Outcome, RegistryError> {
    check_description(wanted.description.as_ref())?;
    let key = ObjectKey::Namespace(name.clone());
    let state = draft
        .state()
        .namespace(name)
        .ok_or_else(|| RegistryError::not_found(&key))?;
    let old = Arc::clone(state.namespace());
    let mut namespace = Namespace::clone(&old);
    namespace.origin = Origin::Explicit;
    change(&mut namespace, wanted);
    if namespace == *old {
        return Ok(Outcome::Unchanged);
    }
    draft.require_unchanged(key);
    draft.put(Object::Namespace(Arc::new(namespace)));
    Ok(Outcome::Updated)
}

pub(super) fn delete(
    draft: &mut Draft<'_>,
    name: &NamespaceName,
) -> Result<Outcome, RegistryError> {
    let key = ObjectKey::Namespace(name.clone());
    let state = draft
        .state()
        .namespace(name)
        .ok_or_else(|| RegistryError::not_found(&key))?;
    let services = state.services_len();
    if services > 0 {
        return Err(RegistryError::InUse {
            what: key.to_string(),
            by: format!("it has {services} services"),
        });
    }
    draft.require_unchanged(key.clone());
    draft.require_empty(Prefix::Services(name.clone()));
    draft.remove(key);
    Ok(Outcome::Removed)
}

pub(super) fn collect(
    draft: &mut Draft<'_>,
    name: &NamespaceName,
) -> Result<Outcome, RegistryError> {
    let Some(state) = draft.state().namespace(name) else {
        return Ok(Outcome::Unchanged);
    };
    if state.namespace().origin == Origin::Explicit || state.services_len() > 0 {
        return Ok(Outcome::Unchanged);
    }
    delete(draft, name)
}

/// Makes the namespace if it is not there and the policy allows it; returns its kind.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    name: &NamespaceName,
) -> Result<NamespaceKind, RegistryError> {
    let key = ObjectKey::Namespace(name.clone());
    if let Some(state) = draft.state().namespace(name) {
        let kind = state.namespace().kind;
        if state.revision() != crate::id::Revision::ZERO {
            draft.require_unchanged(key);
        }
        return Ok(kind);
    }
    let context = draft.context();
    if !context.policy.implied {
        return Err(RegistryError::not_found(&key));
    }
    draft.require_unchanged(key);
    let namespace = implied_namespace(name, context.seed, context.at);
    let kind = namespace.kind;
    draft.put(Object::Namespace(Arc::new(namespace)));
    Ok(kind)
}

fn change(namespace: &mut Namespace, wanted: &NamespaceChange) {
    if let Some(description) = &wanted.description {
        namespace.description = Text::clone(description);
    }
    if let Some(soa_ttl) = wanted.soa_ttl {
        namespace.soa_ttl = soa_ttl;
    }
    if let Some(tags) = &wanted.tags {
        namespace.tags = tags.clone();
    }
}
