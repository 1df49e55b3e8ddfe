//! The rules, held over the real workspace.

use std::path::Path;

use crate::dependencies::Policy;
use crate::metadata::Metadata;
use crate::{documents, layers, manifests};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn workspace() -> Metadata {
    Metadata::load(root(), false).unwrap()
}

#[test]
fn every_crate_names_only_the_layers_below_it() {
    let found = layers::breaches(&workspace());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_dependency_has_an_allowed_licence_source_and_dependent() {
    let found = Policy::load(root()).unwrap().findings(&workspace());
    assert!(found.breaches.is_empty(), "{:#?}", found.breaches);
}

#[test]
fn every_manifest_is_private_licensed_and_linted() {
    let found = manifests::breaches(&workspace());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_documents_name_every_crate_and_only_paths_that_exist() {
    let workspace = workspace();
    let crates: Vec<&str> = workspace.own_packages().map(|p| p.name.as_str()).collect();
    let found = documents::breaches(root(), &crates);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_manifest_that_breaks_a_rule_is_named() {
    let workspace = workspace();
    let mut package = workspace.own_packages().next().unwrap().clone();
    package.publish = None;
    package.license = Some("GPL-3.0-only".to_owned());
    let mut found = Vec::new();
    manifests::breaches_of(
        &package,
        "[lints.rust]\nunsafe_code = \"allow\"\n",
        "",
        &mut found,
    );
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn the_crate_with_unsafe_code_repeats_every_lint_of_the_workspace() {
    let workspace = workspace();
    let mut package = workspace.own_packages().next().unwrap().clone();
    let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"\n";
    let breaches = |package: &crate::metadata::Package, text: &str| {
        let mut found = Vec::new();
        manifests::breaches_of(package, text, root, &mut found);
        found
    };
    let whole = "[lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"deny\"\n";
    assert_eq!(breaches(&package, whole).len(), 1, "any other crate");
    "waypost-datagram".clone_into(&mut package.name);
    assert!(breaches(&package, whole).is_empty());
    for bad in [
        "[lints.rust]\nunsafe_code = \"deny\"\n",
        "[lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"allow\"\n",
        "",
    ] {
        assert_eq!(breaches(&package, bad).len(), 1, "{bad}");
    }
}
