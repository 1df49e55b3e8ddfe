//! Under which names an instance is found by DNS.

use std::net::IpAddr;

use waypost_core::{
    DnsNames, DnsRecordKind, Instance, RoutingPolicy, Service, ServiceState, reverse_name,
};

use super::Standing;
use crate::wire::own::Visibility;

const BY_ITS_NAME: &str = "by its own name it is found while it is registered";
const BY_ITS_ADDRESS: &str = "every address of a registered instance has its names";

/// Lists the names of an instance with the types of records that show it.
pub(super) fn visibility(
    state: &ServiceState,
    instance: &Instance,
    standing: &Standing,
) -> Vec<Visibility> {
    let spec = &instance.registration().spec;
    let Some(names) = DnsNames::of(instance.key(), &spec.ports) else {
        return Vec::new();
    };
    let service = state.service();
    let own = own_addresses(instance);
    let host = spec.addresses.hostname.as_ref().filter(|_| own.is_empty());
    let addresses = match host {
        Some(_) => instance.verdict().resolved.to_vec(),
        None => own.clone(),
    };
    let mut types: Vec<&str> = address_types(&addresses)
        .into_iter()
        .filter(|kind| has(service, *kind))
        .map(DnsRecordKind::as_str)
        .collect();
    if host.is_some() && service.dns.is_some() && has(service, DnsRecordKind::Cname) {
        types = vec!["CNAME"];
    }
    let has_srv = has(service, DnsRecordKind::Srv) && !spec.ports.is_empty();
    if has_srv {
        types.push("SRV");
    }
    let mut rows = vec![Visibility {
        dialect: "dns",
        place: place(&names.service, &types),
        visible: standing.in_rotation && !types.is_empty(),
        why: why(state, standing, &types),
    }];
    if has_srv {
        rows.extend(names.srv.iter().map(|name| Visibility {
            dialect: "dns",
            place: place(name, &["SRV"]),
            visible: standing.in_rotation,
            why: why(state, standing, &["SRV"]),
        }));
    }
    let of_its_own = match host {
        Some(_) => vec!["CNAME"],
        None => address_types(&own)
            .into_iter()
            .map(DnsRecordKind::as_str)
            .collect(),
    };
    rows.push(always(place(&names.instance, &of_its_own), BY_ITS_NAME));
    let reverse = own.iter().map(|address| reverse_name(*address));
    rows.extend(reverse.map(|name| always(place(&name, &["PTR"]), BY_ITS_ADDRESS)));
    rows
}

fn own_addresses(instance: &Instance) -> Vec<IpAddr> {
    let addresses = &instance.registration().spec.addresses;
    let v4 = addresses.ipv4.map(IpAddr::V4);
    v4.into_iter()
        .chain(addresses.ipv6.map(IpAddr::V6))
        .collect()
}

fn address_types(addresses: &[IpAddr]) -> Vec<DnsRecordKind> {
    let mut types = Vec::new();
    if addresses.iter().any(IpAddr::is_ipv4) {
        types.push(DnsRecordKind::A);
    }
    if addresses.iter().any(IpAddr::is_ipv6) {
        types.push(DnsRecordKind::Aaaa);
    }
    types
}

/// Says whether the service has records of a kind. Without settings it has addresses and SRV.
fn has(service: &Service, kind: DnsRecordKind) -> bool {
    match &service.dns {
        None => kind != DnsRecordKind::Cname,
        Some(dns) => dns.records.iter().any(|record| record.kind == kind),
    }
}

fn place(name: &str, types: &[&str]) -> String {
    if types.is_empty() {
        return name.to_owned();
    }
    format!("{name} {}", types.join(" "))
}

fn always(place: String, why: &str) -> Visibility {
    Visibility {
        dialect: "dns",
        place,
        visible: true,
        why: why.to_owned(),
    }
}

fn why(state: &ServiceState, standing: &Standing, types: &[&str]) -> String {
    let mut why = standing.words();
    if types.is_empty() {
        why.push_str(", but none of the records that the service has fits where it is");
        return why;
    }
    let count = state.rotation().instances().len();
    let routing = state.service().dns.as_ref().map(|dns| dns.routing);
    match routing {
        Some(RoutingPolicy::Multivalue) if standing.in_rotation && count > 8 => {
            why.push_str(&format!("; an answer holds 8 of {count}, others each time"));
        }
        Some(RoutingPolicy::Weighted) if standing.in_rotation && count > 1 => {
            why.push_str(&format!("; an answer holds one of {count}, by weight"));
        }
        _ => {}
    }
    why
}
