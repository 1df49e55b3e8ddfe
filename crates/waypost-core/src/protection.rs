//! Protection against mass expiry: when too many leases end at once, it is rather the registry that did not hear.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::name::ServiceKey;
use crate::time::Monotonic;

/// A service may lose this many within one lease, whatever its size.
const SERVICE_ENDS_MIN: usize = 3;
/// A node may lose this many within one lease, whatever its size.
const NODE_ENDS_MIN: usize = 10;
/// Share of leases that may end within one lease.
const SHARE_PERCENT: usize = 15;
/// Two sweeps further apart than this mean that the process did not run.
pub(crate) const STALL: Duration = Duration::from_secs(2);

/// Remembers the leases that ended lately and judges whether more may end.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    node: Window,
    services: HashMap<ServiceKey, Window>,
}

/// Leases that ended, each remembered for its own length.
#[derive(Debug, Default)]
struct Window {
    ends: VecDeque<Monotonic>,
}

impl Window {
    fn count(&mut self, now: Monotonic) -> usize {
        self.ends.retain(|until| *until > now);
        self.ends.len()
    }
}

fn bound(least: usize, leases: usize) -> usize {
    least.max(leases * SHARE_PERCENT / 100)
}

impl Protection {
    /// Says whether `due` more leases of the service may end now, of `leases` that it has.
    pub(crate) fn service_allows(
        &mut self,
        now: Monotonic,
        service: &ServiceKey,
        due: usize,
        leases: usize,
    ) -> bool {
        let recent = self
            .services
            .get_mut(service)
            .map_or(0, |window| window.count(now));
        recent + due <= bound(SERVICE_ENDS_MIN, leases)
    }

    /// Says whether `due` more leases of the node may end now, of `leases` that it has.
    pub(crate) fn node_allows(&mut self, now: Monotonic, due: usize, leases: usize) -> bool {
        self.node.count(now) + due <= bound(NODE_ENDS_MIN, leases)
    }

    /// Remembers that a lease of that length ended.
    pub(crate) fn ended(&mut self, now: Monotonic, service: &ServiceKey, lease: Duration) {
        let until = now.after(lease);
        self.node.ends.push_back(until);
        self.services
            .entry(service.clone())
            .or_default()
            .ends
            .push_back(until);
    }

    /// Forgets services without recent ends.
    pub(crate) fn forget(&mut self, now: Monotonic) {
        self.services.retain(|_, window| window.count(now) > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceKey {
        ServiceKey::new("svc.internal", "web").unwrap()
    }

    #[test]
    fn three_of_a_small_service_may_end_and_the_fourth_within_one_lease_may_not() {
        let mut protection = Protection::default();
        let now = Monotonic(1_000);
        assert!(protection.service_allows(now, &service(), 3, 4));
        for _ in 0..3 {
            protection.ended(now, &service(), Duration::from_secs(10));
        }
        assert!(!protection.service_allows(now, &service(), 1, 4));
        let later = now.after(Duration::from_secs(11));
        assert!(protection.service_allows(later, &service(), 1, 4));
    }

    #[test]
    fn fifteen_percent_of_a_large_service_may_end() {
        let mut protection = Protection::default();
        assert!(protection.service_allows(Monotonic(0), &service(), 15, 100));
        assert!(!protection.service_allows(Monotonic(0), &service(), 16, 100));
    }

    #[test]
    fn a_node_may_lose_ten_and_not_eleven_of_twenty() {
        let mut protection = Protection::default();
        assert!(protection.node_allows(Monotonic(0), 10, 20));
        assert!(!protection.node_allows(Monotonic(0), 11, 20));
    }
}
