//! Source 003: `/v1/discovery`.

use std::sync::Arc;

use http::StatusCode;
use waypost_core::{Dialect, InstanceId, RegistryError, ServiceState, View};
use waypost_http::{Request, RequestHead, Router};

use super::service_discovery::overview;
use super::{at_once, param, render, sources, success, waiting};
use crate::body::read_json;
use crate::cache::Kind;
use crate::convert;
use crate::error::Answer;
use crate::state::{Rest, conditional};
use crate::wire::discovery::{
    AllServices, HealthyInstances, InOrder, ServiceHeartbeatRequest, ServiceInstances,
    ServiceRegistrationRequest,
};

const DIALECT: Dialect = Dialect::Discovery;

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router
        .post("/v1/discovery/register", waiting!(rest, register))
        .post("/v1/discovery/heartbeat", waiting!(rest, heartbeat))
        .delete(
            "/v1/discovery/unregister/{service_name}/{instance_id}",
            waiting!(rest, unregister),
        )
        .get_sync("/v1/discovery/services", at_once!(rest, services))
        .get_sync(
            "/v1/discovery/services/{service_name}",
            at_once!(rest, instances),
        )
        .get_sync(
            "/v1/discovery/services/{service_name}/healthy",
            at_once!(rest, healthy),
        )
        .get_sync(
            "/v1/discovery/services/{service_name}/instances",
            at_once!(rest, targets),
        )
}

async fn register(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let body: ServiceRegistrationRequest = read_json(request).await?;
    let service = rest.service_key(&body.service_name)?;
    let (id, spec) = convert::discovery::registration(&body, &rest.config)?;
    let message = format!(
        "Service {service}:{id} registered successfully",
        service = service.name
    );
    sources::register(rest, &access, service, id, spec).await?;
    Ok(success(message))
}

async fn heartbeat(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let body: ServiceHeartbeatRequest = read_json(request).await?;
    let service = rest.service_key(&body.service_name)?;
    let id = InstanceId::new(&body.instance_id)?;
    let path = "POST /v1/discovery/register";
    sources::renew(rest, &access, &service, &id, path).await
}

async fn unregister(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let service = rest.service_key(param(&request.head, "service_name"))?;
    let id = InstanceId::new(param(&request.head, "instance_id"))?;
    let message = "Service unregistered successfully".to_owned();
    sources::leave(rest, &access, service, id, message).await
}

fn services(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let render = || render_services(rest, &view);
    let rendered = overview(rest, &access, &view, Kind::Services, render);
    Ok(conditional(head, rendered))
}

fn render_services(rest: &Rest, view: &View) -> Vec<u8> {
    // No namespace yet means that nothing was ever registered.
    let states: Vec<&Arc<ServiceState>> = view
        .services_in(rest.namespace(), None)
        .map(Iterator::collect)
        .unwrap_or_default();
    let named = states.into_iter().map(|state| {
        let name = state.service().key.name.as_str();
        (
            name,
            convert::discovery::instances(state, state.instances()),
        )
    });
    let services = InOrder(named.collect());
    render(&AllServices { services })
}

fn instances(rest: &Rest, head: &RequestHead) -> Answer {
    of_service(rest, head, Kind::Instances, |state| {
        render(&ServiceInstances {
            service_name: state.service().key.name.as_str(),
            instances: convert::discovery::instances(state, state.instances()),
        })
    })
}

fn healthy(rest: &Rest, head: &RequestHead) -> Answer {
    rest.metrics.timed(DIALECT, || {
        of_service(rest, head, Kind::Healthy, |state| {
            render(&HealthyInstances {
                service_name: state.service().key.name.as_str(),
                healthy_instances: convert::discovery::instances(
                    state,
                    state.rotation().instances(),
                ),
            })
        })
    })
}

/// Answers about the service of the path: 404 when it is unknown, 200 when it is known and empty.
fn of_service(
    rest: &Rest,
    head: &RequestHead,
    kind: Kind,
    render: impl Fn(&ServiceState) -> Vec<u8>,
) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let name = param(head, "service_name");
    let Some(state) = rest.find(&view, name)? else {
        return Err(RegistryError::not_found(format!("service {name}")).into());
    };
    let rendered = rest.rendered(kind, &view, state, || render(state));
    Ok(conditional(head, rendered))
}

/// Prometheus drops everything it knew on any status but 200, so an unknown service has no targets.
fn targets(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let Some(state) = rest.find(&view, param(head, "service_name"))? else {
        return Ok(waypost_http::json(StatusCode::OK, "[]"));
    };
    let rendered = rest.rendered(Kind::Targets, &view, state, || {
        render(&convert::targets::target_groups(state))
    });
    Ok(conditional(head, rendered))
}
