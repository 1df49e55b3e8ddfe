//! Addresses that lead to somebody else, or to nobody.

use std::collections::BTreeMap;
use std::net::IpAddr;

use waypost_client::Instance;

use super::super::finding::Finding;
use super::Listing;

/// Most instances that are named in one sentence.
const NAMED_MAX: usize = 5;

/// Finds addresses with ports that several instances are registered at.
pub(super) fn shared(listing: &Listing) -> Vec<Finding> {
    let mut places: BTreeMap<String, Vec<&Instance>> = BTreeMap::new();
    for instance in &listing.instances {
        if instance.ports.is_empty() {
            continue;
        }
        if let Some(place) = instance.address() {
            let holders = places.entry(place.to_ascii_lowercase()).or_default();
            holders.push(instance);
        }
    }
    let shared = places.iter().filter(|(_, holders)| holders.len() > 1);
    shared
        .map(|(place, holders)| {
            let mut names: Vec<String> = holders
                .iter()
                .take(NAMED_MAX)
                .map(|instance| listing.name(instance))
                .collect();
            if holders.len() > NAMED_MAX {
                names.push(format!("{} more", holders.len() - NAMED_MAX));
            }
            judge(place, holders, &names.join(", "))
        })
        .collect()
}

fn judge(place: &str, holders: &[&Instance], names: &str) -> Finding {
    let of = |instance: &Instance| (instance.namespace.clone(), instance.service.clone());
    let mut services: Vec<_> = holders.iter().map(|instance| of(instance)).collect();
    services.dedup();
    if services.len() > 1 {
        return Finding::warning(
            format!("{place} is contested: several services are registered there: {names}"),
            "one of them may have ended before the other took its port: `waypost deregister SERVICE/ID`; one process that is two services is fine",
        );
    }
    Finding::warning(
        format!("{place} is registered by several instances of one service: {names}"),
        "an instance gets as many shares of the traffic: keep one id for each process, and `waypost deregister SERVICE/ID` the others",
    )
}

/// Finds an address that means another machine to each who asks for it.
pub(super) fn of_nobody(instance: &Instance, name: &str, on_loopback: bool) -> Option<Finding> {
    let addresses = [instance.ipv4.as_deref(), instance.ipv6.as_deref()];
    let mut addresses = addresses.into_iter().flatten();
    let address = addresses.find(|text| {
        text.parse::<IpAddr>().is_ok_and(|address| {
            address.is_unspecified() || (address.is_loopback() && !on_loopback)
        })
    })?;
    Some(Finding::warning(
        format!("{name} is registered at {address}, where whoever finds it reaches itself at best"),
        "register the address that others reach it at",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance(service: &str, id: &str, ipv4: &str, port: u16) -> Instance {
        serde_json::from_value(json!({
            "namespace": "svc.internal", "service": service, "id": id, "ipv4": ipv4,
            "ports": [{"name": "default", "number": port}],
        }))
        .unwrap()
    }

    #[test]
    fn who_shares_an_address_is_named() {
        let mut listing = Listing::default();
        listing.instances = vec![
            instance("web", "a", "10.0.0.1", 80),
            instance("web", "b", "10.0.0.1", 80),
            instance("web", "c", "10.0.0.1", 81),
            instance("api", "d", "10.0.0.2", 80),
            instance("web", "e", "10.0.0.2", 80),
        ];
        let found = shared(&listing);
        let details: Vec<&str> = found.iter().map(|one| &*one.detail).collect();
        assert_eq!(
            details,
            [
                "10.0.0.1:80 is registered by several instances of one service: web/a, web/b",
                "10.0.0.2:80 is contested: several services are registered there: api/d, web/e",
            ]
        );
    }

    #[test]
    fn loopback_is_nobody_for_a_server_of_others() {
        let is = |ipv4, on_loopback| {
            of_nobody(&instance("web", "a", ipv4, 80), "web/a", on_loopback).is_some()
        };
        assert!(is("127.0.0.1", false) && is("0.0.0.0", true) && is("0.0.0.0", false));
        assert!(!is("127.0.0.1", true) && !is("10.0.0.1", false));
    }
}
