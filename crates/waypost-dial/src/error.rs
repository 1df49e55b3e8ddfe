//! What can go wrong on the way out, as one sentence each.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::policy::Refused;
use crate::tls;

/// A connection or call that did not succeed. `Display` is one stable sentence, fit to be shown as
/// the reason of a failed check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The request cannot be made as it was asked for.
    #[error("{field} {value:?} cannot be used: {rule}")]
    Invalid {
        /// What is wrong: `host`, `method`, `path`, `headers` or `server_name`.
        field: &'static str,
        /// The value as given, cut to a printable length.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// No address of the host may be connected to.
    #[error("{}", refusals(host, refused))]
    Policy {
        /// The host as given.
        host: String,
        /// Every address with the rule that refuses it; never empty.
        refused: Vec<Refused>,
    },
    /// The host name has no address.
    #[error("host name {host} could not be resolved: {reason}")]
    Resolve {
        /// The host as given.
        host: String,
        /// What the system's resolver says.
        reason: String,
    },
    /// The host name was not resolved in time.
    #[error("host name {host} was not resolved within {}", Within(*after))]
    ResolveTimedOut {
        /// The host as given.
        host: String,
        /// The time that was allowed.
        after: Duration,
    },
    /// Nothing listens at the address.
    #[error("connection refused by {address}")]
    Refused {
        /// The address that was connected to.
        address: SocketAddr,
    },
    /// A stage of the call took too long.
    #[error("{}", timed_out(*address, *stage, *after))]
    TimedOut {
        /// The address that was connected to.
        address: SocketAddr,
        /// How far the call came.
        stage: Stage,
        /// The time that was allowed.
        after: Duration,
    },
    /// There is no way to the address.
    #[error("{address} is unreachable: {reason}")]
    Unreachable {
        /// The address that was connected to.
        address: SocketAddr,
        /// What the operating system says.
        reason: String,
    },
    /// The other side closed the connection before its answer was complete.
    #[error("{address} closed the connection before {}", awaited(*stage))]
    Closed {
        /// The address that was connected to.
        address: SocketAddr,
        /// How far the call came.
        stage: Stage,
    },
    /// The handshake of TLS failed, or what came after it was not right.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// The address that was connected to.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
        /// Whether the other side said so.
        alerted: bool,
    },
    /// The answer is not HTTP, of the version that was asked in.
    #[error("{address} did not answer in HTTP: {reason}")]
    Malformed {
        /// The address that was connected to.
        address: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
    /// The status line and headers of the answer are over the limit.
    #[error("{address} answered with headers over the limit ({limit})")]
    HeadTooLarge {
        /// The address that was connected to.
        address: SocketAddr,
        /// The limit in words.
        limit: &'static str,
    },
    /// Anything else that the operating system reports.
    #[error("connection to {address} failed: {reason}")]
    Other {
        /// The address that was connected to.
        address: SocketAddr,
        /// What the operating system says.
        reason: String,
    },
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The connection is being opened.
    Connect,
    /// The handshake of TLS is being made.
    Tls,
    /// The request is being sent, or the status line and headers are awaited.
    Head,
    /// The body is being read.
    Body,
}

/// The classes of [`DialError`], a closed set for metric labels and decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DialErrorKind {
    /// The request cannot be made.
    Invalid,
    /// Refused by the address policy.
    Policy,
    /// The name has no address, or was not resolved in time.
    Resolve,
    /// Nothing listens.
    Refused,
    /// No answer in time.
    TimedOut,
    /// No way to the address.
    Unreachable,
    /// Closed too early.
    Closed,
    /// A handshake of TLS that failed.
    Tls,
    /// Not HTTP, or over a limit.
    Malformed,
    /// Anything else.
    Other,
}

impl DialErrorKind {
    /// Gives the label of the class, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Policy => "policy",
            Self::Resolve => "resolve",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
            Self::Tls => "tls",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }
}

impl DialError {
    /// Gives the class of the error.
    pub fn kind(&self) -> DialErrorKind {
        match self {
            Self::Invalid { .. } => DialErrorKind::Invalid,
            Self::Policy { .. } => DialErrorKind::Policy,
            Self::Resolve { .. } | Self::ResolveTimedOut { .. } => DialErrorKind::Resolve,
            Self::Refused { .. } => DialErrorKind::Refused,
            Self::TimedOut { .. } => DialErrorKind::TimedOut,
            Self::Unreachable { .. } => DialErrorKind::Unreachable,
            Self::Closed { .. } => DialErrorKind::Closed,
            Self::Tls { .. } => DialErrorKind::Tls,
            Self::Malformed { .. } | Self::HeadTooLarge { .. } => DialErrorKind::Malformed,
            Self::Other { .. } => DialErrorKind::Other,
        }
    }

    pub(crate) fn invalid(field: &'static str, value: &str, rule: &'static str) -> Self {
        Self::Invalid {
            field,
            value: value.chars().take(80).collect(),
            rule,
        }
    }

    /// Classifies what happened to a connection that was open.
    pub(crate) fn exchanging(address: SocketAddr, stage: Stage, error: &std::io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Tls {
                address,
                reason: tls::sentence(tls),
                alerted: matches!(tls, rustls::Error::AlertReceived(_)),
            };
        }
        if ended_by_the_other_side(error.kind()) {
            return Self::Closed { address, stage };
        }
        Self::Other {
            address,
            reason: plain(error),
        }
    }

    /// Classifies what the operating system says about a connection that was being opened.
    pub(crate) fn connecting(address: SocketAddr, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown,
            NetworkUnreachable, TimedOut,
        };
        match error.kind() {
            ConnectionRefused => Self::Refused { address },
            ConnectionReset => Self::Closed {
                address,
                stage: Stage::Connect,
            },
            // The kernel gives up by itself after its own retries, which is the same to the reader.
            HostUnreachable | NetworkUnreachable | NetworkDown | AddrNotAvailable | TimedOut => {
                Self::Unreachable {
                    address,
                    reason: plain(error),
                }
            }
            _ => Self::Other {
                address,
                reason: plain(error),
            },
        }
    }
}

/// Says whether an error of this kind means that the other side ended the connection.
fn ended_by_the_other_side(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        kind,
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// Gives the system's words without its number, which differs between platforms.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.to_lowercase()
}

/// A duration as it reads in a sentence: `2 s`, `1.5 s`, `200 ms`.
struct Within(Duration);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{} s", self.0.as_secs_f64())
        }
    }
}

fn timed_out(address: SocketAddr, stage: Stage, after: Duration) -> String {
    let within = Within(after);
    match stage {
        Stage::Connect => format!("no answer from {address} within {within}"),
        Stage::Tls => format!(
            "{address} accepted the connection and did not finish the TLS handshake within {within}"
        ),
        Stage::Head => {
            format!("{address} accepted the connection and sent no answer within {within}")
        }
        Stage::Body => format!("the answer from {address} was not complete within {within}"),
    }
}

fn awaited(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "it was open",
        Stage::Tls => "the TLS handshake was finished",
        Stage::Head => "it answered",
        Stage::Body => "its answer was complete",
    }
}

fn refusals(host: &str, refused: &[Refused]) -> String {
    let each: Vec<String> = refused.iter().map(Refused::to_string).collect();
    let reasons = each.join("; ");
    match refused {
        [only] if only.ip.to_string() == host.trim_matches(['[', ']']) => reasons,
        _ => format!("host name {host} has no address that may be connected to: {reasons}"),
    }
}
