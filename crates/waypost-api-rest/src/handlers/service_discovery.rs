//! Source 004: `/service-discovery`, and `/health` of both sources.

use std::sync::Arc;

use http::StatusCode;
use waypost_core::{
    Access, Dialect, Instance, InstanceId, RegistryError, Scope, ServiceState, View,
};
use waypost_http::{Request, RequestHead, Router};

use super::{answer, at_once, param, render, sources, waiting};
use crate::body::read_json;
use crate::cache::{Kind, Rendered};
use crate::convert::service_discovery as convert;
use crate::convert::sources::{base_url, status};
use crate::error::Answer;
use crate::explain::standing;
use crate::state::{Rest, conditional, reads_everything};
use crate::time::Rfc3339;
use crate::wire::discovery::{InOrder, Status};
use crate::wire::service_discovery::{
    Aggregated, Discovered, Heartbeat, Overall, Registered, Registration, ServerHealth,
    ServiceHealth, ServiceList,
};

const DIALECT: Dialect = Dialect::ServiceDiscovery;
/// Most instances whose state an error tells.
const TOLD_MAX: usize = 5;

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router
        .post("/service-discovery/register", waiting!(rest, register))
        .post("/service-discovery/heartbeat", waiting!(rest, heartbeat))
        .delete(
            "/service-discovery/{service_name}/{instance_id}",
            waiting!(rest, deregister),
        )
        .delete(
            "/service-discovery/discover/{service_name}",
            waiting!(rest, leave_discover),
        )
        .delete(
            "/service-discovery/health/aggregated",
            waiting!(rest, leave_health),
        )
        .delete(
            "/service-discovery/services/healthy",
            waiting!(rest, leave_services),
        )
        .get_sync(
            "/service-discovery/discover/{service_name}",
            at_once!(rest, discover),
        )
        .get_sync(
            "/service-discovery/health/aggregated",
            at_once!(rest, aggregated),
        )
        .get_sync("/service-discovery/services", at_once!(rest, services))
        .get_sync(
            "/service-discovery/services/healthy",
            at_once!(rest, healthy),
        )
        .get_sync(
            "/service-discovery/services/by-tag/{tag}",
            at_once!(rest, by_tag),
        )
}

/// The routes that need no credential.
pub(crate) fn open_routes(router: Router, rest: &Arc<Rest>) -> Router {
    router.get_sync("/health", at_once!(rest, health))
}

async fn register(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let body: Registration = read_json(request).await?;
    let service = rest.service_key(&body.service_name)?;
    let (id, spec) = convert::registration(&body, &rest.config)?;
    let registered = Registered {
        success: true,
        message: format!("Service {}:{id} registered successfully", service.name),
        service_name: service.name.as_str().to_owned(),
        instance_id: id.as_str().to_owned(),
    };
    sources::register(rest, &access, service, id, spec).await?;
    Ok(answer(StatusCode::OK, &registered))
}

async fn heartbeat(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let body: Heartbeat = read_json(request).await?;
    let service = rest.service_key(&body.service_name)?;
    let id = convert::heartbeat_id(&body)?;
    let path = "POST /service-discovery/register";
    sources::renew(rest, &access, &service, &id, path).await
}

async fn deregister(rest: &Rest, request: &mut Request) -> Answer {
    let (service, id) = (
        param(&request.head, "service_name"),
        param(&request.head, "instance_id"),
    );
    leave(rest, &request.head, service, id).await
}

/// The words of the paths to read are names of services too: these routes would hide theirs.
async fn leave_discover(rest: &Rest, request: &mut Request) -> Answer {
    let id = param(&request.head, "service_name");
    leave(rest, &request.head, "discover", id).await
}

async fn leave_health(rest: &Rest, request: &mut Request) -> Answer {
    leave(rest, &request.head, "health", "aggregated").await
}

async fn leave_services(rest: &Rest, request: &mut Request) -> Answer {
    leave(rest, &request.head, "services", "healthy").await
}

async fn leave(rest: &Rest, head: &RequestHead, service: &str, id: &str) -> Answer {
    let access = rest.writer(head, DIALECT)?;
    let (service, id) = (rest.service_key(service)?, InstanceId::new(id)?);
    let message = format!("Service {}:{id} unregistered successfully", service.name);
    sources::leave(rest, &access, service, id, message).await
}

fn discover(rest: &Rest, head: &RequestHead) -> Answer {
    rest.metrics.timed(DIALECT, || {
        let access = rest.reader(head, DIALECT)?;
        let view = rest.registry.view(&access);
        let name = param(head, "service_name");
        let Some(state) = rest.find(&view, name)? else {
            return Err(RegistryError::not_found(format!("service {name}")).into());
        };
        let (chosen, status) = choose(rest, state)?;
        let discovered = Discovered {
            service_name: state.service().key.name.as_str(),
            base_url: base_url(chosen),
            status,
        };
        Ok(answer(StatusCode::OK, &discovered))
    })
}

/// Takes the next instance of the rotation, else one that has neither passed nor failed yet.
fn choose<'a>(
    rest: &Rest,
    state: &'a ServiceState,
) -> Result<(&'a Arc<Instance>, Status), crate::error::Refusal> {
    let name = state.service().key.name.as_str();
    if let Some(chosen) = rest.turns.next(name, state.rotation().instances()) {
        return Ok((chosen, status(chosen)));
    }
    let all = state.instances().iter();
    let untried: Vec<&Arc<Instance>> = all.filter(|it| convert::is_untried(it)).collect();
    match rest.turns.next(name, &untried) {
        Some(chosen) => Ok((chosen, status(chosen))),
        None => Err(nobody(state).into()),
    }
}

/// Says which instances there are and why none of them is answered.
fn nobody(state: &ServiceState) -> crate::error::Problem {
    let what = format!(
        "service {} with an available instance",
        state.service().key.name
    );
    let problem = crate::error::Problem::from(&RegistryError::not_found(what));
    let all = state.instances();
    let mut sentence = format!("Service {} has ", state.service().key.name);
    if all.is_empty() {
        sentence.push_str("no instance");
        return problem.saying(sentence);
    }
    sentence.push_str("no available instance");
    for instance in all.iter().take(TOLD_MAX) {
        let reason = standing(state, instance).reason;
        sentence.push_str(&format!("; {}: {reason}", instance.key().id));
    }
    if let Some(more @ 1..) = all.len().checked_sub(TOLD_MAX) {
        sentence.push_str(&format!("; and {more} more"));
    }
    problem.saying(sentence)
}

/// Lists the services of the default namespace that have instances.
fn registered<'a>(rest: &Rest, view: &'a View) -> Vec<&'a ServiceState> {
    // No namespace yet means that nothing was ever registered.
    let all = view.services_in(rest.namespace(), None);
    all.map(|all| {
        all.map(|state| &**state)
            .filter(|it| !it.instances().is_empty())
            .collect()
    })
    .unwrap_or_default()
}

fn named<'a>(
    states: impl Iterator<Item = &'a ServiceState>,
    show: impl Fn(&'a ServiceState) -> Option<ServiceHealth>,
) -> InOrder<'a, ServiceHealth> {
    let shown = states.filter_map(|state| Some((state.service().key.name.as_str(), show(state)?)));
    InOrder(shown.collect())
}

fn aggregated(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let rendered = overview(rest, &access, &view, Kind::Aggregated, || {
        let states = registered(rest, &view);
        let counts = convert::counts(states.iter().copied());
        render(&Aggregated {
            overall_status: counts.overall_status,
            timestamp: Rfc3339(rest.registry.clock().wall()),
            services: named(states.into_iter(), |state| {
                convert::service_health(state, |_| true)
            }),
            total_services: counts.total_services,
            healthy_services: counts.healthy_services,
            unhealthy_services: counts.unhealthy_services,
        })
    });
    Ok(conditional(head, rendered))
}

/// Returns the cached or new answer about all services.
pub(crate) fn overview(
    rest: &Rest,
    access: &Access,
    view: &View,
    kind: Kind,
    render: impl FnOnce() -> Vec<u8>,
) -> Rendered {
    let scope = Scope::Namespace(rest.namespace().clone());
    let position = view.position_at(view.modified(&scope));
    let now = rest.registry.clock().monotonic();
    if reads_everything(access) {
        rest.cache.fetch(kind, "", position, now, render)
    } else {
        Rendered::new(render(), position, now)
    }
}

fn services(rest: &Rest, head: &RequestHead) -> Answer {
    list(rest, head, Kind::ServiceList, |_| true, |_| true)
}

fn healthy(rest: &Rest, head: &RequestHead) -> Answer {
    list(
        rest,
        head,
        Kind::HealthyServices,
        convert::is_healthy,
        |_| true,
    )
}

fn by_tag(rest: &Rest, head: &RequestHead) -> Answer {
    let tag = param(head, "tag");
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let tagged = |instance: &Instance| instance.registration().spec.tags.contains(tag);
    let body = render_list(rest, &view, |_| true, tagged);
    let scope = Scope::Namespace(rest.namespace().clone());
    let position = view.position_at(view.modified(&scope));
    let now = rest.registry.clock().monotonic();
    Ok(conditional(head, Rendered::new(body, position, now)))
}

fn list(
    rest: &Rest,
    head: &RequestHead,
    kind: Kind,
    service: impl Fn(&ServiceState) -> bool,
    instance: impl Fn(&Instance) -> bool,
) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let render = || render_list(rest, &view, service, instance);
    Ok(conditional(
        head,
        overview(rest, &access, &view, kind, render),
    ))
}

fn render_list(
    rest: &Rest,
    view: &View,
    service: impl Fn(&ServiceState) -> bool,
    instance: impl Fn(&Instance) -> bool,
) -> Vec<u8> {
    let states = registered(rest, view)
        .into_iter()
        .filter(|state| service(state));
    let services = named(states, |state| {
        let shown = convert::service_health(state, &instance)?;
        let tags = Some(convert::tags(state));
        Some(ServiceHealth { tags, ..shown })
    });
    let total_services = services.0.len();
    render(&ServiceList {
        services,
        total_services,
    })
}

/// Tells how the server is; it needs no credential and names nobody.
fn health(rest: &Rest, _head: &RequestHead) -> Answer {
    let access = Access::internal("health");
    let view = rest.registry.view(&access);
    let rendered = overview(rest, &access, &view, Kind::Health, || {
        let counts = convert::counts(registered(rest, &view).into_iter());
        let status = match rest.registry.read_only() {
            None => Overall::Healthy,
            Some(_) => Overall::Degraded,
        };
        render(&ServerHealth {
            status,
            service: "service-discovery",
            version: rest.version.clone(),
            load_percentage: rest.registry.saturation(),
            service_discovery: counts,
        })
    });
    // Never 304: whether the store takes writes moves no revision.
    let mut response = waypost_http::json(StatusCode::OK, rendered.body);
    let no_store = http::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, no_store);
    Ok(response)
}
