//! `cargo xtask check`: what can be said about the tree without running it.

use crate::dependencies::Policy;
use crate::metadata::Metadata;
use crate::program::{Environment, Failure, Stopwatch, succeeds};
use crate::{documents, layers, manifests};

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was checked.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Runs every check and prints what fails; tells whether all of them hold.
///
/// # Errors
/// When a check cannot be made.
pub fn run(environment: &Environment) -> Result<bool, Failure> {
    let outcomes = outcomes(environment)?;
    for outcome in outcomes.iter().filter(|outcome| !outcome.holds) {
        eprintln!("FAILED: {}", outcome.name);
    }
    Ok(outcomes.iter().all(|outcome| outcome.holds))
}

/// Runs every check, also after one that fails.
///
/// # Errors
/// When a check cannot be made.
pub fn outcomes(environment: &Environment) -> Result<Vec<Outcome>, Failure> {
    let checks: [(&'static str, Check); 4] = [
        ("formatting", formatting),
        ("rules", rules),
        ("cargo-deny", cargo_deny),
        ("lints", lints),
    ];
    checks
        .into_iter()
        .map(|(name, check)| {
            let watch = Stopwatch::start();
            let holds = check(environment)?;
            let seconds = watch.seconds();
            Ok(Outcome {
                name,
                holds,
                seconds,
            })
        })
        .collect()
}

type Check = fn(&Environment) -> Result<bool, Failure>;

fn formatting(environment: &Environment) -> Result<bool, Failure> {
    let mut command = std::process::Command::new(env!("CARGO"));
    succeeds(
        command
            .args(["fmt", "--all", "--check"])
            .current_dir(&environment.root),
    )
}

// The flag goes to clippy alone. In RUSTFLAGS it would make cargo build every dependency a second time.
fn lints(environment: &Environment) -> Result<bool, Failure> {
    let mut command = environment.cargo(&["clippy", "--quiet", "--workspace", "--all-targets"]);
    succeeds(command.args(["--", "-D", "warnings"]))
}

fn cargo_deny(environment: &Environment) -> Result<bool, Failure> {
    if environment.find("cargo-deny").is_none() {
        // The rules are held by `rules` all the same; this is the second opinion of a tool that is no package.
        return Ok(true);
    }
    let mut command = std::process::Command::new(env!("CARGO"));
    succeeds(
        command
            .args(["deny", "check", "bans", "licenses", "sources"])
            .current_dir(&environment.root),
    )
}

fn rules(environment: &Environment) -> Result<bool, Failure> {
    println!("# rules for crates, dependencies and documents");
    let metadata = Metadata::load(&environment.root, environment.ci)?;
    let findings = Policy::load(&environment.root)?.findings(&metadata);
    for remark in &findings.remarks {
        println!("note: {remark}");
    }
    let mut breaches = findings.breaches;
    breaches.extend(layers::breaches(&metadata));
    breaches.extend(manifests::breaches(&metadata));
    let crates: Vec<&str> = metadata.own_packages().map(|p| p.name.as_str()).collect();
    breaches.extend(documents::breaches(&environment.root, &crates));
    for breach in &breaches {
        eprintln!("error: {breach}");
    }
    Ok(breaches.is_empty())
}
