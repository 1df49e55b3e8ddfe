//! Everything that a store has to hold for a snapshot to come back from it.

use std::sync::Arc;

use crate::batch::Object;
use crate::id::Revision;
use crate::instance::Instance;
use crate::snapshot_file::SnapshotCounts;

use super::Snapshot;

impl Snapshot {
    /// Lists every stored object with the revision that last wrote it: parents first, and always in the same order.
    pub fn objects(&self) -> impl Iterator<Item = (Object, Revision)> + Send + '_ {
        let namespaces = self.namespaces.values().map(|state| {
            let object = Object::Namespace(Arc::clone(&state.namespace));
            (object, state.revision)
        });
        let services = self.services().map(|state| {
            let object = Object::Service(Arc::clone(&state.service));
            (object, state.revision)
        });
        let registrations = self.instances().map(|instance| {
            let registration = Arc::clone(&instance.registration);
            let object = Object::Registration(instance.key().clone(), registration);
            (object, instance.registered)
        });
        let verdicts = self.instances().map(|instance| {
            let object = Object::Verdict(instance.key().clone(), instance.verdict.clone());
            (object, instance.judged)
        });
        let modes = self.modes.iter().map(|(key, (setting, revision))| {
            let object = Object::Mode(key.clone(), Arc::clone(setting));
            (object, *revision)
        });
        let documents = self.documents.values().map(|(document, revision)| {
            let object = Object::Document(Arc::clone(document));
            (object, *revision)
        });
        namespaces
            .chain(services)
            .chain(registrations)
            .chain(verdicts)
            .chain(modes)
            .chain(documents)
            // Revision zero marks what was made up for the snapshot and is in no store.
            .filter(|(_, revision)| *revision != Revision::ZERO)
    }

    /// Counts them by kind, without making any.
    pub fn object_counts(&self) -> SnapshotCounts {
        let stored = |revision: Revision| u64::from(revision != Revision::ZERO);
        let mut counts = SnapshotCounts {
            modes: self.modes.len() as u64,
            documents: self.documents.len() as u64,
            ..SnapshotCounts::default()
        };
        for namespace in self.namespaces.values() {
            counts.namespaces += stored(namespace.revision);
            for service in namespace.services.values() {
                counts.services += stored(service.revision);
                for instance in &service.instances {
                    counts.registrations += stored(instance.registered);
                    counts.verdicts += stored(instance.judged);
                }
            }
        }
        counts
    }

    fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> + Send {
        self.services().flat_map(|state| state.instances.iter())
    }
}
