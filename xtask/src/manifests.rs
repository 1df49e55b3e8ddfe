//! What every manifest of our own must say: not published, licensed, under the workspace lints.

use std::fs;

use serde::Deserialize;

use crate::metadata::{Metadata, Package};

const LICENCE: &str = "MIT OR Apache-2.0";

/// Lists every breach in our own manifests, one sentence each.
#[must_use]
pub fn breaches(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata.own_packages() {
        match fs::read_to_string(&package.manifest_path) {
            Ok(text) => breaches_of(package, &text, &mut found),
            Err(error) => found.push(format!(
                "manifest of `{}` cannot be read: {error}",
                package.name
            )),
        }
    }
    found
}

/// Holds one manifest, whose text is `text`, against the rules.
pub fn breaches_of(package: &Package, text: &str, found: &mut Vec<String>) {
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
        Ok(manifest) if manifest.lints.workspace => {}
        Ok(_) => found.push(format!(
            "crate `{name}` must say `workspace = true` under `[lints]`"
        )),
        Err(error) => found.push(format!("manifest of `{name}` does not parse: {error}")),
    }
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    lints: Lints,
}

#[derive(Default, Deserialize)]
struct Lints {
    #[serde(default)]
    workspace: bool,
}
