use serde_json::{Value, json};

use super::{Findings, Policy};

const POLICY: &str = r#"
[licenses]
allow = ["MIT"]
exceptions = [{ crate = "odd", allow = ["MPL-2.0"] }]
[bans]
multiple-versions = "warn"
wildcards = "deny"
allow-wildcard-paths = true
deny = [
    { crate = "engine", wrappers = ["ours-store"], reason = "one crate knows the engine" },
    { crate = "never", reason = "it is banned" },
]
[sources]
unknown-registry = "deny"
unknown-git = "deny"
"#;

fn package(name: &str, license: &str, source: &Value) -> Value {
    json!({
        "name": name, "version": "1.0.0", "id": name, "license": license, "source": source,
        "dependencies": [], "manifest_path": "/none", "publish": [],
    })
}

fn third_party(name: &str, license: &str) -> Value {
    package(name, license, &json!(super::CRATES_IO))
}

fn node(id: &str, named: &str, kind: &Value) -> Value {
    json!({"id": id, "deps": [{"pkg": named, "dep_kinds": [{"kind": kind}]}]})
}

fn findings(packages: &[Value], nodes: &[Value]) -> Findings {
    let metadata = serde_json::from_value(json!({
        "packages": packages, "workspace_members": ["ours", "ours-store"],
        "resolve": {"nodes": nodes}, "target_directory": "/none", "workspace_root": "/none",
    }))
    .unwrap();
    Policy::parse(POLICY).unwrap().findings(&metadata)
}

#[test]
fn a_licence_that_is_not_allowed_is_a_breach() {
    let found = findings(&[third_party("bad", "GPL-3.0-only")], &[]);
    assert_eq!(found.breaches.len(), 1);
    assert!(found.breaches[0].contains("`bad 1.0.0` is under `GPL-3.0-only`"));
}

#[test]
fn an_exception_holds_for_the_crate_it_names_only() {
    assert!(
        findings(&[third_party("odd", "MPL-2.0+")], &[])
            .breaches
            .is_empty()
    );
    assert_eq!(
        findings(&[third_party("even", "MPL-2.0+")], &[])
            .breaches
            .len(),
        1
    );
}

#[test]
fn a_package_from_a_repository_or_another_registry_is_a_breach() {
    for source in [
        "git+https://example.invalid/x",
        "registry+https://example.invalid/y",
    ] {
        let found = findings(&[package("x", "MIT", &json!(source))], &[]);
        assert_eq!(found.breaches.len(), 1, "{source}");
    }
    assert!(
        findings(&[package("ours", "MIT", &Value::Null)], &[])
            .breaches
            .is_empty()
    );
}

#[test]
fn only_the_wrapper_may_name_what_it_wraps() {
    let packages = [
        package("ours", "MIT", &Value::Null),
        package("ours-store", "MIT", &Value::Null),
        third_party("engine", "MIT"),
    ];
    let allowed = findings(&packages, &[node("ours-store", "engine", &Value::Null)]);
    assert!(allowed.breaches.is_empty(), "{allowed:?}");
    let refused = findings(&packages, &[node("ours", "engine", &Value::Null)]);
    assert_eq!(
        refused.breaches,
        ["crate `ours` must not name `engine`: one crate knows the engine"]
    );
    let in_tests = findings(&packages, &[node("ours", "engine", &json!("dev"))]);
    assert!(in_tests.breaches.is_empty(), "{in_tests:?}");
}

#[test]
fn a_banned_crate_is_a_breach_at_any_depth() {
    let packages = [third_party("middle", "MIT"), third_party("never", "MIT")];
    let found = findings(&packages, &[node("middle", "never", &Value::Null)]);
    assert_eq!(
        found.breaches,
        ["crate `middle` must not name `never`: it is banned"]
    );
}

#[test]
fn two_versions_of_a_crate_are_reported_and_no_breach() {
    let mut newer = third_party("twice", "MIT");
    newer["version"] = json!("2.0.0");
    newer["id"] = json!("twice2");
    let found = findings(&[third_party("twice", "MIT"), newer], &[]);
    assert!(found.breaches.is_empty());
    assert_eq!(
        found.remarks,
        ["dependency `twice` is built in versions 1.0.0 and 2.0.0"]
    );
}

#[test]
fn any_version_of_a_dependency_is_a_breach() {
    let mut ours = package("ours", "MIT", &Value::Null);
    ours["dependencies"] =
        json!([{"name": "x", "req": "*", "kind": null, "source": super::CRATES_IO}]);
    assert_eq!(findings(&[ours], &[]).breaches.len(), 1);
}

#[test]
fn a_rule_that_would_have_no_effect_is_refused() {
    let text = format!("{POLICY}\nallow-git = []\n");
    assert!(Policy::parse(&text).is_err());
}
