//! What every manifest of our own must say: not published, licensed, under the workspace lints.
//!
//! One crate may hold unsafe code. Cargo cannot inherit the workspace's lints and override one of them, so that crate
//! spells them all out: with the same words, except that unsafe code is denied (and expected where it is) instead of
//! forbidden.

use std::fs;

use serde::Deserialize;

use crate::metadata::{Metadata, Package};

const LICENCE: &str = "MIT OR Apache-2.0";

/// The crate that may hold unsafe code.
const UNSAFE_CRATE: &str = "waypost-datagram";

/// Lists every breach in our own manifests, one sentence each.
#[must_use]
pub fn breaches(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    let root = fs::read_to_string(metadata.workspace_root.join("Cargo.toml")).unwrap_or_default();
    for package in metadata.own_packages() {
        match fs::read_to_string(&package.manifest_path) {
            Ok(text) => breaches_of(package, &text, &root, &mut found),
            Err(error) => found.push(format!(
                "manifest of `{}` cannot be read: {error}",
                package.name
            )),
        }
    }
    found
}

/// Holds one manifest, whose text is `text`, against the rules; `root` is the text of the workspace's.
pub fn breaches_of(package: &Package, text: &str, root: &str, found: &mut Vec<String>) {
    let name = &package.name;
    if package.publish.as_ref().is_none_or(|to| !to.is_empty()) {
        found.push(format!(
            "crate `{name}` must say `publish.workspace = true`"
        ));
    }
    if package.license.as_deref() != Some(LICENCE) {
        found.push(format!(
            "crate `{name}` must say `license.workspace = true`"
        ));
    }
    match toml::from_str::<Manifest>(text) {
        Ok(manifest) if manifest.lints.contains_key("workspace") => {}
        Ok(manifest) if name == UNSAFE_CRATE => {
            if Some(manifest.lints) != lints_of_unsafe_crate(root) {
                found.push(format!(
                    "crate `{name}` must repeat the workspace's lints, with `unsafe_code = \"deny\"`"
                ));
            }
        }
        Ok(_) => found.push(format!(
            "crate `{name}` must say `workspace = true` under `[lints]`"
        )),
        Err(error) => found.push(format!("manifest of `{name}` does not parse: {error}")),
    }
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    lints: toml::Table,
}

/// The workspace's lints as the crate with unsafe code must have them.
fn lints_of_unsafe_crate(root: &str) -> Option<toml::Table> {
    let root: toml::Table = toml::from_str(root).ok()?;
    let mut lints = root.get("workspace")?.get("lints")?.as_table()?.clone();
    let rust = lints.get_mut("rust")?.as_table_mut()?;
    rust.insert("unsafe_code".to_owned(), "deny".into());
    Some(lints)
}
