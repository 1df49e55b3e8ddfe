//! The running binary: started, spoken to, killed and started again.
//!
//! ```text
//! let server = Server::start();                                    // a temporary data directory, any free port
//! let mut server = Setup::new().env("WAYPOST__ACCESS__PUBLIC_READS", "true").start();
//! server.put("/v1/namespaces/a/services/web", &json!({})).expect(201);
//! server.kill9();
//! server.restart();                                                // the same data directory, another port
//! ```

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::connection::{Answer, Connection};

/// Longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a start or an end: the machine may be busy with other tests.
const START_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Asks every 20 ms until there is something, for at most ten seconds; then the test fails with the description.
pub(crate) fn eventually<T>(description: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, description, look)
}

/// The same with a limit of one's own.
pub(crate) fn eventually_within<T>(
    limit: Duration,
    description: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {limit:?} in vain: {description}"
        );
        thread::sleep(POLL);
    }
}

/// Gives the binary as a command without the variables of the machine that it would take for settings.
pub(crate) fn waypost<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    for (name, _) in std::env::vars_os() {
        let is_ours = |prefix: &str| name.to_string_lossy().starts_with(prefix);
        if is_ours("WAYPOST_") || is_ours("SERVICE_") {
            command.env_remove(&name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// How a server is to be started.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    environment: Vec<(OsString, OsString)>,
    file: Option<String>,
    data_dir: Option<PathBuf>,
    http: Option<String>,
    dns: Option<String>,
    user: Option<u32>,
    under: Vec<OsString>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn envs<N: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, OsString)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.environment
            .extend(variables.map(|(name, value)| (name.into(), value)));
        self
    }

    /// Starts with this configuration file.
    pub(crate) fn file(mut self, toml: impl Into<String>) -> Self {
        self.file = Some(toml.into());
        self
    }

    /// Listens for HTTP on this address instead of any free port.
    pub(crate) fn http(mut self, address: &str) -> Self {
        self.http = Some(address.to_owned());
        self
    }

    /// Answers DNS on this address instead of any free port.
    pub(crate) fn dns(mut self, address: &str) -> Self {
        self.dns = Some(address.to_owned());
        self
    }

    /// Uses this data directory instead of a temporary one.
    pub(crate) fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Runs the server as another user, which only root can.
    pub(crate) fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Runs the server by another program, which must become it: `unshare -T --`.
    pub(crate) fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(OsString::from).collect();
        self
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start(self) -> Server {
        self.try_start().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts the server; the error is what it said before it ended.
    pub(crate) fn try_start(self) -> Result<Server, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data_dir = self.data_dir.clone();
        let data_dir = data_dir.unwrap_or_else(|| folder.path().join("data"));
        let mut server = Server {
            running: None,
            setup: self,
            data_dir,
            starts: 0,
            folder,
        };
        server.running = Some(server.launch()?);
        Ok(server)
    }

    /// Runs `serve` to its end, for starts that are refused; kills it when it serves after all.
    pub(crate) fn refusal(self) -> Output {
        match self.try_start_with_output() {
            Ok(output) => output,
            Err(banner) => panic!("it serves, although it should have refused:\n{banner}"),
        }
    }

    fn try_start_with_output(self) -> Result<Output, String> {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = self.data_dir.clone();
        let data_dir = data_dir.unwrap_or_else(|| folder.path().join("data"));
        let mut command = self.command(&data_dir, folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        match banner(&mut child) {
            Some(banner) => {
                drop(child.kill());
                drop(child.wait());
                Err(banner)
            }
            None => Ok(child.wait_with_output().unwrap()),
        }
    }

    fn command(&self, data_dir: &Path, folder: &Path) -> Command {
        let http = self.http.as_deref().unwrap_or("127.0.0.1:0");
        let dns = self.dns.as_deref().unwrap_or("127.0.0.1:0");
        let mut command = waypost(["serve", "--http", http, "--dns", dns]);
        if let Some((program, arguments)) = self.under.split_first() {
            command = by(program, arguments, &command);
        }
        // Nothing but this machine is ever probed, whatever a test registers; a test may say otherwise.
        command.env("WAYPOST__DIAL__ALLOW", "127.0.0.0/8,::1/128");
        command.arg("--data-dir").arg(data_dir);
        if let Some(toml) = &self.file {
            let file = folder.join("waypost.toml");
            fs::write(&file, toml).unwrap();
            command.arg("--config").arg(file);
        }
        let variables = self.environment.iter();
        command.envs(variables.map(|(name, value)| (name, value)));
        match self.user {
            Some(user) => drop(command.uid(user).current_dir("/")),
            None => drop(command.current_dir(folder)),
        }
        command
    }
}

/// Gives the command as the last argument of another one.
fn by(program: &OsStr, arguments: &[OsString], command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program());
    outer.args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// A running `waypost serve`. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Server {
    running: Option<Running>,
    setup: Setup,
    data_dir: PathBuf,
    starts: u32,
    folder: TempDir,
}

#[derive(Debug)]
struct Running {
    child: Child,
    address: SocketAddr,
    banner: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            drop(running.child.kill());
            drop(running.child.wait());
            if thread::panicking() {
                eprintln!("--- the server said:\n{}", self.log());
            }
        }
    }
}

impl Server {
    /// Starts one with a temporary data directory and default settings.
    pub(crate) fn start() -> Self {
        Setup::new().start()
    }

    fn launch(&mut self) -> Result<Running, String> {
        self.starts += 1;
        let stderr = File::create(self.log_file()).map_err(|error| error.to_string())?;
        let mut command = self.setup.command(&self.data_dir, self.folder.path());
        command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let Some(banner) = banner(&mut child) else {
            drop(child.kill());
            let status = child.wait();
            return Err(format!(
                "waypost serve ended ({status:?}) and said:\n{}",
                self.log()
            ));
        };
        let address = banner
            .split_once("://")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| format!("no address in the banner:\n{banner}"))?;
        let ours = format!("(pid {})", child.id());
        if !banner.contains(&ours) {
            return Err(format!("{ours} is not in the banner:\n{banner}"));
        }
        Ok(Running {
            child,
            address,
            banner,
        })
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server was ended")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// Gives `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running().child.id()
    }

    /// Gives where it answers DNS.
    pub(crate) fn dns(&self) -> SocketAddr {
        let banner = self.banner();
        let line = banner
            .lines()
            .find_map(|line| line.trim().strip_prefix("dns "));
        let address = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        address.unwrap_or_else(|| panic!("no DNS address in the banner:\n{banner}"))
    }

    /// Gives what it printed at its start.
    pub(crate) fn banner(&self) -> &str {
        &self.running().banner
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Gives what it logged since its last start.
    pub(crate) fn log(&self) -> String {
        fs::read(self.log_file())
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join(format!("stderr-{}", self.starts))
    }

    /// Kills it as a power cut would, and reaps it.
    pub(crate) fn kill9(&mut self) {
        let mut running = self.running.take().expect("the server was ended");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Lets it stand still (SIGSTOP) or go on (SIGCONT).
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success(), "{name} cannot be sent to {pid}");
    }

    /// Sends SIGTERM without waiting.
    pub(crate) fn ask_to_end(&self) {
        self.signal("-TERM");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let running = self.running.as_mut().expect("the server was ended");
        let status = eventually_within(START_PATIENCE, "the server ends", || {
            running.child.try_wait().unwrap()
        });
        self.running = None;
        status
    }

    /// Ends it with SIGTERM.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait_for_end()
    }

    /// Starts it again over the same data directory, after SIGTERM if it still runs. The port changes.
    pub(crate) fn restart(&mut self) {
        self.try_restart().unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same; the error is what it said before it ended.
    pub(crate) fn try_restart(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            let status = self.terminate();
            assert!(status.success(), "it ended with {status}:\n{}", self.log());
        }
        self.running = Some(self.launch()?);
        Ok(())
    }

    /// Opens a connection that stays.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address()).unwrap_or_else(|error| self.unreachable(&error))
    }

    /// Sends one request over a connection of its own.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.connect()
            .request(method, path, headers, body)
            .unwrap_or_else(|error| self.unreachable(&error))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.with_json("POST", path, body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.with_json("PUT", path, body)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], b"")
    }

    fn with_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.request(method, path, &json, body.to_string().as_bytes())
    }

    /// Runs a command of the command line against this server.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = waypost(arguments);
        command.env("SERVICE_DISCOVERY_URL", self.url());
        command.output().unwrap()
    }

    fn unreachable(&self, error: &std::io::Error) -> ! {
        panic!("{} does not answer: {error}", self.url())
    }
}

/// Reads what the process prints at its start; nothing when it ends before that or takes too long.
fn banner(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = sync_channel(1);
    // Reading cannot be given a limit, so a thread of its own reads; it ends with the process.
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut banner = String::new();
        for line in lines.by_ref() {
            banner.push_str(&line);
            banner.push('\n');
            if line.contains(" explain ") {
                drop(sender.send(banner));
                break;
            }
        }
        lines.for_each(drop);
    });
    receiver.recv_timeout(START_PATIENCE).ok()
}
