use serde::{Deserialize, Serialize};

use super::{Instance, Service, Tier};

/// A service as it is, with all of its instances: what a [`Watch`](crate::Watch) tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceUpdate {
    /// The service.
    pub service: Service,
    /// The tier that is served; `None` when nobody is.
    pub tier: Option<Tier>,
    /// Every instance by id, whether it may be sent traffic or not. Vitals (last heartbeat, last probe, load) are those of the
    /// moment; they are no change of their own.
    pub instances: Vec<Instance>,
}

impl ServiceUpdate {
    /// Gives the instances that may be sent traffic.
    pub fn in_rotation(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|it| it.in_rotation)
    }
}
