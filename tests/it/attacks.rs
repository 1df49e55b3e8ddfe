//! What somebody without a credential, or with too small a one, can try over HTTP: nobody gets in, nothing leaks, and
//! whoever may come in is answered meanwhile.
//!
//! After each attack three things are looked at: the memory of the process, how fast a good client is answered, and the
//! metric that counts the refusals.

mod connections;
mod floods;
mod guessing;
mod paths;
mod raw;
mod smuggling;
mod stalled;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::connection::Answer;
use crate::server::{Server, Setup};

const SECRET: &str = "correct-horse-battery-staple";
/// What only those who may read ever see.
const TREASURE: &str = "only-for-friends";
const HIDDEN: &str = "/v1/namespaces/svc.internal/services/web/instances/hidden";
/// Longest wait of a good client while others misbehave, on a busy machine and in a debug build.
const GOOD_ANSWER_MAX: Duration = Duration::from_secs(5);

/// A server with a token and something to hide.
struct Fort {
    server: Server,
    rss_before: u64,
}

impl Fort {
    fn build(setup: Setup) -> Self {
        let server = setup.env("SERVICE_DISCOVERY_SECRET", SECRET).start();
        let body = json!({"address": "10.9.8.7", "port": 1, "attributes": {"secret": TREASURE}});
        let mut fort = Self {
            server,
            rss_before: 0,
        };
        fort.as_friend("PUT", HIDDEN, body.to_string().as_bytes())
            .expect(201);
        assert!(fort.as_friend("GET", HIDDEN, b"").text().contains(TREASURE));
        fort.rss_before = fort.rss_kib();
        fort
    }

    fn as_friend(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let token = format!("Bearer {SECRET}");
        let headers = [
            ("Authorization", token.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.server.request(method, path, &headers, body)
    }

    /// Asks as a good client does, and fails when that takes long.
    fn serves_friends(&self, when: &str) {
        let started = Instant::now();
        let found = self.as_friend("GET", HIDDEN, b"").expect(200).text();
        assert!(found.contains(TREASURE), "{found}");
        let took = started.elapsed();
        assert!(took < GOOD_ANSWER_MAX, "{when}: an answer took {took:?}");
    }

    fn rss_kib(&self) -> u64 {
        rss_kib(self.server.pid())
    }

    /// Fails when the process has grown by more.
    fn grew_at_most(&self, kib: u64, by: &str) {
        let now = self.rss_kib();
        let grown = now.saturating_sub(self.rss_before);
        eprintln!("{by}: {} KiB before, {now} KiB after", self.rss_before);
        assert!(grown <= kib, "{by}: the process grew by {grown} KiB");
    }

    /// Counts what the HTTP layer refused for a reason.
    fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!(
            "waypost_http_rejections_total{{reason=\"{reason}\"}}"
        ))
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.as_friend("GET", "/metrics", b"").expect(200).text();
        let mut lines = text.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Counts answers of a status, whatever the route.
    fn answered(&self, status: u16) -> u64 {
        let text = self.as_friend("GET", "/metrics", b"").expect(200).text();
        let code = format!("code=\"{status}\"");
        let lines = text.lines().filter(|line| {
            line.starts_with("waypost_http_requests_total{") && line.contains(&code)
        });
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

/// Resident memory of a process.
pub(crate) fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no VmRSS in {status}"))
}

/// Raises the limit of open files of this process, which its children have as well, and gives how many sockets a test may
/// hold: as many as wanted, or fewer where the machine does not allow them.
pub(crate) fn sockets(wanted: usize) -> usize {
    const OTHERS: u64 = 2_000;
    let needed = wanted as u64 + OTHERS;
    let now = getrlimit(Resource::Nofile);
    let has = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if !has(now.current) {
        let maximum = if has(now.maximum) {
            now.maximum
        } else {
            Some(needed)
        };
        // Only root may raise the upper one; without that the soft one goes as far as it can.
        let raised = Rlimit {
            current: Some(needed),
            maximum,
        };
        let fallback = Rlimit {
            current: now.maximum,
            maximum: now.maximum,
        };
        let _ =
            setrlimit(Resource::Nofile, raised).or_else(|_| setrlimit(Resource::Nofile, fallback));
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = allowed.saturating_sub(OTHERS);
    let sockets = wanted.min(usize::try_from(room).unwrap_or(usize::MAX));
    if sockets < wanted {
        eprintln!("{sockets} sockets instead of {wanted}: {allowed} files may be open here");
    }
    sockets
}

/// Sends bytes over a connection of its own, and reads what comes until the server closes it.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    sent(address, bytes, false)
}

/// The same, and says that nothing more will come.
fn exchange_and_end(address: SocketAddr, bytes: &[u8]) -> String {
    sent(address, bytes, true)
}

fn sent(address: SocketAddr, bytes: &[u8], is_ended: bool) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    // The server may have refused and closed before all was sent.
    let _ = stream.write_all(bytes);
    if is_ended {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of the first answer in what came; 0 when nothing did.
fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1);
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}
