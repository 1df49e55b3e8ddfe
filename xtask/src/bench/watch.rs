//! The benchmark of what is live: changes to followers, lists at size, checks of many, heartbeats in the core.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::figure::{self, Figure};
use super::heading::heading;
use super::server::Server;
use crate::metadata::Metadata;
use crate::program::{Environment, Failure, output_of, succeeds};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    followers: &'static [u32],
    sizes: &'static [u32],
    checked: u32,
    check_seconds: u32,
}

const FULL: Extent = Extent {
    followers: &[1_000, 10_000],
    sizes: &[1_000, 10_000, 100_000, 1_000_000],
    checked: 10_000,
    check_seconds: 60,
};

const QUICK: Extent = Extent {
    followers: &[200],
    sizes: &[1_000],
    checked: 500,
    check_seconds: 15,
};

pub(super) fn run(environment: &Environment, quick: bool) -> Result<(), Failure> {
    let metadata = Metadata::load(&environment.root, environment.ci)?;
    let mut build = environment.cargo(&[
        "build",
        "--release",
        "--package",
        "waypost",
        "--package",
        "waypost-benches",
        "--bins",
    ]);
    if !succeeds(&mut build)? {
        return Err(Failure::new("the release build failed"));
    }
    let folder = metadata.target_directory.join("bench/watch");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut bench = Bench {
        programs: metadata.target_directory.join("release"),
        folder,
        figures: Vec::new(),
    };
    let mut show = Command::new(bench.programs.join("waypost"));
    let config = output_of(show.args(["config", "show"]).current_dir(&bench.folder))?;
    let mut text = heading(environment, "Live", &config)?;
    bench.measure(if quick { QUICK } else { FULL }, quick)?;
    text.push('\n');
    text.push_str(&figure::table(&bench.figures));
    println!("{text}");
    if !quick {
        let results = environment.root.join("benches/results");
        fs::create_dir_all(&results)?;
        fs::write(results.join("watch.md"), text)?;
        println!("kept in benches/results/watch.md");
    }
    Ok(())
}

struct Bench {
    programs: PathBuf,
    folder: PathBuf,
    figures: Vec<Figure>,
}

impl Bench {
    fn measure(&mut self, extent: Extent, quick: bool) -> Result<(), Failure> {
        let mut core = self.program("core");
        core.args(["--quick", if quick { "1" } else { "0" }]);
        self.take(&mut core)?;
        for count in extent.followers {
            for kind in ["sse", "poll"] {
                let count = count.to_string();
                self.beside(
                    &format!("{kind}-{count}"),
                    "followers",
                    &["--kind", kind, "--count", &count],
                )?;
            }
        }
        for size in extent.sizes {
            let size = size.to_string();
            self.beside(&format!("lists-{size}"), "lists", &["--count", &size])?;
        }
        let (count, seconds) = (extent.checked.to_string(), extent.check_seconds.to_string());
        self.beside(
            "checks",
            "checks",
            &["--count", &count, "--seconds", &seconds],
        )
    }

    fn program(&self, part: &str) -> Command {
        let mut command = Command::new(self.programs.join("watch_bench"));
        command.args(["--part", part]);
        command
    }

    fn take(&mut self, command: &mut Command) -> Result<(), Failure> {
        let figures = figure::parse(&output_of(command)?);
        if figures.is_empty() {
            return Err(Failure::new("watch_bench printed no figure"));
        }
        self.figures.extend(figures);
        Ok(())
    }

    /// Measures against a server of its own.
    fn beside(&mut self, slug: &str, part: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new(self.programs.join("waypost"));
        command
            .args([
                "serve",
                "--http",
                "127.0.0.1:0",
                "--dns",
                "off",
                "--data-dir",
            ])
            .arg(self.folder.join(slug))
            .env("WAYPOST__HTTP__CONNECTIONS_MAX", "20000")
            .env("WAYPOST__DIAL__ALLOW_LOOPBACK", "true")
            .env("WAYPOST__CORE__INSTANCES_PER_SERVICE_MAX", "1000000")
            .current_dir(&self.folder);
        if part == "lists" {
            command.env("WAYPOST__CORE__STORE", "memory");
        }
        let log = self.folder.join(format!("{slug}.log"));
        let server = Server::start(&mut command, Path::new(&log))?;
        let mut program = self.program(part);
        program
            .args([
                "--to",
                &server.address.to_string(),
                "--pid",
                &server.pid().to_string(),
            ])
            .args(arguments);
        self.take(&mut program)?;
        server.stop()
    }
}
