//! Protection against mass expiry: when too many leases end at once, it is rather the registry that did not hear.

use std::collections::HashMap;
use std::time::Duration;

use crate::id::RegistrationId;
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

/// Remembers the leases that came due lately and judges whether more may end.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    node: Window,
    services: HashMap<ServiceKey, Window>,
}

/// Leases that came due, whether they ended or were held, each remembered for its own length. One whose end the store
/// refused comes due again and is the same one.
#[derive(Debug, Default)]
struct Window {
    due: HashMap<RegistrationId, Monotonic>,
}

impl Window {
    /// Counts those of late, and these with them.
    fn count(&mut self, now: Monotonic, more: &[RegistrationId]) -> usize {
        self.due.retain(|_, until| *until > now);
        let new = more.iter().filter(|it| !self.due.contains_key(it));
        self.due.len() + new.count()
    }
}

fn bound(least: usize, leases: usize) -> usize {
    least.max(leases * SHARE_PERCENT / 100)
}

impl Protection {
    /// Says whether the `due` leases of the service may end now, of `leases` that it has.
    pub(crate) fn service_allows(
        &mut self,
        now: Monotonic,
        service: &ServiceKey,
        due: &[RegistrationId],
        leases: usize,
    ) -> bool {
        let count = match self.services.get_mut(service) {
            Some(window) => window.count(now, due),
            None => due.len(),
        };
        count <= bound(SERVICE_ENDS_MIN, leases)
    }

    /// Says whether the `due` leases of the node may end now, of `leases` that it has.
    pub(crate) fn node_allows(
        &mut self,
        now: Monotonic,
        due: &[RegistrationId],
        leases: usize,
    ) -> bool {
        self.node.count(now, due) <= bound(NODE_ENDS_MIN, leases)
    }

    /// Remembers that a lease of that length came due.
    pub(crate) fn came_due(
        &mut self,
        now: Monotonic,
        service: &ServiceKey,
        registration: RegistrationId,
        lease: Duration,
    ) {
        let until = now.after(lease);
        self.node.due.insert(registration, until);
        let window = self.services.entry(service.clone()).or_default();
        window.due.insert(registration, until);
    }

    /// Forgets services without recent ones.
    pub(crate) fn forget(&mut self, now: Monotonic) {
        self.services.retain(|_, window| window.count(now, &[]) > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceKey {
        ServiceKey::new("svc.internal", "web").unwrap()
    }

    fn some(numbers: std::ops::Range<u64>) -> Vec<RegistrationId> {
        numbers.map(RegistrationId).collect()
    }

    #[test]
    fn three_of_a_small_service_may_end_and_the_fourth_within_one_lease_may_not() {
        let mut protection = Protection::default();
        let now = Monotonic(1_000);
        assert!(protection.service_allows(now, &service(), &some(0..3), 4));
        for registration in some(0..3) {
            protection.came_due(now, &service(), registration, Duration::from_secs(10));
        }
        assert!(!protection.service_allows(now, &service(), &some(3..4), 4));
        // One that comes due again, since the store refused its end, is no fourth.
        assert!(protection.service_allows(now, &service(), &some(2..3), 4));
        let later = now.after(Duration::from_secs(11));
        assert!(protection.service_allows(later, &service(), &some(3..4), 4));
    }

    #[test]
    fn fifteen_percent_of_a_large_service_may_end() {
        let mut protection = Protection::default();
        assert!(protection.service_allows(Monotonic(0), &service(), &some(0..15), 100));
        assert!(!protection.service_allows(Monotonic(0), &service(), &some(0..16), 100));
    }

    #[test]
    fn a_node_may_lose_ten_and_not_eleven_of_twenty() {
        let mut protection = Protection::default();
        assert!(protection.node_allows(Monotonic(0), &some(0..10), 20));
        assert!(!protection.node_allows(Monotonic(0), &some(0..11), 20));
    }
}
