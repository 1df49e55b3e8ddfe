//! Where a probe of an instance goes.

use std::net::{IpAddr, SocketAddr};

use waypost_core::{ProbeSpec, RegistrationSpec, Text};

#[cfg(test)]
mod tests;

/// Where a probe goes, before any address was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An address that needs no lookup.
    Address(SocketAddr),
    /// A host name and a port.
    Name(Text, u16),
}

impl Target {
    /// Chooses the target: IPv4 before IPv6 before the host name, and the port that the check names, else the first.
    ///
    /// The error is the reason of a failed report.
    pub(crate) fn of(probe: &ProbeSpec, registration: &RegistrationSpec) -> Result<Self, String> {
        let name = probe.port.as_deref();
        let port = registration.port_named(name).ok_or_else(|| match name {
            Some(name) => format!("the instance has no port named {name}"),
            None => "the instance has no port".to_owned(),
        })?;
        let addresses = &registration.addresses;
        let ipv4 = addresses.ipv4.map(IpAddr::V4);
        match ipv4.or(addresses.ipv6.map(IpAddr::V6)) {
            Some(ip) => Ok(Self::Address(SocketAddr::new(ip, port.number))),
            None => match &addresses.hostname {
                Some(host) => Ok(Self::Name(host.clone(), port.number)),
                None => Err("the instance has no address".to_owned()),
            },
        }
    }
}
