//! The first part of an instance: what its owner says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, Extra, Tags};
use crate::check::{Check, validate_checks};
use crate::error::RegistryError;
use crate::id::RegistrationId;
use crate::text::{Lists, Text, text};
use crate::time::Timestamp;

/// Most ports of one instance.
pub const PORTS_MAX: usize = 16;
/// Most bytes a dialect may keep with a registration.
const DIALECT_EXTRA_BYTES_MAX: usize = 8 * 1_024;
/// Longest lease: a day.
pub const LEASE_SECONDS_MAX: u32 = 86_400;
/// Highest weight.
pub const WEIGHT_MAX: u32 = 65_535;

/// Where an instance can be reached: at least one of the three.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Addresses {
    /// IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// Host name, resolved by whoever connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Text>,
}

impl Addresses {
    /// Reads what protocols call a host: an IPv4 address, an IPv6 address (brackets allowed) or a host name.
    ///
    /// # Errors
    /// `Invalid` for the field `field` when it is none of them.
    pub fn parse(field: &'static str, host: &str) -> Result<Self, RegistryError> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(ipv4)) => Ok(Self {
                ipv4: Some(ipv4),
                ..Self::default()
            }),
            Ok(IpAddr::V6(ipv6)) => Ok(Self {
                ipv6: Some(ipv6),
                ..Self::default()
            }),
            Err(_) => {
                check_hostname(field, host)?;
                Ok(Self {
                    hostname: Some(text(host)),
                    ..Self::default()
                })
            }
        }
    }

    /// Returns the address as one word: the host name if there is one, else IPv4, else IPv6.
    pub fn host(&self) -> String {
        match (&self.hostname, self.ipv4, self.ipv6) {
            (Some(hostname), _, _) => hostname.to_string(),
            (None, Some(ipv4), _) => ipv4.to_string(),
            (None, None, Some(ipv6)) => ipv6.to_string(),
            (None, None, None) => String::new(),
        }
    }

    fn validate(&self) -> Result<(), RegistryError> {
        if self.ipv4.is_none() && self.ipv6.is_none() && self.hostname.is_none() {
            return Err(RegistryError::invalid(
                "address",
                "",
                "an IPv4 address, an IPv6 address or a host name is needed",
            ));
        }
        if let Some(hostname) = &self.hostname {
            check_hostname("hostname", hostname)?;
        }
        Ok(())
    }
}

fn check_hostname(field: &'static str, host: &str) -> Result<(), RegistryError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    // All digits and dots is a mistyped IPv4 address, never a host name (RFC 1123 section 2.1).
    let number = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if name.is_empty() || name.len() > 253 || number || !name.split('.').all(label) {
        return Err(RegistryError::invalid(
            field,
            host,
            "must be an IPv4 address, an IPv6 address or a host name",
        ));
    }
    Ok(())
}

/// A port of an instance. The first is the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Port {
    /// Its name, unique within the instance.
    pub name: Text,
    /// Its number, 1 to 65535.
    pub number: u16,
    /// What is spoken there: `http`, `https`, `grpc`, `tcp`, ...
    pub protocol: Text,
    /// Where the service starts, from `/`; empty for none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub path: Text,
}

/// Where an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Locality {
    /// Region.
    pub region: Text,
    /// Zone within the region.
    pub zone: Text,
}

/// When a lease begins to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseStart {
    /// Registering counts as the first heartbeat.
    Registration,
    /// No lease until the first heartbeat (source 003's clients may never send one).
    FirstHeartbeat,
}

/// A promise to renew within so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its length in seconds, 1 to 86,400.
    pub seconds: u32,
    /// When it begins.
    pub start: LeaseStart,
    /// Whether a passing probe renews it too (source 004).
    #[serde(default)]
    pub renewed_by_checks: bool,
}

/// The protocol that registered an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dialect {
    /// Our own API.
    Rest,
    /// Source 003's `/v1/discovery`.
    Discovery,
    /// Source 004's `/service-discovery`.
    ServiceDiscovery,
    /// AWS Cloud Map.
    CloudMap,
    /// The registry itself.
    Internal,
    /// A question over DNS.
    Dns,
}

impl Dialect {
    /// Returns the word used in logs, metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Discovery => "discovery",
            Self::ServiceDiscovery => "service-discovery",
            Self::CloudMap => "cloudmap",
            Self::Internal => "internal",
            Self::Dns => "dns",
        }
    }
}

/// What an owner asks to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationSpec {
    /// Where it can be reached.
    pub addresses: Addresses,
    /// Its ports; the first is the default.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub ports: Arc<[Port]>,
    /// Free string map.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Set of words.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Share of traffic, 0 to 65,535.
    pub weight: u32,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Arc<Locality>>,
    /// Its own checks: added to the service's, or replacing them by id.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub checks: Arc<[Check]>,
    /// Its lease, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Which protocol registered it.
    pub dialect: Dialect,
    /// What that protocol keeps beside; at most 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect_extra: Option<Text>,
}

impl RegistrationSpec {
    /// Returns a registration with nothing but addresses and one port named `default`.
    pub fn new(addresses: Addresses, port: u16, dialect: Dialect) -> Self {
        let port = Port {
            name: text("default"),
            number: port,
            protocol: text("http"),
            path: text(""),
        };
        Self {
            addresses,
            ports: Arc::from([port]),
            attributes: Attributes::default(),
            tags: Tags::default(),
            weight: 1,
            locality: None,
            checks: Arc::default(),
            lease: None,
            dialect,
            dialect_extra: None,
        }
    }

    /// Lets lists that other registrations have too share one allocation.
    pub(crate) fn share(&mut self) {
        static PORTS: Lists<Port> = Lists::new();
        static CHECKS: Lists<Check> = Lists::new();
        self.ports = PORTS.share(std::mem::take(&mut self.ports));
        if !self.checks.is_empty() {
            self.checks = CHECKS.share(std::mem::take(&mut self.checks));
        }
    }

    /// Returns the default port.
    pub fn port(&self) -> Option<&Port> {
        self.ports.first()
    }

    /// Returns the port of that name, or the default port for `None`.
    pub fn port_named(&self, name: Option<&str>) -> Option<&Port> {
        match name {
            None => self.port(),
            Some(name) => self.ports.iter().find(|port| &*port.name == name),
        }
    }

    /// Checks every field against the model's limits.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge` with the field, the value and the rule.
    pub fn validate(&self) -> Result<(), RegistryError> {
        // In AWS Cloud Map an instance may be known by its attributes alone.
        if self.dialect != Dialect::CloudMap || self.addresses != Addresses::default() {
            self.addresses.validate()?;
        }
        validate_ports(&self.ports)?;
        validate_checks(&self.checks)?;
        if self.weight > WEIGHT_MAX {
            return Err(RegistryError::invalid(
                "weight",
                self.weight,
                format!("must be 0 to {WEIGHT_MAX}"),
            ));
        }
        if let Some(lease) = self.lease
            && !(1..=LEASE_SECONDS_MAX).contains(&lease.seconds)
        {
            let rule = format!("must be 1 to {LEASE_SECONDS_MAX}");
            return Err(RegistryError::invalid("lease_seconds", lease.seconds, rule));
        }
        if let Some(locality) = &self.locality {
            for (field, value) in [("region", &locality.region), ("zone", &locality.zone)] {
                if value.len() > 64 || value.chars().any(char::is_control) {
                    let rule = "must be at most 64 bytes without control characters";
                    return Err(RegistryError::invalid(field, value.escape_debug(), rule));
                }
            }
        }
        if self
            .dialect_extra
            .as_ref()
            .is_some_and(|extra| extra.len() > DIALECT_EXTRA_BYTES_MAX)
        {
            return Err(RegistryError::TooLarge {
                field: "registration".into(),
                rule: format!("at most {DIALECT_EXTRA_BYTES_MAX} bytes of a dialect's own"),
            });
        }
        Ok(())
    }

    /// Says whether a verdict on `other` says nothing about this one: it is reached or checked otherwise.
    pub fn is_reached_otherwise(&self, other: &Self) -> bool {
        self.addresses != other.addresses
            || self.ports != other.ports
            || self.checks != other.checks
    }
}

fn validate_ports(ports: &[Port]) -> Result<(), RegistryError> {
    if ports.len() > PORTS_MAX {
        return Err(RegistryError::TooLarge {
            field: "ports".into(),
            rule: format!("at most {PORTS_MAX} ports"),
        });
    }
    for (at, port) in ports.iter().enumerate() {
        let word = |value: &str| {
            (1..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if port.number == 0 {
            return Err(RegistryError::invalid(
                "port",
                port.number,
                "must be 1 to 65535",
            ));
        }
        if !word(&port.name) || ports.iter().take(at).any(|other| other.name == port.name) {
            let rule =
                "a port's name must be 1 to 64 visible ASCII characters and unique in the instance";
            return Err(RegistryError::invalid(
                "ports.name",
                port.name.escape_debug(),
                rule,
            ));
        }
        if !word(&port.protocol) {
            let rule = "must be 1 to 64 visible ASCII characters";
            return Err(RegistryError::invalid(
                "protocol",
                port.protocol.escape_debug(),
                rule,
            ));
        }
        let path = &port.path;
        let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !(path.is_empty() || path.starts_with('/')) || !visible || path.len() > 2_048 {
            let rule = "must be empty or start with / and be at most 2048 bytes of visible ASCII";
            return Err(RegistryError::invalid("path", path.escape_debug(), rule));
        }
    }
    Ok(())
}

/// A registration as it is kept: what was asked, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Which registration this is.
    pub id: RegistrationId,
    /// When the instance was first registered: kept by updates.
    pub first: Timestamp,
    /// From when its verdict counts: kept by updates that keep the verdict.
    pub judged_from: Timestamp,
    /// What the owner said.
    pub spec: RegistrationSpec,
    /// Fields of a newer writer, kept.
    #[serde(skip)]
    pub extra: Extra,
}

impl Registration {
    /// Returns the length of its lease; zero when it has none.
    pub(crate) fn lease_seconds(&self) -> u32 {
        self.spec.lease.map_or(0, |lease| lease.seconds)
    }

    /// Says whether signs of life of one are those of the other too: the same registration, with the same lease.
    pub(crate) fn is_kept_alive_by_signs_of(&self, other: &Self) -> bool {
        self.id == other.id && self.lease_seconds() == other.lease_seconds()
    }
}
