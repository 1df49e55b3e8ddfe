//! Telling the service manager how the server fares: datagrams to the socket that `NOTIFY_SOCKET` names.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use waypost_config::Environment;

use crate::pulse::Pulse;

/// How long a manager may leave its socket full before a word to it is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// A way to the service manager; without one nobody is told anything.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Finds the manager by the variables that it set.
    pub(crate) fn of(environment: &Environment) -> Self {
        let socket = environment.get("NOTIFY_SOCKET").and_then(|name| {
            connect(name)
                .inspect_err(|error| {
                    tracing::warn!(socket = name, %error, "the service manager cannot be told anything");
                })
                .ok()
        });
        Self {
            socket,
            watchdog: watchdog(environment, process::id()),
        }
    }

    /// Says that everything is bound and loaded.
    pub(crate) fn ready(&self, status: &str) {
        // A status is one line.
        let status = status.replace('\n', " ");
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// Says that the configuration is being read again; [`Self::ready`] ends it.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Says that the server ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing the requests in flight");
    }

    /// Says twice in the time that the manager waits, after each pulse, that the server lives; never ends.
    pub(crate) async fn keep_alive(&self, pulse: &Pulse) {
        let Some(longest) = self.watchdog else {
            return std::future::pending().await;
        };
        loop {
            pulse.felt().await;
            self.tell("WATCHDOG=1");
            tokio::time::sleep(longest / 2).await;
        }
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::warn!(%error, state, "the service manager was not told");
        }
    }
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

/// Reads `/a/path`, or `@name` of a socket that has no file.
fn address(name: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    if name.starts_with('/') {
        return SocketAddr::from_pathname(name);
    }
    let why =
        "NOTIFY_SOCKET must be a path that begins with / or, on Linux, a name that begins with @";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

/// Reads within which time the manager wants to hear from process `own`.
fn watchdog(environment: &Environment, own: u32) -> Option<Duration> {
    let is_for_another = |pid: &str| pid.parse() != Ok(own);
    if environment.get("WATCHDOG_PID").is_some_and(is_for_another) {
        return None;
    }
    let micros = environment.get("WATCHDOG_USEC")?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_watchdog_of_another_process_or_of_no_time_is_none() {
        let asked = |pairs: &[(&str, &str)]| watchdog(&environment(pairs), 7);
        let second = Some(Duration::from_secs(1));
        assert_eq!(asked(&[("WATCHDOG_USEC", "1000000")]), second);
        let ours = [("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "7")];
        assert_eq!(asked(&ours), second);
        let others = [("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "8")];
        assert_eq!(asked(&others), None);
        assert_eq!(asked(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(asked(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn a_manager_is_told_over_a_socket_without_a_file() {
        let name = format!("waypost-notifier-{}", process::id());
        let address = address(&format!("@{name}")).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::of(&environment(&[("NOTIFY_SOCKET", &format!("@{name}"))]));
        notifier.ready("two\nlines");
        let mut bytes = [0; 128];
        let length = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1\nSTATUS=two lines");
    }

    #[test]
    fn an_address_of_another_kind_is_refused_with_the_rule() {
        let error = address("vsock:2:1234").unwrap_err();
        assert!(error.to_string().contains("begins with /"), "{error}");
    }
}
