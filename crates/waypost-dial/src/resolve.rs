//! From a host to addresses that have been judged.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::DialConfig;
use crate::error::{DialError, plain};
use crate::policy::{AddressPolicy, Refused};

#[cfg(test)]
mod tests;

/// How many addresses of one answer are judged; the rest is not used.
const MAX_ANSWERS: usize = 16;
/// How many judged addresses of one answer are tried.
const MAX_PINNED: usize = 4;
/// How many lookups may be under way. Each holds a thread until the system's resolver gives up,
/// which can be long after the caller has.
const MAX_LOOKUPS: usize = 32;
/// The longest name that DNS knows (RFC 1035, section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// A host with the addresses that were judged and may be connected to. Only a [`Resolver`] makes
/// one, so holding it is the proof of the judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    host: String,
    first: SocketAddr,
    others: Vec<SocketAddr>,
    known: Vec<IpAddr>,
}

impl Pinned {
    /// Gives the address that is tried first.
    pub fn address(&self) -> SocketAddr {
        self.first
    }

    /// Gives every address in the order in which they are tried, at most 4.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = SocketAddr> {
        let mut all = vec![self.first];
        all.extend(&self.others);
        all.into_iter()
    }

    /// Gives every address that the host has and that may be connected to, sorted, at most 16.
    pub fn known(&self) -> &[IpAddr] {
        &self.known
    }

    /// Gives the host as it was asked for, without the brackets of an IPv6 literal.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Gives the port.
    pub fn port(&self) -> u16 {
        self.first.port()
    }

    /// Gives host and port as they stand in a URL or a `Host` header.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port())
        } else {
            format!("{}:{}", self.host, self.port())
        }
    }
}

/// Resolves hosts and judges every address. Cloning shares its limits.
#[derive(Debug, Clone)]
pub struct Resolver {
    policy: Arc<AddressPolicy>,
    timeout: Duration,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    /// Builds a resolver over the system's own (hosts file, DNS).
    pub fn new(config: &DialConfig, policy: AddressPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
            timeout: config.resolve_timeout(),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }

    /// Gives the policy that judges the addresses.
    pub fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// Pins an address that needs no lookup.
    ///
    /// # Errors
    /// [`DialError::Policy`] when it may not be connected to, [`DialError::Invalid`] for port 0.
    pub fn pin(&self, address: SocketAddr) -> Result<Pinned, DialError> {
        self.judge(&address.ip().to_string(), address.port(), &[address.ip()])
    }

    /// Resolves a host name or address literal and keeps the addresses that may be connected to.
    /// Refused addresses are left out; the order is the system's.
    ///
    /// # Errors
    /// `Invalid` (host or port), `Resolve`, `ResolveTimedOut`, or `Policy` when no address is left.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Pinned, DialError> {
        let name = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(ip) = name.parse::<IpAddr>() {
            return self.judge(name, port, &[ip]);
        }
        check_name(host)?;
        let addresses = tokio::time::timeout(self.timeout, self.look_up(host))
            .await
            .unwrap_or_else(|_| {
                Err(DialError::ResolveTimedOut {
                    host: host.to_owned(),
                    after: self.timeout,
                })
            })?;
        self.judge(host, port, &addresses)
    }

    /// The permit moves into the lookup's thread: a lookup that outlives its caller still counts.
    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        let failed = |reason: String| DialError::Resolve {
            host: host.to_owned(),
            reason,
        };
        let permit = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(|closed| failed(closed.to_string()))?;
        let name = host.to_owned();
        tokio::task::spawn_blocking(move || ask_the_system(&name, permit))
            .await
            .map_err(|stopped| failed(stopped.to_string()))?
            .map_err(|error| failed(plain(&error)))
    }

    fn judge(&self, host: &str, port: u16, addresses: &[IpAddr]) -> Result<Pinned, DialError> {
        if port == 0 {
            return Err(DialError::invalid("port", "0", "ports are from 1 to 65535"));
        }
        let mut refused: Vec<Refused> = Vec::new();
        let mut passed: Vec<SocketAddr> = Vec::new();
        for ip in addresses.iter().take(MAX_ANSWERS) {
            // Canonical, so that `::ffff:10.0.0.1` counts as 10.0.0.1 in the limits per host.
            let address = SocketAddr::new(ip.to_canonical(), port);
            match self.policy.check(*ip) {
                Ok(()) if !passed.contains(&address) => passed.push(address),
                Ok(()) => {}
                Err(refusal) => refused.push(refusal),
            }
        }
        let mut known: Vec<IpAddr> = passed.iter().map(SocketAddr::ip).collect();
        known.sort_unstable();
        passed.truncate(MAX_PINNED);
        let mut passed = passed.into_iter();
        match passed.next() {
            Some(first) => Ok(Pinned {
                host: host.to_owned(),
                first,
                others: passed.collect(),
                known,
            }),
            None if refused.is_empty() => Err(DialError::Resolve {
                host: host.to_owned(),
                reason: "the name has no address".to_owned(),
            }),
            None => Err(DialError::Policy {
                host: host.to_owned(),
                refused,
            }),
        }
    }
}

fn ask_the_system(name: &str, permit: OwnedSemaphorePermit) -> std::io::Result<Vec<IpAddr>> {
    let answers = (name, 0).to_socket_addrs()?;
    drop(permit);
    Ok(answers
        .take(MAX_ANSWERS)
        .map(|address| address.ip())
        .collect())
}

/// Keeps out what the system's resolver or a `Host` header would read in its own way.
fn check_name(host: &str) -> Result<(), DialError> {
    if host.is_empty() || host.len() > MAX_HOST_BYTES {
        return Err(DialError::invalid(
            "host",
            host,
            "host names have 1 to 253 characters",
        ));
    }
    if !host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        let rule = "host names are made of letters, digits, hyphens, underscores and dots";
        return Err(DialError::invalid("host", host, rule));
    }
    Ok(())
}
