//! Partial updates of namespaces, services and instances: JSON merge patch.

use std::sync::Arc;

use waypost_core::{Command, Expected, Fact, InstanceId, NamespaceName, Outcome, Revision};
use waypost_core::{RegistryError, Scope};
use waypost_http::Request;

use super::namespaces::{kind_of, refuse_other_kind};
use super::{DIALECT, owner, param, service_key, unshown, written};
use crate::body::read_patch;
use crate::condition::{guarded, of_change, refusal, refusal_of_what_is};
use crate::convert::own as convert;
use crate::error::Answer;
use crate::state::Rest;

/// How often a merge is made anew because somebody else was first; of those who are at it at once, one wins each time.
const TRIES_MAX: usize = 64;

pub(super) async fn namespace(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let name = NamespaceName::new(param(&request.head, "namespace"))?;
    let patch = read_patch(request).await?;
    let view = rest.registry.view(&access);
    let epoch = view.position().epoch;
    let expected = of_change(&request.head, &view)?;
    let (settings, change) = convert::namespace_patch(&patch)?;
    if let Ok(state) = view.namespace(&name) {
        refuse_other_kind(state.namespace().kind, settings.kind.map(kind_of))?;
    }
    let update = Command::UpdateNamespace {
        name: name.clone(),
        change,
    };
    let fact = expected.map(|expected| Fact::Namespace(name.clone(), expected));
    let applied = rest.registry.apply(&access, guarded(fact, update)).await;
    applied.map_err(|error| refusal_of_what_is(epoch, error))?;
    let view = rest.registry.view(&access);
    let state = view.namespace(&name).map_err(|_| unshown(&name))?;
    let document = convert::namespace_to_wire(&view, state);
    let position = view.position_at(view.modified(&Scope::Namespace(name)));
    Ok(written(position, Outcome::Updated, &document))
}

pub(super) async fn service(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let key = service_key(&request.head)?;
    let patch = read_patch(request).await?;
    let expected = of_change(&request.head, &rest.registry.view(&access))?;
    let merges = convert::merges_into_service(&patch);
    let mut tries = 1;
    loop {
        let view = rest.registry.view(&access);
        let state = view.service(&key)?;
        let seen = merges.then(|| state.revision());
        // What was made up for a service that was damaged is in no store.
        let seen = seen.filter(|seen| *seen != Revision::ZERO);
        let facts = expected
            .into_iter()
            .chain(seen.map(Expected::UnchangedSince));
        let command = Command::When {
            facts: facts
                .map(|expected| Fact::Service(key.clone(), expected))
                .collect(),
            command: Box::new(Command::UpdateService {
                key: key.clone(),
                change: convert::service_patch(&patch, state)?,
                expected: None,
            }),
        };
        match rest.registry.apply(&access, command).await {
            Err(RegistryError::Changed { .. }) if expected.is_none() && tries < TRIES_MAX => {
                tries += 1;
            }
            Err(error) => return Err(refusal_of_what_is(view.position().epoch, error)),
            Ok(_) => break,
        }
    }
    let view = rest.registry.view(&access);
    let state = view.service(&key).map_err(|_| unshown(&key))?;
    let zone = rest.zone(&view, &key.namespace);
    let document = convert::service_to_wire(view.position().epoch, state, zone);
    let position = view.position_at(state.modified());
    Ok(written(position, Outcome::Updated, &document))
}

pub(super) async fn instance(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let service = service_key(&request.head)?;
    let id = InstanceId::new(param(&request.head, "id"))?;
    let owner = owner(&request.head)?;
    let patch = read_patch(request).await?;
    let expected = of_change(&request.head, &rest.registry.view(&access))?;
    let fact = expected.map(|expected| Fact::Instance {
        service: service.clone(),
        id: id.clone(),
        owner: owner.clone(),
        expected,
    });
    let mut tries = 1;
    let key = loop {
        let view = rest.registry.view(&access);
        let instance = view.instance(&service, &id, owner.as_ref())?;
        let lease = view.service(&service)?.service().lease_seconds;
        let registered = &instance.registration().spec;
        let spec = convert::registration_patch(&patch, registered, lease)?;
        let amend = Command::Amend {
            key: instance.key().clone(),
            written: instance.registered(),
            spec: Arc::new(spec),
        };
        match rest
            .registry
            .apply(&access, guarded(fact.clone(), amend))
            .await
        {
            Err(RegistryError::Changed { .. }) if fact.is_none() && tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(refusal(view.position().epoch, &error)),
            Ok(_) => break instance.key().clone(),
        }
    };
    let view = rest.registry.view(&access);
    let shown = view.service(&service).ok();
    let shown = shown.and_then(|state| Some((state, state.instance(&key)?)));
    let (state, instance) = shown.ok_or_else(|| unshown(&key))?;
    let document = convert::instance_to_wire(view.position().epoch, state, instance);
    let position = view.position_at(state.shown(instance));
    Ok(written(position, Outcome::Updated, &document))
}
