//! Labels that name a service, capped in number.
//!
//! Whoever registers services chooses their names, so without a cap a client could make the
//! registry of metrics grow without bound.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;

/// The most services that get labels of their own.
const SERVICES_MAX: usize = 1_000;
const OTHER: &str = "other";

/// The labels `namespace` and `service`; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServiceLabels {
    /// The namespace, or `other`.
    pub namespace: Arc<str>,
    /// The service, or `other`.
    pub service: Arc<str>,
}

/// Gives the first 1,000 services labels of their own, and all others the labels `other`.
#[derive(Debug)]
pub struct CappedLabels {
    services_max: usize,
    known: RwLock<Known>,
    other: ServiceLabels,
}

#[derive(Debug, Default)]
struct Known {
    count: usize,
    by_namespace: HashMap<Arc<str>, HashMap<Arc<str>, ServiceLabels>>,
}

impl Known {
    fn get(&self, namespace: &str, service: &str) -> Option<&ServiceLabels> {
        self.by_namespace.get(namespace)?.get(service)
    }
}

impl Default for CappedLabels {
    fn default() -> Self {
        Self::with_limit(SERVICES_MAX)
    }
}

impl CappedLabels {
    /// A cap of `services_max` services instead of 1,000.
    #[must_use]
    pub fn with_limit(services_max: usize) -> Self {
        let other = ServiceLabels {
            namespace: Arc::from(OTHER),
            service: Arc::from(OTHER),
        };
        Self {
            services_max,
            known: RwLock::default(),
            other,
        }
    }

    /// The labels of a service; a new one gets its own while there is room.
    #[must_use]
    pub fn labels(&self, namespace: &str, service: &str) -> ServiceLabels {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(labels) = known.get(namespace, service) {
                return labels.clone();
            }
            if known.count >= self.services_max {
                return self.other.clone();
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have taken the last room between the two locks.
        if let Some(labels) = known.get(namespace, service) {
            return labels.clone();
        }
        if known.count >= self.services_max {
            return self.other.clone();
        }
        known.count += 1;
        let labels = ServiceLabels {
            namespace: Arc::from(namespace),
            service: Arc::from(service),
        };
        let services = known
            .by_namespace
            .entry(Arc::clone(&labels.namespace))
            .or_default();
        services.insert(Arc::clone(&labels.service), labels.clone());
        labels
    }

    /// Gives back the room of a deleted service and returns the labels it had, so that the caller
    /// can remove its series; none when it had no labels of its own.
    pub fn forget(&self, namespace: &str, service: &str) -> Option<ServiceLabels> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let services = known.by_namespace.get_mut(namespace)?;
        let labels = services.remove(service)?;
        if services.is_empty() {
            known.by_namespace.remove(namespace);
        }
        known.count -= 1;
        Some(labels)
    }
}

#[cfg(test)]
mod tests;
