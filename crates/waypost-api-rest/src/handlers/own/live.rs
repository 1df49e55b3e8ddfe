//! What the reads of our own paths say, vitals aside, so that a long poll ends exactly when it changes.

use waypost_core::{Instance, InstanceId, Scope, ServiceState, View};
use waypost_http::RequestHead;

use super::{
    DIALECT, discover, instance, instances, owner, param, service, service_asked, service_key,
};
use crate::convert::own as convert;
use crate::error::Refusal;
use crate::handlers::poll::{Polled, digest_of};
use crate::handlers::render;
use crate::state::Rest;

pub(super) const ROTATION: Polled = Polled {
    dialect: DIALECT,
    scope: |rest, head| Ok(Scope::Service(service_asked(rest, head)?)),
    digest: |rest, head, view| {
        let state = view.service(&service_asked(rest, head)?)?;
        let rotation = state.rotation();
        let tier = rotation.tier().map_or("", waypost_core::Tier::as_str);
        let instances = rotation.instances().iter();
        Ok(digest_of(instances.map(|it| (tier, of_instance(it)))))
    },
    answer: discover,
};

pub(super) const SERVICE: Polled = Polled {
    dialect: DIALECT,
    scope: |_, head| Ok(Scope::Service(service_key(head)?)),
    digest: |rest, head, view| {
        let state = view.service(&service_key(head)?)?;
        Ok(digest_of([of_service(rest, view, state)].into_iter()))
    },
    answer: service,
};

pub(super) const INSTANCES: Polled = Polled {
    dialect: DIALECT,
    scope: |_, head| Ok(Scope::Service(service_key(head)?)),
    digest: instances::digest_of_service,
    answer: instances::of_service,
};

pub(super) const ACROSS: Polled = Polled {
    dialect: DIALECT,
    scope: instances::scope_across,
    digest: instances::digest_across,
    answer: instances::across,
};

pub(super) const INSTANCE: Polled = Polled {
    dialect: DIALECT,
    scope: |_, head| Ok(Scope::Service(service_key(head)?)),
    digest: |_, head, view| one_instance(head, view),
    answer: instance,
};

fn one_instance(head: &RequestHead, view: &View) -> Result<u64, Refusal> {
    let key = service_key(head)?;
    let id = InstanceId::new(param(head, "id"))?;
    let owner = owner(head)?;
    let found = view.instance(&key, &id, owner.as_ref())?;
    let shown = view.service(&key)?.shown(found);
    Ok(digest_of([(of_instance(found), shown.0)].into_iter()))
}

/// Everything shown of an instance but for its vitals changes with its revision.
fn of_instance(instance: &Instance) -> (&str, &str, u64) {
    let key = instance.key();
    (key.id.as_str(), key.owner.as_str(), instance.modified().0)
}

/// A service as it is shown, without the revision, which moves with everything in it.
fn of_service(rest: &Rest, view: &View, state: &ServiceState) -> Vec<u8> {
    let zone = rest.zone(view, &state.service().key.namespace);
    let mut document = convert::service_to_wire(view.position().epoch, state, zone);
    document.revision.clear();
    render(&document)
}
