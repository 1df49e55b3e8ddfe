//! `cargo xtask test`: the checks, then every test with the peers that it talks to.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::check;
use crate::metadata::Metadata;
use crate::package;
use crate::peers::{self, Peer};
use crate::program::{self, End, Environment, Failure, Stopwatch, stream};
use crate::tally::Tally;

/// A hung test must not take the whole time that a submission has; at home a person stops it.
const LIMIT_IN_CI: Duration = Duration::from_secs(45 * 60);

/// Runs everything, prints the closing line, and tells whether nothing failed.
///
/// # Errors
/// When a stage cannot be started at all.
pub fn run(environment: &Environment, long: bool) -> Result<bool, Failure> {
    let mut run = TestRun {
        environment,
        long,
        tally: Tally::default(),
        times: Vec::new(),
        package: None,
    };
    let ended = run.stages();
    if let Err(failure) = &ended {
        run.tally.fail(failure.to_string());
    }
    run.report();
    Ok(run.tally.failed() == 0)
}

/// Installs the peers and prints the variables with which `cargo test` finds them; tells whether all are there.
///
/// # Errors
/// When cargo does not know the workspace.
pub fn peers(environment: &Environment) -> Result<bool, Failure> {
    let metadata = Metadata::load(&environment.root, environment.ci)?;
    let peers = peers::install(environment, &metadata.target_directory);
    for peer in &peers {
        match &peer.found {
            Ok(path) => println!("export {}={}", peer.variable, path.display()),
            Err(why) => eprintln!("{}: {why}", peer.name),
        }
    }
    Ok(peers.iter().all(|peer| peer.found.is_ok()))
}

struct TestRun<'a> {
    environment: &'a Environment,
    long: bool,
    tally: Tally,
    times: Vec<(&'static str, f64)>,
    /// Where the static binary is, in the form that the Dockerfile asks for.
    package: Option<PathBuf>,
}

impl TestRun<'_> {
    fn stages(&mut self) -> Result<(), Failure> {
        for outcome in check::outcomes(self.environment)? {
            self.times.push((outcome.name, outcome.seconds));
            if !outcome.holds {
                self.tally.fail(outcome.name);
            }
        }
        let metadata = Metadata::load(&self.environment.root, self.environment.ci)?;
        let peers = self.timed("peers", |run| {
            peers::install(run.environment, &metadata.target_directory)
        });
        let built = self.timed("build", |run| {
            let mut command =
                run.environment
                    .cargo(&["test", "--quiet", "--workspace", "--no-run"]);
            program::succeeds(run.in_profile(&mut command))
        })?;
        if !built {
            self.tally.fail("build");
            return Ok(());
        }
        if self.long {
            let packaged =
                self.timed("package", |run| package::fill(run.environment, &metadata))?;
            self.package = Some(packaged);
        }
        let skips = metadata.target_directory.join("waypost-skips");
        self.timed("tests", |run| run.tests(&peers, &skips))?;
        self.note_missing(&peers);
        Ok(())
    }

    fn timed<T>(&mut self, name: &'static str, stage: impl FnOnce(&mut Self) -> T) -> T {
        let watch = Stopwatch::start();
        let value = stage(self);
        self.times.push((name, watch.seconds()));
        value
    }

    fn tests(&mut self, peers: &[Peer], skips: &PathBuf) -> Result<(), Failure> {
        fs::write(skips, "")?;
        let mut command = self.command(peers);
        command.env("WAYPOST_SKIPS", skips);
        let limit = (self.environment.ci && !self.long).then_some(LIMIT_IN_CI);
        let failed_before = self.tally.failed();
        let end = stream(&mut command, limit, |line| self.tally.read_line(line))?;
        self.tally.end_of_binary();
        match end {
            End::Exited(status) if !status.success() && self.tally.failed() == failed_before => {
                self.tally.fail(format!("cargo test, with {status}"));
            }
            End::Exited(_) => {}
            End::OutOfTime => self.tally.fail("the tests ran out of time"),
        }
        self.tally.read_skips(&fs::read_to_string(skips)?);
        Ok(())
    }

    fn command(&self, peers: &[Peer]) -> Command {
        let mut command = self
            .environment
            .cargo(&["test", "--workspace", "--no-fail-fast"]);
        for peer in peers {
            match &peer.found {
                Ok(path) => command.env(peer.variable, path),
                Err(_) => command.env_remove(peer.variable),
            };
        }
        self.in_profile(&mut command);
        if self.long {
            command.env("WAYPOST_LONG", "1");
        }
        if let Some(package) = &self.package {
            command.env("WAYPOST_PACKAGE", package);
        }
        command
    }

    /// The long forms run with optimisations and with every check.
    fn in_profile<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if self.long {
            command.args(["--profile", "long"]);
        }
        command
    }

    // At home a peer that cannot be had is a skip: of the tests that say so, or, when none does, of the peer.
    fn note_missing(&mut self, peers: &[Peer]) {
        for peer in peers {
            let Err(why) = &peer.found else { continue };
            if self.environment.ci {
                self.tally.fail(format!("peer {}: {why}", peer.name));
            } else if !self.tally.skips().any(|(_, why)| why.contains(peer.name)) {
                self.tally.skip(&format!("peer {}", peer.name), why);
            }
        }
    }

    fn report(&self) {
        println!();
        for (name, seconds) in &self.times {
            println!("{seconds:8.1} s  {name}");
        }
        for (name, why) in self.tally.skips() {
            println!("SKIPPED: {name}: {why}");
        }
        for name in self.tally.failures() {
            println!("FAILED: {name}");
        }
        println!("{}", self.tally);
    }
}
