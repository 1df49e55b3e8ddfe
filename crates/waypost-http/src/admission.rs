//! The bounds on open connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

/// Counts open connections, in all and per address.
#[derive(Debug)]
pub(crate) struct Admission {
    connections_max: usize,
    per_address_max: usize,
    per_loopback_max: usize,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    gauge: Gauge,
}

/// The place of one open connection; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(
        connections_max: usize,
        per_address_max: usize,
        per_loopback_max: usize,
        gauge: Gauge,
    ) -> Self {
        let by_address = Mutex::default();
        Self {
            connections_max,
            per_address_max,
            per_loopback_max,
            open: AtomicUsize::new(0),
            by_address,
            gauge,
        }
    }

    /// Takes a place for a connection from `address`; the error is the reason for the metric.
    ///
    /// Only the accepting task calls this, so checking and taking need not be one step.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        if self.open.load(Relaxed) >= self.connections_max {
            return Err("connections");
        }
        let address = party(address.to_canonical());
        let (most, reason) = match address.is_loopback() {
            true => (self.per_loopback_max, "connections_per_loopback"),
            false => (self.per_address_max, "connections_per_address"),
        };
        {
            let mut by_address = self
                .by_address
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(address).or_default();
            if *count >= most {
                return Err(reason);
            }
            *count += 1;
        }
        self.open.fetch_add(1, Relaxed);
        self.gauge.inc();
        Ok(Place {
            admission: Arc::clone(self),
            address,
        })
    }
}

/// Names whom an address belongs to: of IPv6 that is a network of 64 bits, since a host has as many addresses as it wants.
fn party(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) if !six.is_loopback() => {
            let network = u128::from(six) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        other => other,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let admission = &self.admission;
        admission.open.fetch_sub(1, Relaxed);
        admission.gauge.dec();
        let address = self.address;
        let mut by_address = admission
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}
