//! What becomes of attributes as labels of Prometheus.

use std::collections::BTreeMap;

use super::super::finding::Finding;

/// Finds attributes whose names come to the same label: `/sd/prometheus` shows the first of them only.
pub(super) fn collisions<'a>(
    attributes: impl Iterator<Item = &'a str>,
    name: &str,
) -> Vec<Finding> {
    let mut labels: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for attribute in attributes {
        labels.entry(label(attribute)).or_default().push(attribute);
    }
    let several = labels.iter().filter(|(_, attributes)| attributes.len() > 1);
    several
        .map(|(label, attributes)| {
            Finding::warning(
                format!(
                    "{name}: one hides the other in /sd/prometheus: the attributes {} become the label {label}",
                    attributes.join(", ")
                ),
                "name them apart with letters, digits and underscores",
            )
        })
        .collect()
}

/// Prometheus takes `[a-zA-Z0-9_]`; every other character becomes an underscore.
fn label(attribute: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let fitting: String = attribute.chars().map(fit).collect();
    format!("__meta_waypost_attribute_{fitting}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_punctuation_alone_collide() {
        let names = ["a-b", "a.b", "a_b", "ab", "A_b"];
        let found = collisions(names.into_iter(), "web/a");
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].detail,
            "web/a: one hides the other in /sd/prometheus: the attributes a-b, a.b, a_b become the label __meta_waypost_attribute_a_b"
        );
        assert_eq!(collisions(["a", "b"].into_iter(), "web/a"), []);
    }
}
