//! The rules of `deny.toml`, held over `cargo metadata`: bans, who may name whom, licences, sources.
//!
//! It reads the part of cargo-deny's format that the file uses and refuses what it does not know, so that no
//! line of the file is silently without effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::metadata::{Metadata, Node, Package};
use crate::program::Failure;
use crate::spdx;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The rules for dependencies, as `deny.toml` writes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How cargo-deny builds its graph; nothing here depends on it.
    #[serde(default, rename = "graph")]
    _graph: toml::Table,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Level,
    wildcards: Level,
    #[serde(rename = "allow-wildcard-paths")]
    _allow_wildcard_paths: bool,
    deny: Vec<Ban>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Level,
    unknown_git: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Allow,
    Warn,
    Deny,
}

/// What holding a policy found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Each fails the check.
    pub breaches: Vec<String>,
    /// Each is only reported.
    pub remarks: Vec<String>,
}

impl Findings {
    fn add(&mut self, level: Level, sentence: String) {
        match level {
            Level::Allow => {}
            Level::Warn => self.remarks.push(sentence),
            Level::Deny => self.breaches.push(sentence),
        }
    }
}

impl Policy {
    /// Reads the policy from `deny.toml` in `root`.
    ///
    /// # Errors
    /// When the file is missing or holds anything that is not understood here.
    pub fn load(root: &Path) -> Result<Self, Failure> {
        let path = root.join("deny.toml");
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
        Self::parse(&text)
    }

    /// Reads the policy from its text.
    ///
    /// # Errors
    /// When the text holds anything that is not understood here.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        toml::from_str(text)
            .map_err(|error| Failure::new(format!("deny.toml is not understood: {error}")))
    }

    /// Holds the policy over the whole graph, for every platform.
    #[must_use]
    pub fn findings(&self, metadata: &Metadata) -> Findings {
        let mut findings = Findings::default();
        for package in &metadata.packages {
            self.hold_source(package, &mut findings);
            self.hold_licence(package, &mut findings);
        }
        for package in metadata.own_packages() {
            self.hold_requirements(package, &mut findings);
        }
        for node in &metadata.resolve.nodes {
            self.hold_bans(metadata, node, &mut findings);
        }
        self.hold_versions(metadata, &mut findings);
        findings
    }

    fn hold_source(&self, package: &Package, findings: &mut Findings) {
        let Some(source) = package.source.as_deref() else {
            return;
        };
        let level = if source.starts_with("git+") {
            self.sources.unknown_git
        } else if source == CRATES_IO {
            return;
        } else {
            self.sources.unknown_registry
        };
        findings.add(
            level,
            format!(
                "dependency `{} {}` comes from {source}; only crates.io and paths are sources",
                package.name, package.version
            ),
        );
    }

    fn hold_licence(&self, package: &Package, findings: &mut Findings) {
        let name = format!("`{} {}`", package.name, package.version);
        let Some(expression) = package.license.as_deref() else {
            findings
                .breaches
                .push(format!("dependency {name} states no licence"));
            return;
        };
        let exceptions: Vec<&str> = self
            .licenses
            .exceptions
            .iter()
            .filter(|exception| exception.name == package.name)
            .flat_map(|exception| exception.allow.iter().map(String::as_str))
            .collect();
        let allowed = |licence: &str| {
            self.licenses.allow.iter().any(|known| known == licence)
                || exceptions.contains(&licence)
        };
        match spdx::is_met(expression, allowed) {
            Ok(true) => {}
            Ok(false) => findings.breaches.push(format!(
                "dependency {name} is under `{expression}`, which deny.toml does not allow"
            )),
            Err(error) => findings
                .breaches
                .push(format!("dependency {name}: {error}")),
        }
    }

    fn hold_requirements(&self, package: &Package, findings: &mut Findings) {
        for dependency in &package.dependencies {
            if dependency.source.is_some() && dependency.req == "*" {
                findings.add(
                    self.bans.wildcards,
                    format!(
                        "crate `{}` takes any version of `{}`",
                        package.name, dependency.name
                    ),
                );
            }
        }
    }

    fn hold_bans(&self, metadata: &Metadata, node: &Node, findings: &mut Findings) {
        let Some(from) = metadata.package(&node.id) else {
            return;
        };
        for edge in &node.deps {
            let for_tests_only = edge
                .dep_kinds
                .iter()
                .all(|kind| kind.kind.as_deref() == Some("dev"));
            if for_tests_only && !edge.dep_kinds.is_empty() {
                continue;
            }
            let Some(named) = metadata.package(&edge.pkg) else {
                continue;
            };
            for ban in self.bans.deny.iter().filter(|ban| ban.name == named.name) {
                if !ban.wrappers.contains(&from.name) {
                    findings.breaches.push(format!(
                        "crate `{}` must not name `{}`: {}",
                        from.name, named.name, ban.reason
                    ));
                }
            }
        }
    }

    fn hold_versions(&self, metadata: &Metadata, findings: &mut Findings) {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in &metadata.packages {
            versions
                .entry(&package.name)
                .or_default()
                .insert(&package.version);
        }
        for (name, versions) in versions.iter().filter(|(_, all)| all.len() > 1) {
            let list: Vec<&str> = versions.iter().copied().collect();
            findings.add(
                self.bans.multiple_versions,
                format!(
                    "dependency `{name}` is built in versions {}",
                    list.join(" and ")
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests;
