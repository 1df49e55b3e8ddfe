use std::sync::Arc;

use waypost_core::{
    Addresses, Attributes, Check, Dialect, Lease, LeaseStart, Locality, Port, RegistrationSpec,
    RegistryError, Tags, text,
};

use super::check_from_wire;
use crate::wire::own::{PortSent, Registration};

/// Reads a registration; `service_lease` is the lease of instances that do not say one.
pub(crate) fn registration(
    wire: &Registration,
    service_lease: Option<u32>,
) -> Result<Arc<RegistrationSpec>, RegistryError> {
    let spec = RegistrationSpec {
        addresses: addresses(wire)?,
        ports: ports(wire)?,
        attributes: Attributes::new(&wire.attributes)?,
        tags: Tags::new(&wire.tags)?,
        weight: wire.weight.unwrap_or(1),
        locality: locality(wire),
        checks: checks(wire)?,
        lease: wire.lease_seconds.or(service_lease).map(|seconds| Lease {
            seconds,
            start: LeaseStart::Registration,
            renewed_by_checks: false,
        }),
        dialect: Dialect::Rest,
        dialect_extra: None,
    };
    spec.validate()?;
    Ok(Arc::new(spec))
}

pub(super) fn checks(wire: &Registration) -> Result<Arc<[Check]>, RegistryError> {
    let checks = wire.checks.iter().map(check_from_wire);
    Ok(checks.collect::<Result<Vec<Check>, _>>()?.into())
}

pub(super) fn addresses(wire: &Registration) -> Result<Addresses, RegistryError> {
    let several = wire.ipv4.is_some() || wire.ipv6.is_some() || wire.hostname.is_some();
    if let Some(address) = &wire.address {
        if several {
            let rule = "must not be given together with ipv4, ipv6 or hostname";
            return Err(RegistryError::invalid("address", address, rule));
        }
        return Addresses::parse("address", address);
    }
    let bad = |field: &'static str, value: &str, rule: &str| {
        RegistryError::invalid(field, value, rule.to_owned())
    };
    Ok(Addresses {
        ipv4: match &wire.ipv4 {
            Some(ipv4) => Some(
                ipv4.parse()
                    .map_err(|_| bad("ipv4", ipv4, "must be an IPv4 address"))?,
            ),
            None => None,
        },
        ipv6: match &wire.ipv6 {
            Some(ipv6) => Some(
                ipv6.parse()
                    .map_err(|_| bad("ipv6", ipv6, "must be an IPv6 address"))?,
            ),
            None => None,
        },
        hostname: wire.hostname.as_deref().map(text),
    })
}

pub(super) fn ports(wire: &Registration) -> Result<Arc<[Port]>, RegistryError> {
    match (wire.port, &wire.ports) {
        (Some(port), Some(_)) => {
            let rule = "must not be given together with ports";
            Err(RegistryError::invalid("port", port.0, rule))
        }
        (Some(number), None) => Ok(Arc::from([port(&PortSent {
            name: "default".to_owned(),
            number,
            protocol: None,
            path: None,
        })])),
        (None, Some(ports)) => Ok(ports.iter().map(port).collect()),
        (None, None) => Ok(Arc::default()),
    }
}

fn port(wire: &PortSent) -> Port {
    Port {
        name: text(&wire.name),
        number: wire.number.0,
        protocol: text(wire.protocol.as_deref().unwrap_or("http")),
        path: text(wire.path.as_deref().unwrap_or_default()),
    }
}

pub(super) fn locality(wire: &Registration) -> Option<Arc<Locality>> {
    (wire.region.is_some() || wire.zone.is_some()).then(|| {
        Arc::new(Locality {
            region: text(wire.region.as_deref().unwrap_or_default()),
            zone: text(wire.zone.as_deref().unwrap_or_default()),
        })
    })
}
