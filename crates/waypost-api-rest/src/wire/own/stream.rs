use serde::Serialize;
use utoipa::ToSchema;

use super::{Instance, Service, Tier};

/// The event `service`: a service as it is, with all of its instances.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceUpdate {
    /// The service.
    pub(crate) service: Service,
    /// The tier that is served; null when nobody is.
    pub(crate) tier: Option<Tier>,
    /// Every instance by id, whether it may be sent traffic or not.
    pub(crate) instances: Vec<Instance>,
}

/// The event `gone`: a service that is no more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceGone {
    /// Name of its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) service: String,
}

/// The event `reset`: everything follows anew, up to `synced`; what is not among it is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamReset {
    /// Why, in one sentence without a full stop.
    pub(crate) reason: &'static str,
}
