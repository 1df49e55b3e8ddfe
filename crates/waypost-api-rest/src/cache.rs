//! Rendered answers: made on the first read, kept for the reads that follow.
//!
//! An answer is valid for exactly the position of the history at which it was made, so membership and health are
//! never stale. The vitals in it (last heartbeat, last check, load) move without the history; they are at most one
//! second old.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use waypost_core::{Monotonic, Position};

/// How long vitals may lag.
const AGE_MAX: Duration = Duration::from_secs(1);
/// How often a full cache looks for entries that are too old.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Which answer about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Source 003: every service.
    Services,
    /// Source 003: the instances of a service.
    Instances,
    /// Source 003: the rotation of a service.
    Healthy,
    /// Source 003: targets for Prometheus.
    Targets,
    /// Source 004: the health of every service.
    Aggregated,
    /// Source 004: every service with its tags.
    ServiceList,
    /// Source 004: every healthy service with its tags.
    HealthyServices,
    /// The server's own health.
    Health,
    /// Our own: the rotation of a service.
    Rotation,
    /// Our own: a service with its instances, as streams send it.
    Watch,
}

const KINDS: usize = 10;

/// A rendered answer.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) body: Bytes,
    pub(crate) etag: HeaderValue,
    position: Position,
    made: Monotonic,
}

/// The bounded store of rendered answers, one map for each kind.
#[derive(Debug)]
pub(crate) struct RenderCache {
    maps: [RwLock<Map>; KINDS],
    entries_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Map {
    /// Names come from clients, so the hash is seeded; it need not be as slow as the standard one.
    entries: HashMap<Box<str>, Rendered, foldhash::fast::RandomState>,
    bytes: usize,
    swept: Monotonic,
}

impl RenderCache {
    pub(crate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            maps: Default::default(),
            entries_max,
            bytes_max,
        }
    }

    /// Returns the answer about `name` at `position`, rendering it if it is not there.
    pub(crate) fn fetch(
        &self,
        kind: Kind,
        name: &str,
        position: Position,
        now: Monotonic,
        render: impl FnOnce() -> Vec<u8>,
    ) -> Rendered {
        // The index comes from an enum with as many values as there are maps.
        let Some(map) = self.maps.get(kind as usize) else {
            return Rendered::new(render(), position, now);
        };
        if let Some(found) = map
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .entries
            .get(name)
            && found.position == position
            && now.since(found.made) < AGE_MAX
        {
            return found.clone();
        }
        let rendered = Rendered::new(render(), position, now);
        map.write()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(name, &rendered, self);
        rendered
    }
}

impl Rendered {
    pub(crate) fn new(body: Vec<u8>, position: Position, now: Monotonic) -> Self {
        Self {
            body: body.into(),
            etag: etag(position),
            position,
            made: now,
        }
    }
}

/// Returns the weak ETag of a position: what it says is equal, vitals aside.
pub(crate) fn etag(position: Position) -> HeaderValue {
    HeaderValue::from_str(&format!("W/\"{position}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("W/\"0\""))
}

impl Map {
    /// Keeps an answer if there is room for it; a full map only loses entries that are too old to be used.
    fn keep(&mut self, name: &str, rendered: &Rendered, limits: &RenderCache) {
        let now = rendered.made;
        let size = name.len() + rendered.body.len();
        if let Some(replaced) = self.entries.remove(name) {
            self.bytes -= name.len() + replaced.body.len();
        }
        if !self.has_room(size, limits) && now.since(self.swept) >= SWEEP_INTERVAL {
            self.swept = now;
            self.entries
                .retain(|_, kept| now.since(kept.made) < AGE_MAX);
            let sizes = self
                .entries
                .iter()
                .map(|(name, kept)| name.len() + kept.body.len());
            self.bytes = sizes.sum();
        }
        if self.has_room(size, limits) {
            self.bytes += size;
            self.entries.insert(name.into(), rendered.clone());
        }
    }

    fn has_room(&self, size: usize, limits: &RenderCache) -> bool {
        self.entries.len() < limits.entries_max && self.bytes + size <= limits.bytes_max
    }
}

#[cfg(test)]
mod tests;
