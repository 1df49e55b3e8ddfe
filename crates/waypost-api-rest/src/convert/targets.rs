//! Target groups for Prometheus' HTTP service discovery.
//!
//! Prometheus drops the whole refresh for one label name it does not like, so that one odd attribute would blind it
//! for every target: names are made to fit here.

use std::collections::BTreeMap;
use std::sync::Arc;

use waypost_core::{Instance, ServiceState};

use super::sources::{authority, host, load, status};
use crate::wire::discovery::TargetGroup;

/// The labels that source 003 names; no attribute takes their place.
const OWN: [&str; 4] = ["instance", "service_name", "status", "load_percentage"];

/// Shows every instance of a service as a target group. One without a port is nothing that Prometheus could ask: for
/// a target without one it takes the scheme's.
pub(crate) fn target_groups(state: &ServiceState) -> Vec<TargetGroup> {
    let instances = state.instances().iter();
    let groups = instances.filter_map(|it| target_group(state, it));
    groups.collect()
}

fn target_group(state: &ServiceState, instance: &Arc<Instance>) -> Option<TargetGroup> {
    let spec = &instance.registration().spec;
    let port = spec.port()?.number;
    let load = load(instance).unwrap_or_default();
    let mut labels = attribute_labels(spec.attributes.iter());
    let own = [
        instance.key().id.as_str().to_owned(),
        state.service().key.name.as_str().to_owned(),
        status(instance).as_str().to_owned(),
        format!("{load:?}"),
    ];
    labels.extend(OWN.map(str::to_owned).into_iter().zip(own));
    Some(TargetGroup {
        targets: [authority(&host(instance), Some(port))],
        labels,
    })
}

/// Shows an instance as `/sd/prometheus` does: all that is known stands in `__meta_waypost_*`, for relabelling.
///
/// The target is the port of that name, or without one the port `metrics`, else the first.
pub(crate) fn meta_target(
    instance: &Instance,
    tier: &str,
    port: Option<&str>,
) -> Option<TargetGroup> {
    let spec = &instance.registration().spec;
    let named = |name: &str| spec.ports.iter().find(|port| &*port.name == name);
    let port = match port {
        Some(name) => named(name)?,
        None => named("metrics").or_else(|| spec.ports.first())?,
    };
    let key = instance.key();
    let attribute = |name: &str| spec.attributes.get(name).unwrap_or_default();
    let locality = spec.locality.as_ref();
    let tags: Vec<&str> = spec.tags.iter().map(AsRef::as_ref).collect();
    let own = [
        ("namespace", key.service.namespace.as_str()),
        ("service", key.service.name.as_str()),
        ("instance_id", key.id.as_str()),
        ("owner", key.owner.as_str()),
        ("health", instance.health().as_str()),
        ("mode", instance.mode().as_str()),
        ("tier", tier),
        ("version", attribute("version")),
        ("region", locality.map_or("", |locality| &locality.region)),
        ("zone", locality.map_or("", |locality| &locality.zone)),
        ("port_name", &port.name),
    ];
    let mut labels: BTreeMap<String, String> = own
        .into_iter()
        .map(|(name, value)| (format!("{META}{name}"), value.to_owned()))
        .collect();
    let weight = instance.weight().to_string();
    labels.insert(format!("{META}weight"), weight);
    // Between commas, as Prometheus' own discoveries write lists, so that `.*,blue,.*` finds one.
    labels.insert(format!("{META}tags"), format!(",{},", tags.join(",")));
    for tag in tags {
        put_fit(&mut labels, "tag", tag, "true");
    }
    for (key, value) in spec.attributes.iter() {
        put_fit(&mut labels, "attribute", key, value);
    }
    Some(TargetGroup {
        targets: [authority(&host(instance), Some(port.number))],
        labels,
    })
}

const META: &str = "__meta_waypost_";

/// Adds a label whose name is made to fit; of several that come to the same, the first has it.
fn put_fit(labels: &mut BTreeMap<String, String>, kind: &str, name: &str, value: &str) {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(fit).collect();
    let label = format!("{META}{kind}_{name}");
    labels.entry(label).or_insert_with(|| value.to_owned());
}

/// Makes labels of attributes. An attribute whose name is a legal label keeps it; of others that come to the same
/// name, the first in the order of their keys has it, and the next get `_2`, `_3`, ...
fn attribute_labels<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let (legal, others): (Vec<_>, Vec<_>) =
        attributes.partition(|(key, _)| label_name(key) == *key);
    let mut labels = BTreeMap::new();
    for (key, value) in legal.into_iter().chain(others) {
        let name = label_name(key);
        let free = (1..)
            .map(|turn| {
                if turn == 1 {
                    name.clone()
                } else {
                    format!("{name}_{turn}")
                }
            })
            .find(|name| !OWN.contains(&name.as_str()) && !labels.contains_key(name));
        if let Some(free) = free {
            labels.insert(free, value.to_owned());
        }
    }
    labels
}

/// Prometheus: a label name is `[a-zA-Z_][a-zA-Z0-9_]*`, and names that start with `__` are its own.
fn label_name(key: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(fit).collect();
    if name.starts_with("__") {
        format!("attribute{name}")
    } else if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        attribute_labels(pairs.iter().copied())
            .into_iter()
            .collect()
    }

    fn names(keys: &[&str]) -> Vec<String> {
        let pairs: Vec<_> = keys.iter().map(|key| (*key, "")).collect();
        labels(&pairs).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn every_name_is_a_label_name() {
        for key in [
            "a-b",
            "1st",
            "__address__",
            "ä",
            "",
            "a b",
            "__meta_x",
            "9-9",
        ] {
            let name = label_name(key);
            assert!(!name.starts_with("__"), "{name}");
            assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{name}");
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{name}"
            );
        }
    }

    #[test]
    fn names_that_collide_get_numbers_and_the_legal_one_keeps_its_own() {
        let expected = [("a_b", "kept"), ("a_b_2", "first"), ("a_b_3", "second")];
        let found = labels(&[("a-b", "first"), ("a.b", "second"), ("a_b", "kept")]);
        let found: Vec<_> = found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_labels_of_the_source_are_never_overridden() {
        assert_eq!(names(&["instance", "status"]), ["instance_2", "status_2"]);
    }
}
