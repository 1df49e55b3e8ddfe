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
            allow: Vec::new(),
        }
    }
}
