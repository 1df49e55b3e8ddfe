//! Requests that stay: streams of changes, long polls, snapshots. They are counted, and end with the server and with the
//! credential of whoever asks.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use waypost_access::Secret;
use waypost_core::{Access, Dialect, RegistryError};
use waypost_http::{ClientCertificate, RequestHead};

use crate::error::Refusal;
use crate::metrics::{Held, RestMetrics, Staying};
use crate::state::Rest;

mod generated;
mod token;

pub(crate) use generated::{Frames, generated};
pub(crate) use token::Token;

/// Most snapshots that are read at once: each keeps what it holds in memory until it is read.
const SNAPSHOTS_MAX: usize = 2;

/// What all requests that stay have in common.
#[derive(Debug)]
pub(crate) struct Live {
    stopping: watch::Receiver<bool>,
    credentials: watch::Sender<()>,
    places: Arc<Semaphore>,
    places_max: usize,
    snapshots: Arc<Semaphore>,
    metrics: RestMetrics,
}

/// A place that one request holds.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _held: Held,
}

/// Who asked, and whether that still holds.
#[derive(Debug)]
pub(crate) struct Caller {
    bearer: Option<Secret>,
    certificate: ClientCertificate,
    peer: IpAddr,
}

impl Live {
    pub(crate) fn new(
        stopping: watch::Receiver<bool>,
        places_max: usize,
        metrics: &RestMetrics,
    ) -> Self {
        Self {
            stopping,
            credentials: watch::Sender::new(()),
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS_MAX)),
            metrics: metrics.clone(),
        }
    }

    /// Takes a place for a request that stays.
    pub(crate) fn place(&self, staying: Staying) -> Result<Place, RegistryError> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_| {
            self.metrics.refused_to_hold();
            RegistryError::Throttled {
                what: format!(
                    "{} streams and long polls are open, at most that many are held (rest.watchers_max)",
                    self.places_max
                ),
            }
        })?;
        Ok(Place {
            _permit: permit,
            _held: self.metrics.hold(staying),
        })
    }

    /// Takes a place for a snapshot that is read.
    pub(crate) fn place_of_snapshot(&self) -> Result<Place, RegistryError> {
        let permit = Arc::clone(&self.snapshots).try_acquire_owned();
        let permit = permit.map_err(|_| {
            self.metrics.refused_to_hold();
            RegistryError::Throttled {
                what: format!(
                    "{SNAPSHOTS_MAX} snapshots are being read, at most that many at once"
                ),
            }
        })?;
        Ok(Place {
            _permit: permit,
            _held: self.metrics.hold(Staying::Snapshot),
        })
    }

    /// Says that a credential came or went: everybody who stays is asked again for theirs.
    pub(crate) fn credentials_changed(&self) {
        self.credentials.send_replace(());
    }

    /// Completes when somebody's credential may no longer hold.
    pub(crate) fn credentials(&self) -> watch::Receiver<()> {
        self.credentials.subscribe()
    }

    /// Returns what turns true when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }
}

/// Completes when the server stops.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stop| *stop).await);
}

impl Caller {
    pub(crate) fn of(head: &RequestHead) -> Self {
        Self {
            bearer: head.bearer().map(Secret::new),
            certificate: head.certificate().clone(),
            peer: head.peer().ip(),
        }
    }

    /// Returns what the caller may read now. It counts as no request.
    pub(crate) fn access(&self, rest: &Rest, dialect: Dialect) -> Result<Access, Refusal> {
        let caller = waypost_access::Caller {
            bearer: self.bearer.as_ref().map(Secret::expose),
            certificate: self.certificate.names(),
            last: None,
            peer: self.peer,
        };
        let access = rest
            .authenticator
            .authenticate_again(&caller, dialect, true)?;
        Ok(access)
    }
}
