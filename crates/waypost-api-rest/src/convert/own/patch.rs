//! Partial updates: what a merge patch leaves out stays as it is, also what could not be sent.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use waypost_core::{
    Attributes, Lease, LeaseStart, NamespaceChange, REMOVE_AFTER_SECONDS, RegistrationSpec,
    RegistryError, ServiceChange, ServiceState, Tags, text,
};

use super::registration::{addresses, checks, locality, ports};
use super::service::{dns_to_wire, service_change};
use crate::body::read_value;
use crate::merge::merged;
use crate::wire::own::{NamespaceSettings, Registration, ServiceSettings};

/// A merge patch of one document.
pub(crate) type Patch = Map<String, Value>;

/// Members of a registration, all of which a patch may name.
const REGISTRATION: [&str; 13] = [
    "address",
    "ipv4",
    "ipv6",
    "hostname",
    "port",
    "ports",
    "attributes",
    "tags",
    "weight",
    "region",
    "zone",
    "checks",
    "lease_seconds",
];

/// Reads what a patch changes of a namespace, and the kind that it names.
pub(crate) fn namespace_patch(
    patch: &Patch,
) -> Result<(NamespaceSettings, NamespaceChange), RegistryError> {
    let settings: NamespaceSettings = read_value(&Value::Object(patch.clone()))?;
    let description = settings.description.as_deref();
    let change = NamespaceChange {
        description: is_null(patch, "description")
            .then(|| text(""))
            .or_else(|| description.map(text)),
        soa_ttl: settings.soa_ttl_seconds,
        tags: None,
    };
    Ok((settings, change))
}

/// Says whether a patch merges into what a service has, so that it holds for that only.
pub(crate) fn merges_into_service(patch: &Patch) -> bool {
    ["attributes", "dns"]
        .iter()
        .any(|name| is_object(patch, name))
}

/// Reads what a patch changes of a service.
pub(crate) fn service_patch(
    patch: &Patch,
    state: &ServiceState,
) -> Result<ServiceChange, RegistryError> {
    let service = state.service();
    let mut members = patch.clone();
    if let Some(attributes) = patch.get("attributes").filter(|it| it.is_object()) {
        let merged = merged(shown(&service.attributes), attributes);
        members.insert("attributes".to_owned(), merged);
    }
    if let Some(dns) = patch.get("dns").filter(|it| it.is_object()) {
        let is = service.dns.as_ref().map(dns_to_wire);
        members.insert("dns".to_owned(), merged(json!(is), dns));
    }
    let settings: ServiceSettings = read_value(&Value::Object(members))?;
    let mut change = service_change(&settings)?;
    let goes = |name| is_null(patch, name);
    // What is taken away is as if it had never been said.
    if goes("description") {
        change.description = Some(text(""));
    }
    if goes("fail_open") {
        change.fail_open = Some(false);
    }
    if goes("remove_after_seconds") {
        change.remove_after_seconds = Some(REMOVE_AFTER_SECONDS);
    }
    if goes("checks") {
        change.checks = Some(Arc::default());
    }
    if goes("attributes") {
        change.attributes = Some(Attributes::default());
    }
    if goes("tags") {
        change.tags = Some(Attributes::default());
    }
    Ok(change)
}

/// Makes the registration that a patch leaves; `service_lease` is the lease of instances that do not say one.
pub(crate) fn registration_patch(
    patch: &Patch,
    spec: &RegistrationSpec,
    service_lease: Option<u32>,
) -> Result<RegistrationSpec, RegistryError> {
    let wire = read_registration(patch, spec)?;
    let said = |name| patch.contains_key(name);
    let mut next = spec.clone();
    if wire.address.is_some() {
        next.addresses = addresses(&wire)?;
    } else {
        let given = addresses(&wire)?;
        let at = &mut next.addresses;
        if said("ipv4") {
            at.ipv4 = given.ipv4;
        }
        if said("ipv6") {
            at.ipv6 = given.ipv6;
        }
        if said("hostname") {
            at.hostname = given.hostname;
        }
    }
    if wire.port.is_some() || said("ports") {
        next.ports = ports(&wire)?;
    }
    if said("attributes") {
        next.attributes = Attributes::new(&wire.attributes)?;
    }
    if said("tags") {
        next.tags = Tags::new(&wire.tags)?;
    }
    if said("weight") {
        next.weight = wire.weight.unwrap_or(1);
    }
    if said("region") || said("zone") {
        next.locality = locality_after(&wire, spec, said("region"), said("zone"));
    }
    if said("checks") {
        next.checks = checks(&wire)?;
    }
    if said("lease_seconds") {
        let seconds = wire.lease_seconds.or(service_lease);
        next.lease = seconds.map(|seconds| Lease {
            seconds,
            ..spec.lease.unwrap_or(Lease {
                seconds,
                start: LeaseStart::Registration,
                renewed_by_checks: false,
            })
        });
    }
    next.validate()?;
    Ok(next)
}

/// Reads the members that a patch gives a value, with attributes as they are after it.
fn read_registration(
    patch: &Patch,
    spec: &RegistrationSpec,
) -> Result<Registration, RegistryError> {
    let mut members = Map::new();
    for (name, value) in patch {
        // A null that names nothing known falls through, and is refused.
        if value.is_null() && REGISTRATION.contains(&name.as_str()) {
            continue;
        }
        let value = match name.as_str() {
            "attributes" => merged(shown(&spec.attributes), value),
            _ => value.clone(),
        };
        members.insert(name.clone(), value);
    }
    read_value(&Value::Object(members))
}

fn locality_after(
    wire: &Registration,
    spec: &RegistrationSpec,
    says_region: bool,
    says_zone: bool,
) -> Option<Arc<waypost_core::Locality>> {
    let before = spec.locality.as_deref().cloned().unwrap_or_default();
    let said = locality(wire).as_deref().cloned().unwrap_or_default();
    let after = waypost_core::Locality {
        region: if says_region {
            said.region
        } else {
            before.region
        },
        zone: if says_zone { said.zone } else { before.zone },
    };
    (after != waypost_core::Locality::default()).then(|| Arc::new(after))
}

fn shown(attributes: &Attributes) -> Value {
    let members = attributes.iter();
    Value::Object(
        members
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect(),
    )
}

fn is_null(patch: &Patch, name: &str) -> bool {
    patch.get(name).is_some_and(Value::is_null)
}

fn is_object(patch: &Patch, name: &str) -> bool {
    patch.get(name).is_some_and(Value::is_object)
}
