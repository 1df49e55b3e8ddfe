//! AWS's quotas on numbers of things, as far as they are set. They hold for what is made through this API.

use tokio::sync::MutexGuard;
use waypost_core::{NamespaceState, ServiceState};

use crate::fault::Fault;
use crate::settings::Quotas;
use crate::state::Call;

impl Quotas {
    /// Says whether instances are counted.
    pub(crate) fn counts_instances(&self) -> bool {
        self.instances_per_service.is_some() || self.instances_per_namespace.is_some()
    }
}

/// Waits for its turn when something is counted: of two calls that make the last one, one must see the other's.
pub(crate) async fn turn<'a>(call: &Call<'a>, counts: bool) -> Option<MutexGuard<'a, ()>> {
    if counts {
        Some(call.cloud_map.counting.lock().await)
    } else {
        None
    }
}

/// Refuses a namespace that is one too many.
pub(crate) fn check_namespaces(call: &Call<'_>) -> Result<(), Fault> {
    let Some(most) = call.cloud_map.config.quotas.namespaces else {
        return Ok(());
    };
    let known = call.cloud_map.snapshots.latest().namespaces().count();
    check(known, most, "namespaces", "namespaces")
}

/// Refuses an instance that is one too many.
pub(crate) fn check_instances(
    call: &Call<'_>,
    service: &ServiceState,
    namespace: &NamespaceState,
) -> Result<(), Fault> {
    let quotas = &call.cloud_map.config.quotas;
    if let Some(most) = quotas.instances_per_service {
        let known = service.instances().len();
        check(
            known,
            most,
            "instances in a service",
            "instances_per_service",
        )?;
    }
    if let Some(most) = quotas.instances_per_namespace {
        let known = namespace.services().map(|state| state.instances().len());
        let rule = "instances_per_namespace";
        check(known.sum(), most, "instances in a namespace", rule)?;
    }
    Ok(())
}

fn check(known: usize, most: usize, what: &str, setting: &str) -> Result<(), Fault> {
    if known < most {
        return Ok(());
    }
    Err(Fault::bad(
        "ResourceLimitExceeded",
        format!(
            "There are {known} {what}, and at most {most} are allowed (cloudmap.quotas.{setting})."
        ),
    ))
}
