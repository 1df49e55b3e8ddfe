use super::is_met;

fn met(expression: &str) -> bool {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    is_met(expression, |name| allowed.contains(&name)).unwrap()
}

#[test]
fn one_allowed_alternative_is_enough() {
    assert!(met("MIT OR GPL-3.0-only"));
    assert!(met("GPL-3.0-only OR MIT"));
    assert!(met("GPL-3.0-only/MIT"));
    assert!(!met("GPL-3.0-only OR AGPL-3.0-only"));
}

#[test]
fn every_part_of_a_conjunction_must_be_allowed() {
    assert!(met("MIT AND Apache-2.0"));
    assert!(!met("MIT AND GPL-3.0-only"));
    assert!(!met("(MIT OR Apache-2.0) AND GPL-3.0-only"));
}

#[test]
fn and_binds_tighter_than_or() {
    assert!(met("MIT OR Apache-2.0 AND GPL-3.0-only"));
    assert!(!met("(MIT OR Apache-2.0) AND GPL-3.0-only"));
}

#[test]
fn an_exception_is_part_of_the_licence() {
    assert!(met("Apache-2.0 WITH LLVM-exception"));
    assert!(!met("MIT WITH LLVM-exception"));
}

#[test]
fn or_later_is_met_by_the_named_version() {
    assert!(met("MIT+"));
}

#[test]
fn what_does_not_parse_is_an_error() {
    for bad in ["", "MIT OR", "MIT Apache-2.0", "(MIT", "OR MIT", "MIT )"] {
        assert!(is_met(bad, |_| true).is_err(), "{bad}");
    }
}
