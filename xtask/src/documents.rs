//! ARCHITECTURE.md and README.md against the tree: every crate is named, every named path exists.

use std::fs;
use std::path::Path;

use crate::readme::shell_blocks;

/// The folders whose paths are checked when a document names one in backticks.
const FOLDERS: &[&str] = &[
    "benches/",
    "clients/",
    "crates/",
    "docs/",
    "examples/",
    "fuzz/",
    "packaging/",
    "tests/",
    "xtask/",
];

const ARCHITECTURE_LINES: usize = 250;

/// The commands with which a newcomer starts; they do everything.
const COMMANDS: &[&str] = &["cargo run --release -- serve", "cargo xtask test"];

/// Lists every breach in the documents of the workspace at `root`, whose crates are `crates`.
#[must_use]
pub fn breaches(root: &Path, crates: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(text) = read(root, "ARCHITECTURE.md", &mut found) {
        architecture(&text, crates, &mut found);
        paths(root, "ARCHITECTURE.md", &text, &mut found);
    }
    if let Some(text) = read(root, "README.md", &mut found) {
        readme(&text, &mut found);
        paths(root, "README.md", &text, &mut found);
    }
    found
}

fn read(root: &Path, name: &str, found: &mut Vec<String>) -> Option<String> {
    match fs::read_to_string(root.join(name)) {
        Ok(text) => Some(text),
        Err(error) => {
            found.push(format!("{name} cannot be read: {error}"));
            None
        }
    }
}

fn architecture(text: &str, crates: &[&str], found: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > ARCHITECTURE_LINES {
        found.push(format!(
            "ARCHITECTURE.md has {lines} lines, at most {ARCHITECTURE_LINES} are read"
        ));
    }
    for name in crates.iter().filter(|name| !names(text, name)) {
        found.push(format!("ARCHITECTURE.md does not name crate `{name}`"));
    }
}

fn readme(text: &str, found: &mut Vec<String>) {
    let commands: Vec<String> = shell_blocks(text)
        .iter()
        .flat_map(|block| block.commands())
        .collect();
    for command in COMMANDS {
        if !commands.iter().any(|found| found == command) {
            found.push(format!(
                "README.md does not show `{command}` in a block marked sh"
            ));
        }
    }
}

/// Tells whether `text` holds `name` as a whole word: `waypost` is not named by `waypost-core`.
fn names(text: &str, name: &str) -> bool {
    let part_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name).any(|(start, _)| {
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text
            .get(start + name.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(part_of_a_name) && !after.is_some_and(part_of_a_name)
    })
}

fn paths(root: &Path, document: &str, text: &str, found: &mut Vec<String>) {
    for (line, path) in paths_in_backticks(text) {
        if !root.join(existing_part(&path)).exists() {
            found.push(format!(
                "{document}:{line} names `{path}`, which does not exist"
            ));
        }
    }
}

/// Finds the path-like words in backticks, outside of fenced blocks, with their line from 1.
fn paths_in_backticks(text: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let code = line.split('`').skip(1).step_by(2);
            for word in code.flat_map(str::split_whitespace) {
                let word = word.trim_end_matches([',', ';', '.', ')', ':']);
                if FOLDERS.iter().any(|folder| word.starts_with(folder)) {
                    paths.push((index + 1, word.to_owned()));
                }
            }
        }
    }
    paths
}

/// Cuts what is no path: a line number, an item of the file, and everything from a placeholder on.
fn existing_part(path: &str) -> &str {
    let path = path.split([':', '#']).next().unwrap_or(path);
    match path.find(['*', '<', '{']) {
        Some(placeholder) => {
            let start = path.get(..placeholder).unwrap_or(path);
            start
                .rfind('/')
                .and_then(|end| path.get(..end))
                .unwrap_or(start)
        }
        None => path,
    }
}

#[cfg(test)]
mod tests;
