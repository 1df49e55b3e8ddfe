//! The settings of one listener.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::tls::TlsConfig;

/// One HTTP listener: where it listens and its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerConfig {
    /// The address and port to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Connections open at the same time; more are answered 503 and closed.
    pub connections_max: usize,
    /// Connections from one address at the same time; more are answered 503 and closed.
    pub connections_per_address_max: usize,
    /// The same for addresses of loopback.
    pub connections_per_loopback_max: usize,
    /// Bytes of request line and headers together; more are answered 431.
    pub header_bytes_max: usize,
    /// Header lines in a request; more are answered 431.
    pub headers_max: usize,
    /// Seconds from the first byte of a request to the end of its headers; then the connection is cut. A handshake of TLS
    /// has as many.
    pub header_timeout_seconds: u64,
    /// Bytes in a request body; more are answered 413.
    pub body_bytes_max: usize,
    /// Seconds to receive a request body (then 408), and seconds a client may take no byte of a
    /// response (then the connection is cut).
    pub body_timeout_seconds: u64,
    /// Seconds a handler may take, above the longest long poll; then 504.
    pub request_timeout_seconds: u64,
    /// Seconds a kept-alive connection may wait between requests; then it is closed.
    pub idle_timeout_seconds: u64,
    /// Seconds that requests in flight get to finish at shutdown; then they are cut.
    pub drain_seconds: u64,
    /// TLS; without it the listener speaks plain HTTP.
    pub tls: Option<TlsConfig>,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3004)),
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            connections_per_loopback_max: 10_000,
            header_bytes_max: 16 * 1024,
            headers_max: 64,
            header_timeout_seconds: 10,
            body_bytes_max: 1024 * 1024,
            body_timeout_seconds: 30,
            request_timeout_seconds: 60,
            idle_timeout_seconds: 75,
            drain_seconds: 15,
            tls: None,
        }
    }
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: {rule}")]
pub struct InvalidSetting {
    /// The name of the field, as in the configuration file.
    pub field: &'static str,
    /// The value it has.
    pub value: String,
    /// The rule it breaks, as a sentence part.
    pub rule: &'static str,
}

impl ListenerConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first field outside its range, with its value and rule.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let connections = Range(1, 1_000_000, "must be between 1 and 1000000");
        let header_bytes = Range(1_024, 262_144, "must be between 1024 and 262144 bytes");
        let headers = Range(8, 1_024, "must be between 8 and 1024");
        let body_bytes = Range(1_024, 1 << 30, "must be between 1024 and 1073741824 bytes");
        let seconds = Range(1, 3_600, "must be between 1 and 3600 seconds");
        let drain = Range(0, 3_600, "must be between 0 and 3600 seconds");
        connections.check("connections_max", self.connections_max)?;
        connections.check(
            "connections_per_address_max",
            self.connections_per_address_max,
        )?;
        connections.check(
            "connections_per_loopback_max",
            self.connections_per_loopback_max,
        )?;
        header_bytes.check("header_bytes_max", self.header_bytes_max)?;
        headers.check("headers_max", self.headers_max)?;
        body_bytes.check("body_bytes_max", self.body_bytes_max)?;
        seconds.check("header_timeout_seconds", self.header_timeout_seconds)?;
        seconds.check("body_timeout_seconds", self.body_timeout_seconds)?;
        seconds.check("request_timeout_seconds", self.request_timeout_seconds)?;
        seconds.check("idle_timeout_seconds", self.idle_timeout_seconds)?;
        drain.check("drain_seconds", self.drain_seconds)
    }
}

/// The least and the most a field may be, and the sentence part that says so.
struct Range(u64, u64, &'static str);

impl Range {
    fn check(
        &self,
        field: &'static str,
        value: impl TryInto<u64> + ToString + Copy,
    ) -> Result<(), InvalidSetting> {
        let Self(least, most, rule) = *self;
        match value.try_into() {
            Ok(number) if (least..=most).contains(&number) => Ok(()),
            _ => Err(InvalidSetting {
                field,
                value: value.to_string(),
                rule,
            }),
        }
    }
}
