//! How far a call came.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Stage;

/// How far a call came, readable after its future was dropped by a timeout.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<(SocketAddr, Stage)>);

impl Progress {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(Mutex::new((address, Stage::Connect)))
    }

    /// The connection is open; `next` is what follows.
    pub(crate) fn connected(&self, address: SocketAddr, next: Stage) {
        *self.lock() = (address, next);
    }

    pub(crate) fn secured(&self) {
        self.lock().1 = Stage::Head;
    }

    pub(crate) fn answered(&self) {
        self.lock().1 = Stage::Body;
    }

    pub(crate) fn reached(&self) -> (SocketAddr, Stage) {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, (SocketAddr, Stage)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
