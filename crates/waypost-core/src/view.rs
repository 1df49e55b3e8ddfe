//! A snapshot as one caller may see it. What may not be seen is not found.

use std::sync::Arc;

use crate::access::{Access, Verb};
use crate::batch::Document;
use crate::error::RegistryError;
use crate::id::{Position, Revision};
use crate::instance::Instance;
use crate::mode::ModeSetting;
use crate::name::{DocumentKey, InstanceId, InstanceKey, NamespaceName, Owner, ServiceKey};
use crate::snapshot::{Changed, NamespaceState, ServiceState, Snapshot, resolve_owner};
use crate::watch::Scope;

/// A snapshot filtered by what an [`Access`] may read.
#[derive(Clone, Debug)]
pub struct View {
    snapshot: Arc<Snapshot>,
    access: Access,
}

impl View {
    pub(crate) fn new(snapshot: Arc<Snapshot>, access: Access) -> Self {
        Self { snapshot, access }
    }

    /// Returns its position in the history.
    pub fn position(&self) -> Position {
        self.snapshot.position()
    }

    /// Joins a revision of this history to a position.
    pub fn position_at(&self, revision: Revision) -> Position {
        self.snapshot.position_at(revision)
    }

    /// Lists the namespaces by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<NamespaceState>> {
        self.snapshot
            .namespaces()
            .filter(|state| self.sees_namespace(&state.namespace().name))
    }

    /// Lists every service, by namespace and name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceState>> {
        self.snapshot
            .services()
            .filter(|state| self.sees(&state.service().key))
    }

    /// Lists services by namespace and name, from the place where `start` stands or would stand.
    pub fn services_from<'a>(
        &'a self,
        start: Option<&ServiceKey>,
    ) -> impl Iterator<Item = &'a Arc<ServiceState>> {
        self.snapshot
            .services_from(start)
            .filter(|state| self.sees(&state.service().key))
    }

    /// Lists the services of a namespace by name, those after `after` if it is given.
    ///
    /// # Errors
    /// `NotFound` when the namespace is not there or may not be seen.
    pub fn services_in(
        &self,
        name: &NamespaceName,
        after: Option<&crate::name::ServiceName>,
    ) -> Result<impl Iterator<Item = &Arc<ServiceState>>, RegistryError> {
        let namespace = self.namespace(name)?;
        let from_start = after.is_none().then(|| namespace.services());
        let from_name = after.map(|after| namespace.services_after(after));
        let all = from_start
            .into_iter()
            .flatten()
            .chain(from_name.into_iter().flatten());
        Ok(all.filter(|state| self.sees(&state.service().key)))
    }

    /// Returns the namespace of that name.
    ///
    /// # Errors
    /// `NotFound` when it is not there or may not be seen.
    pub fn namespace(&self, name: &NamespaceName) -> Result<&Arc<NamespaceState>, RegistryError> {
        let found = self
            .snapshot
            .namespace(name)
            .filter(|_| self.sees_namespace(name));
        found.ok_or_else(|| RegistryError::not_found(format!("namespace {name}")))
    }

    /// Returns the service of that key.
    ///
    /// # Errors
    /// `NotFound` when it is not there or may not be seen.
    pub fn service(&self, key: &ServiceKey) -> Result<&Arc<ServiceState>, RegistryError> {
        let found = self.snapshot.service(key).filter(|_| self.sees(key));
        found.ok_or_else(|| RegistryError::not_found(format!("service {key}")))
    }

    /// Returns the service by names as they came over a wire, without an allocation.
    pub fn service_named(&self, namespace: &str, service: &str) -> Option<&Arc<ServiceState>> {
        let found = self.snapshot.service_named(namespace, service)?;
        self.sees(&found.service().key).then_some(found)
    }

    /// Returns the instance of that id: the given owner's; without one the empty owner's, else the only one.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` that lists the owners when several keep it and none was given.
    pub fn instance(
        &self,
        service: &ServiceKey,
        id: &InstanceId,
        owner: Option<&Owner>,
    ) -> Result<&Arc<Instance>, RegistryError> {
        let missing = || RegistryError::not_found(format!("instance {service}/{id}"));
        let state = self.service(service).map_err(|_| missing())?;
        resolve_owner(Some(state), service, id, owner)?.ok_or_else(missing)
    }

    /// Returns the mode set for an instance, whether it is registered or not, and when it was last written.
    pub fn mode(&self, key: &InstanceKey) -> Option<(&Arc<ModeSetting>, Revision)> {
        self.snapshot.mode(key).filter(|_| self.sees(&key.service))
    }

    /// Returns the namespace with that id (`ns-...`).
    pub fn namespace_by_id(&self, id: &str) -> Option<&Arc<NamespaceState>> {
        self.snapshot
            .namespace_by_id(id)
            .filter(|state| self.sees_namespace(&state.namespace().name))
    }

    /// Returns the service with that id (`srv-...`).
    pub fn service_by_id(&self, id: &str) -> Option<&Arc<ServiceState>> {
        self.snapshot
            .service_by_id(id)
            .filter(|state| self.sees(&state.service().key))
    }

    /// Returns a document and when it was last written; documents are read by whoever may do anything.
    pub fn document(&self, key: &DocumentKey) -> Option<(&Arc<Document>, Revision)> {
        self.snapshot
            .document(key)
            .filter(|_| self.access.allows_everywhere(Verb::Admin))
    }

    /// Returns everything there is, documents and all, for whoever may administer all of it.
    ///
    /// # Errors
    /// `Denied` for everybody else.
    pub fn whole(&self) -> Result<&Arc<Snapshot>, RegistryError> {
        if self.access.allows_everywhere(Verb::Admin) {
            return Ok(&self.snapshot);
        }
        Err(RegistryError::Denied {
            subject: self.access.subject().to_string(),
            verb: "take",
            what: "a snapshot: that needs the verb admin, everywhere".to_owned(),
        })
    }

    /// Returns when anything shown in the scope last changed; zero for what may not be seen.
    pub fn modified(&self, scope: &Scope) -> Revision {
        let seen = match scope {
            Scope::All => self.access.allows_somewhere(Verb::Read),
            Scope::Namespace(name) => self.sees_namespace(name),
            Scope::Service(key) => self.sees(key),
        };
        if seen {
            self.snapshot.modified(scope)
        } else {
            Revision::ZERO
        }
    }

    /// Returns what changed in the scope after a revision, as far as it may be seen.
    pub fn changed_since(&self, scope: &Scope, since: Revision) -> Changed {
        let changed = self.snapshot.changed_since(scope, since);
        if self.access.is_everything() {
            return changed;
        }
        match changed {
            Changed::Resync => Changed::Resync,
            Changed::Since {
                mut services,
                mut instances,
                mut removed,
            } => {
                services.retain(|key| self.sees(key));
                instances.retain(|key| self.sees(&key.service));
                removed.retain(|thing| match thing {
                    crate::recent::Touched::Namespace(name) => self.sees_namespace(name),
                    crate::recent::Touched::Service(key) => self.sees(key),
                    crate::recent::Touched::Instance(key) => self.sees(&key.service),
                });
                Changed::Since {
                    services,
                    instances,
                    removed,
                }
            }
        }
    }

    fn sees(&self, key: &ServiceKey) -> bool {
        self.access.allows(Verb::Read, key)
    }

    fn sees_namespace(&self, name: &NamespaceName) -> bool {
        self.access.allows_namespace(Verb::Read, name)
    }
}
