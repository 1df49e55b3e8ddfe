//! How many calls may be under way, in all and to one target address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::DialConfig;

#[cfg(test)]
mod tests;

/// The count of calls under way. Cloning shares it.
///
/// There is no waiting here on purpose: a caller that finds it full skips and counts, so that slow
/// targets can never pile up work.
#[derive(Debug, Clone)]
pub struct Limits {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    in_all: usize,
    per_host: usize,
    under_way: Mutex<UnderWay>,
}

/// Holds only hosts with a call under way, so the total bounds it.
#[derive(Debug, Default)]
struct UnderWay {
    total: usize,
    hosts: HashMap<IpAddr, usize>,
}

/// The right to have one call under way; ends when it is dropped.
#[derive(Debug)]
#[must_use = "the call is counted only as long as the permit is held"]
pub struct Permit {
    shared: Arc<Shared>,
    host: IpAddr,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Calls to all targets together.
    InAll {
        /// The limit.
        limit: usize,
    },
    /// Calls to one target address.
    Host {
        /// The target address.
        host: IpAddr,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InAll { limit } => write!(f, "{limit} calls are under way (dial.max_in_flight)"),
            Self::Host { host, limit } => {
                write!(
                    f,
                    "{limit} calls to {host} are under way (dial.max_in_flight_per_host)"
                )
            }
        }
    }
}

impl std::error::Error for Full {}

impl Limits {
    /// Takes both limits from the configuration.
    pub fn new(config: &DialConfig) -> Self {
        let shared = Shared {
            in_all: config.max_in_flight,
            per_host: config.max_in_flight_per_host,
            under_way: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Counts one more call to the address, without waiting.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn try_acquire(&self, host: IpAddr) -> Result<Permit, Full> {
        let host = host.to_canonical();
        let mut under_way = self.shared.lock();
        if under_way.total >= self.shared.in_all {
            return Err(Full::InAll {
                limit: self.shared.in_all,
            });
        }
        if under_way.hosts.get(&host).copied().unwrap_or(0) >= self.shared.per_host {
            return Err(Full::Host {
                host,
                limit: self.shared.per_host,
            });
        }
        under_way.total += 1;
        *under_way.hosts.entry(host).or_insert(0) += 1;
        Ok(Permit {
            shared: Arc::clone(&self.shared),
            host,
        })
    }

    /// Gives how many calls are under way to all targets together.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().total
    }
}

impl Shared {
    /// A count is right after every statement, so a panic elsewhere does not spoil it.
    fn lock(&self) -> std::sync::MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut under_way = self.shared.lock();
        under_way.total = under_way.total.saturating_sub(1);
        if let Some(count) = under_way.hosts.get_mut(&self.host) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.hosts.remove(&self.host);
            }
        }
    }
}
