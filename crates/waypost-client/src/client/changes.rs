//! Changes of a part, changes under a condition, and listings across services.

use http::Method;
use serde::Serialize;

use super::Client;
use crate::transport::Call;
use crate::{
    ClientError, Condition, Instance, InstanceFilter, InstanceRef, Namespace, NamespaceSettings,
    Resource, Service,
};

impl Client {
    /// Makes a client that changes namespaces, services and instances under a condition only, over the same
    /// connections.
    ///
    /// A change under a condition is not repeated when its connection breaks: the second time the condition would not
    /// hold any more by its own doing.
    #[must_use]
    pub fn only_if(&self, condition: Condition) -> Self {
        Self {
            condition: Some(condition),
            ..self.clone()
        }
    }

    /// Creates a namespace or changes its settings; settings that are `None` stay as they are.
    ///
    /// # Errors
    /// `Conflict` for another kind than it has; else see [`ErrorKind`](crate::ErrorKind).
    pub async fn put_namespace(
        &self,
        name: &str,
        settings: &NamespaceSettings,
    ) -> Result<Namespace, ClientError> {
        self.put(self.path(Resource::Namespace(name))?, settings)
            .await
    }

    /// Removes a namespace that has no services.
    ///
    /// # Errors
    /// `Conflict` while it has services; `NotFound` when it is not there.
    pub async fn delete_namespace(&self, name: &str) -> Result<(), ClientError> {
        self.delete(self.path(Resource::Namespace(name))?).await
    }

    /// Changes a namespace by a merge patch (RFC 7396): what is left out stays, null takes away.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`](crate::ErrorKind).
    pub async fn patch_namespace(
        &self,
        name: &str,
        patch: &impl Serialize,
    ) -> Result<Namespace, ClientError> {
        let call = Call::with_json(Method::PATCH, self.path(Resource::Namespace(name))?, patch)?;
        self.transport.ask(self.conditional(call)).await
    }

    /// Changes a service by a merge patch (RFC 7396): what is left out stays, null takes away.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`](crate::ErrorKind).
    pub async fn patch_service(
        &self,
        service: &str,
        patch: &impl Serialize,
    ) -> Result<Service, ClientError> {
        let call = Call::with_json(Method::PATCH, self.path(Resource::Service(service))?, patch)?;
        self.transport.ask(self.conditional(call)).await
    }

    /// Changes what is registered of an instance by a merge patch (RFC 7396): what is left out stays, null takes away.
    /// It is no sign of life.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`](crate::ErrorKind).
    pub async fn patch_instance(
        &self,
        instance: &InstanceRef,
        patch: &impl Serialize,
    ) -> Result<Instance, ClientError> {
        let path = self.path(Resource::Instance(instance))?;
        let call = Call::with_json(Method::PATCH, path, patch)?;
        self.transport.ask(self.conditional(call)).await
    }

    /// Gives the instances of all services that the filter admits, by namespace, service, id and owner, following pages.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub async fn all_instances(
        &self,
        filter: &InstanceFilter,
    ) -> Result<Vec<Instance>, ClientError> {
        self.list(Resource::AllInstances(filter)).await
    }

    /// Puts a change under the client's condition, if it has one.
    pub(super) fn conditional(&self, call: Call) -> Call {
        match &self.condition {
            None => call,
            Some(condition) => Call {
                header: Some(condition.header()),
                once: true,
                ..call
            },
        }
    }
}
