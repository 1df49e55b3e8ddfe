//! Which addresses may be connected to.
//!
//! The list of what is always refused is the defence against server-side request forgery: whoever
//! may register an instance must not be able to make Waypost read a cloud's metadata service or a
//! neighbour on the link. An address can hide inside another one (`::ffff:169.254.169.254`), so
//! every form that carries an IPv4 address is judged by that address too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::config::DialConfig;

mod embedded;
#[cfg(test)]
mod tests;

/// The judgement over target addresses, made of the configuration and of rules that cannot be
/// switched off.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    allow_loopback: bool,
}

/// A refusal: the address and the rule that refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The address as it was given or resolved.
    pub ip: IpAddr,
    /// The rule that refuses it.
    pub rule: Rule,
}

/// The rules an address can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// A cloud's metadata or node-local credentials service.
    Metadata,
    /// 169.254.0.0/16 or fe80::/10.
    LinkLocal,
    /// 0.0.0.0/8 or `::`, which some systems treat as "this host".
    Unspecified,
    /// 224.0.0.0/4 or ff00::/8.
    Multicast,
    /// 240.0.0.0/4 with the limited broadcast address.
    Reserved,
    /// A form whose real destination cannot be told from the address (64:ff9b:1::/48, RFC 8215).
    Opaque,
    /// 127.0.0.0/8 or `::1`, while loopback is not allowed.
    Loopback,
    /// A network on the deny list.
    Denied(IpNet),
    /// Not in any network of a non-empty allow list.
    NotAllowed,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata => f.write_str("cloud metadata addresses are always refused"),
            Self::LinkLocal => f.write_str("link-local addresses are always refused"),
            Self::Unspecified => f.write_str("unspecified addresses are always refused"),
            Self::Multicast => f.write_str("multicast addresses are always refused"),
            Self::Reserved => f.write_str("broadcast and reserved addresses are always refused"),
            Self::Opaque => f.write_str("local-use NAT64 addresses are always refused"),
            Self::Loopback => f.write_str("loopback is refused unless dial.allow_loopback is set"),
            Self::Denied(net) => write!(f, "dial.deny contains {net}"),
            Self::NotAllowed => f.write_str("no network of dial.allow contains it"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} refused: {}", self.ip, self.rule)
    }
}

impl std::error::Error for Refused {}

impl AddressPolicy {
    /// Builds the policy. `server_on_loopback` says that the server itself listens on loopback
    /// only, in which case whoever can register can reach loopback anyway.
    pub fn new(config: &DialConfig, server_on_loopback: bool) -> Self {
        Self {
            allow: config.allow.iter().copied().map(unmapped).collect(),
            deny: config.deny.iter().copied().map(unmapped).collect(),
            allow_loopback: config.allow_loopback || server_on_loopback,
        }
    }

    /// Judges one address.
    ///
    /// # Errors
    /// The address with the rule that refuses it.
    pub fn check(&self, ip: IpAddr) -> Result<(), Refused> {
        let forms = || std::iter::once(ip).chain(embedded::addresses(ip));
        let broken = forms()
            .find_map(|form| self.broken_by(form))
            .or_else(|| forms().find_map(|form| self.denied(form)))
            .or_else(|| self.not_allowed(ip));
        broken.map_or(Ok(()), |rule| Err(Refused { ip, rule }))
    }

    /// Gives the rule that the address itself breaks, apart from the lists.
    fn broken_by(&self, ip: IpAddr) -> Option<Rule> {
        let rule = match ip {
            IpAddr::V4(v4) => fixed_rule_v4(v4),
            IpAddr::V6(v6) => fixed_rule_v6(v6),
        };
        match rule {
            Some(Rule::Loopback) if self.allow_loopback => None,
            other => other,
        }
    }

    fn denied(&self, ip: IpAddr) -> Option<Rule> {
        self.deny
            .iter()
            .find(|net| net.contains(&ip))
            .map(|net| Rule::Denied(*net))
    }

    /// A tunnel address (6to4, NAT64) is not allowed by a network that contains the address inside:
    /// it leaves by another way than the operator listed. Only the mapped form is the same target.
    fn not_allowed(&self, ip: IpAddr) -> Option<Rule> {
        let canonical = ip.to_canonical();
        let listed = |net: &IpNet| net.contains(&ip) || net.contains(&canonical);
        (!self.allow.is_empty() && !self.allow.iter().any(listed)).then_some(Rule::NotAllowed)
    }
}

/// Writes a network of mapped addresses (`::ffff:10.0.0.0/104`) as the IPv4 network it means.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let prefix = v6.prefix_len().checked_sub(96);
    match (v6.addr().to_ipv4_mapped(), prefix) {
        (Some(v4), Some(prefix)) => Ipv4Net::new(v4, prefix).map_or(net, IpNet::V4),
        _ => net,
    }
}

fn fixed_rule_v4(ip: Ipv4Addr) -> Option<Rule> {
    /// Metadata services outside of the link-local range: Alibaba Cloud, Oracle Cloud (classic),
    /// Azure's wire server.
    const METADATA: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    /// Inside of the link-local range: nearly every cloud, and ECS task credentials.
    const METADATA_ON_LINK: [Ipv4Addr; 2] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(169, 254, 170, 2),
    ];
    let [first, ..] = ip.octets();
    match first {
        _ if METADATA.contains(&ip) || METADATA_ON_LINK.contains(&ip) => Some(Rule::Metadata),
        0 => Some(Rule::Unspecified),
        127 => Some(Rule::Loopback),
        224..=239 => Some(Rule::Multicast),
        240..=255 => Some(Rule::Reserved),
        _ if ip.is_link_local() => Some(Rule::LinkLocal),
        _ => None,
    }
}

fn fixed_rule_v6(ip: Ipv6Addr) -> Option<Rule> {
    match ip.segments() {
        // AWS keeps its node-local services (metadata, DNS, time, pod identity) in fd00:ec2::/32.
        [0xfd00, 0x0ec2, ..] => Some(Rule::Metadata),
        // Google Cloud and Scaleway.
        [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254] | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42] => {
            Some(Rule::Metadata)
        }
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Rule::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Rule::Loopback),
        [0x64, 0xff9b, 1, ..] => Some(Rule::Opaque),
        [0xff00..=0xffff, ..] => Some(Rule::Multicast),
        [0xfe80..=0xfebf, ..] => Some(Rule::LinkLocal),
        _ => None,
    }
}
