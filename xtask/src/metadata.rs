//! What `cargo metadata` says about the workspace, as far as the rules need it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::program::Failure;

/// The workspace, every package it can be built with, and who names whom.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    /// Every package: own, and from registries, for every platform.
    pub packages: Vec<Package>,
    /// The ids of our own packages.
    pub workspace_members: Vec<String>,
    /// The graph that cargo chose.
    pub resolve: Resolve,
    /// Where cargo builds.
    pub target_directory: PathBuf,
    /// The folder of the root manifest.
    pub workspace_root: PathBuf,
}

/// One package.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// The name, as dependents write it.
    pub name: String,
    /// The full version.
    pub version: String,
    /// The id that the graph uses.
    pub id: String,
    /// The SPDX expression of the manifest.
    pub license: Option<String>,
    /// The registry or repository; `None` for a path.
    pub source: Option<String>,
    /// What the manifest asks for, of every kind.
    pub dependencies: Vec<Dependency>,
    /// Where the manifest is.
    pub manifest_path: PathBuf,
    /// `Some([])` says that it is published nowhere, `None` that it may go anywhere.
    pub publish: Option<Vec<String>>,
}

/// One line of a manifest.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// The package that is asked for, whatever the manifest renames it to.
    pub name: String,
    /// The versions that fit.
    pub req: String,
    /// `None` for a normal dependency, otherwise `dev` or `build`.
    pub kind: Option<String>,
    /// The registry; `None` for a path.
    pub source: Option<String>,
}

impl Dependency {
    /// Tells whether only tests, benchmarks and examples see it.
    #[must_use]
    pub fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// The graph of packages.
#[derive(Debug, Clone, Deserialize)]
pub struct Resolve {
    /// One node per package.
    pub nodes: Vec<Node>,
}

/// One package and what it was given.
#[derive(Debug, Clone, Deserialize)]
pub struct Node {
    /// The package.
    pub id: String,
    /// What it names.
    pub deps: Vec<Edge>,
}

/// One edge of the graph.
#[derive(Debug, Clone, Deserialize)]
pub struct Edge {
    /// The package that is named.
    pub pkg: String,
    /// In which ways it is named.
    pub dep_kinds: Vec<EdgeKind>,
}

/// One way in which an edge is named.
#[derive(Debug, Clone, Deserialize)]
pub struct EdgeKind {
    /// As in [`Dependency::kind`].
    pub kind: Option<String>,
}

impl Metadata {
    /// Asks cargo. `locked` refuses a `Cargo.lock` that does not fit the manifests.
    ///
    /// # Errors
    /// When cargo fails or its answer cannot be read.
    pub fn load(root: &Path, locked: bool) -> Result<Self, Failure> {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["metadata", "--format-version", "1"])
            .current_dir(root);
        if locked {
            command.arg("--locked");
        }
        let output = command
            .output()
            .map_err(|error| Failure::new(format!("cargo metadata does not start: {error}")))?;
        if !output.status.success() {
            return Err(Failure::new(format!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::new(format!("cargo metadata cannot be read: {error}")))
    }

    /// Gives our own packages.
    pub fn own_packages(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Finds a package by its id.
    #[must_use]
    pub fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}
