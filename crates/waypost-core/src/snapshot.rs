//! The immutable state of everything at one revision, shared structurally with the revisions around it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use imbl::OrdMap;

use crate::batch::{Batch, Change, Document, Object};
use crate::id::{Epoch, Position, Revision};
use crate::instance::{Instance, Rotation};
use crate::mode::ModeSetting;
use crate::name::{
    DocumentKey, InstanceKey, NamespaceName, NamespaceRef, ObjectKey, Owner, ServiceKey,
    ServiceName, ServiceRef,
};
use crate::namespace::Namespace;
use crate::recent::{Recent, Touched};
use crate::registration::Registration;
use crate::service::Service;
use crate::text::Text;
use crate::text::text;
use crate::time::Timestamp;
use crate::verdict::{Verdict, effective_checks};
use crate::vitals::{LeaseCell, Vitals};
use crate::watch::Scope;

mod implied;
mod loading;
mod object;
mod objects;
mod served;
mod walk;

pub(crate) use implied::{implied_namespace, implied_service};
use implied::{stand_in_namespace, stand_in_service};
use served::Served;

/// A namespace with its services.
#[derive(Clone, Debug)]
pub struct NamespaceState {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) revision: Revision,
    pub(crate) modified: Revision,
    pub(crate) services: OrdMap<ServiceName, Arc<ServiceState>>,
    pub(crate) empty_since: Timestamp,
}

impl NamespaceState {
    /// Returns the namespace itself.
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Returns when the namespace itself was last written.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns when anything shown of it, of its services or of their instances last changed.
    pub fn modified(&self) -> Revision {
        self.modified
    }

    /// Returns how many services it has.
    pub fn services_len(&self) -> usize {
        self.services.len()
    }

    /// Lists its services by name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceState>> {
        self.services.values()
    }

    /// Lists its services that come after `name` in order.
    pub fn services_after(&self, name: &ServiceName) -> impl Iterator<Item = &Arc<ServiceState>> {
        let after = (
            std::ops::Bound::Excluded(name.clone()),
            std::ops::Bound::Unbounded,
        );
        self.services
            .range::<_, ServiceName>(after)
            .map(|(_, service)| service)
    }
}

/// A service with its instances.
#[derive(Clone, Debug)]
pub struct ServiceState {
    pub(crate) service: Arc<Service>,
    pub(crate) revision: Revision,
    pub(crate) modified: Revision,
    pub(crate) membership: Revision,
    /// Sorted by id, then owner.
    pub(crate) instances: Vec<Arc<Instance>>,
    pub(crate) empty_since: Timestamp,
    rotation: OnceLock<Rotation>,
    served: Served,
}

impl ServiceState {
    fn new(service: Arc<Service>, revision: Revision, at: Timestamp) -> Self {
        Self {
            service,
            revision,
            modified: revision,
            membership: revision,
            instances: Vec::new(),
            empty_since: at,
            rotation: OnceLock::new(),
            served: Served::default(),
        }
    }

    /// Returns the service itself.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Returns when the service itself was last written.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns when anything shown of it or of its instances last changed.
    pub fn modified(&self) -> Revision {
        self.modified
    }

    /// Returns when anything shown of one of its instances last changed: the instance itself, the service, or which
    /// tier of the service is served. What else happens to other instances is not shown there.
    pub fn shown(&self, instance: &Instance) -> Revision {
        instance.modified.max(self.revision).max(self.served.since)
    }

    /// Returns when its registrations last changed, whatever their health (Cloud Map's InstancesRevision).
    pub fn membership(&self) -> Revision {
        self.membership
    }

    /// Lists its instances by id, then owner.
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// Returns who may be sent traffic: the one definition for every dialect.
    pub fn rotation(&self) -> &Rotation {
        self.rotation
            .get_or_init(|| Rotation::choose(&self.instances, self.service.fail_open))
    }

    /// Returns the instance of that key.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<Instance>> {
        let at = self.find(key).ok()?;
        self.instances.get(at)
    }

    /// Lists the instances of that id, one per owner.
    pub fn instances_of(&self, id: &crate::name::InstanceId) -> &[Arc<Instance>] {
        let start = self
            .instances
            .partition_point(|instance| instance.key().id < *id);
        let count = self
            .instances
            .iter()
            .skip(start)
            .take_while(|i| i.key().id == *id)
            .count();
        self.instances.get(start..start + count).unwrap_or_default()
    }

    fn find(&self, key: &InstanceKey) -> Result<usize, usize> {
        self.instances.binary_search_by(|instance| {
            let found = instance.key();
            found
                .id
                .cmp(&key.id)
                .then_with(|| found.owner.cmp(&key.owner))
        })
    }

    fn put(&mut self, instance: Arc<Instance>) {
        self.rotation = OnceLock::new();
        self.modified = instance.modified;
        let tier = instance.tier();
        let before = match self.find(instance.key()) {
            Ok(at) => {
                let slot = self.instances.get_mut(at);
                slot.map(|slot| std::mem::replace(slot, instance))
            }
            Err(at) => {
                self.instances.insert(at, instance);
                None
            }
        };
        let before = before.map(|before| before.tier());
        let fail_open = self.service.fail_open;
        self.served
            .count(before, Some(tier), fail_open, self.modified);
    }
}

/// What `changed_since` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These, each once, at the latest state.
    Since {
        /// Services whose own fields changed and which are there.
        services: Vec<ServiceKey>,
        /// Instances that changed and are there.
        instances: Vec<InstanceKey>,
        /// What is gone.
        removed: Vec<Touched>,
    },
    /// That long ago is no longer known: take the whole scope.
    Resync,
}

/// How one batch changed one shown thing, for the writer's followers.
#[derive(Clone, Debug)]
pub struct InstanceChange {
    /// As it was; none when it is new.
    pub before: Option<Arc<Instance>>,
    /// As it is; none when it is gone.
    pub after: Option<Arc<Instance>>,
}

impl InstanceChange {
    fn is_of(&self, key: &InstanceKey) -> bool {
        let instance = self.after.as_ref().or(self.before.as_ref());
        instance.is_some_and(|instance| instance.key() == key)
    }
}

/// Everything one batch touched.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Shown things, each once, in order.
    pub touched: Vec<Touched>,
    /// Instances with their states before and after.
    pub instances: Vec<InstanceChange>,
}

/// The state of everything at one revision.
#[derive(Clone, Debug)]
pub struct Snapshot {
    epoch: Epoch,
    revision: Revision,
    modified: Revision,
    namespaces: OrdMap<NamespaceName, Arc<NamespaceState>>,
    modes: OrdMap<InstanceKey, (Arc<ModeSetting>, Revision)>,
    /// Verdicts that were read without their registration: the next one of that name takes them away.
    orphans: OrdMap<InstanceKey, Revision>,
    documents: OrdMap<DocumentKey, (Arc<Document>, Revision)>,
    namespace_ids: OrdMap<Text, NamespaceName>,
    service_ids: OrdMap<Text, ServiceKey>,
    /// When scopes that are gone went, for as long as `recent` knows of it.
    tombstones: OrdMap<Scope, Revision>,
    /// The floor for which the tombstones were trimmed last.
    tombstones_floor: Revision,
    recent: Recent,
    instances_len: usize,
}

impl Snapshot {
    /// Makes the empty snapshot of a history.
    pub fn empty(epoch: Epoch) -> Self {
        Self {
            epoch,
            revision: Revision::ZERO,
            modified: Revision::ZERO,
            namespaces: OrdMap::new(),
            modes: OrdMap::new(),
            orphans: OrdMap::new(),
            documents: OrdMap::new(),
            namespace_ids: OrdMap::new(),
            service_ids: OrdMap::new(),
            tombstones: OrdMap::new(),
            tombstones_floor: Revision::ZERO,
            recent: Recent::default(),
            instances_len: 0,
        }
    }

    /// Returns which history this is.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns its position in the history.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the position as resume tokens show it.
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            revision: self.revision,
        }
    }

    /// Joins a revision of this history to a position.
    pub fn position_at(&self, revision: Revision) -> Position {
        Position {
            epoch: self.epoch,
            revision,
        }
    }

    /// Returns how many instances there are.
    pub fn instances_len(&self) -> usize {
        self.instances_len
    }

    /// Returns how many namespaces there are.
    pub fn namespaces_len(&self) -> usize {
        self.namespaces.len()
    }

    /// Lists the namespaces by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<NamespaceState>> {
        self.namespaces.values()
    }

    /// Lists every service, by namespace and name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceState>> {
        self.namespaces
            .values()
            .flat_map(|namespace| namespace.services.values())
    }

    /// Returns the namespace of that name.
    pub fn namespace(&self, name: &NamespaceName) -> Option<&Arc<NamespaceState>> {
        self.namespaces.get(name)
    }

    /// Returns the service of that key.
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<ServiceState>> {
        self.namespaces.get(&key.namespace)?.services.get(&key.name)
    }

    /// Returns the service by names as they came over a wire, without an allocation.
    pub fn service_named(&self, namespace: &str, service: &str) -> Option<&Arc<ServiceState>> {
        self.namespaces
            .get(&NamespaceRef(namespace))?
            .services
            .get(&ServiceRef(service))
    }

    /// Returns the instance of that key.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<Instance>> {
        self.service(&key.service)?.instance(key)
    }

    /// Returns the namespace with that id (`ns-...`).
    pub fn namespace_by_id(&self, id: &str) -> Option<&Arc<NamespaceState>> {
        self.namespaces.get(self.namespace_ids.get(id)?)
    }

    /// Returns the service with that id (`srv-...`).
    pub fn service_by_id(&self, id: &str) -> Option<&Arc<ServiceState>> {
        self.service(self.service_ids.get(id)?)
    }

    /// Returns the document of that key and when it was last written.
    pub fn document(&self, key: &DocumentKey) -> Option<(&Arc<Document>, Revision)> {
        self.documents
            .get(key)
            .map(|(document, revision)| (document, *revision))
    }

    /// Lists every document by key.
    pub fn documents(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.documents.values().map(|(document, _)| document)
    }

    /// Lists the documents of a kind by key.
    pub fn documents_of(&self, kind: &str) -> impl Iterator<Item = &Arc<Document>> {
        let first = DocumentKey {
            kind: text(kind),
            key: text(""),
        };
        let kind = first.kind.clone();
        self.documents
            .range(first..)
            .map(|(_, (document, _))| document)
            .take_while(move |document| document.key.kind == kind)
    }

    /// Returns the mode set for an instance, whether it is registered or not, and when it was last written.
    pub fn mode(&self, key: &InstanceKey) -> Option<(&Arc<ModeSetting>, Revision)> {
        self.modes
            .get(key)
            .map(|(setting, revision)| (setting, *revision))
    }

    /// Lists every mode set.
    pub fn modes(&self) -> impl Iterator<Item = (&InstanceKey, &Arc<ModeSetting>)> {
        self.modes.iter().map(|(key, (setting, _))| (key, setting))
    }

    /// Returns when anything shown in the scope last changed, removal included.
    pub fn modified(&self, scope: &Scope) -> Revision {
        let live = match scope {
            Scope::All => Some(self.modified),
            Scope::Namespace(name) => self
                .namespaces
                .get(name)
                .map(|namespace| namespace.modified),
            Scope::Service(key) => self.service(key).map(|service| service.modified),
        };
        let gone = self.tombstones.get(scope).copied();
        // What is not there and has no tombstone may have gone at any time up to where the tombstones begin.
        live.max(gone).unwrap_or_else(|| self.recent.floor())
    }

    /// Returns what changed in the scope after a revision, in time that grows with the changes.
    pub fn changed_since(&self, scope: &Scope, since: Revision) -> Changed {
        if since > self.revision {
            // Of a future, or of another history: silence would be wrong.
            return Changed::Resync;
        }
        let Some(touched) = self.recent.touched_after(since) else {
            return Changed::Resync;
        };
        let mut services = Vec::new();
        let mut instances = Vec::new();
        let mut removed = Vec::new();
        for thing in touched {
            if !scope.holds(&thing) {
                continue;
            }
            match thing {
                Touched::Namespace(name) if self.namespaces.contains_key(&name) => {}
                Touched::Service(key) if self.service(&key).is_some() => services.push(key),
                Touched::Instance(key) if self.instance(&key).is_some() => instances.push(key),
                gone => removed.push(gone),
            }
        }
        Changed::Since {
            services,
            instances,
            removed,
        }
    }

    /// Returns the revision that last wrote the object.
    pub fn written(&self, key: &ObjectKey) -> Option<Revision> {
        let stored = match key {
            ObjectKey::Namespace(name) => self.namespaces.get(name).map(|state| state.revision),
            ObjectKey::Service(key) => self.service(key).map(|state| state.revision),
            ObjectKey::Registration(key) => self.instance(key).map(|instance| instance.registered),
            ObjectKey::Verdict(key) => match self.instance(key) {
                Some(instance) => Some(instance.judged),
                None => self.orphans.get(key).copied(),
            },
            ObjectKey::Mode(key) => self.modes.get(key).map(|(_, revision)| *revision),
            ObjectKey::Document(key) => self.documents.get(key).map(|(_, revision)| *revision),
        };
        // Revision zero marks what was made up for the snapshot and is in no store.
        stored.filter(|revision| *revision != Revision::ZERO)
    }

    /// Returns the snapshot after a batch.
    #[must_use]
    pub fn apply(&self, revision: Revision, batch: &Batch) -> Self {
        let mut next = self.clone();
        next.apply_batch(revision, batch);
        next
    }

    /// Applies a batch in place and says what it touched. Shared parts are copied on the first write only.
    pub(crate) fn apply_batch(&mut self, revision: Revision, batch: &Batch) -> Effects {
        self.revision = revision;
        let mut effects = Effects::default();
        for change in &batch.changes {
            match change {
                Change::Put(object) => self.put(object, batch.at, &mut effects),
                Change::Remove(key) => self.remove(key, batch.at, &mut effects),
            }
        }
        let distinct: BTreeSet<Touched> = effects.touched.drain(..).collect();
        effects.touched = distinct.into_iter().collect();
        if !effects.touched.is_empty() {
            self.modified = revision;
            let floor = self
                .recent
                .record(revision, batch.at, effects.touched.clone().into());
            self.trim_tombstones(floor);
        }
        effects
    }

    fn trim_tombstones(&mut self, floor: Revision) {
        if self.tombstones.is_empty() || floor == self.tombstones_floor {
            return;
        }
        self.tombstones_floor = floor;
        let stale: Vec<Scope> = self
            .tombstones
            .iter()
            .filter(|(_, revision)| **revision <= floor)
            .map(|(scope, _)| scope.clone())
            .collect();
        for scope in stale {
            self.tombstones.remove(&scope);
        }
    }

    fn put(&mut self, object: &Object, at: Timestamp, effects: &mut Effects) {
        match object {
            Object::Namespace(namespace) => self.put_namespace(namespace, at, effects),
            Object::Service(service) => self.put_service(service, at, effects),
            Object::Registration(key, registration) => {
                self.put_registration(key, registration, at, effects);
            }
            Object::Verdict(key, verdict) => {
                self.change_instance(key, at, effects, |instance, revision| {
                    Some(instance.with_verdict(verdict.clone(), revision, at))
                });
            }
            Object::Mode(key, setting) => {
                self.modes
                    .insert(key.clone(), (Arc::clone(setting), self.revision));
                self.change_mode(key, Some(setting), at, effects);
            }
            Object::Document(document) => {
                let kept = (Arc::clone(document), self.revision);
                self.documents.insert(document.key.clone(), kept);
            }
        }
    }

    fn remove(&mut self, key: &ObjectKey, at: Timestamp, effects: &mut Effects) {
        match key {
            ObjectKey::Namespace(name) => self.remove_namespace(name, effects),
            ObjectKey::Service(key) => self.remove_service(key, at, effects),
            ObjectKey::Registration(key) => self.remove_instance(key, at, effects),
            ObjectKey::Verdict(key) => {
                self.orphans.remove(key);
                let checks = self
                    .service(&key.service)
                    .map(|state| Arc::clone(&state.service));
                self.change_instance(key, at, effects, |instance, revision| {
                    let service = checks.as_ref()?;
                    let spec = &instance.registration.spec;
                    let list = effective_checks(&service.checks, &spec.checks);
                    let mut next =
                        instance.with_verdict(Verdict::initial(spec, list, at), revision, at);
                    next.judged = Revision::ZERO;
                    Some(next)
                });
            }
            ObjectKey::Mode(key) => {
                self.modes.remove(key);
                self.change_mode(key, None, at, effects);
            }
            ObjectKey::Document(key) => {
                self.documents.remove(key);
            }
        }
    }

    fn put_namespace(&mut self, namespace: &Arc<Namespace>, at: Timestamp, effects: &mut Effects) {
        let revision = self.revision;
        effects
            .touched
            .push(Touched::Namespace(namespace.name.clone()));
        self.namespace_ids
            .insert(Text::clone(&namespace.id), namespace.name.clone());
        if let Some(state) = self.namespaces.get_mut(&namespace.name) {
            let state = Arc::make_mut(state);
            state.namespace = Arc::clone(namespace);
            state.revision = revision;
            state.modified = revision;
        } else {
            self.tombstones
                .remove(&Scope::Namespace(namespace.name.clone()));
            let state = NamespaceState {
                namespace: Arc::clone(namespace),
                revision,
                modified: revision,
                services: OrdMap::new(),
                empty_since: at,
            };
            self.namespaces
                .insert(namespace.name.clone(), Arc::new(state));
        }
    }

    fn put_service(&mut self, service: &Arc<Service>, at: Timestamp, effects: &mut Effects) {
        let revision = self.revision;
        effects.touched.push(Touched::Service(service.key.clone()));
        self.service_ids
            .insert(Text::clone(&service.id), service.key.clone());
        let namespace = self.namespace_mut(&service.key.namespace, at);
        namespace.modified = revision;
        if let Some(state) = namespace.services.get_mut(&service.key.name) {
            let state = Arc::make_mut(state);
            state.service = Arc::clone(service);
            state.revision = revision;
            state.modified = revision;
            state.rotation = OnceLock::new();
        } else {
            let state = ServiceState::new(Arc::clone(service), revision, at);
            namespace
                .services
                .insert(service.key.name.clone(), Arc::new(state));
            self.tombstones.remove(&Scope::Service(service.key.clone()));
        }
    }

    fn put_registration(
        &mut self,
        key: &InstanceKey,
        registration: &Arc<Registration>,
        at: Timestamp,
        effects: &mut Effects,
    ) {
        let revision = self.revision;
        let mode = self.modes.get(key).map(|(setting, _)| Arc::clone(setting));
        let state = self.service_mut(&key.service, at);
        let before = state.instance(key).cloned();
        let vitals = match &before {
            Some(before) if before.registration.is_kept_alive_by_signs_of(registration) => {
                Arc::clone(&before.vitals)
            }
            _ => {
                let seconds = registration.lease_seconds();
                let vitals = Vitals::new(key.clone(), registration.id, LeaseCell::None, seconds);
                if let Some(before) = &before {
                    vitals.inherit(&before.vitals);
                }
                Arc::new(vitals)
            }
        };
        let kept = before
            .as_ref()
            .filter(|before| before.judged != Revision::ZERO);
        let checks = effective_checks(&state.service.checks, &registration.spec.checks);
        let initial = || Verdict::initial(&registration.spec, checks, registration.judged_from);
        let after = Arc::new(Instance {
            registration: Arc::clone(registration),
            verdict: kept.map_or_else(initial, |kept| kept.verdict.clone()),
            mode,
            vitals,
            edges: before.as_ref().and_then(|before| before.edges.clone()),
            registered: revision,
            judged: kept.map_or(Revision::ZERO, |kept| kept.judged),
            modified: revision,
        });
        state.put(Arc::clone(&after));
        state.membership = revision;
        if before.is_none() {
            self.instances_len += 1;
        }
        self.note(key, before, Some(after), effects);
    }

    fn remove_instance(&mut self, key: &InstanceKey, at: Timestamp, effects: &mut Effects) {
        let revision = self.revision;
        if self.instance(key).is_none() {
            return;
        }
        let state = self.service_mut(&key.service, at);
        let Ok(found) = state.find(key) else { return };
        let before = state.instances.remove(found);
        state.rotation = OnceLock::new();
        state.modified = revision;
        state.membership = revision;
        state.empty_since = at;
        let fail_open = state.service.fail_open;
        state
            .served
            .count(Some(before.tier()), None, fail_open, revision);
        self.instances_len -= 1;
        self.note(key, Some(before), None, effects);
    }

    fn remove_service(&mut self, key: &ServiceKey, at: Timestamp, effects: &mut Effects) {
        let revision = self.revision;
        let Some(namespace) = self.namespaces.get_mut(&key.namespace) else {
            return;
        };
        let namespace = Arc::make_mut(namespace);
        let Some(state) = namespace.services.remove(&key.name) else {
            return;
        };
        namespace.modified = revision;
        namespace.empty_since = at;
        self.service_ids.remove(&state.service.id);
        self.tombstones
            .insert(Scope::Service(key.clone()), revision);
        effects.touched.push(Touched::Service(key.clone()));
    }

    fn remove_namespace(&mut self, name: &NamespaceName, effects: &mut Effects) {
        let Some(state) = self.namespaces.remove(name) else {
            return;
        };
        self.namespace_ids.remove(&state.namespace.id);
        self.tombstones
            .insert(Scope::Namespace(name.clone()), self.revision);
        effects.touched.push(Touched::Namespace(name.clone()));
    }

    fn change_mode(
        &mut self,
        key: &InstanceKey,
        setting: Option<&Arc<ModeSetting>>,
        at: Timestamp,
        effects: &mut Effects,
    ) {
        self.change_instance(key, at, effects, |instance, revision| {
            Some(instance.with_mode(setting.cloned(), revision, at))
        });
    }

    fn change_instance(
        &mut self,
        key: &InstanceKey,
        at: Timestamp,
        effects: &mut Effects,
        change: impl FnOnce(&Instance, Revision) -> Option<Instance>,
    ) {
        let revision = self.revision;
        let Some(before) = self.instance(key).cloned() else {
            return;
        };
        let Some(after) = change(&before, revision).map(Arc::new) else {
            return;
        };
        self.service_mut(&key.service, at).put(Arc::clone(&after));
        self.note(key, Some(before), Some(after), effects);
    }

    fn note(
        &mut self,
        key: &InstanceKey,
        before: Option<Arc<Instance>>,
        after: Option<Arc<Instance>>,
        effects: &mut Effects,
    ) {
        let revision = self.revision;
        if let Some(namespace) = self.namespaces.get_mut(&key.service.namespace) {
            Arc::make_mut(namespace).modified = revision;
        }
        effects.touched.push(Touched::Instance(key.clone()));
        // A batch that writes several objects of an instance changed it once: what was in between nobody saw.
        let mut noted = effects.instances.iter_mut().rev();
        match noted.find(|change| change.is_of(key)) {
            Some(change) => change.after = after,
            None => effects.instances.push(InstanceChange { before, after }),
        }
    }

    fn namespace_mut(&mut self, name: &NamespaceName, at: Timestamp) -> &mut NamespaceState {
        let revision = self.revision;
        let made = || {
            // Its object was damaged and set aside: what lies under it stays reachable.
            let namespace = stand_in_namespace(name, at);
            let services = OrdMap::new();
            Arc::new(NamespaceState {
                namespace: Arc::new(namespace),
                revision: Revision::ZERO,
                modified: revision,
                services,
                empty_since: at,
            })
        };
        let state = self.namespaces.entry(name.clone()).or_insert_with(made);
        Arc::make_mut(state)
    }

    fn service_mut(&mut self, key: &ServiceKey, at: Timestamp) -> &mut ServiceState {
        let namespace = self.namespace_mut(&key.namespace, at);
        let made = || {
            let service = stand_in_service(key, at);
            Arc::new(ServiceState::new(Arc::new(service), Revision::ZERO, at))
        };
        Arc::make_mut(
            namespace
                .services
                .entry(key.name.clone())
                .or_insert_with(made),
        )
    }
}

/// Finds which instance a request without an owner means: the empty owner's, else the only one.
pub(crate) fn resolve_owner<'a>(
    state: Option<&'a Arc<ServiceState>>,
    key: &ServiceKey,
    id: &crate::name::InstanceId,
    owner: Option<&Owner>,
) -> Result<Option<&'a Arc<Instance>>, crate::error::RegistryError> {
    let candidates = state
        .map(|state| state.instances_of(id))
        .unwrap_or_default();
    let wanted = owner.unwrap_or(&Owner::SELF);
    let exact = candidates
        .iter()
        .find(|instance| instance.key().owner == *wanted);
    match (owner, exact, candidates) {
        (_, Some(exact), _) => Ok(Some(exact)),
        (Some(_), None, _) | (None, None, []) => Ok(None),
        (None, None, [only]) => Ok(Some(only)),
        (None, None, several) => {
            let owners: Vec<&str> = several.iter().map(|i| i.key().owner.as_str()).collect();
            Err(crate::error::RegistryError::Conflict {
                what: format!("instance {key}/{id}"),
                why: format!("several owners keep it, say which: {}", owners.join(", ")),
            })
        }
    }
}
