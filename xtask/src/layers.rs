//! The import table: which crate may name which other crate of the workspace.
//!
//! It is the table of ARCHITECTURE.md. A crate that no row describes is an error, so that a new crate is placed
//! on purpose.

use crate::metadata::{Metadata, Package};

/// What a row of the table allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Only these; a trailing `*` stands for any ending.
    Only(&'static [&'static str]),
    /// Every crate but the binary, the chores and the benchmarks.
    EveryLibrary,
}

/// The rows, the first that fits a crate's name holds.
const TABLE: &[(&str, Row)] = &[
    ("waypost-core", Row::Only(&[])),
    ("waypost-config", Row::Only(&[])),
    ("waypost-http", Row::Only(&[])),
    ("waypost-datagram", Row::Only(&[])),
    ("waypost-dial", Row::Only(&[])),
    ("waypost-telemetry", Row::Only(&[])),
    ("waypost-client", Row::Only(&[])),
    ("waypost-balance", Row::Only(&[])),
    ("waypost-access", Row::Only(&["waypost-core"])),
    ("waypost-store-*", Row::Only(&["waypost-core"])),
    ("waypost-testkit", Row::Only(&["waypost-core"])),
    (
        "waypost-health",
        Row::Only(&["waypost-core", "waypost-dial"]),
    ),
    (
        "waypost-routes",
        Row::Only(&["waypost-core", "waypost-dial"]),
    ),
    (
        "waypost-api-dns",
        Row::Only(&["waypost-core", "waypost-datagram"]),
    ),
    (
        "waypost-api-*",
        Row::Only(&["waypost-core", "waypost-access", "waypost-http"]),
    ),
    (
        "waypost-dashboard",
        Row::Only(&["waypost-core", "waypost-access", "waypost-http"]),
    ),
    (
        "waypost-gateway",
        Row::Only(&[
            "waypost-core",
            "waypost-access",
            "waypost-http",
            "waypost-dial",
            "waypost-routes",
            "waypost-balance",
        ]),
    ),
    (
        "waypost-sync-*",
        Row::Only(&[
            "waypost-core",
            "waypost-access",
            "waypost-http",
            "waypost-dial",
        ]),
    ),
    (
        "waypost-cluster",
        Row::Only(&["waypost-core", "waypost-http", "waypost-dial"]),
    ),
    ("waypost-run", Row::Only(&["waypost-client"])),
    ("waypost-cli", Row::Only(&["waypost-client"])),
    ("waypost", Row::EveryLibrary),
    ("waypost-benches", Row::EveryLibrary),
    ("xtask", Row::Only(&[])),
];

/// Crates that nothing else names, tests included.
const TOPS: &[&str] = &["waypost", "waypost-benches", "xtask"];

/// Crates that only tests name.
const FOR_TESTS: &str = "waypost-testkit";

/// Third-party crates that the core must not name: it opens no socket, file or clock and knows no encoding of
/// the wire.
const NOT_IN_THE_CORE: &[&str] = &[
    "http",
    "hyper",
    "hyper-util",
    "mio",
    "rusqlite",
    "rustix",
    "socket2",
    "tracing-subscriber",
    "utoipa",
];

/// Lists every breach of the table, one sentence each.
#[must_use]
pub fn breaches(metadata: &Metadata) -> Vec<String> {
    let own: Vec<&str> = metadata.own_packages().map(|p| p.name.as_str()).collect();
    let mut found = Vec::new();
    for package in metadata.own_packages() {
        let Some(row) = row_of(&package.name) else {
            found.push(format!(
                "crate `{}` is in no row of the import table (xtask/src/layers.rs)",
                package.name
            ));
            continue;
        };
        breaches_of_edges(package, row, &own, &mut found);
        if package.name == "waypost-core" {
            breaches_of_the_core(package, &mut found);
        }
    }
    found
}

fn breaches_of_edges(package: &Package, row: Row, own: &[&str], found: &mut Vec<String>) {
    for dependency in &package.dependencies {
        let named = dependency.name.as_str();
        if !own.contains(&named) {
            continue;
        }
        let allowed = if TOPS.contains(&named) {
            false
        } else if dependency.is_for_tests() {
            true
        } else {
            named != FOR_TESTS && row.allows(named) || benchmarks_may(&package.name, named)
        };
        if !allowed {
            found.push(format!(
                "crate `{}` must not name `{named}` ({}); it may name {}",
                package.name,
                dependency.kind.as_deref().unwrap_or("normal"),
                row.describe()
            ));
        }
    }
}

// Benchmarks are measured by the same fixtures that tests use.
fn benchmarks_may(name: &str, named: &str) -> bool {
    name == "waypost-benches" && named == FOR_TESTS
}

fn breaches_of_the_core(package: &Package, found: &mut Vec<String>) {
    for dependency in &package.dependencies {
        if !dependency.is_for_tests() && NOT_IN_THE_CORE.contains(&dependency.name.as_str()) {
            found.push(format!(
                "crate `waypost-core` must not name `{}`: the core knows no transport and no engine",
                dependency.name
            ));
        }
    }
}

fn row_of(name: &str) -> Option<Row> {
    TABLE
        .iter()
        .find(|(pattern, _)| fits(pattern, name))
        .map(|(_, row)| *row)
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.len() > start.len() && name.starts_with(start),
        None => name == pattern,
    }
}

impl Row {
    fn allows(self, named: &str) -> bool {
        match self {
            Self::Only(patterns) => patterns.iter().any(|pattern| fits(pattern, named)),
            Self::EveryLibrary => true,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Only([]) => "no crate of the workspace".to_owned(),
            Self::Only(patterns) => patterns.join(", "),
            Self::EveryLibrary => format!("every crate but {} and {FOR_TESTS}", TOPS.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests;
