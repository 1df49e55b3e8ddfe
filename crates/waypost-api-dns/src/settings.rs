//! The `[dns]` section.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Most threads that answer datagrams, for each address.
const WORKERS_MAX: usize = 64;

/// How DNS is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
    /// Addresses that are listened on, over UDP and TCP; `off` alone turns DNS off.
    pub listen: Vec<String>,
    /// Threads that answer datagrams, for each address; 0 means one for two cores, and one for each core above, up to 4.
    pub workers: usize,
    /// Seconds that an answer may be kept, unless the service says otherwise.
    pub ttl_seconds: u32,
    /// Most seconds that any answer may be kept, whatever a service says.
    pub ttl_seconds_max: u32,
    /// Seconds that "there is no such name" may be kept, unless the namespace's SOA says otherwise.
    pub negative_ttl_seconds: u32,
    /// Most bytes of an answer over UDP, 512 to 4096.
    pub udp_bytes_max: u16,
    /// Whether an answer that is cut over UDP is left empty, instead of holding as many records as fit.
    pub truncate_to_nothing: bool,
    /// Most TCP connections; for one more the one that has been idle longest is closed.
    pub tcp_connections_max: usize,
    /// Most TCP connections of one client: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub tcp_connections_per_client_max: usize,
    /// Seconds within which a TCP connection must bring a whole question, and take its answers.
    pub tcp_idle_seconds: u32,
    /// Which questions are logged with their answers: 0 none, 1 all, N one in N.
    pub query_log_every: u32,
    /// Networks for whose addresses it is known that there is no name, when no instance has one.
    pub reverse: Vec<IpNet>,
    /// Who may ask, as CIDR; empty means everybody who reaches the socket.
    pub allow: Vec<IpNet>,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:5300".to_owned()],
            workers: 0,
            ttl_seconds: waypost_core::DNS_TTL_SECONDS,
            ttl_seconds_max: 86_400,
            negative_ttl_seconds: 5,
            udp_bytes_max: 1_232,
            truncate_to_nothing: false,
            tcp_connections_max: 1_000,
            tcp_connections_per_client_max: 50,
            tcp_idle_seconds: 10,
            query_log_every: 0,
            reverse: private_networks(),
            allow: Vec::new(),
        }
    }
}

/// A setting outside of what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// Its name in the section.
    pub field: &'static str,
    /// What it is.
    pub value: String,
    /// What it must be, as a part of a sentence.
    pub rule: String,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.value, self.rule)
    }
}

impl DnsConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field that is outside its range, with the value and the rule.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let addresses = self.addresses()?;
        if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback())
            && self.allow.is_empty()
        {
            return Err(InvalidSetting {
                field: "allow",
                value: String::new(),
                rule: format!(
                    "must say who may ask, such as [\"10.0.0.0/8\"], when DNS listens on {open}: names tell addresses"
                ),
            });
        }
        range("workers", self.workers, 0, WORKERS_MAX)?;
        range("ttl_seconds", self.ttl_seconds, 0, i32::MAX.unsigned_abs())?;
        range(
            "ttl_seconds_max",
            self.ttl_seconds_max,
            0,
            i32::MAX.unsigned_abs(),
        )?;
        range("negative_ttl_seconds", self.negative_ttl_seconds, 0, 86_400)?;
        range("udp_bytes_max", self.udp_bytes_max, 512, 4_096)?;
        range("tcp_connections_max", self.tcp_connections_max, 1, 100_000)?;
        range(
            "tcp_connections_per_client_max",
            self.tcp_connections_per_client_max,
            1,
            100_000,
        )?;
        range("tcp_idle_seconds", self.tcp_idle_seconds, 1, 3_600)
    }

    /// Returns the addresses that are listened on; none when DNS is off.
    ///
    /// # Errors
    /// What is no address with a port.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, InvalidSetting> {
        if matches!(self.listen.as_slice(), [only] if only.eq_ignore_ascii_case("off")) {
            return Ok(Vec::new());
        }
        let read = |text: &String| {
            text.parse().map_err(|_| InvalidSetting {
                field: "listen",
                value: text.clone(),
                rule: "must be an address and a port such as 127.0.0.1:5300, or off".to_owned(),
            })
        };
        self.listen.iter().map(read).collect()
    }
}

fn range<T: PartialOrd + Copy + fmt::Display>(
    field: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), InvalidSetting> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting {
        field,
        value: value.to_string(),
        rule: format!("must be {least} to {most}"),
    })
}

/// The networks that nobody else has names for (RFC 6303 section 4), as far as instances live there.
fn private_networks() -> Vec<IpNet> {
    let networks = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "fd00::/8",
    ];
    networks.iter().filter_map(|net| net.parse().ok()).collect()
}
