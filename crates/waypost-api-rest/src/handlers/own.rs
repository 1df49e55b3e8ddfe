//! Our own paths: namespaces, services and instances; who may be sent traffic.

use std::sync::Arc;

use http::StatusCode;
use waypost_core::{
    Access, Applied, Command, Dialect, ErrorKind, Expected, Fact, InstanceId, NamespaceName,
    Outcome, Owner, Position, RegistrationId, RegistryError, Scope, Service, ServiceChange,
    ServiceKey, ServiceName, ServiceSpec, View,
};
use waypost_http::{Request, RequestHead, Response, Router, empty, json};

use super::poll::{self, polled};
use super::{at_once, param, render, waiting};
use crate::body::{read_json, read_json_or_empty};
use crate::cache::{Rendered, etag};
use crate::condition::{guarded, of_change, of_put, refusal, refusal_of_what_is};
use crate::convert::own as convert;
use crate::error::{Answer, Problem, Refusal};
use crate::page::Page;
use crate::replay::replay;
use crate::state::{Rest, conditional};
use crate::wire::own::{
    HeartbeatAnswer, HeartbeatBody, NamespacePage, Registration, Rotation, ServicePage,
    ServiceSettings, Tier,
};

mod batch;
mod checks;
mod instances;
mod live;
mod modes;
mod namespaces;
mod patch;

pub(crate) use modes::gone;

const DIALECT: Dialect = Dialect::Rest;
/// How often creating a service or else updating it is tried, while others remove and create it.
const TRIES_MAX: usize = 8;

const SERVICES: &str = "/v1/namespaces/{namespace}/services";
const SERVICE: &str = "/v1/namespaces/{namespace}/services/{service}";
const INSTANCES: &str = "/v1/namespaces/{namespace}/services/{service}/instances";
const INSTANCE: &str = "/v1/namespaces/{namespace}/services/{service}/instances/{id}";
const NAMESPACE: &str = "/v1/namespaces/{namespace}";
const MODE: &str = "/v1/namespaces/{namespace}/services/{service}/instances/{id}/mode";
const CHECK: &str = "/v1/namespaces/{namespace}/services/{service}/instances/{id}/checks/{check}";
const HEARTBEAT: &str = "/v1/namespaces/{namespace}/services/{service}/instances/{id}/heartbeat";

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    batch::routes(router, rest)
        .get_sync("/v1/namespaces", at_once!(rest, list_namespaces))
        .get_sync(NAMESPACE, at_once!(rest, namespace))
        .put(NAMESPACE, waiting!(rest, namespaces::put))
        .patch(NAMESPACE, waiting!(rest, patch::namespace))
        .delete(NAMESPACE, waiting!(rest, namespaces::delete))
        .get_sync(SERVICES, at_once!(rest, services))
        .get_either(
            SERVICE,
            poll::waits,
            at_once!(rest, service),
            polled!(rest, live::SERVICE),
        )
        .put(SERVICE, waiting!(rest, put_service))
        .patch(SERVICE, waiting!(rest, patch::service))
        .delete(SERVICE, waiting!(rest, delete_service))
        .get_either(
            "/v1/instances",
            poll::waits,
            at_once!(rest, instances::across),
            polled!(rest, live::ACROSS),
        )
        .get_either(
            INSTANCES,
            poll::waits,
            at_once!(rest, instances::of_service),
            polled!(rest, live::INSTANCES),
        )
        .get_either(
            INSTANCE,
            poll::waits,
            at_once!(rest, instance),
            polled!(rest, live::INSTANCE),
        )
        .put(INSTANCE, waiting!(rest, put_instance))
        .patch(INSTANCE, waiting!(rest, patch::instance))
        .delete(INSTANCE, waiting!(rest, delete_instance))
        .post(HEARTBEAT, waiting!(rest, heartbeat))
        .put(CHECK, waiting!(rest, checks::put))
        .get_sync(MODE, at_once!(rest, modes::get))
        .put(MODE, waiting!(rest, modes::put))
        .delete(MODE, waiting!(rest, modes::delete))
        .get_either(
            "/v1/discover/{service}",
            poll::waits,
            at_once!(rest, discover),
            polled!(rest, live::ROTATION),
        )
}

/// Answers with a document whose every change moves the revision, vitals aside.
fn versioned(
    rest: &Rest,
    head: &RequestHead,
    view: &View,
    scope: &Scope,
    document: &impl serde::Serialize,
) -> Answer {
    let position = view.position_at(view.modified(scope));
    let now = rest.registry.clock().monotonic();
    Ok(conditional(
        head,
        Rendered::new(render(document), position, now),
    ))
}

fn service_key(head: &RequestHead) -> Result<ServiceKey, RegistryError> {
    ServiceKey::new(param(head, "namespace"), param(head, "service"))
}

/// Reads `?owner=`; without it the registry decides.
pub(crate) fn owner(head: &RequestHead) -> Result<Option<Owner>, Refusal> {
    match head.query_value("owner")? {
        Some(owner) => Ok(Some(Owner::new(&owner)?)),
        None => Ok(None),
    }
}

fn namespace(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    only(head, &[])?;
    let view = rest.registry.view(&access);
    let name = NamespaceName::new(param(head, "namespace"))?;
    let document = convert::namespace_to_wire(&view, view.namespace(&name)?);
    versioned(rest, head, &view, &Scope::Namespace(name), &document)
}

fn list_namespaces(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    only(head, &["limit", "after"])?;
    let view = rest.registry.view(&access);
    let page = Page::of(head, &rest.config)?;
    let after = page.after.as_deref().map(NamespaceName::new).transpose()?;
    let all = view.namespaces().filter(|state| {
        after
            .as_ref()
            .is_none_or(|after| state.namespace().name > *after)
    });
    let (shown, next) = page.cut(all, |state| state.namespace().name.as_str().to_owned());
    let namespaces = shown
        .into_iter()
        .map(|state| convert::namespace_to_wire(&view, state))
        .collect();
    versioned(
        rest,
        head,
        &view,
        &Scope::All,
        &NamespacePage { namespaces, next },
    )
}

fn services(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    only(head, &["limit", "after"])?;
    let view = rest.registry.view(&access);
    let page = Page::of(head, &rest.config)?;
    let namespace = NamespaceName::new(param(head, "namespace"))?;
    let after = page.after.as_deref().map(ServiceName::new).transpose()?;
    let all = view.services_in(&namespace, after.as_ref())?;
    let (shown, next) = page.cut(all, |state| state.service().key.name.as_str().to_owned());
    let zone = rest.zone(&view, &namespace);
    let services = shown
        .into_iter()
        .map(|state| convert::service_to_wire(view.position().epoch, state, zone))
        .collect();
    let document = ServicePage {
        namespace: namespace.as_str().to_owned(),
        services,
        next,
    };
    versioned(rest, head, &view, &Scope::Namespace(namespace), &document)
}

fn service(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    only(head, &WAITING)?;
    let view = rest.registry.view(&access);
    let key = service_key(head)?;
    let zone = rest.zone(&view, &key.namespace);
    let document = convert::service_to_wire(view.position().epoch, view.service(&key)?, zone);
    versioned(rest, head, &view, &Scope::Service(key), &document)
}

async fn put_service(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let key = service_key(&request.head)?;
    let settings: ServiceSettings = read_json_or_empty(request).await?;
    let change = convert::service_change(&settings)?;
    let before = service_before(rest, &access, &key);
    let view = rest.registry.view(&access);
    let epoch = view.position().epoch;
    let expected = of_put(&request.head, &view)?;
    let (applied, command) = create_or_update(rest, &access, &key, &change, expected)
        .await
        .map_err(|error| refusal(epoch, &error))?;
    let view = rest.registry.view(&access);
    if let Ok(state) = view.service(&key) {
        let document = convert::service_to_wire(epoch, state, rest.zone(&view, &key.namespace));
        let position = view.position_at(state.modified());
        return Ok(written(position, applied.outcome, &document));
    }
    let before = before.filter(|_| matches!(command, Command::UpdateService { .. }));
    let command = match before {
        Some(_) => command,
        None => create(&key, &change),
    };
    let snapshot = replay(rest, &access, before.as_ref(), &command, &applied)?;
    let state = snapshot.service(&key).ok_or_else(|| unshown(&key))?;
    let mut document = convert::service_to_wire(epoch, state, rest.zone(&view, &key.namespace));
    document.id.clear();
    let position = view.position_at(state.modified());
    Ok(written(position, applied.outcome, &document))
}

/// Returns the service as it is, if it is there.
fn service_before(rest: &Rest, access: &Access, key: &ServiceKey) -> Option<Arc<Service>> {
    let view = rest.registry.view(access);
    let state = view.service(key).ok();
    state.map(|state| Arc::clone(state.service()))
}

/// What was decided once more is there: this answers for the case that a rule of the registry changes.
fn unshown(what: &impl std::fmt::Display) -> RegistryError {
    RegistryError::Unknown {
        why: format!("{what} was written and removed again"),
    }
}

fn create(key: &ServiceKey, change: &ServiceChange) -> Command {
    Command::CreateService(ServiceSpec {
        key: key.clone(),
        change: change.clone(),
        request_id: None,
    })
}

/// Returns what was done and by which command. What has to be there is only updated, what must not be is only created. Two that create it at once both succeed, since the second one updates;
/// one that others remove and create all the time is tried a few times.
async fn create_or_update(
    rest: &Rest,
    access: &Access,
    key: &ServiceKey,
    change: &ServiceChange,
    expected: Option<Expected>,
) -> Result<(Applied, Command), RegistryError> {
    let mut tries = if expected.is_some() { TRIES_MAX } else { 1 };
    loop {
        let update = Command::UpdateService {
            key: key.clone(),
            change: change.clone(),
            expected: None,
        };
        if expected != Some(Expected::Absent) {
            let fact = expected.map(|expected| Fact::Service(key.clone(), expected));
            let command = guarded(fact, update.clone());
            match rest.registry.apply(access, command).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                done => return done.map(|applied| (applied, update)),
            }
        }
        let create = create(key, change);
        match rest.registry.apply(access, create.clone()).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES_MAX => {
                tries += 1;
            }
            done => return done.map(|applied| (applied, create)),
        }
    }
}

/// Answers 201 for what is new and 200 for what was there.
fn written(position: Position, outcome: Outcome, document: &impl serde::Serialize) -> Response {
    let status = match outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged | Outcome::Removed => StatusCode::OK,
    };
    let mut response = json(status, render(document));
    let etag = etag(position);
    response.headers_mut().insert(http::header::ETAG, etag);
    response
}

async fn delete_service(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let key = service_key(&request.head)?;
    let view = rest.registry.view(&access);
    let expected = of_change(&request.head, &view)?;
    let fact = expected.map(|expected| Fact::Service(key.clone(), expected));
    let command = guarded(fact, Command::DeleteService(key));
    let applied = rest.registry.apply(&access, command).await;
    applied.map_err(|error| refusal_of_what_is(view.position().epoch, error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn instance(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    only(head, &["owner", "revision", "wait"])?;
    let view = rest.registry.view(&access);
    let (key, id) = (service_key(head)?, InstanceId::new(param(head, "id"))?);
    let owner = owner(head)?;
    let instance = view.instance(&key, &id, owner.as_ref())?;
    let state = view.service(&key)?;
    let document = convert::instance_to_wire(view.position().epoch, state, instance);
    // What else happens to other instances, this one's document does not show.
    let position = view.position_at(state.shown(instance));
    let now = rest.registry.clock().monotonic();
    Ok(conditional(
        head,
        Rendered::new(render(&document), position, now),
    ))
}

async fn put_instance(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let key = service_key(&request.head)?;
    let id = InstanceId::new(param(&request.head, "id"))?;
    let owner = owner(&request.head)?;
    let registration: Registration = read_json(request).await?;
    // The service's lease is a default of this dialect: it becomes part of what is registered.
    let before = service_before(rest, &access, &key);
    let lease = before.as_ref().and_then(|before| before.lease_seconds);
    let spec = convert::registration(&registration, lease)?;
    let command = Command::Register {
        service: key.clone(),
        id: id.clone(),
        owner: owner.clone(),
        spec,
        defaults: ServiceChange::default(),
    };
    let view = rest.registry.view(&access);
    let epoch = view.position().epoch;
    let fact = of_put(&request.head, &view)?.map(|expected| Fact::Instance {
        service: key.clone(),
        id: id.clone(),
        owner: owner.clone(),
        expected,
    });
    let applied = rest.registry.apply(&access, guarded(fact, command.clone()));
    let applied = applied.await.map_err(|error| refusal(epoch, &error))?;
    let view = rest.registry.view(&access);
    let shown = (view.service(&key), view.instance(&key, &id, owner.as_ref()));
    if let (Ok(state), Ok(instance)) = shown {
        let document = convert::instance_to_wire(epoch, state, instance);
        let position = view.position_at(state.shown(instance));
        return Ok(written(position, applied.outcome, &document));
    }
    let snapshot = replay(rest, &access, before.as_ref(), &command, &applied)?;
    let state = snapshot.service(&key);
    let made = key.instance(owner.unwrap_or_default(), id);
    let instance = snapshot.instance(&made);
    let (state, instance) = state.zip(instance).ok_or_else(|| unshown(&made))?;
    let mut document = convert::instance_to_wire(epoch, state, instance);
    document.registration_id.clear();
    let position = view.position_at(state.modified());
    Ok(written(position, applied.outcome, &document))
}

async fn delete_instance(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let service = service_key(&request.head)?;
    let id = InstanceId::new(param(&request.head, "id"))?;
    let owner = owner(&request.head)?;
    let view = rest.registry.view(&access);
    let fact = of_change(&request.head, &view)?.map(|expected| Fact::Instance {
        service: service.clone(),
        id: id.clone(),
        owner: owner.clone(),
        expected,
    });
    let key = service.instance(owner.clone().unwrap_or_default(), id.clone());
    let command = modes::removal(rest, &access, &request.head, (service, id, owner))?;
    let applied = rest.registry.apply(&access, guarded(fact, command)).await;
    applied.map_err(|error| match error.kind() {
        ErrorKind::NotFound => gone(rest, &access, &key, &error, "there is nothing to remove"),
        _ => refusal_of_what_is(view.position().epoch, error),
    })?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn heartbeat(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let service = service_key(&request.head)?;
    let id = InstanceId::new(param(&request.head, "id"))?;
    let owner = owner(&request.head)?;
    let body: HeartbeatBody = read_json_or_empty(request).await?;
    let registration: Option<RegistrationId> = body
        .registration_id
        .as_deref()
        .map(str::parse)
        .transpose()?;
    let load = body.load.map(load).transpose()?;
    let renewed = async {
        let view = rest.registry.view(&access);
        let key = view.instance(&service, &id, owner.as_ref())?.key().clone();
        rest.registry
            .heartbeat(&access, &key, registration, load)
            .await
    };
    match renewed.await {
        Ok(beat) => {
            let deadline_seconds = beat.lease.map(|lease| lease.as_secs_f64());
            Ok(super::answer(
                StatusCode::OK,
                &HeartbeatAnswer { deadline_seconds },
            ))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let sentence =
                format!("Instance {service}/{id} is not registered: register it again with PUT");
            Err(Problem::from(&error).saying(sentence).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn load(load: f64) -> Result<f32, RegistryError> {
    if !(0.0..=1.0).contains(&load) {
        return Err(RegistryError::invalid("load", load, "must be 0 to 1"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a ratio needs no more digits"
    )]
    let load = load as f32;
    // Minus zero is written as such, and says nothing that zero does not.
    Ok(load + 0.0)
}

/// Names the service that `?namespace=` and the path mean.
pub(crate) fn service_asked(rest: &Rest, head: &RequestHead) -> Result<ServiceKey, Refusal> {
    let name = param(head, "service");
    Ok(match head.query_value("namespace")? {
        Some(namespace) => ServiceKey::new(&namespace, name)?,
        None => rest.service_key(name)?,
    })
}

/// Refuses what a read does not know: a filter that is ignored would give others than those that were meant.
pub(crate) fn only(head: &RequestHead, known: &[&str]) -> Result<(), Refusal> {
    if head.raw_query().is_empty() {
        return Ok(());
    }
    let query = head.query()?;
    let Some((name, _)) = query.iter().find(|(name, _)| !known.contains(name)) else {
        return Ok(());
    };
    let rule = if known.is_empty() {
        "is not known: there is none here".to_owned()
    } else {
        format!("is not known; known are {}", known.join(", "))
    };
    Err(RegistryError::invalid("parameter", name, rule).into())
}

/// What a read takes that can wait.
const WAITING: [&str; 2] = ["revision", "wait"];

fn discover(rest: &Rest, head: &RequestHead) -> Answer {
    rest.metrics.timed(DIALECT, || {
        let access = rest.reader(head, DIALECT)?;
        only(head, &["namespace", "revision", "wait"])?;
        let view = rest.registry.view(&access);
        let key = service_asked(rest, head)?;
        let state = view.service(&key)?;
        let show = || {
            let rotation = state.rotation();
            let instances = rotation.instances().iter();
            render(&Rotation {
                namespace: key.namespace.as_str().to_owned(),
                service: state.service().key.name.as_str().to_owned(),
                tier: rotation.tier().map(Tier),
                instances: instances
                    .map(|it| convert::instance_to_wire(view.position().epoch, state, it))
                    .collect(),
            })
        };
        let position = view.position_at(state.modified());
        let now = rest.registry.clock().monotonic();
        // The cache knows services by one name; those of other namespaces are rendered each time.
        let rendered = if key.namespace == *rest.namespace() {
            rest.rendered(crate::cache::Kind::Rotation, &view, state, show)
        } else {
            Rendered::new(show(), position, now)
        };
        Ok(conditional(head, rendered))
    })
}
