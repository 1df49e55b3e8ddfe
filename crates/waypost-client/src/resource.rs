//! What can be asked for, and its path.

use crate::path::PathBuilder;
use crate::{AuditFilter, ClientError, InstanceFilter, InstanceRef};

/// Names what a call is about, in the namespace of the client.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Resource<'a> {
    /// The listing of all namespaces.
    Namespaces,
    /// One namespace.
    Namespace(&'a str),
    /// Where the server answers DNS.
    Dns,
    /// The credentials that were issued.
    Tokens,
    /// One of them.
    Token(&'a str),
    /// Where one of them is rotated.
    Rotation(&'a str),
    /// A page of the journal.
    Audit(&'a AuditFilter),
    /// The changes of an instance's health.
    History(&'a InstanceRef, &'a AuditFilter),
    /// The listing of all services.
    Services,
    /// One service.
    Service(&'a str),
    /// The listing of all instances of a service.
    Instances(&'a str),
    /// The listing of the instances of all services that a filter admits, in every namespace.
    AllInstances(&'a InstanceFilter),
    /// One instance.
    Instance(&'a InstanceRef),
    /// Where heartbeats of an instance go.
    Heartbeat(&'a InstanceRef),
    /// The mode of an instance.
    Mode(&'a InstanceRef),
    /// A check of an instance, by its name.
    Check(&'a InstanceRef, &'a str),
    /// The rotation of a service.
    Discovery(&'a str),
    /// Why an instance is in rotation or out.
    Explanation(&'a InstanceRef),
    /// Source 003's path for removing: service and instance.
    Unregister(&'a str, &'a str),
}

impl Resource<'_> {
    /// Gives the path and query, open for more query parameters.
    pub(crate) fn path(self, namespace: &str) -> Result<PathBuilder, ClientError> {
        match self {
            Self::Namespaces => Ok(PathBuilder::new("/v1/namespaces")),
            Self::Namespace(name) => PathBuilder::new("/v1/namespaces").name("namespace", name),
            Self::Dns => Ok(PathBuilder::new("/v1/dns")),
            Self::Tokens => Ok(PathBuilder::new("/v1/tokens")),
            Self::Token(id) => PathBuilder::new("/v1/tokens").name("id", id),
            Self::Rotation(id) => Ok(PathBuilder::new("/v1/tokens")
                .name("id", id)?
                .fixed("rotate")),
            Self::Audit(filter) => Ok(filter.add_to(PathBuilder::new("/v1/audit"))),
            Self::History(instance, filter) => {
                let path = instances(namespace, instance)?.fixed("history");
                Ok(filter.add_to(with_owner(path, instance)))
            }
            Self::Services => services(namespace),
            Self::Service(service) => services(namespace)?.name("service", service),
            Self::Instances(service) => Ok(services(namespace)?
                .name("service", service)?
                .fixed("instances")),
            Self::AllInstances(filter) => Ok(filter.add_to(PathBuilder::new("/v1/instances"))),
            Self::Instance(instance) => Ok(with_owner(instances(namespace, instance)?, instance)),
            Self::Heartbeat(instance) => {
                let path = instances(namespace, instance)?.fixed("heartbeat");
                Ok(with_owner(path, instance))
            }
            Self::Mode(instance) => {
                let path = instances(namespace, instance)?.fixed("mode");
                Ok(with_owner(path, instance))
            }
            Self::Check(instance, check) => {
                let path = instances(namespace, instance)?.fixed("checks");
                Ok(with_owner(path.name("check", check)?, instance))
            }
            Self::Discovery(service) => Ok(PathBuilder::new("/v1/discover")
                .name("service", service)?
                .query("namespace", Some(namespace))),
            Self::Explanation(instance) => {
                let path = PathBuilder::new("/v1/explain")
                    .name("service", &instance.service)?
                    .name("instance", &instance.id)?
                    .query("namespace", Some(namespace));
                Ok(with_owner(path, instance))
            }
            Self::Unregister(service, instance) => PathBuilder::new("/v1/discovery/unregister")
                .name("service", service)?
                .name("instance", instance),
        }
    }
}

fn services(namespace: &str) -> Result<PathBuilder, ClientError> {
    Ok(PathBuilder::new("/v1/namespaces")
        .name("namespace", namespace)?
        .fixed("services"))
}

fn instances(namespace: &str, instance: &InstanceRef) -> Result<PathBuilder, ClientError> {
    services(namespace)?
        .name("service", &instance.service)?
        .fixed("instances")
        .name("instance", &instance.id)
}

fn with_owner(path: PathBuilder, instance: &InstanceRef) -> PathBuilder {
    path.query("owner", instance.owner.as_deref())
}
