use waypost_core::{
    Epoch, Instance, NamespaceKind, NamespaceState, Position, Scope, ServiceState, Text, View,
};

use super::check_to_wire;
use crate::convert::sources::load;
use crate::explain::standing;
use crate::time::Rfc3339;
use crate::wire::own::{Instance as WireInstance, Namespace, Port, Tier};

/// Shows a namespace.
pub(crate) fn namespace_to_wire(view: &View, state: &NamespaceState) -> Namespace {
    let namespace = state.namespace();
    let modified = view.modified(&Scope::Namespace(namespace.name.clone()));
    Namespace {
        name: namespace.name.as_str().to_owned(),
        id: namespace.id.to_string(),
        kind: match namespace.kind {
            NamespaceKind::Http => "Http",
            NamespaceKind::PrivateDns => "PrivateDns",
            NamespaceKind::PublicDns => "PublicDns",
        },
        description: namespace.description.to_string(),
        soa_ttl_seconds: namespace.soa_ttl,
        services: state.services_len(),
        revision: view.position_at(modified).to_string(),
    }
}

/// Shows an instance.
pub(crate) fn instance_to_wire(
    epoch: Epoch,
    state: &ServiceState,
    instance: &Instance,
) -> WireInstance {
    let key = instance.key();
    let registration = instance.registration();
    let spec = &registration.spec;
    let vitals = instance.vitals();
    let standing = standing(state, instance);
    let shown = |word: &Text| (!word.is_empty()).then(|| word.to_string());
    let attributes = spec.attributes.iter();
    WireInstance {
        namespace: key.service.namespace.as_str().to_owned(),
        service: key.service.name.as_str().to_owned(),
        id: key.id.as_str().to_owned(),
        owner: key.owner.as_str().to_owned(),
        ipv4: spec.addresses.ipv4.map(|ipv4| ipv4.to_string()),
        ipv6: spec.addresses.ipv6.map(|ipv6| ipv6.to_string()),
        hostname: spec.addresses.hostname.as_ref().and_then(shown),
        ports: ports(instance),
        attributes: attributes
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        tags: spec.tags.iter().map(str::to_owned).collect(),
        weight: instance.weight(),
        region: spec
            .locality
            .as_ref()
            .and_then(|locality| shown(&locality.region)),
        zone: spec
            .locality
            .as_ref()
            .and_then(|locality| shown(&locality.zone)),
        checks: spec.checks.iter().map(check_to_wire).collect(),
        lease_seconds: spec.lease.map(|lease| lease.seconds),
        registration_id: instance.registration_id().to_string(),
        registered_at: Rfc3339(registration.first),
        dialect: spec.dialect.as_str(),
        health: instance.health().as_str(),
        mode: instance.mode().as_str(),
        since: Rfc3339(standing.since),
        in_rotation: standing.in_rotation,
        tier: Tier(standing.tier),
        reason: standing.reason,
        last_heartbeat: vitals.last_heartbeat().map(Rfc3339),
        last_probe: vitals.last_probe().map(Rfc3339),
        load: load(instance),
        revision: Position {
            epoch,
            revision: instance.modified(),
        }
        .to_string(),
    }
}

fn ports(instance: &Instance) -> Vec<Port> {
    let ports = instance.registration().spec.ports.iter();
    let shown = ports.map(|port| Port {
        name: port.name.to_string(),
        number: port.number,
        protocol: port.protocol.to_string(),
        path: port.path.to_string(),
    });
    shown.collect()
}
