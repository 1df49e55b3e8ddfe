//! The server under a service manager: sockets that are handed over, what the manager is told, signals; and what it is
//! shipped in.
//!
//! The manager of most tests is this process. It holds the sockets and starts the server again over the same data.

mod compose;
mod container;
mod handed_over;
mod notified;
mod reloaded;
mod units;
mod wheel;

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{eventually_within, waypost};

/// Longest wait for a start, an end or a word: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
/// Gives the three sockets on the standard streams the numbers that `LISTEN_FDS` means, and this process' own number.
const HAND_OVER: &str =
    "exec 3<&0 4<&1 5<&2 </dev/null >banner 2>log; export LISTEN_PID=$$; exec \"$@\"";

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "{name} cannot be sent to {pid}");
}

/// What the server says to its manager.
struct Ear {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Ear {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// Waits for the next word.
    fn next(&self) -> String {
        let heard = self.within(PATIENCE);
        heard.unwrap_or_else(|| panic!("the server says nothing for {PATIENCE:?}"))
    }

    fn within(&self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut bytes = [0; 1_024];
        let length = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    /// Waits for a word that begins so, whatever comes before it.
    fn hears(&self, start: &str) -> String {
        loop {
            let word = self.next();
            if word.starts_with(start) {
                return word;
            }
        }
    }
}

/// Holds sockets and starts the server on them.
struct Manager {
    http: TcpListener,
    dns: Option<(UdpSocket, TcpListener)>,
    names: &'static str,
    ear: Ear,
    folder: TempDir,
}

/// A server that a manager has started. Dropping it kills it.
struct Supervised {
    child: Child,
    folder: PathBuf,
}

impl Manager {
    /// Holds a socket for HTTP.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        // As long as the units have it: a whole restart's worth of connections waits.
        socket2::SockRef::from(&http).listen(1_024).unwrap();
        Self {
            http,
            dns: None,
            names: "http",
            ear: Ear::new(folder.path()),
            folder,
        }
    }

    /// Holds both sockets for DNS, too.
    fn with_dns(self) -> Self {
        self.with_dns_on("127.0.0.1:0")
    }

    fn with_dns_on(mut self, address: &str) -> Self {
        let pair = (0..16).find_map(|_| {
            let tcp = TcpListener::bind(address).unwrap();
            let udp = UdpSocket::bind(tcp.local_addr().unwrap()).ok()?;
            Some((udp, tcp))
        });
        self.dns = Some(pair.expect("a port that is free for both"));
        self.names = "http:dns:dns";
        self
    }

    fn address(&self) -> SocketAddr {
        self.http.local_addr().unwrap()
    }

    /// Starts the server with what it holds.
    fn spawn(&self) -> Supervised {
        let mut command = Command::new("sh");
        command.args(["-c", HAND_OVER, "sh"]);
        let server = waypost(["serve", "--data-dir", "data", "--dns", "127.0.0.1:0"]);
        command.arg(server.get_program()).args(server.get_args());
        command
            .env_remove("SERVICE_DISCOVERY_SECRET")
            .env("LISTEN_FDNAMES", self.names)
            .env("NOTIFY_SOCKET", &self.ear.path)
            .env("WAYPOST__DIAL__ALLOW", "127.0.0.0/8")
            .current_dir(self.folder.path())
            .stdin(OwnedFd::from(self.http.try_clone().unwrap()));
        match &self.dns {
            Some((udp, tcp)) => command
                .env("LISTEN_FDS", "3")
                .stdout(OwnedFd::from(udp.try_clone().unwrap()))
                .stderr(OwnedFd::from(tcp.try_clone().unwrap())),
            None => command
                .env("LISTEN_FDS", "1")
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        };
        Supervised {
            child: command.spawn().unwrap(),
            folder: self.folder.path().to_owned(),
        }
    }

    /// Starts it and waits until it is ready.
    fn start(&self) -> Supervised {
        let server = self.spawn();
        self.ear.hears("READY=1");
        server
    }
}

impl Supervised {
    fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    fn wait(&mut self) -> ExitStatus {
        eventually_within(PATIENCE, "the server ends", || {
            self.child.try_wait().unwrap()
        })
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.read("log"));
        }
    }
}
