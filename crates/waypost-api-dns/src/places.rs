//! Places for connections: bounded in all and for each client. Who comes last is served; who was idle longest leaves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::metrics::DnsMetrics;

/// The places of all connections.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_client: usize,
    metrics: DnsMetrics,
    /// Counts uses: the connection whose last use is lowest has been idle longest.
    uses: AtomicU64,
    taken: Mutex<HashMap<u64, Arc<Holder>>>,
}

#[derive(Debug)]
struct Holder {
    client: IpAddr,
    last_use: AtomicU64,
    is_leaving: Notify,
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    holder: Arc<Holder>,
    places: Arc<Places>,
}

impl Places {
    pub(crate) fn new(most: usize, most_of_client: usize, metrics: DnsMetrics) -> Self {
        Self {
            most,
            most_of_client,
            metrics,
            uses: AtomicU64::new(0),
            taken: Mutex::default(),
        }
    }

    /// Takes a place for a connection, if need be another one's (RFC 7766 section 6.2.3 lets servers close idle ones).
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Place {
        let client = client_of(peer);
        let id = self.uses.fetch_add(1, Ordering::Relaxed);
        let holder = Arc::new(Holder {
            client,
            last_use: AtomicU64::new(id),
            is_leaving: Notify::new(),
        });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = taken
            .values()
            .filter(|other| other.client == client)
            .count();
        let leaving = if of_client >= self.most_of_client {
            longest_idle(taken.iter().filter(|(_, other)| other.client == client))
        } else if taken.len() >= self.most {
            longest_idle(taken.iter())
        } else {
            None
        };
        if let Some(leaving) = leaving.and_then(|id| taken.remove(&id)) {
            leaving.is_leaving.notify_one();
            self.metrics.evicted();
        }
        taken.insert(id, Arc::clone(&holder));
        self.metrics.connection(1);
        Place {
            id,
            holder,
            places: Arc::clone(self),
        }
    }
}

fn longest_idle<'a>(among: impl Iterator<Item = (&'a u64, &'a Arc<Holder>)>) -> Option<u64> {
    let oldest = among.min_by_key(|(_, holder)| holder.last_use.load(Ordering::Relaxed));
    oldest.map(|(id, _)| *id)
}

/// An IPv6 client has a whole /64 to choose addresses from.
fn client_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}

impl Place {
    /// Notes that a question came.
    pub(crate) fn used(&self) {
        let now = self.places.uses.fetch_add(1, Ordering::Relaxed);
        self.holder.last_use.store(now, Ordering::Relaxed);
    }

    /// Completes when the place was given to another connection.
    pub(crate) async fn taken_away(&self) {
        self.holder.is_leaving.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.places.taken.lock();
        taken
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        self.places.metrics.connection(-1);
    }
}
