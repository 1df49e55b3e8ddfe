//! The `[dns]` section.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// How DNS is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
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
    /// Seconds that an idle TCP connection is kept.
    pub tcp_idle_seconds: u32,
    /// Networks for whose addresses it is known that there is no name, when no instance has one.
    pub reverse: Vec<IpNet>,
    /// Who may ask, as CIDR; empty means everybody who reaches the socket.
    pub allow: Vec<IpNet>,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            ttl_seconds: waypost_core::DNS_TTL_SECONDS,
            ttl_seconds_max: 86_400,
            negative_ttl_seconds: 5,
            udp_bytes_max: 1_232,
            truncate_to_nothing: false,
            tcp_idle_seconds: 10,
            reverse: private_networks(),
            allow: Vec::new(),
        }
    }
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
