//! Running other programs, and the little of this process that the chores ask for.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Why a chore could not be done at all; a sentence for the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// Builds a failure from its sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What the chores know of the process they run in.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The command line without the program.
    pub arguments: Vec<String>,
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// Whether `CI=true`: then a missing package is a failure and `Cargo.lock` must fit.
    pub ci: bool,
    /// Whether packages of the system can be installed.
    pub superuser: bool,
    search_path: Vec<PathBuf>,
}

impl Environment {
    /// Reads the environment of this process, the only place that does.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "xtask has no configuration file, and waypost-config is part of the product"
    )]
    pub fn of_this_process() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            arguments: std::env::args().skip(1).collect(),
            root: root.parent().unwrap_or(root).to_owned(),
            ci: std::env::var("CI").is_ok_and(|value| value == "true"),
            superuser: std::fs::metadata("/proc/self").is_ok_and(|of| of.uid() == 0),
            search_path: std::env::var_os("PATH")
                .map(|path| {
                    // Where Debian keeps servers, which is not on everybody's path.
                    let servers = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
                    std::env::split_paths(&path).chain(servers).collect()
                })
                .unwrap_or_default(),
        }
    }

    /// Finds a program on the search path.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.search_path
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    }

    /// Builds a cargo command for the workspace.
    #[must_use]
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(&self.root);
        if self.ci {
            command.arg("--locked");
        }
        command
    }
}

/// Time since something began.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "chores measure real time; there is no clock to move"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Gives the seconds since the start.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Runs a program on this terminal and tells whether it succeeded.
///
/// # Errors
/// When it does not start.
pub fn succeeds(command: &mut Command) -> Result<bool, Failure> {
    println!("$ {}", describe(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| does_not_start(command, &error))?;
    Ok(status.success())
}

/// Runs a program and gives what it prints on stdout; its stderr goes to this terminal.
///
/// # Errors
/// When it does not start or does not succeed.
pub fn output_of(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| does_not_start(command, &error))?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "`{}` ended with {}",
            describe(command),
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How a streamed program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was stopped, with everything it had started, because it took too long.
    OutOfTime,
}

/// Runs a program, shows each line that it prints and hands it to `read`.
///
/// With a `limit` the program gets a process group of its own, which is killed when the time is over.
///
/// # Errors
/// When it does not start or its output cannot be read.
pub fn stream(
    command: &mut Command,
    limit: Option<Duration>,
    mut read: impl FnMut(&str),
) -> Result<End, Failure> {
    println!("$ {}", describe(command));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if limit.is_some() {
        command.process_group(0);
    }
    let mut child = command
        .spawn()
        .map_err(|error| does_not_start(command, &error))?;
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| Failure::new("a child has no stdout"))?;
    let watchdog = limit.map(|limit| Watchdog::over(child.id(), limit));
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        read(text.trim_end());
        line.clear();
    }
    let status = child.wait()?;
    Ok(if watchdog.is_some_and(Watchdog::has_bitten) {
        End::OutOfTime
    } else {
        End::Exited(status)
    })
}

/// Kills a process group when its time is over.
struct Watchdog {
    bitten: Arc<AtomicBool>,
    // Dropping the sender tells the thread that the program has ended.
    _alive: mpsc::SyncSender<()>,
}

impl Watchdog {
    fn over(group: u32, limit: Duration) -> Self {
        let bitten = Arc::new(AtomicBool::new(false));
        let (alive, ended) = mpsc::sync_channel::<()>(0);
        let bites = Arc::clone(&bitten);
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                bites.store(true, Ordering::SeqCst);
                // The exit of the group ends the output that `stream` reads; nothing waits for this result.
                let _killed = Command::new("kill")
                    .args(["-KILL", "--", &format!("-{group}")])
                    .status();
            }
        });
        Self {
            bitten,
            _alive: alive,
        }
    }

    fn has_bitten(self) -> bool {
        self.bitten.load(Ordering::SeqCst)
    }
}

fn does_not_start(command: &Command, error: &io::Error) -> Failure {
    Failure::new(format!("`{}` does not start: {error}", describe(command)))
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests;
