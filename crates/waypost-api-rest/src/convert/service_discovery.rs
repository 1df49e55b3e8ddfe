//! Between source 004's JSON and the model.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use waypost_core::{
    Addresses, Attributes, Dialect, Health, Instance, InstanceId, Lease, LeaseStart, Mode, Port,
    RegistrationSpec, RegistryError, ServiceState, Tags, text,
};

use super::sources::{base_url, status};
use crate::config::RestConfig;
use crate::error::in_words_of;
use crate::time::Rfc3339;
use crate::wire::discovery::Status;
use crate::wire::port::PortNumber;
use crate::wire::service_discovery::{Counts, Heartbeat, Overall, Registration, ServiceHealth};

/// What the model's fields are called in source 004's JSON.
const WORDS: [(&str, &str); 4] = [
    ("attributes", "metadata"),
    ("address", "host"),
    ("hostname", "host"),
    ("checks.http.path", "health_check_path"),
];
/// Longest instance id.
const ID_BYTES_MAX: usize = 64;

/// Returns what to register: the instance's id and its registration.
pub(crate) fn registration(
    request: &Registration,
    config: &RestConfig,
) -> Result<(InstanceId, Arc<RegistrationSpec>), RegistryError> {
    let id = id_of(request.instance_id.as_deref(), &request.host, request.port)?;
    let spec = spec(request, config).map_err(|error| in_words_of(error, &WORDS))?;
    Ok((id, Arc::new(spec)))
}

fn spec(request: &Registration, config: &RestConfig) -> Result<RegistrationSpec, RegistryError> {
    let addresses = Addresses::parse("host", &request.host)?;
    let port = Port {
        name: text("default"),
        number: request.port.0,
        protocol: text(&request.protocol),
        path: text(&request.path),
    };
    let spec = RegistrationSpec {
        ports: Arc::from([port]),
        attributes: Attributes::new(&request.metadata)?,
        tags: Tags::new(&request.tags)?,
        checks: config.source_check(&request.health_check_path)?,
        // Its services have no heartbeat of their own: a check that passes is as good.
        lease: Some(Lease {
            seconds: config.service_discovery_lease_seconds,
            start: LeaseStart::Registration,
            renewed_by_checks: true,
        }),
        ..RegistrationSpec::new(addresses, request.port.0, Dialect::ServiceDiscovery)
    };
    spec.validate()?;
    Ok(spec)
}

/// Returns the id that a heartbeat means.
pub(crate) fn heartbeat_id(request: &Heartbeat) -> Result<InstanceId, RegistryError> {
    match (&request.instance_id, &request.host, request.port) {
        (Some(id), _, _) => InstanceId::new(id),
        (None, Some(host), Some(port)) => id_of(None, host, port),
        (None, _, _) => Err(RegistryError::invalid(
            "instance_id",
            "",
            "is missing; host and port together stand for it too",
        )),
    }
}

/// Returns the given id, or `{host}-{port}` with every character that ids do not have replaced by `-`. A long one is
/// cut and ends in a hash of the whole, so that two long hosts stay two instances.
fn id_of(
    given: Option<&str>,
    host: &str,
    port: PortNumber<true>,
) -> Result<InstanceId, RegistryError> {
    if let Some(given) = given {
        return InstanceId::new(given);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let legal = |c: char| c.is_ascii_alphanumeric() || "_/:.@-".contains(c);
    let fit = |c: char| if legal(c) { c } else { '-' };
    let host: String = bare.chars().map(fit).collect();
    let whole = format!("{host}-{}", port.0);
    if whole.len() <= ID_BYTES_MAX {
        return InstanceId::new(&whole);
    }
    let digest = Sha256::digest(whole.to_ascii_lowercase());
    let hash: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let start: String = host.chars().take(40).collect();
    InstanceId::new(&format!("{start}-{hash}-{}", port.0))
}

/// Says whether an instance that has not passed a check yet may be answered: it never failed one either.
pub(crate) fn is_untried(instance: &Instance) -> bool {
    instance.mode() == Mode::Active
        && instance.health() == Health::Unknown
        && instance.vitals().last_failure().is_none()
}

/// Says whether a service has an instance that may be sent traffic.
pub(crate) fn is_healthy(state: &ServiceState) -> bool {
    !state.rotation().instances().is_empty()
}

/// Counts services with instances, and the healthy ones among them.
pub(crate) fn counts<'a>(states: impl Iterator<Item = &'a ServiceState>) -> Counts {
    let (mut total, mut healthy) = (0, 0);
    for state in states.filter(|state| !state.instances().is_empty()) {
        total += 1;
        healthy += usize::from(is_healthy(state));
    }
    // Source 004 shows four healthy services of five, twice, and calls that "healthy".
    let overall_status = if healthy * 5 >= total * 4 {
        Overall::Healthy
    } else if healthy > 0 {
        Overall::Degraded
    } else {
        Overall::Unhealthy
    };
    Counts {
        overall_status,
        total_services: total,
        healthy_services: healthy,
        unhealthy_services: total - healthy,
    }
}

/// Shows a service by one of its instances that `wanted` takes: one in rotation, else one that may still turn out
/// well, else the first. `None` when none is wanted.
pub(crate) fn service_health(
    state: &ServiceState,
    wanted: impl Fn(&Instance) -> bool,
) -> Option<ServiceHealth> {
    let mut in_rotation = state.rotation().instances().iter();
    let shown = in_rotation
        .find(|it| wanted(it))
        .or_else(|| {
            state
                .instances()
                .iter()
                .find(|it| wanted(it) && is_untried(it))
        })
        .or_else(|| state.instances().iter().find(|it| wanted(it)))?;
    Some(ServiceHealth {
        status: if state.rotation().contains(shown.key()) {
            Status::Healthy
        } else {
            status(shown)
        },
        endpoint: base_url(shown),
        last_heartbeat: last_heartbeat(shown).map(Rfc3339),
        health_data: health_data(shown),
        tags: None,
    })
}

/// Registering counts as the first heartbeat where the lease begins with it.
fn last_heartbeat(instance: &Instance) -> Option<waypost_core::Timestamp> {
    let registration = instance.registration();
    let starts = registration
        .spec
        .lease
        .is_some_and(|lease| lease.start == LeaseStart::Registration);
    instance
        .vitals()
        .last_heartbeat()
        .or(starts.then_some(registration.first))
}

fn health_data(instance: &Instance) -> Map<String, Value> {
    let answer = instance.vitals().last_answer();
    let Some(body) = answer.as_ref().and_then(|answer| answer.body.as_deref()) else {
        return Map::new();
    };
    match serde_json::from_str(body) {
        Ok(Value::Object(object)) => object,
        Ok(other) => Map::from_iter([("body".to_owned(), other)]),
        Err(_) if body.is_empty() => Map::new(),
        Err(_) => Map::from_iter([("body".to_owned(), Value::String(body.to_owned()))]),
    }
}

/// Lists the tags of a service's instances, each once.
pub(crate) fn tags(state: &ServiceState) -> Vec<String> {
    let all = state.instances().iter();
    let mut tags: Vec<String> = all
        .flat_map(|instance| instance.registration().spec.tags.iter())
        .map(str::to_owned)
        .collect();
    tags.sort();
    tags.dedup();
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(host: &str) -> String {
        id_of(None, host, PortNumber(8_080))
            .unwrap()
            .as_str()
            .to_owned()
    }

    #[test]
    fn an_id_is_made_of_host_and_port() {
        assert_eq!(id("localhost"), "localhost-8080");
        assert_eq!(id("[2001:db8::1]"), "2001:db8::1-8080");
        assert_eq!(id("a b%c"), "a-b-c-8080");
    }

    #[test]
    fn long_hosts_stay_distinct() {
        let (one, other) = (
            format!("{}.a", "x".repeat(80)),
            format!("{}.b", "x".repeat(80)),
        );
        assert!(id(&one).len() <= 64);
        assert_ne!(id(&one), id(&other));
        assert_eq!(id(&one), id(&one));
    }
}
