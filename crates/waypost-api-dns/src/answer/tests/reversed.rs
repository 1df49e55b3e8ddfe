//! Names of addresses, as text.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use waypost_core::{ServiceState, instance_label};

use super::oracle::{Labels, dotted, wire_of};
use crate::DnsConfig;

/// Every address of every instance with a name.
pub(super) struct Reversals {
    names: BTreeMap<Labels, BTreeSet<Vec<u8>>>,
    networks: Vec<IpNet>,
}

pub(super) fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", v6.to_bits());
            let nibbles: Vec<String> = digits.chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    }
}

impl Reversals {
    pub(super) fn new<'a>(
        services: impl Iterator<Item = (Labels, &'a ServiceState)>,
        config: &DnsConfig,
    ) -> Self {
        let mut names: BTreeMap<Labels, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for (whole, state) in services {
            for instance in state.instances() {
                let label = instance_label(&state.service().key, &instance.key().id);
                let own = [vec![label.as_bytes().to_vec()], whole.clone()].concat();
                let addresses = &instance.registration().spec.addresses;
                let v4 = addresses.ipv4.map(IpAddr::V4);
                let v6 = addresses.ipv6.map(IpAddr::V6);
                for address in v4.into_iter().chain(v6) {
                    let at = names.entry(dotted(&reversed(address))).or_default();
                    at.insert(wire_of(&own));
                }
            }
        }
        Self {
            names,
            networks: config.reverse.clone(),
        }
    }

    pub(super) fn names(&self, labels: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let found = self.names.get(labels);
        found.into_iter().flatten().cloned().collect()
    }

    pub(super) fn is_above(&self, labels: &[Vec<u8>]) -> bool {
        let below = |whole: &Labels| whole.len() > labels.len() && whole.ends_with(labels);
        self.names.keys().any(below)
    }

    /// Finds the zone of a name: the first so many labels of its network, rounded up to whole labels.
    pub(super) fn zone(&self, labels: &[Vec<u8>]) -> Option<Labels> {
        self.networks.iter().find_map(|net| {
            let (tree, bits) = match net {
                IpNet::V4(_) => ("in-addr.arpa", 8),
                IpNet::V6(_) => ("ip6.arpa", 4),
            };
            let tree = dotted(tree);
            if !labels.ends_with(&tree) {
                return None;
            }
            let own = &labels[..labels.len() - tree.len()];
            let count = usize::from(net.prefix_len().div_ceil(bits));
            let from = own.len().checked_sub(count)?;
            let first = first_address(net, &own[from..])?;
            net.contains(&first).then(|| labels[from..].to_vec())
        })
    }
}

/// The first address of those whose names end so.
fn first_address(net: &IpNet, own: &[Vec<u8>]) -> Option<IpAddr> {
    let texts: Option<Vec<&str>> = own
        .iter()
        .rev()
        .map(|label| std::str::from_utf8(label).ok())
        .collect();
    let texts = texts?;
    if let IpNet::V4(_) = net {
        let mut octets = [0; 4];
        for (octet, text) in octets.iter_mut().zip(&texts) {
            *octet = text.parse().ok()?;
            if octet.to_string() != *text {
                return None;
            }
        }
        return Some(Ipv4Addr::from(octets).into());
    }
    let mut digits = String::new();
    for text in &texts {
        if text.len() != 1 {
            return None;
        }
        digits.push_str(text);
    }
    let bits = u128::from_str_radix(&format!("{digits:0<32}"), 16).ok()?;
    Some(Ipv6Addr::from_bits(bits).into())
}
