use serde::Serialize;
use utoipa::ToSchema;

use super::{Instance, Namespace, Service};

/// All namespaces.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespacePage {
    /// The namespaces by name.
    pub(crate) namespaces: Vec<Namespace>,
    /// What `after` is for the next page; null on the last one.
    pub(crate) next: Option<String>,
}

/// A page of services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServicePage {
    /// Their namespace.
    pub(crate) namespace: String,
    /// The services by name.
    pub(crate) services: Vec<Service>,
    /// What `after` is for the next page; null on the last one.
    pub(crate) next: Option<String>,
}

/// A page of the instances of all services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstanceList {
    /// The instances by namespace, service, id and owner; perhaps none although there is a next page, when hardly any
    /// are as asked for.
    pub(crate) instances: Vec<Instance>,
    /// What `after` is for the next page; null on the last one.
    pub(crate) next: Option<String>,
}

/// A page of instances.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstancePage {
    /// Their namespace.
    pub(crate) namespace: String,
    /// Their service.
    pub(crate) service: String,
    /// The instances by id.
    pub(crate) instances: Vec<Instance>,
    /// What `after` is for the next page; null on the last one.
    pub(crate) next: Option<String>,
}
