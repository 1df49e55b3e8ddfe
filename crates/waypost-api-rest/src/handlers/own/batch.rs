//! Several registrations, removals or heartbeats in one request.
//!
//! Each item is a change of its own and fails alone, and all of them go to the writer at once. What is `atomic` is one
//! change, done as a whole or not at all.

use std::sync::Arc;

use http::StatusCode;
use serde::de::DeserializeOwned;
use waypost_core::{
    Access, Applied, Command, ErrorKind, InstanceId, Outcome, Owner, RegistrationId, RegistryError,
    ServiceChange, ServiceKey, Sign, View,
};
use waypost_http::{Request, Router};

use super::super::{answer, waiting};
use super::{DIALECT, load};
use crate::body::{parse, read_value};
use crate::convert::own as convert;
use crate::error::{Answer, Problem, Refusal, in_words_of};
use crate::state::Rest;
use crate::wire::own::{
    BatchAnswer, DeregisterBatch, DeregisterItem, HeartbeatBatch, HeartbeatItem, ItemResult,
    LooseBatch, RegisterBatch, RegisterItem,
};

/// Most changes in one request.
const CHANGES_MAX: usize = 1_000;
/// Most changes that are done as a whole.
const ATOMIC_MAX: usize = 40;
/// Most heartbeats in one request.
const HEARTBEATS_MAX: usize = 10_000;

pub(super) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router
        .post("/v1/batch/register", waiting!(rest, register))
        .post("/v1/batch/heartbeat", waiting!(rest, heartbeat))
        .post("/v1/batch/deregister", waiting!(rest, deregister))
}

type Items<T> = Vec<Result<T, RegistryError>>;

/// A batch as it is sent.
trait Batch: DeserializeOwned {
    type Item: DeserializeOwned;
    const MAY_BE_ATOMIC: bool;

    fn parts(self) -> (Vec<Self::Item>, bool);
}

impl Batch for RegisterBatch {
    type Item = RegisterItem;
    const MAY_BE_ATOMIC: bool = true;

    fn parts(self) -> (Vec<Self::Item>, bool) {
        (self.items, self.atomic)
    }
}

impl Batch for DeregisterBatch {
    type Item = DeregisterItem;
    const MAY_BE_ATOMIC: bool = true;

    fn parts(self) -> (Vec<Self::Item>, bool) {
        (self.items, self.atomic)
    }
}

impl Batch for HeartbeatBatch {
    type Item = HeartbeatItem;
    const MAY_BE_ATOMIC: bool = false;

    fn parts(self) -> (Vec<Self::Item>, bool) {
        (self.items, false)
    }
}

/// Reads a batch and says whether it is atomic; an item that does not fit is in the way of nothing but itself.
async fn read<B: Batch>(
    request: &mut Request,
    most: usize,
) -> Result<(Items<B::Item>, bool), Refusal> {
    let bytes = request.read_body().await?;
    let (items, atomic) = match parse::<B>(&bytes) {
        Ok(batch) => {
            let (items, atomic) = batch.parts();
            (items.into_iter().map(Ok).collect(), atomic)
        }
        Err(refusal) => match parse::<LooseBatch>(&bytes) {
            Ok(loose) if B::MAY_BE_ATOMIC || loose.atomic.is_none() => {
                let items: Items<B::Item> = loose.items.iter().map(read_value).collect();
                (items, loose.atomic.unwrap_or_default())
            }
            // The batch itself does not fit.
            _ => return Err(refusal),
        },
    };
    let (most, when) = if atomic {
        (ATOMIC_MAX, " when atomic")
    } else {
        (most, "")
    };
    if items.len() > most {
        let count = items.len();
        return Err(RegistryError::TooLarge {
            field: "items".into(),
            rule: format!("{count} items, at most {most}{when}"),
        }
        .into());
    }
    Ok((items, atomic))
}

/// Names an instance as the items of batches do.
#[derive(Debug)]
struct Named {
    service: ServiceKey,
    id: InstanceId,
    owner: Option<Owner>,
}

fn named(
    rest: &Rest,
    namespace: Option<&str>,
    service: &str,
    id: &str,
    owner: Option<&str>,
) -> Result<Named, RegistryError> {
    let namespace = namespace.unwrap_or_else(|| rest.namespace().as_str());
    let named = || {
        Ok(Named {
            service: ServiceKey::new(namespace, service)?,
            id: InstanceId::new(id)?,
            owner: owner.map(Owner::new).transpose()?,
        })
    };
    named()
        .map_err(|error| in_words_of(error, &[("service_name", "service"), ("instance_id", "id")]))
}

async fn register(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let (items, atomic) = read::<RegisterBatch>(request, CHANGES_MAX).await?;
    let view = rest.registry.view(&access);
    let commands = items
        .into_iter()
        .map(|item| registration(rest, &view, &item?))
        .collect();
    let done = change(rest, &access, commands, atomic).await?;
    let view = rest.registry.view(&access);
    let results = done.into_iter().map(|(named, outcome)| {
        let shown = named.as_ref().map(|named| {
            let owner = named.owner.as_ref();
            view.instance(&named.service, &named.id, owner)
        });
        let mut result = result(outcome);
        if let (None, Some(Ok(instance))) = (&result.problem, shown) {
            result.registration_id = Some(instance.registration_id().to_string());
        }
        result
    });
    Ok(answered(results.collect()))
}

/// Makes the command of an item; the service's lease is a default of this dialect, as in a single registration.
fn registration(
    rest: &Rest,
    view: &View,
    item: &RegisterItem,
) -> Result<(Named, Command), RegistryError> {
    let named = named(
        rest,
        item.namespace.as_deref(),
        &item.service,
        &item.id,
        item.owner.as_deref(),
    )?;
    let state = view.service(&named.service).ok();
    let lease = state.and_then(|state| state.service().lease_seconds);
    let spec = convert::registration(&item.registration, lease).map_err(below_registration)?;
    let command = Command::Register {
        service: named.service.clone(),
        id: named.id.clone(),
        owner: named.owner.clone(),
        spec,
        defaults: ServiceChange::default(),
    };
    Ok((named, command))
}

fn below_registration(error: RegistryError) -> RegistryError {
    match error {
        RegistryError::Invalid { field, value, rule } => RegistryError::Invalid {
            field: format!("registration.{field}").into(),
            value,
            rule,
        },
        RegistryError::TooLarge { field, rule } => RegistryError::TooLarge {
            field: format!("registration.{field}").into(),
            rule,
        },
        other => other,
    }
}

async fn deregister(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let (items, atomic) = read::<DeregisterBatch>(request, CHANGES_MAX).await?;
    let removal = |item: DeregisterItem| {
        let named = named(
            rest,
            item.namespace.as_deref(),
            &item.service,
            &item.id,
            item.owner.as_deref(),
        )?;
        let command = Command::Deregister {
            service: named.service.clone(),
            id: named.id.clone(),
            owner: named.owner.clone(),
        };
        Ok((named, command))
    };
    let commands = items.into_iter().map(|item| removal(item?)).collect();
    let done = change(rest, &access, commands, atomic).await?;
    let results = done.into_iter().map(|(_, outcome)| result(outcome));
    Ok(answered(results.collect()))
}

type Done = Vec<(Option<Named>, Result<Outcome, RegistryError>)>;

/// Does what the items ask for, and tells what came of each.
async fn change(
    rest: &Rest,
    access: &Access,
    items: Items<(Named, Command)>,
    atomic: bool,
) -> Result<Done, Refusal> {
    if atomic {
        return change_as_a_whole(rest, access, items).await;
    }
    let mut commands = Vec::with_capacity(items.len());
    let mut done: Done = Vec::with_capacity(items.len());
    for item in items {
        done.push(match item {
            Ok((named, command)) => {
                commands.push(command);
                (Some(named), Ok(Outcome::Unchanged))
            }
            Err(error) => (None, Err(error)),
        });
    }
    let asked = done.iter_mut().filter(|(_, outcome)| outcome.is_ok());
    let answers = rest.registry.apply_each(access, commands).await;
    for ((_, outcome), answer) in asked.zip(answers) {
        *outcome = answer.map(|applied| applied.outcome);
    }
    Ok(done)
}

async fn change_as_a_whole(
    rest: &Rest,
    access: &Access,
    items: Items<(Named, Command)>,
) -> Result<Done, Refusal> {
    let mut names = Vec::with_capacity(items.len());
    let mut commands = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let (named, command) = item.map_err(|error| Problem::from(&error).of_item(at, None))?;
        names.push(named);
        commands.push(command);
    }
    match rest.registry.apply(access, Command::All(commands)).await {
        Ok(Applied { each, .. }) => {
            let outcomes = each.iter().copied().map(Ok);
            Ok(names.into_iter().map(Some).zip(outcomes).collect())
        }
        Err(RegistryError::Item { at, error }) => {
            let what = names
                .get(at)
                .map(|named| format!("{}/{}", named.service, named.id));
            Err(Problem::from(&*error).of_item(at, what.as_deref()).into())
        }
        Err(error) => Err(error.into()),
    }
}

async fn heartbeat(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let (items, _) = read::<HeartbeatBatch>(request, HEARTBEATS_MAX).await?;
    let mut signs = Vec::with_capacity(items.len());
    let mut results = Vec::with_capacity(items.len());
    {
        let view = rest.registry.view(&access);
        for item in items {
            results.push(match item.and_then(|item| sign(rest, &view, &item)) {
                Ok(sign) => {
                    signs.push(sign);
                    None
                }
                Err(error) => Some(failed(unregistered(&error))),
            });
        }
    }
    let mut beats = rest.registry.heartbeats(&access, &signs).await.into_iter();
    let renewed = |beat: Option<Result<waypost_core::Beat, RegistryError>>| match beat {
        Some(Ok(beat)) => ItemResult {
            status: StatusCode::OK.as_u16(),
            outcome: Some("renewed"),
            registration_id: Some(beat.registration.to_string()),
            deadline_seconds: beat.lease.map(|lease| lease.as_secs_f64()),
            problem: None,
        },
        Some(Err(error)) => failed(unregistered(&error)),
        None => ItemResult::default(),
    };
    let results = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|| renewed(beats.next())));
    Ok(answered(results.collect()))
}

fn sign(rest: &Rest, view: &View, item: &HeartbeatItem) -> Result<Sign, RegistryError> {
    let named = named(
        rest,
        item.namespace.as_deref(),
        &item.service,
        &item.id,
        item.owner.as_deref(),
    )?;
    let registration: Option<RegistrationId> = item
        .registration_id
        .as_deref()
        .map(str::parse)
        .transpose()?;
    let load = item.load.map(load).transpose()?;
    let instance = view.instance(&named.service, &named.id, named.owner.as_ref())?;
    Ok(Sign {
        key: instance.key().clone(),
        registration,
        load,
    })
}

/// Says to whoever is not registered what to do about it.
fn unregistered(error: &RegistryError) -> Problem {
    let problem = Problem::from(error);
    if error.kind() == ErrorKind::NotFound {
        return problem.saying(format!("{error}: register it again"));
    }
    problem
}

fn failed(problem: Problem) -> ItemResult {
    ItemResult {
        status: problem.status(),
        problem: Some(problem),
        ..ItemResult::default()
    }
}

fn result(outcome: Result<Outcome, RegistryError>) -> ItemResult {
    let (status, word) = match outcome {
        Ok(Outcome::Created) => (StatusCode::CREATED, "created"),
        Ok(Outcome::Updated) => (StatusCode::OK, "updated"),
        Ok(Outcome::Unchanged) => (StatusCode::OK, "unchanged"),
        Ok(Outcome::Removed) => (StatusCode::NO_CONTENT, "removed"),
        Err(error) => return failed(Problem::from(&error)),
    };
    ItemResult {
        status: status.as_u16(),
        outcome: Some(word),
        ..ItemResult::default()
    }
}

fn answered(results: Vec<ItemResult>) -> waypost_http::Response {
    let failed = results.iter().filter(|result| result.problem.is_some());
    let failed = failed.count();
    answer(StatusCode::OK, &BatchAnswer { failed, results })
}
