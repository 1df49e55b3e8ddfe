//! Walking services in order from any place, for pages of lists that reach across services.

use std::ops::Bound;
use std::sync::Arc;

use crate::name::{NamespaceName, ServiceKey, ServiceName};

use super::{ServiceState, Snapshot};

impl Snapshot {
    /// Lists services by namespace and name, from the place where `start` stands or would stand.
    pub fn services_from<'a>(
        &'a self,
        start: Option<&ServiceKey>,
    ) -> impl Iterator<Item = &'a Arc<ServiceState>> {
        let first = bound(start.map(|start| start.namespace.clone()));
        self.namespaces
            .range::<_, NamespaceName>((first, Bound::Unbounded))
            .flat_map(move |(name, namespace)| {
                let within = start.filter(|start| start.namespace == *name);
                let first = bound(within.map(|start| start.name.clone()));
                namespace
                    .services
                    .range::<_, ServiceName>((first, Bound::Unbounded))
                    .map(|(_, service)| service)
            })
    }
}

fn bound<T>(start: Option<T>) -> Bound<T> {
    start.map_or(Bound::Unbounded, Bound::Included)
}
