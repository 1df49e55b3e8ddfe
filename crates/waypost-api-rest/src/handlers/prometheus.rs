//! `GET /sd/prometheus`: every instance as a target of Prometheus' HTTP service discovery.

use std::sync::Arc;

use waypost_core::{
    Dialect, NamespaceName, RegistryError, Scope, ServiceKey, ServiceName, ServiceState, View,
};
use waypost_http::{Query, RequestHead, Router};

use super::{at_once, render};
use crate::cache::Rendered;
use crate::convert::targets::meta_target;
use crate::error::Answer;
use crate::explain::standing;
use crate::state::{Rest, conditional};
use crate::wire::discovery::TargetGroup;

/// Most targets of one answer; more are refused, so that no Prometheus takes a part for the whole.
const TARGETS_MAX: usize = 100_000;
/// Longest tag or name of a port that is asked for, in characters.
const NAME_CHARS_MAX: usize = 256;

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router.get_sync("/sd/prometheus", at_once!(rest, targets))
}

/// Which instances are targets.
#[derive(Default)]
struct Wanted {
    namespace: Option<NamespaceName>,
    services: Vec<ServiceName>,
    tags: Vec<String>,
    port: Option<String>,
}

impl Wanted {
    fn read(query: &Query<'_>) -> Result<Self, RegistryError> {
        let mut wanted = Self::default();
        for (name, value) in query.iter() {
            match name {
                "namespace" => wanted.namespace = Some(NamespaceName::new(value)?),
                "service" => wanted.services.push(ServiceName::new(value)?),
                "tag" | "port" if !(1..=NAME_CHARS_MAX).contains(&value.chars().count()) => {
                    let rule = format!("must be 1 to {NAME_CHARS_MAX} characters");
                    return Err(RegistryError::invalid(name.to_owned(), value, rule));
                }
                "tag" => wanted.tags.push(value.to_owned()),
                "port" => wanted.port = Some(value.to_owned()),
                other => {
                    let rule = "must be namespace, service, tag or port";
                    return Err(RegistryError::invalid("parameter", other, rule));
                }
            }
        }
        Ok(wanted)
    }

    /// Names where a change may change the answer.
    fn scope(&self) -> Scope {
        match (&self.namespace, self.services.as_slice()) {
            (Some(namespace), [name]) => Scope::Service(ServiceKey {
                namespace: namespace.clone(),
                name: name.clone(),
            }),
            (Some(namespace), _) => Scope::Namespace(namespace.clone()),
            (None, _) => Scope::All,
        }
    }

    fn services<'a>(&self, view: &'a View) -> Vec<&'a Arc<ServiceState>> {
        let key = |namespace: &NamespaceName, name: &ServiceName| ServiceKey {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let namespaces: Vec<&NamespaceName> = view
            .namespaces()
            .map(|state| &state.namespace().name)
            .filter(|name| self.namespace.as_ref().is_none_or(|wanted| wanted == *name))
            .collect();
        let mut services = Vec::new();
        for namespace in namespaces {
            if self.services.is_empty() {
                services.extend(view.services_in(namespace, None).into_iter().flatten());
            }
            let named = self.services.iter();
            services.extend(named.filter_map(|name| view.service(&key(namespace, name)).ok()));
        }
        services
    }
}

/// An unknown service has no targets: Prometheus would drop everything it knew on any status but 200.
fn targets(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, Dialect::Rest)?;
    let wanted = Wanted::read(&head.query()?)?;
    let view = rest.registry.view(&access);
    let mut groups: Vec<TargetGroup> = Vec::new();
    for state in wanted.services(&view) {
        for instance in state.instances() {
            let tags = &instance.registration().spec.tags;
            if !wanted.tags.iter().all(|tag| tags.contains(tag)) {
                continue;
            }
            let tier = standing(state, instance).tier;
            groups.extend(meta_target(instance, tier.as_str(), wanted.port.as_deref()));
            if groups.len() > TARGETS_MAX {
                let rule = format!(
                    "more than {TARGETS_MAX} targets: ask for namespaces, services or tags"
                );
                return Err(RegistryError::TooLarge {
                    field: "service".into(),
                    rule,
                }
                .into());
            }
        }
    }
    let position = view.position_at(view.modified(&wanted.scope()));
    let now = rest.registry.clock().monotonic();
    let rendered = Rendered::new(render(&groups), position, now);
    Ok(conditional(head, rendered))
}
