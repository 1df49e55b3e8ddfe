//! How a test says that it cannot run here, and where it finds the programs that `cargo xtask test` installed.
//!
//! The reasons end up in the file that `WAYPOST_SKIPS` names; `cargo xtask test` counts and repeats them.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Notes that the test could not run and why: name the missing program, package or kernel feature.
///
/// The caller returns afterwards. A test is noted once.
#[expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a skip that is not seen would look like a pass"
)]
pub(crate) fn skipped(test: &str, why: &str) {
    println!("SKIPPED: {test}: {why}");
    if let Some(file) = variable("WAYPOST_SKIPS") {
        note(Path::new(&file), test, why).unwrap_or_else(|error| {
            panic!("the skip of {test} cannot be noted: {error}");
        });
    }
}

/// Finds a peer by its variable, for example `WAYPOST_PEER_PROMETHEUS`; the error is a reason to skip.
pub(crate) fn peer(name: &str) -> Result<PathBuf, String> {
    variable(name).map(PathBuf::from).ok_or_else(|| {
        let program = name.trim_start_matches("WAYPOST_PEER_").to_lowercase();
        format!("{program} is not here; `cargo xtask test` installs it and sets {name}")
    })
}

/// Tells whether the long forms of tests are asked for (`cargo xtask test --long`).
pub(crate) fn long_forms() -> bool {
    variable("WAYPOST_LONG").is_some()
}

// One append per line, so that tests in parallel do not mix theirs.
fn note(file: &Path, test: &str, why: &str) -> io::Result<()> {
    let line = format!("{test}: {}\n", why.replace('\n', " "));
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(line.as_bytes())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runner speaks to tests through the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
#[path = "skips_tests.rs"]
mod tests;
