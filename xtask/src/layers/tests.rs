use super::breaches;
use crate::metadata::Metadata;

type Named<'a> = (&'a str, Option<&'a str>);

/// Builds a workspace of crates from `(name, [(named, kind)])`.
fn workspace(crates: &[(&str, &[Named<'_>])]) -> Metadata {
    let packages: Vec<serde_json::Value> = crates
        .iter()
        .map(|(name, named)| {
            let dependencies: Vec<serde_json::Value> = named
                .iter()
                .map(|(name, kind)| {
                    serde_json::json!({"name": name, "req": "*", "kind": kind, "source": null})
                })
                .collect();
            serde_json::json!({
                "name": name, "version": "0.1.0", "id": name, "license": "MIT OR Apache-2.0",
                "source": null, "dependencies": dependencies, "manifest_path": "/none", "publish": [],
            })
        })
        .collect();
    let members: Vec<&str> = crates.iter().map(|(name, _)| *name).collect();
    serde_json::from_value(serde_json::json!({
        "packages": packages, "workspace_members": members, "resolve": {"nodes": []},
        "target_directory": "/none", "workspace_root": "/none",
    }))
    .unwrap()
}

#[test]
fn an_adapter_that_names_a_store_is_a_breach() {
    let found = breaches(&workspace(&[
        ("waypost-api-rest", &[("waypost-store-sqlite", None)]),
        ("waypost-store-sqlite", &[]),
    ]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`waypost-api-rest` must not name `waypost-store-sqlite`"));
}

#[test]
fn an_adapter_that_names_another_adapter_is_a_breach() {
    let found = breaches(&workspace(&[
        ("waypost-api-rest", &[]),
        ("waypost-api-dns", &[("waypost-api-rest", None)]),
    ]));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_build_dependency_counts_like_a_normal_one() {
    let found = breaches(&workspace(&[
        ("waypost-core", &[("waypost-http", Some("build"))]),
        ("waypost-http", &[]),
    ]));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn tests_may_name_more_but_never_the_binary() {
    let names: &[Named<'_>] = &[
        ("waypost-testkit", Some("dev")),
        ("waypost-store-sqlite", Some("dev")),
        ("waypost", Some("dev")),
    ];
    let found = breaches(&workspace(&[
        ("waypost-core", names),
        ("waypost-testkit", &[]),
        ("waypost-store-sqlite", &[]),
        ("waypost", &[]),
    ]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("must not name `waypost` (dev)"));
}

#[test]
fn the_testkit_is_named_by_tests_only() {
    let found = breaches(&workspace(&[
        ("waypost", &[("waypost-testkit", None)]),
        ("waypost-testkit", &[]),
    ]));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_crate_in_no_row_is_a_breach() {
    let found = breaches(&workspace(&[
        ("waypost-helpers", &[]),
        ("waypost-api-", &[]),
    ]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("in no row"));
}

#[test]
fn the_core_knows_no_transport_and_no_engine() {
    let found = breaches(&workspace(&[(
        "waypost-core",
        &[("hyper", None), ("rusqlite", Some("dev"))],
    )]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`hyper`"));
}

#[test]
fn what_the_table_allows_is_no_breach() {
    let found = breaches(&workspace(&[
        ("waypost-core", &[]),
        ("waypost-dial", &[]),
        (
            "waypost-health",
            &[("waypost-core", None), ("waypost-dial", None)],
        ),
        (
            "waypost",
            &[("waypost-health", None), ("waypost-core", None)],
        ),
    ]));
    assert!(found.is_empty(), "{found:?}");
}
