//! A snapshot from what a store holds, at start and when the history was lost sight of.

use std::sync::Arc;

use crate::batch::Object;
use crate::id::Revision;
use crate::instance::Instance;
use crate::mode::ModeSetting;
use crate::name::{InstanceKey, NamespaceName, ServiceName};
use crate::recent::Recent;
use crate::store::Loaded;
use crate::time::Timestamp;
use crate::verdict::Verdict;

use super::{Effects, Snapshot};

impl Snapshot {
    /// Builds the snapshot of what a store loaded.
    pub fn load(loaded: Loaded, at: Timestamp) -> Self {
        let mut snapshot = Self::empty(loaded.epoch);
        let mut phases: [Vec<(Object, Revision)>; 5] = Default::default();
        for (object, revision) in loaded.objects {
            // Parents first: an engine may answer in any order.
            let [namespaces, services, registrations, verdicts, others] = &mut phases;
            match object {
                Object::Namespace(_) => namespaces.push((object, revision)),
                Object::Service(_) => services.push((object, revision)),
                Object::Registration(..) => registrations.push((object, revision)),
                Object::Verdict(..) => verdicts.push((object, revision)),
                Object::Mode(..) | Object::Document(_) => others.push((object, revision)),
            }
        }
        let mut effects = Effects::default();
        for (object, revision) in phases.into_iter().flatten() {
            snapshot.revision = revision;
            match object {
                // What is read is no change: it leaves no edge.
                Object::Verdict(key, verdict) => snapshot.restore_verdict(&key, &verdict, at),
                Object::Mode(key, setting) => snapshot.restore_mode(&key, &setting, at),
                other => snapshot.put(&other, at, &mut effects),
            }
            effects.touched.clear();
            effects.instances.clear();
        }
        snapshot.revision = loaded.revision;
        snapshot.modified = loaded.revision;
        snapshot.recent = Recent::after(loaded.revision);
        snapshot.count_as_modified();
        snapshot
    }

    fn restore_verdict(&mut self, key: &InstanceKey, verdict: &Verdict, at: Timestamp) {
        if self.instance(key).is_none() {
            self.orphans.insert(key.clone(), self.revision);
        }
        let mut effects = Effects::default();
        self.change_instance(key, at, &mut effects, |instance, revision| {
            let mut next = instance.clone();
            next.verdict = verdict.clone();
            next.judged = revision;
            next.modified = revision;
            Some(next)
        });
    }

    fn restore_mode(&mut self, key: &InstanceKey, setting: &Arc<ModeSetting>, at: Timestamp) {
        let kept = (Arc::clone(setting), self.revision);
        self.modes.insert(key.clone(), kept);
        let mut effects = Effects::default();
        self.change_instance(key, at, &mut effects, |instance, revision| {
            let mut next = instance.clone();
            next.mode = Some(Arc::clone(setting));
            next.modified = revision;
            Some(next)
        });
    }

    /// Counts everything as modified now: which removals came after the last write of an object is not known, and an
    /// answer from before one must not pass for the latest.
    fn count_as_modified(&mut self) {
        let revision = self.revision;
        let names: Vec<NamespaceName> = self.namespaces.keys().cloned().collect();
        for name in names {
            let Some(namespace) = self.namespaces.get_mut(&name) else {
                continue;
            };
            let namespace = Arc::make_mut(namespace);
            namespace.modified = revision;
            let services: Vec<ServiceName> = namespace.services.keys().cloned().collect();
            for service in services {
                if let Some(state) = namespace.services.get_mut(&service) {
                    let state = Arc::make_mut(state);
                    state.modified = revision;
                    state.membership = revision;
                    state.served.since = revision;
                    for instance in &mut state.instances {
                        // Its mode may have been one of those removals.
                        Arc::make_mut(instance).modified = revision;
                    }
                }
            }
        }
    }

    /// Takes the signs of life of registrations that another snapshot of the same history knows.
    pub(crate) fn adopt_vitals(&mut self, known: &Self) {
        let keys: Vec<InstanceKey> = self
            .services()
            .flat_map(|state| {
                state
                    .instances
                    .iter()
                    .map(|instance| instance.key().clone())
            })
            .collect();
        for key in keys {
            let Some(before) = known.instance(&key).cloned() else {
                continue;
            };
            let at = Timestamp::default();
            let state = self.service_mut(&key.service, at);
            let Some(found) = state.instance(&key).cloned() else {
                continue;
            };
            if before.registration.id == found.registration.id {
                let mut adopted = Instance::clone(&found);
                adopted.vitals = Arc::clone(&before.vitals);
                adopted.edges.clone_from(&before.edges);
                let modified = state.modified;
                state.put(Arc::new(adopted));
                state.modified = modified;
            }
        }
    }
}
