use std::collections::BTreeMap;

use waypost_core::{
    Attributes, Check, DnsRecord, DnsRecordKind, DnsSettings, Epoch, Health, Origin, Position,
    RegistryError, RoutingPolicy, ServiceChange, ServiceState, text,
};

use super::{check_from_wire, check_to_wire};
use crate::error::in_words_of;
use crate::state::DnsTtls;
use crate::wire::own::{
    DnsRecord as WireRecord, DnsSettings as WireSettings, InstanceCounts, RecordType, Routing,
    Service, ServiceSettings,
};

/// Reads what changes of a service.
pub(crate) fn service_change(wire: &ServiceSettings) -> Result<ServiceChange, RegistryError> {
    let checks = wire.checks.as_ref().map(|checks| {
        let read = checks.iter().map(check_from_wire);
        read.collect::<Result<Vec<Check>, _>>()
    });
    Ok(ServiceChange {
        description: wire.description.as_deref().map(text),
        dns: wire.dns.as_ref().map(|dns| dns.as_ref().map(dns_from_wire)),
        checks: checks.transpose()?.map(Into::into),
        fail_open: wire.fail_open,
        remove_after_seconds: wire.remove_after_seconds,
        lease_seconds: wire.lease_seconds,
        attributes: wire.attributes.as_ref().map(Attributes::new).transpose()?,
        tags: wire
            .tags
            .as_ref()
            .map(|tags| tags_from_wire(tags))
            .transpose()?,
    })
}

/// A service's tags are pairs, as AWS has them: a word is a pair without a value.
fn tags_from_wire(tags: &[String]) -> Result<Attributes, RegistryError> {
    let pairs = tags
        .iter()
        .map(|tag| tag.split_once('=').unwrap_or((tag, "")));
    Attributes::new(pairs).map_err(|error| in_words_of(error, &[("attributes", "tags")]))
}

fn tags_to_wire(tags: &Attributes) -> Vec<String> {
    let words = tags.iter().map(|(key, value)| match value {
        "" => key.to_owned(),
        value => format!("{key}={value}"),
    });
    words.collect()
}

fn dns_from_wire(wire: &WireSettings) -> DnsSettings {
    let records = wire.records.iter().map(|record| DnsRecord {
        kind: match record.kind {
            RecordType::A => DnsRecordKind::A,
            RecordType::Aaaa => DnsRecordKind::Aaaa,
            RecordType::Srv => DnsRecordKind::Srv,
            RecordType::Cname => DnsRecordKind::Cname,
        },
        ttl_seconds: record.ttl_seconds,
    });
    DnsSettings {
        routing: match wire.routing {
            Routing::Multivalue => RoutingPolicy::Multivalue,
            Routing::Weighted => RoutingPolicy::Weighted,
        },
        records: records.collect(),
    }
}

pub(super) fn dns_to_wire(dns: &DnsSettings) -> WireSettings {
    let records = dns.records.iter().map(|record| WireRecord {
        kind: match record.kind {
            DnsRecordKind::A => RecordType::A,
            DnsRecordKind::Aaaa => RecordType::Aaaa,
            DnsRecordKind::Srv => RecordType::Srv,
            DnsRecordKind::Cname => RecordType::Cname,
        },
        ttl_seconds: record.ttl_seconds,
    });
    WireSettings {
        routing: match dns.routing {
            RoutingPolicy::Multivalue => Routing::Multivalue,
            RoutingPolicy::Weighted => Routing::Weighted,
        },
        records: records.collect(),
    }
}

/// Shows a service; `zone` is how DNS answers for its namespace, if it does.
pub(crate) fn service_to_wire(
    epoch: Epoch,
    state: &ServiceState,
    zone: Option<DnsTtls>,
) -> Service {
    let service = state.service();
    let attributes = service.attributes.iter();
    Service {
        namespace: service.key.namespace.as_str().to_owned(),
        name: service.key.name.as_str().to_owned(),
        id: service.id.to_string(),
        description: service.description.to_string(),
        origin: match service.origin {
            Origin::Explicit => "explicit",
            Origin::Implied => "implied",
        },
        fail_open: service.fail_open,
        remove_after_seconds: service.remove_after_seconds,
        lease_seconds: service.lease_seconds,
        dns: service.dns.as_ref().map(dns_to_wire),
        dns_ttl_seconds: zone.map(|ttls| ttls.of(service)),
        checks: service.checks.iter().map(check_to_wire).collect(),
        attributes: attributes
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
        tags: tags_to_wire(&service.tags),
        instances: counts(state),
        revision: Position {
            epoch,
            revision: state.modified(),
        }
        .to_string(),
    }
}

fn counts(state: &ServiceState) -> InstanceCounts {
    let mut counts = InstanceCounts {
        total: state.instances().len(),
        in_rotation: state.rotation().instances().len(),
        ..InstanceCounts::default()
    };
    for instance in state.instances() {
        let count = match instance.health() {
            Health::Healthy => &mut counts.healthy,
            Health::Warning => &mut counts.warning,
            Health::Unknown => &mut counts.unknown,
            Health::Unhealthy => &mut counts.unhealthy,
        };
        *count += 1;
    }
    counts
}
