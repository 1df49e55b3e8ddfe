//! How often somebody may ask: the generic cell rate algorithm (ITU-T I.371), one number for each who asks.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waypost_core::Monotonic;

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;
/// Most requests per second that a rate may say.
const PER_SECOND_MAX: u32 = 1_000_000;
/// Parts of a table of meters, each with a lock of its own.
const SHARDS: usize = 16;
/// Meters that one part remembers: 65,536 in all.
const METERS_MAX: usize = 4_096;

/// How many requests are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRate {
    /// Requests per second over time; 0 is without a bound.
    pub per_second: u32,
    /// Requests at once after a pause; a second's worth unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl RequestRate {
    /// Makes a rate.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second,
            burst: Some(burst),
        }
    }

    /// Says which rule it breaks.
    pub(crate) fn broken_rule(self) -> Option<&'static str> {
        if self.per_second > PER_SECOND_MAX {
            return Some("per_second must be 0 to 1000000");
        }
        if self.burst == Some(0) && self.per_second > 0 {
            return Some("burst must be at least 1");
        }
        None
    }

    fn burst(self) -> u64 {
        self.burst.unwrap_or(self.per_second).max(1).into()
    }
}

/// What is known of one who asks: when the next request would come if they came evenly, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    /// Counts a request; the error is how long to wait until one would be answered.
    pub(crate) fn take(&self, rate: RequestRate, now: Monotonic) -> Result<(), Duration> {
        if rate.per_second == 0 {
            return Ok(());
        }
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = following(seen, rate, now)?;
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }
}

/// Returns the arrival time after a request that comes now.
fn following(arrival: u64, rate: RequestRate, now: Monotonic) -> Result<u64, Duration> {
    let now = now.0.saturating_mul(1_000);
    let interval = (SECOND / u64::from(rate.per_second).max(1)).max(1);
    // The clock counts milliseconds: those of one come together.
    let tolerance = interval.saturating_mul(rate.burst()).max(1_000);
    let next = arrival.max(now).saturating_add(interval);
    match next.checked_sub(now.saturating_add(tolerance)) {
        Some(early @ 1..) => Err(Duration::from_micros(early)),
        _ => Ok(next),
    }
}

/// Meters of many who ask. Their number is bounded: when too many ask at once, the new ones of a part share one meter.
#[derive(Debug)]
pub(crate) struct Meters<K> {
    shards: [Mutex<Shard<K>>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard<K> {
    arrivals: HashMap<K, u64>,
    crowd: u64,
}

impl<K> Default for Shard<K> {
    fn default() -> Self {
        Self {
            arrivals: HashMap::new(),
            crowd: 0,
        }
    }
}

impl<K> Default for Meters<K> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Hash + Eq> Meters<K> {
    /// Counts a request; the error is how long to wait.
    pub(crate) fn take<Q>(&self, who: &Q, rate: RequestRate, now: Monotonic) -> Result<(), Duration>
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        if rate.per_second == 0 {
            return Ok(());
        }
        let at = usize::try_from(self.hasher.hash_one(who) % SHARDS as u64).unwrap_or_default();
        let Some(shard) = self.shards.get(at) else {
            return Ok(());
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(arrival) = shard.arrivals.get_mut(who) {
            *arrival = following(*arrival, rate, now)?;
            return Ok(());
        }
        if shard.arrivals.len() >= METERS_MAX {
            // Those whose time has passed have nothing to remember.
            let now = now.0.saturating_mul(1_000);
            shard.arrivals.retain(|_, arrival| *arrival > now);
        }
        if shard.arrivals.len() >= METERS_MAX {
            shard.crowd = following(shard.crowd, rate, now)?;
            return Ok(());
        }
        let arrival = following(0, rate, now)?;
        shard.arrivals.insert(who.to_owned(), arrival);
        Ok(())
    }
}

/// Names whom an address belongs to: of IPv6 that is a network of 64 bits, since a host has as many addresses as it wants.
pub(crate) fn party(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests;
