//! Heartbeats: one atomic for a lease that runs, one durable step for a lease that begins or comes back.

use std::time::Duration;

use crate::access::{Access, Verb};
use crate::command::Command;
use crate::error::RegistryError;
use crate::id::RegistrationId;
use crate::name::InstanceKey;
use crate::registry::{Registry, answered};
use crate::vitals::{LeaseCell, Vitals};

/// Longest wait for the outcome of an expiry that is on its way to the store.
const OUTCOME_WAIT_MAX: Duration = Duration::from_secs(10);

/// What an accepted heartbeat achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Which registration it renewed.
    pub registration: RegistrationId,
    /// How long the lease now runs; none when there is no lease.
    pub lease: Option<Duration>,
}

/// A sign of life of one instance among several.
#[derive(Clone, Debug)]
pub struct Sign {
    /// Which instance.
    pub key: InstanceKey,
    /// Which registration; another one refuses it.
    pub registration: Option<RegistrationId>,
    /// The load it speaks of, a ratio.
    pub load: Option<f32>,
}

enum Attempt {
    Done(Beat),
    /// The lease must be begun or brought back by a durable step.
    Renew(RegistrationId),
    /// An expiry is on its way: its outcome decides.
    Wait,
    /// The snapshot was older than the cell.
    Again,
}

pub(crate) async fn beat(
    registry: &Registry,
    access: &Access,
    key: &InstanceKey,
    registration: Option<RegistrationId>,
    load: Option<f32>,
) -> Result<Beat, RegistryError> {
    access.require(Verb::Register, &key.service)?;
    match attempt(registry, key, registration, load)? {
        Attempt::Done(beat) => Ok(beat),
        _ => beat_slowly(registry, access, key, registration, load).await,
    }
}

pub(crate) async fn beat_all(
    registry: &Registry,
    access: &Access,
    signs: &[Sign],
) -> Vec<Result<Beat, RegistryError>> {
    let mut answers = Vec::with_capacity(signs.len());
    let mut renewals = Vec::new();
    for sign in signs {
        let tried = access
            .require(Verb::Register, &sign.key.service)
            .and_then(|()| attempt(registry, &sign.key, sign.registration, sign.load));
        let answer = match tried {
            Ok(Attempt::Done(beat)) => Some(Ok(beat)),
            Err(error) => Some(Err(error)),
            Ok(Attempt::Wait | Attempt::Again) => None,
            Ok(Attempt::Renew(registration)) => {
                let key = sign.key.clone();
                let renew = Command::RenewLease { key, registration };
                // What finds no place in the queue is tried once more below, and says so there.
                renewals.extend(registry.enqueue(access, renew).await.ok());
                None
            }
        };
        answers.push(answer);
    }
    for renewal in renewals {
        // Whether it was renewed, the cell tells.
        let _ = answered(renewal).await;
    }
    let mut all = Vec::with_capacity(signs.len());
    for (sign, answer) in signs.iter().zip(answers) {
        all.push(match answer {
            Some(answer) => answer,
            None => beat_slowly(registry, access, &sign.key, sign.registration, sign.load).await,
        });
    }
    all
}

async fn beat_slowly(
    registry: &Registry,
    access: &Access,
    key: &InstanceKey,
    registration: Option<RegistrationId>,
    load: Option<f32>,
) -> Result<Beat, RegistryError> {
    let due = registry.shared.clock.monotonic().after(OUTCOME_WAIT_MAX);
    loop {
        // Registered before the cell is read, so that an outcome in between is not missed.
        let outcome = registry.shared.endings.notified();
        tokio::pin!(outcome);
        outcome.as_mut().enable();
        match attempt(registry, key, registration, load)? {
            Attempt::Done(beat) => return Ok(beat),
            Attempt::Again => tokio::task::yield_now().await,
            Attempt::Renew(registration) => {
                let renew = Command::RenewLease {
                    key: key.clone(),
                    registration,
                };
                registry.submit(access, renew).await?;
            }
            Attempt::Wait => {
                let now = registry.shared.clock.monotonic();
                if now >= due {
                    return Err(RegistryError::Unavailable {
                        why: "the store has not said yet whether the lease ended".to_owned(),
                    });
                }
                tokio::select! {
                    () = &mut outcome => {}
                    () = registry.shared.clock.sleep(due.since(now)) => {}
                }
            }
        }
    }
}

fn attempt(
    registry: &Registry,
    key: &InstanceKey,
    registration: Option<RegistrationId>,
    load: Option<f32>,
) -> Result<Attempt, RegistryError> {
    let found = registry.shared.index.with(key, |vitals| {
        if registration.is_some_and(|id| id != vitals.registration()) {
            return Err(RegistryError::Replaced {
                what: format!("instance {key}"),
            });
        }
        Ok(renew_cell(registry, vitals, load))
    });
    found.unwrap_or_else(|| Err(RegistryError::not_found(format!("instance {key}"))))
}

fn renew_cell(registry: &Registry, vitals: &Vitals, load: Option<f32>) -> Attempt {
    let now = registry.shared.clock.monotonic();
    let length = vitals.lease_length();
    loop {
        let cell = vitals.lease();
        let lease = match cell {
            LeaseCell::None => None,
            LeaseCell::Running(deadline) => {
                // Never earlier than promised before: two beats may arrive in either order.
                let next = LeaseCell::Running(now.after(length).max(deadline));
                if !vitals.move_lease(cell, next) {
                    continue;
                }
                Some(length)
            }
            LeaseCell::NotStarted | LeaseCell::Suspect(_) | LeaseCell::Over(_) => {
                return Attempt::Renew(vitals.registration());
            }
            LeaseCell::Ending => return Attempt::Wait,
            LeaseCell::Gone => return Attempt::Again,
        };
        vitals.record_heartbeat(registry.shared.clock.wall(), now);
        if let Some(load) = load {
            vitals.record_load(load);
        }
        registry.shared.metrics.beat();
        return Attempt::Done(Beat {
            registration: vitals.registration(),
            lease,
        });
    }
}
