//! The servers that are measured, all on one core with one worker.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::server::{Server, pause, run_seconds, run_seconds_of};
use super::{SERVICES, pinned, zone};
use crate::program::{Environment, Failure, Stopwatch, output_of};

pub(super) const SERVER_CORE: &str = "0";
/// How the names of our threads that answer over UDP begin.
const WORKER: &str = "waypost-dns-";
const START_SECONDS: f64 = 30.0;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    Waypost,
    Knot,
    Nsd,
    Echo,
}

/// A DNS server and where it is asked.
#[derive(Debug)]
pub(super) struct DnsProcess {
    pub(super) address: SocketAddr,
    pid: u32,
    child: Option<Child>,
}

impl DnsProcess {
    /// Gives the CPU seconds of all its threads.
    pub(super) fn run_seconds(&self) -> Result<f64, Failure> {
        run_seconds(self.pid)
    }

    /// Gives the CPU seconds of those of our threads that answer over UDP.
    pub(super) fn worker_seconds(&self) -> Result<f64, Failure> {
        run_seconds_of(self.pid, WORKER)
    }
}

impl Drop for DnsProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when it has ended already.
            let _killed = child.kill();
            let _ended = child.wait();
        }
    }
}

/// All of them, running.
pub(super) struct Contenders {
    waypost: DnsProcess,
    knot: DnsProcess,
    nsd: DnsProcess,
    echo: DnsProcess,
    server: Server,
    /// Where Waypost's HTTP is.
    pub(super) http: SocketAddr,
    /// The settings under which Waypost is measured.
    pub(super) config: String,
}

impl Contenders {
    pub(super) fn start(
        environment: &Environment,
        programs: &Path,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let settings = Settings::write(folder)?;
        let mut show = Command::new(programs.join("waypost"));
        show.args(["config", "show", "--config"])
            .arg(&settings.waypost)
            .current_dir(folder);
        // The path of the file is this machine's.
        let own = settings.waypost.display().to_string();
        let config = output_of(&mut show)?.replace(&own, "waypost.toml");
        let mut serve = pinned(SERVER_CORE, &programs.join("waypost"));
        serve
            .args(["serve", "--config"])
            .arg(&settings.waypost)
            .current_dir(folder);
        let server = Server::start(&mut serve, &folder.join("waypost.log"))?;
        populate(&server)?;
        let http = server.address;
        let waypost = DnsProcess {
            address: settings.waypost_dns,
            pid: server.pid(),
            child: None,
        };
        waits_for_answers(&waypost)?;
        let find = |name: &str| {
            environment
                .find(name)
                .ok_or_else(|| Failure::new(format!("there is no {name}")))
        };
        let mut knot = pinned(SERVER_CORE, &find("knotd")?);
        knot.arg("-c").arg(folder.join("knot.conf"));
        let mut nsd = pinned(SERVER_CORE, &find("nsd")?);
        nsd.arg("-d").arg("-c").arg(folder.join("nsd.conf"));
        let mut echo = pinned(SERVER_CORE, &programs.join("dns_echo"));
        echo.args(["--listen", &settings.echo.to_string()]);
        Ok(Self {
            knot: started(&mut knot, settings.knot, &folder.join("knot.log"))?,
            nsd: started(&mut nsd, settings.nsd, &folder.join("nsd.log"))?,
            echo: started(&mut echo, settings.echo, &folder.join("echo.log"))?,
            waypost,
            server,
            http,
            config,
        })
    }

    pub(super) fn get(&self, contender: Contender) -> &DnsProcess {
        match contender {
            Contender::Waypost => &self.waypost,
            Contender::Knot => &self.knot,
            Contender::Nsd => &self.nsd,
            Contender::Echo => &self.echo,
        }
    }

    pub(super) fn stop(self) -> Result<(), Failure> {
        self.server.stop()
    }
}

/// Where everybody listens, and their files.
struct Settings {
    waypost: std::path::PathBuf,
    waypost_dns: SocketAddr,
    knot: SocketAddr,
    nsd: SocketAddr,
    echo: SocketAddr,
}

impl Settings {
    fn write(folder: &Path) -> Result<Self, Failure> {
        let [waypost_dns, knot, nsd, echo] = free_places()?;
        let file = folder.join("waypost.toml");
        // The shipped defaults, and an access list; one worker, as the others have.
        fs::write(
            &file,
            format!(
                "[core]\nstore = \"memory\"\n\n[http]\nlisten = \"127.0.0.1:0\"\n\n[dns]\nlisten = [\"{waypost_dns}\"]\nworkers = 1\nallow = [\"127.0.0.0/8\", \"10.0.0.0/8\", \"192.168.0.0/16\"]\n"
            ),
        )?;
        fs::write(folder.join("zone"), zone::file(SERVICES))?;
        let here = folder.display();
        let name = zone::ZONE;
        let (ip, port) = (knot.ip(), knot.port());
        fs::write(
            folder.join("knot.conf"),
            format!(
                "server:\n    rundir: \"{here}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n\
                 database:\n    storage: \"{here}/knot\"\n\
                 log:\n  - target: stderr\n    any: warning\n\
                 template:\n  - id: default\n    journal-content: none\n    zonefile-sync: -1\n    zonefile-load: whole\n\
                 zone:\n  - domain: {name}\n    file: \"{here}/zone\"\n"
            ),
        )?;
        let (ip, port) = (nsd.ip(), nsd.port());
        fs::write(
            folder.join("nsd.conf"),
            format!(
                "server:\n    ip-address: {ip}@{port}\n    server-count: 1\n    username: \"\"\n    chroot: \"\"\n    database: \"\"\n    zonesdir: \"{here}\"\n    pidfile: \"{here}/nsd.pid\"\n    xfrdfile: \"{here}/xfrd.state\"\n    zonelistfile: \"{here}/zone.list\"\n    xfrdir: \"{here}\"\n    rrl-ratelimit: 0\n\
                 remote-control:\n    control-enable: no\n\
                 zone:\n    name: {name}\n    zonefile: zone\n"
            ),
        )?;
        Ok(Self {
            waypost: file,
            waypost_dns,
            knot,
            nsd,
            echo,
        })
    }
}

/// Finds ports that are free now; whoever answers there is checked to have the names.
fn free_places() -> Result<[SocketAddr; 4], Failure> {
    let mut sockets = Vec::new();
    let mut place = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        sockets.push(socket);
        Ok::<_, Failure>(address)
    };
    Ok([place()?, place()?, place()?, place()?])
}

fn started(command: &mut Command, address: SocketAddr, log: &Path) -> Result<DnsProcess, Failure> {
    let log_file = File::create(log)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .spawn()?;
    let process = DnsProcess {
        address,
        pid: child.id(),
        child: Some(child),
    };
    waits_for_answers(&process)
        .map_err(|failure| Failure::new(format!("{failure}; see {}", log.display())))?;
    Ok(process)
}

fn waits_for_answers(process: &DnsProcess) -> Result<(), Failure> {
    let mut question = vec![0x77, 0x61, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in zone::service(0).split('.').chain(zone::ZONE.split('.')) {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(process.address)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let since = Stopwatch::start();
    let mut answer = [0; 1_500];
    while since.seconds() < START_SECONDS {
        // Until somebody listens, sending and receiving tell of a refusal.
        let asked = socket
            .send(&question)
            .and_then(|_| socket.recv(&mut answer));
        let is_answered = asked.is_ok_and(|len| len >= question.len())
            && answer.get(3).is_some_and(|flags| flags & 15 == 0);
        if is_answered {
            return Ok(());
        }
        pause(Duration::from_millis(50));
    }
    Err(Failure::new(format!(
        "a DNS server does not answer at {}",
        process.address
    )))
}

/// Registers every instance over HTTP.
fn populate(server: &Server) -> Result<(), Failure> {
    let name = zone::ZONE;
    for number in 0..SERVICES {
        for (at, instance) in zone::INSTANCES.iter().enumerate() {
            let body = format!(
                r#"{{"address":"{}","port":{}}}"#,
                zone::address(number, at),
                zone::PORT
            );
            let service = zone::service(number);
            let request = format!(
                "PUT /v1/namespaces/{name}/services/{service}/instances/{instance} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = server.ask(request.as_bytes())?;
            if answer.status != 201 {
                return Err(Failure::new(format!(
                    "registering was answered {}: {}",
                    answer.status,
                    String::from_utf8_lossy(&answer.body)
                )));
            }
        }
    }
    Ok(())
}
