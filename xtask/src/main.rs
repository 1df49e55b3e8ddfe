//! `cargo xtask`: everything that is done to the workspace from outside of it.

#![expect(
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

use std::process::ExitCode;

use xtask::{bench, check, package, program::Environment, test_run};

const USAGE: &str = "\
usage: cargo xtask <command>

  check            formatting, lints, the rules for crates, dependencies and documents
  test [--long]    check, then every test; installs the peers that tests talk to
  peers            installs those peers and prints where tests find them
  package          builds the static binary, fills target/package for packaging/Dockerfile, and makes its wheel
  wheel            makes a wheel of the release binary, in target/wheels
  bench <name>     measures `cloudmap`, `dns` or `registry`; --quick for a short run
";

fn main() -> ExitCode {
    let environment = Environment::of_this_process();
    let arguments: Vec<&str> = environment.arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["check"] => check::run(&environment),
        ["test"] => test_run::run(&environment, false),
        ["test", "--long"] => test_run::run(&environment, true),
        ["peers"] => test_run::peers(&environment),
        ["package"] => package::package(&environment),
        ["wheel"] => package::wheel(&environment),
        ["bench", name] => bench::run(&environment, name, false),
        ["bench", name, "--quick"] => bench::run(&environment, name, true),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
