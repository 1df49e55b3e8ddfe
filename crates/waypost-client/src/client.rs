//! The typed calls.

use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::builder::ClientBuilder;
use crate::transport::{Call, Transport};
use crate::wire::{
    DiscoveryHeartbeat, DiscoveryRegistration, HeartbeatBody, ModeBody, Page, Success,
};
use crate::{
    ClientError, Condition, Discovery, DnsServer, ErrorKind, Explanation, HeartbeatAnswer,
    Instance, InstanceRef, Mode, Namespace, Registration, Resource, Service, ServiceSettings,
};

mod batch;
mod changes;
mod credentials;
mod operators;
mod server;
#[cfg(test)]
mod tests;

/// Pages that a listing follows at most, so that a server whose pages never end cannot hold the caller.
const MOST_PAGES: usize = 10_000;

/// Speaks to one Waypost server, in one namespace. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    namespace: Arc<str>,
    condition: Option<Condition>,
}

impl Client {
    /// Starts to build a client of the server at `url`, such as `http://127.0.0.1:3004`.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    pub(crate) fn new(transport: Transport, namespace: &str) -> Self {
        Self {
            transport: Arc::new(transport),
            namespace: namespace.into(),
            condition: None,
        }
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    /// Gives the namespace that service names are in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Gives the address of the server, without the token.
    pub fn url(&self) -> String {
        self.transport.address().to_string()
    }

    /// Makes a client of the same server, over the same connections, in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            ..self.clone()
        }
    }

    /// Gives the time that the server's latest answer was made at, in whole seconds, by the server's clock.
    ///
    /// Ages of what the server reported are right against this clock even when the local one is wrong.
    pub fn server_time(&self) -> Option<SystemTime> {
        self.transport.server_time()
    }

    /// Registers an instance, or renews and updates it: `PUT .../instances/{id}`.
    ///
    /// # Errors
    /// See [`ErrorKind`]; a refused registration is `Usage` and its problem names field, value and rule.
    pub async fn register(
        &self,
        instance: &InstanceRef,
        registration: &Registration,
    ) -> Result<Instance, ClientError> {
        self.put(self.path(Resource::Instance(instance))?, registration)
            .await
    }

    /// Registers an instance with a body that the caller read from elsewhere, sent as it is: the server is
    /// the one that judges it, fields that this crate does not know included.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub async fn register_json<T: DeserializeOwned>(
        &self,
        instance: &InstanceRef,
        registration: &Value,
    ) -> Result<T, ClientError> {
        self.put(self.path(Resource::Instance(instance))?, registration)
            .await
    }

    /// Removes an instance: `DELETE .../instances/{id}`.
    ///
    /// # Errors
    /// `NotFound` when it is not there. When an earlier attempt of this very call lost its connection, that
    /// attempt may be the one that removed it, so then its absence is success.
    pub async fn deregister(&self, instance: &InstanceRef) -> Result<(), ClientError> {
        self.delete(self.path(Resource::Instance(instance))?).await
    }

    /// Renews the lease of an instance.
    ///
    /// `registration_id` makes the server refuse the heartbeat when somebody registered anew since; `load` is
    /// 0 to 1.
    ///
    /// # Errors
    /// `NotFound`: register (again). `Conflict`: replaced by another registration.
    pub async fn heartbeat(
        &self,
        instance: &InstanceRef,
        registration_id: Option<&str>,
        load: Option<f64>,
    ) -> Result<HeartbeatAnswer, ClientError> {
        let path = self.path(Resource::Heartbeat(instance))?;
        self.post(
            path,
            &HeartbeatBody {
                registration_id,
                load,
            },
        )
        .await
    }

    /// Gives one instance with its health, mode and why it is in rotation or out.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`].
    pub async fn instance(&self, instance: &InstanceRef) -> Result<Instance, ClientError> {
        self.get(Resource::Instance(instance)).await
    }

    /// Gives all instances of a service, following pages.
    ///
    /// # Errors
    /// `NotFound` when there is no such service; else see [`ErrorKind`].
    pub async fn instances(&self, service: &str) -> Result<Vec<Instance>, ClientError> {
        self.list(Resource::Instances(service)).await
    }

    /// Gives the rotation of a service: who may be sent traffic now.
    ///
    /// # Errors
    /// `NotFound` when there is no such service; else see [`ErrorKind`].
    pub async fn discover(&self, service: &str) -> Result<Discovery, ClientError> {
        self.get(Resource::Discovery(service)).await
    }

    /// Gives every piece of evidence for why an instance is in rotation or out.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`].
    pub async fn explain(&self, instance: &InstanceRef) -> Result<Explanation, ClientError> {
        self.get(Resource::Explanation(instance)).await
    }

    /// Gives all namespaces, following pages.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub async fn namespaces(&self) -> Result<Vec<Namespace>, ClientError> {
        self.list(Resource::Namespaces).await
    }

    /// Gives one namespace.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`].
    pub async fn namespace_named(&self, name: &str) -> Result<Namespace, ClientError> {
        self.get(Resource::Namespace(name)).await
    }

    /// Gives where the server answers DNS.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub async fn dns(&self) -> Result<DnsServer, ClientError> {
        self.get(Resource::Dns).await
    }

    /// Sets the mode of an instance: `Draining` and `Maintenance` take it out of rotation.
    ///
    /// With `registration_id` it is the process itself that says so: the mode ends with that registration.
    ///
    /// # Errors
    /// `NotFound` when it is not there; `Conflict` when `registration_id` is not its registration any more.
    pub async fn set_mode(
        &self,
        instance: &InstanceRef,
        mode: Mode,
        reason: &str,
        registration_id: Option<&str>,
    ) -> Result<Instance, ClientError> {
        let body = ModeBody {
            mode: mode.as_str(),
            reason,
            registration_id,
        };
        self.put(self.path(Resource::Mode(instance))?, &body).await
    }

    /// Makes an instance plainly Active.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub async fn clear_mode(&self, instance: &InstanceRef) -> Result<(), ClientError> {
        self.delete(self.path(Resource::Mode(instance))?).await
    }

    /// Gives all services of the client's namespace, following pages.
    ///
    /// # Errors
    /// `NotFound` when there is no such namespace; else see [`ErrorKind`].
    pub async fn services(&self) -> Result<Vec<Service>, ClientError> {
        self.list(Resource::Services).await
    }

    /// Gives one service with its settings and counts.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`].
    pub async fn service(&self, service: &str) -> Result<Service, ClientError> {
        self.get(Resource::Service(service)).await
    }

    /// Creates a service or changes its settings; settings that are `None` stay as they are.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub async fn put_service(
        &self,
        service: &str,
        settings: &ServiceSettings,
    ) -> Result<Service, ClientError> {
        self.put(self.path(Resource::Service(service))?, settings)
            .await
    }

    /// Removes a service that has no instances.
    ///
    /// # Errors
    /// `Conflict` while it has instances; `NotFound` when it is not there.
    pub async fn delete_service(&self, service: &str) -> Result<(), ClientError> {
        self.delete(self.path(Resource::Service(service))?).await
    }

    /// Registers over source 003's path `POST /v1/discovery/register`.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub async fn discovery_register(
        &self,
        registration: &DiscoveryRegistration,
    ) -> Result<Success, ClientError> {
        self.post("/v1/discovery/register".into(), registration)
            .await
    }

    /// Renews over source 003's path `POST /v1/discovery/heartbeat`.
    ///
    /// # Errors
    /// `NotFound`: register (again); else see [`ErrorKind`].
    pub async fn discovery_heartbeat(
        &self,
        service: &str,
        instance: &str,
    ) -> Result<Success, ClientError> {
        let body = DiscoveryHeartbeat {
            service_name: service,
            instance_id: instance,
        };
        self.post("/v1/discovery/heartbeat".into(), &body).await
    }

    /// Removes over source 003's path `DELETE /v1/discovery/unregister/{service}/{instance}`.
    ///
    /// # Errors
    /// As [`deregister`](Self::deregister).
    pub async fn discovery_unregister(
        &self,
        service: &str,
        instance: &str,
    ) -> Result<(), ClientError> {
        self.delete(self.path(Resource::Unregister(service, instance))?)
            .await
    }

    /// Gives what `resource` names as a `T` of the caller's, such as [`AsSent<Instance>`](crate::wire::AsSent).
    ///
    /// # Errors
    /// `NotFound` when it is not there; else see [`ErrorKind`].
    pub async fn get<T: DeserializeOwned>(&self, resource: Resource<'_>) -> Result<T, ClientError> {
        let path = self.path(resource)?;
        self.transport.ask(Call::new(Method::GET, path)).await
    }

    /// Gives all items of a listing, each as a `T` of the caller's, following pages.
    ///
    /// # Errors
    /// `NotFound` when what is listed is not there; `Failed` for a resource that is no listing, or one that
    /// does not end; else see [`ErrorKind`].
    pub async fn list<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
    ) -> Result<Vec<T>, ClientError> {
        self.list_at_most(resource, usize::MAX).await
    }

    /// Gives the first items of a listing, at most so many: ask for one more to know whether these are all.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_at_most<T: DeserializeOwned>(
        &self,
        resource: Resource<'_>,
        most: usize,
    ) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let path = resource
                .path(&self.namespace)?
                .query("after", after.as_deref())
                .build();
            let mut page: Page<T> = self.transport.ask(Call::new(Method::GET, path)).await?;
            items.append(&mut page.items);
            if items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
            match page.next {
                None => return Ok(items),
                Some(next) if Some(&next) == after.as_ref() => {
                    return Err(ClientError::failed(format!(
                        "the page after {next:?} is itself"
                    )));
                }
                Some(next) => after = Some(next),
            }
        }
        Err(ClientError::failed(format!(
            "the listing has more than {MOST_PAGES} pages"
        )))
    }

    fn path(&self, resource: Resource<'_>) -> Result<String, ClientError> {
        Ok(resource.path(&self.namespace)?.build())
    }

    async fn put<T: DeserializeOwned>(
        &self,
        path: String,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let call = Call::with_json(Method::PUT, path, body)?;
        self.transport.ask(self.conditional(call)).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: String,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.transport
            .ask(Call::with_json(Method::POST, path, body)?)
            .await
    }

    async fn delete(&self, path: String) -> Result<(), ClientError> {
        let call = self.conditional(Call::new(Method::DELETE, path));
        let answer = self.transport.send(call).await?;
        let may_be_second = answer.may_be_second;
        match answer.success() {
            Err(error) if may_be_second && error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}
