//! Between source 003's JSON and the model.

use std::sync::Arc;

use waypost_core::{
    Addresses, Attributes, Dialect, Instance, InstanceId, Lease, LeaseStart, RegistrationSpec,
    RegistryError, Service, ServiceState,
};

use super::sources::{health_path, host, load, status};
use crate::config::RestConfig;
use crate::error::in_words_of;
use crate::time::Rfc3339;
use crate::wire::discovery::{ServiceInstance, ServiceRegistrationRequest};

/// What the model's fields are called in source 003's JSON.
const WORDS: [(&str, &str); 4] = [
    ("attributes", "metadata"),
    ("address", "host"),
    ("hostname", "host"),
    ("checks.http.path", "health_endpoint"),
];

/// Returns what to register: the instance's id and its registration.
pub(crate) fn registration(
    request: &ServiceRegistrationRequest,
    config: &RestConfig,
) -> Result<(InstanceId, Arc<RegistrationSpec>), RegistryError> {
    let id = InstanceId::new(&request.instance_id)?;
    let spec = spec(request, config).map_err(|error| in_words_of(error, &WORDS))?;
    Ok((id, Arc::new(spec)))
}

fn spec(
    request: &ServiceRegistrationRequest,
    config: &RestConfig,
) -> Result<RegistrationSpec, RegistryError> {
    let addresses = Addresses::parse("host", &request.host)?;
    let spec = RegistrationSpec {
        attributes: Attributes::new(&request.metadata)?,
        checks: config.source_check(&request.health_endpoint)?,
        // Its clients may never send a heartbeat; those that do have promised more.
        lease: Some(Lease {
            seconds: config.discovery_lease_seconds,
            start: LeaseStart::FirstHeartbeat,
            renewed_by_checks: false,
        }),
        ..RegistrationSpec::new(addresses, request.port.0, Dialect::Discovery)
    };
    // The registry checks again; here the errors get the source's words.
    spec.validate()?;
    Ok(spec)
}

/// Shows an instance as source 003 does.
pub(crate) fn instance<'a>(service: &'a Service, instance: &'a Instance) -> ServiceInstance<'a> {
    let registration = instance.registration();
    let vitals = instance.vitals();
    ServiceInstance {
        service_name: service.key.name.as_str(),
        instance_id: instance.key().id.as_str(),
        host: host(instance),
        port: registration.spec.port().map_or(0, |port| port.number),
        health_endpoint: health_path(service, instance),
        status: status(instance),
        last_health_check: vitals.last_probe().map(Rfc3339),
        last_heartbeat: vitals.last_heartbeat().map(Rfc3339),
        load_percentage: load(instance).unwrap_or_default(),
        metadata: &registration.spec.attributes,
        registered_at: Rfc3339(registration.first),
    }
}

/// Shows these instances of a service.
pub(crate) fn instances<'a>(
    state: &'a ServiceState,
    instances: &'a [Arc<Instance>],
) -> Vec<ServiceInstance<'a>> {
    let shown = instances.iter().map(|it| instance(state.service(), it));
    shown.collect()
}
