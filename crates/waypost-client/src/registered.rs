//! An instance that stays registered until it is closed.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::retry::{Backoff, shorten};
use crate::{Client, ClientError, ErrorKind, Health, Instance, InstanceRef, Registration};

#[cfg(test)]
mod tests;

/// Lease of a registration that says none: three heartbeats fit, and a crashed process is gone soon.
const DEFAULT_LEASE_SECONDS: u64 = 30;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);
/// How often it is looked whether another process still holds the id.
const STAND_BACK: Duration = Duration::from_secs(2);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Bits of a load that was never set: a number that `set_load` cannot store.
const NO_LOAD: u64 = f64::NAN.to_bits();

/// Where a kept registration stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Standing {
    /// Not registered yet, or not any more; with why the latest attempt failed.
    Registering(Option<ClientError>),
    /// Registered, and the latest heartbeat was answered.
    Registered(Arc<Instance>),
    /// Registered, but the latest heartbeat failed; it is repeated.
    Unconfirmed(ClientError),
    /// Somebody else registered under the same id since, and serves there: this one waits until it is gone.
    Contested(Arc<Instance>),
    /// Over. With an error when the registration was refused for good, or the removal failed.
    Ended(Option<ClientError>),
}

/// The handle of a kept registration; see [`Client::keep_registered`].
///
/// Dropping it ends the registration like [`close`](Self::close) does, without waiting for the outcome.
#[derive(Debug)]
pub struct Registered {
    standing: watch::Receiver<Standing>,
    /// Dropped to say that the registration is to end.
    open: watch::Sender<()>,
    load: Arc<AtomicU64>,
}

impl Registered {
    /// Waits for the first registration to succeed and gives the instance.
    ///
    /// # Errors
    /// The server's refusal when repeating cannot help; `Failed` when the future is not driven any more.
    /// While the server is away this waits: bound it with a timeout when that is not wanted.
    pub async fn ready(&mut self) -> Result<Arc<Instance>, ClientError> {
        loop {
            match &*self.standing.borrow_and_update() {
                Standing::Registered(instance) => return Ok(Arc::clone(instance)),
                Standing::Ended(error) => return Err(error.clone().unwrap_or_else(not_driven)),
                Standing::Registering(_) | Standing::Unconfirmed(_) | Standing::Contested(_) => {}
            }
            self.standing.changed().await.map_err(|_| not_driven())?;
        }
    }

    /// Says where the registration stands now.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Waits until the standing differs from the latest one this method or [`ready`](Self::ready) gave.
    ///
    /// # Errors
    /// `Failed` when the future is not driven any more.
    pub async fn changed(&mut self) -> Result<Standing, ClientError> {
        self.standing.changed().await.map_err(|_| not_driven())?;
        Ok(self.standing.borrow_and_update().clone())
    }

    /// Reports `load` (0 to 1) with the next heartbeats; a value outside is brought to the nearer end.
    pub fn set_load(&self, load: f64) {
        if load.is_finite() {
            self.load
                .store(load.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        }
    }

    /// Ends the heartbeats, removes the instance and waits for the answer.
    ///
    /// # Errors
    /// Why the removal failed; the lease then removes the instance. `Failed` when the future is not driven.
    pub async fn close(self) -> Result<(), ClientError> {
        let Self {
            mut standing, open, ..
        } = self;
        drop(open);
        loop {
            if let Standing::Ended(error) = &*standing.borrow_and_update() {
                return error.clone().map_or(Ok(()), Err);
            }
            standing.changed().await.map_err(|_| not_driven())?;
        }
    }
}

impl Client {
    /// Registers `instance` and keeps it registered until the handle is closed or dropped.
    ///
    /// The second value does the work and has to be driven: give it to the caller's task tracker or join it
    /// with the server's own future. It registers (repeating with growing waits while the server is away),
    /// sends a heartbeat every third of the lease, registers again when a heartbeat is answered 404,
    /// and removes the instance when the handle goes. When somebody else registered another address under the same
    /// id it stands back until that one is gone or fails, so that two never take an id from each other in turn. It ends only then, or when the registration is refused
    /// as wrong ([`ErrorKind::Usage`]). A registration without `lease_seconds` gets 30 s.
    pub fn keep_registered(
        &self,
        instance: InstanceRef,
        mut registration: Registration,
    ) -> (
        Registered,
        impl Future<Output = ()> + Send + 'static + use<>,
    ) {
        registration
            .lease_seconds
            .get_or_insert(DEFAULT_LEASE_SECONDS);
        let (publish, standing) = watch::channel(Standing::Registering(None));
        let (open, closed) = watch::channel(());
        let load = Arc::new(AtomicU64::new(NO_LOAD));
        let upkeep = Upkeep {
            client: self.clone(),
            instance,
            registration,
            standing: publish,
            closed,
            load: Arc::clone(&load),
        };
        (
            Registered {
                standing,
                open,
                load,
            },
            upkeep.run(),
        )
    }
}

/// Why heartbeats ended.
enum Kept {
    /// The server does not know the instance.
    Forgotten,
    /// Another registration is in its place.
    Replaced,
    /// The handle went.
    Closed,
}

fn is_at_the_same_place(one: &Instance, other: &Instance) -> bool {
    let place = |instance: &Instance| {
        let ports: Vec<u16> = instance.ports.iter().map(|port| port.number).collect();
        let Instance {
            ipv4,
            ipv6,
            hostname,
            ..
        } = instance.clone();
        (ipv4, ipv6, hostname, ports)
    };
    place(one) == place(other)
}

struct Upkeep {
    client: Client,
    instance: InstanceRef,
    registration: Registration,
    standing: watch::Sender<Standing>,
    closed: watch::Receiver<()>,
    load: Arc<AtomicU64>,
}

impl Upkeep {
    async fn run(mut self) {
        let refused = loop {
            match self.register().await {
                Ok(Some(held)) => match self.keep_alive(&held).await {
                    Kept::Forgotten => {
                        drop(self.standing.send_replace(Standing::Registering(None)))
                    }
                    Kept::Replaced => {
                        if !self.stand_back(&held).await {
                            self.standing.send_replace(Standing::Ended(None));
                            return;
                        }
                    }
                    Kept::Closed => break None,
                },
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let end = match refused {
            Some(error) => Some(error),
            None => self.remove().await,
        };
        self.standing.send_replace(Standing::Ended(end));
    }

    /// Registers until it succeeds. `None` when the handle went first, an error when it was refused for good.
    async fn register(&mut self) -> Result<Option<Arc<Instance>>, ClientError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while self.closed.has_changed().is_ok() {
            // Never cut short by the handle's end: a registration that arrives after the removal would stay.
            match self
                .client
                .register(&self.instance, &self.registration)
                .await
            {
                Ok(instance) => {
                    let instance = Arc::new(instance);
                    self.standing
                        .send_replace(Standing::Registered(Arc::clone(&instance)));
                    return Ok(Some(instance));
                }
                Err(error) if error.kind() == ErrorKind::Usage => return Err(error),
                Err(error) => {
                    self.standing
                        .send_replace(Standing::Registering(Some(error)));
                }
            }
            self.rest(backoff.wait()).await;
        }
        Ok(None)
    }

    /// Waits while another process serves under the id. True: it is free again. False: the handle went.
    async fn stand_back(&mut self, held: &Instance) -> bool {
        loop {
            match self.client.instance(&self.instance).await {
                Ok(other) if is_at_the_same_place(&other, held) => return true,
                Ok(other) if other.health == Health::Unhealthy => return true,
                Ok(other) => drop(
                    self.standing
                        .send_replace(Standing::Contested(Arc::new(other))),
                ),
                Err(error) if error.kind() == ErrorKind::NotFound => return true,
                // The server is away: who holds the id is seen when it is back.
                Err(_) => {}
            }
            if !self.rest(shorten(STAND_BACK, 0.2)).await {
                return false;
            }
        }
    }

    /// Sends heartbeats until one is answered otherwise than with yes, or the handle goes.
    async fn keep_alive(&mut self, held: &Arc<Instance>) -> Kept {
        let lease_seconds = held.lease_seconds.or(self.registration.lease_seconds);
        let mut interval = heartbeat_interval(Duration::from_secs(
            lease_seconds.unwrap_or(DEFAULT_LEASE_SECONDS),
        ));
        let mut wait = shorten(interval, 0.1);
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while self.rest(wait).await {
            let id = Some(held.registration_id.as_str()).filter(|id| !id.is_empty());
            let load = Some(f64::from_bits(self.load.load(Ordering::Relaxed)));
            let load = load.filter(|load| !load.is_nan());
            match self.client.heartbeat(&self.instance, id, load).await {
                Ok(answer) => {
                    if let Some(lease) = answer.deadline_seconds.and_then(duration_of) {
                        interval = heartbeat_interval(lease);
                    }
                    self.note_heartbeat(held);
                    backoff.reset();
                    wait = shorten(interval, 0.1);
                }
                Err(error) => {
                    match error.kind() {
                        ErrorKind::NotFound => return Kept::Forgotten,
                        ErrorKind::Conflict => return Kept::Replaced,
                        _ => {}
                    }
                    self.standing.send_replace(Standing::Unconfirmed(error));
                    wait = backoff.wait().min(interval);
                }
            }
        }
        Kept::Closed
    }

    fn note_heartbeat(&self, held: &Arc<Instance>) {
        // Watchers are woken by a difference, not by every heartbeat.
        self.standing.send_if_modified(|standing| {
            let was_unconfirmed = matches!(standing, Standing::Unconfirmed(_));
            if was_unconfirmed {
                *standing = Standing::Registered(Arc::clone(held));
            }
            was_unconfirmed
        });
    }

    /// Removes the instance. That it is not there is what was wanted.
    async fn remove(&self) -> Option<ClientError> {
        let outcome = self.client.deregister(&self.instance).await;
        outcome
            .err()
            .filter(|error| error.kind() != ErrorKind::NotFound)
    }

    /// Waits for `duration`, or until the handle went: then false.
    async fn rest(&mut self, duration: Duration) -> bool {
        // The sender never sends, so `changed` ends only when it is dropped.
        tokio::time::timeout(duration, self.closed.changed())
            .await
            .is_err()
    }
}

fn heartbeat_interval(lease: Duration) -> Duration {
    (lease / 3).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

fn duration_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
}

fn not_driven() -> ClientError {
    ClientError::failed("the future that keeps the registration is not driven any more")
}
