//! Lists of instances: of one service, and across all of them.

use std::sync::Arc;

use waypost_core::{Instance, NamespaceName, Scope, ServiceKey, ServiceName, ServiceState, View};
use waypost_http::RequestHead;

use super::{DIALECT, service_key, versioned};
use crate::convert::own as convert;
use crate::error::{Answer, Refusal};
use crate::filter::Filter;
use crate::handlers::poll::digest_of;
use crate::page::Page;
use crate::place::Place;
use crate::state::Rest;
use crate::wire::own::{InstanceList, InstancePage};

/// Most instances and services that are looked at for one page: one that leaves nearly everything out ends there, with
/// the place where the next one goes on.
const LOOKED_AT_MAX: usize = 50_000;

type Found<'a> = (&'a Arc<ServiceState>, &'a Arc<Instance>);
type Services<'a, 'q> = Box<dyn Iterator<Item = &'a Arc<ServiceState>> + 'q>;

/// What one page holds.
struct Listed<'a> {
    found: Vec<Found<'a>>,
    /// The token of the next page.
    next: Option<String>,
}

impl Listed<'_> {
    fn to_wire(&self, view: &View) -> Vec<crate::wire::own::Instance> {
        let epoch = view.position().epoch;
        let found = self.found.iter();
        found
            .map(|(state, it)| convert::instance_to_wire(epoch, state, it))
            .collect()
    }

    /// What the page says, vitals aside, in one number.
    fn digest(&self) -> u64 {
        let shown = self.found.iter().map(|(state, it)| {
            let key = it.key();
            (key.to_string(), state.shown(it).0)
        });
        digest_of(shown.chain(self.next.iter().map(|next| (next.clone(), 0))))
    }
}

pub(super) fn of_service(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let key = service_key(head)?;
    let listed = list_of_service(rest, head, &view, &key)?;
    let document = InstancePage {
        namespace: key.namespace.as_str().to_owned(),
        service: key.name.as_str().to_owned(),
        instances: listed.to_wire(&view),
        next: listed.next,
    };
    versioned(rest, head, &view, &Scope::Service(key), &document)
}

pub(super) fn digest_of_service(
    rest: &Rest,
    head: &RequestHead,
    view: &View,
) -> Result<u64, Refusal> {
    Ok(list_of_service(rest, head, view, &service_key(head)?)?.digest())
}

fn list_of_service<'a>(
    rest: &Rest,
    head: &RequestHead,
    view: &'a View,
    key: &ServiceKey,
) -> Result<Listed<'a>, Refusal> {
    let filter = Filter::within(&head.query()?, &key.to_string())?;
    let page = Page::of(head, &rest.config)?;
    let place = place(&page, view, &filter)?;
    let services = Box::new(std::iter::once(view.service(key)?));
    Ok(listed(view, services, &filter, place.as_ref(), &page))
}

pub(super) fn across(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let listed = list_across(rest, head, &view)?;
    let document = InstanceList {
        instances: listed.to_wire(&view),
        next: listed.next,
    };
    let scope = scope_across(rest, head)?;
    versioned(rest, head, &view, &scope, &document)
}

pub(super) fn digest_across(rest: &Rest, head: &RequestHead, view: &View) -> Result<u64, Refusal> {
    Ok(list_across(rest, head, view)?.digest())
}

pub(super) fn scope_across(_: &Rest, head: &RequestHead) -> Result<Scope, Refusal> {
    let filter = Filter::across(&head.query()?)?;
    Ok(match (filter.namespace, filter.service) {
        (Some(namespace), Some(name)) => Scope::Service(key_of(&namespace, &name)),
        (Some(namespace), None) => Scope::Namespace(namespace),
        (None, _) => Scope::All,
    })
}

fn list_across<'a>(rest: &Rest, head: &RequestHead, view: &'a View) -> Result<Listed<'a>, Refusal> {
    let filter = Filter::across(&head.query()?)?;
    let page = Page::of(head, &rest.config)?;
    let place = place(&page, view, &filter)?;
    let services = services(view, &filter, place.as_ref());
    Ok(listed(view, services, &filter, place.as_ref(), &page))
}

fn listed<'a>(
    view: &View,
    services: Services<'a, '_>,
    filter: &Filter,
    place: Option<&Place>,
    page: &Page,
) -> Listed<'a> {
    let (found, next) = look(services, filter, place, page.limit());
    let epoch = view.position().epoch;
    Listed {
        found,
        next: next.map(|next| next.write(epoch, filter.digest())),
    }
}

fn place(
    page: &Page,
    view: &View,
    filter: &Filter,
) -> Result<Option<Place>, waypost_core::RegistryError> {
    let after = page.after.as_deref();
    let epoch = view.position().epoch;
    after
        .map(|token| Place::read(token, epoch, filter.digest()))
        .transpose()
}

fn key_of(namespace: &NamespaceName, name: &ServiceName) -> ServiceKey {
    ServiceKey {
        namespace: namespace.clone(),
        name: name.clone(),
    }
}

/// Lists the services that may have something, by namespace and name, from that of the place on.
fn services<'a: 'q, 'q>(
    view: &'a View,
    filter: &'q Filter,
    place: Option<&'q Place>,
) -> Services<'a, 'q> {
    let start = place.map(|place| &place.service);
    match (&filter.namespace, &filter.service) {
        (Some(namespace), Some(name)) => {
            let found = view.service(&key_of(namespace, name)).ok();
            Box::new(found.into_iter())
        }
        (Some(namespace), None) => {
            let within = start.filter(|start| start.namespace == *namespace);
            let first = within.and_then(|start| view.service(start).ok());
            let after = within.map(|start| &start.name);
            let others = view.services_in(namespace, after).ok();
            Box::new(first.into_iter().chain(others.into_iter().flatten()))
        }
        (None, Some(name)) => {
            let is_left = move |namespace: &NamespaceName| {
                start.is_none_or(|start| *namespace >= start.namespace)
            };
            let namespaces = view.namespaces().map(|state| &state.namespace().name);
            let named = namespaces.filter(move |namespace| is_left(namespace));
            Box::new(named.filter_map(|namespace| view.service(&key_of(namespace, name)).ok()))
        }
        (None, None) => Box::new(view.services_from(start)),
    }
}

/// Looks for a page of instances after a place, and says from where the next page goes on, if there may be one.
fn look<'a>(
    services: Services<'a, '_>,
    filter: &Filter,
    place: Option<&Place>,
    limit: usize,
) -> (Vec<Found<'a>>, Option<Place>) {
    let mut found = Vec::new();
    let mut looked_at = 0;
    let mut last = None;
    for state in services {
        let key = &state.service().key;
        let left = left_of(state, place.filter(|place| place.service == *key));
        for instance in left {
            let admitted = filter.admits(instance);
            if looked_at >= LOOKED_AT_MAX || (admitted && found.len() == limit) {
                return (found, last.map(Place::after));
            }
            looked_at += 1;
            if admitted {
                found.push((state, instance));
            }
            last = Some(instance.key());
        }
        looked_at += 1;
        if looked_at >= LOOKED_AT_MAX {
            let service = key.clone();
            let instance = None;
            return (found, Some(Place { service, instance }));
        }
    }
    (found, None)
}

/// Lists what of a service comes after a place in it.
fn left_of<'a>(state: &'a ServiceState, place: Option<&Place>) -> &'a [Arc<Instance>] {
    let all = state.instances();
    let start = match place.map(|place| &place.instance) {
        None => 0,
        Some(None) => all.len(),
        Some(Some((id, owner))) => {
            all.partition_point(|it| (&it.key().id, &it.key().owner) <= (id, owner))
        }
    };
    all.get(start..).unwrap_or_default()
}
