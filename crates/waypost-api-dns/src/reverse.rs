//! Names of addresses: `45.1.0.10.in-addr.arpa` and the like, for every address of a registered instance.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use imbl::OrdMap;
use ipnet::IpNet;
use waypost_core::Revision;

use crate::name::{labels, split_label};
use crate::service::Service;
use crate::settings::DnsConfig;
use crate::zone::Zone;

#[cfg(test)]
mod tests;

const IPV4: &[u8] = b"\x07in-addr\x04arpa\x00";
const IPV6: &[u8] = b"\x03ip6\x04arpa\x00";

/// Which of the two trees, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    Ipv4,
    Ipv6,
}

impl Tree {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    fn suffix(self) -> &'static [u8] {
        match self {
            Self::Ipv4 => IPV4,
            Self::Ipv6 => IPV6,
        }
    }

    /// Bits that one label stands for.
    fn step(self) -> u32 {
        match self {
            Self::Ipv4 => 8,
            Self::Ipv6 => 4,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }

    /// Reads the value that a label stands for; only the one way of writing it counts.
    fn value(self, label: &[u8]) -> Option<u128> {
        let text = std::str::from_utf8(label).ok()?;
        let value = match self {
            Self::Ipv4 => text.parse::<u8>().ok()?,
            Self::Ipv6 => u8::from_str_radix(text, 16).ok()?,
        };
        (self.label(value) == text).then_some(value.into())
    }

    fn label(self, value: u8) -> String {
        match self {
            Self::Ipv4 => value.to_string(),
            Self::Ipv6 => format!("{value:x}"),
        }
    }

    /// Writes the name of the first `len` bits of an address, which are whole labels.
    fn name(self, bits: u128, len: u32) -> Vec<u8> {
        let mut wire = Vec::new();
        for at in (0..len / self.step()).rev() {
            let shift = self.bits() - (at + 1) * self.step();
            let mask = (1_u128 << self.step()) - 1;
            let value = u8::try_from((bits >> shift) & mask).unwrap_or(0);
            let label = self.label(value);
            wire.push(u8::try_from(label.len()).unwrap_or(0));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.extend_from_slice(self.suffix());
        wire
    }
}

/// A name that stands for an address or for the first bits of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    tree: Tree,
    bits: u128,
    len: u32,
}

impl Prefix {
    /// Returns the address that a whole name stands for.
    fn address(&self) -> IpAddr {
        match self.tree {
            Tree::Ipv4 => Ipv4Addr::from_bits(u32::try_from(self.bits).unwrap_or(0)).into(),
            Tree::Ipv6 => Ipv6Addr::from_bits(self.bits).into(),
        }
    }
}

/// What is known of a reverse name.
#[derive(Debug)]
pub(crate) enum Reversed {
    /// It lies in none of the zones, and no instance has the address.
    Foreign,
    /// Instances of these services have the address; their names stand one after the other, as on the wire.
    Services(Arc<[u8]>, IpAddr, Option<Arc<Zone>>),
    /// The zone has the name, but no names for it; `is_apex` says whether it is the zone itself.
    Empty(Arc<Zone>, bool),
    /// The zone has no such name.
    Missing(Arc<Zone>),
}

/// The zones of a network, with the first address of each.
type ZonesOf = Vec<(u128, Arc<Zone>)>;

/// One table for each tree, and the zones in which it is known what is not there.
pub(crate) struct Reverse {
    names: ArcSwap<Names>,
    draft: Mutex<Draft>,
    zones: Box<[(IpNet, ZonesOf)]>,
}

/// The names as they will be, and whether they differ from those that are read.
struct Draft {
    names: Names,
    is_new: bool,
    /// The latest revision that was shown.
    revision: Revision,
}

/// The services of each address. Most addresses have one, whose name the table of services shares.
#[derive(Clone, Default)]
struct Names {
    v4: OrdMap<u32, Arc<[u8]>>,
    v6: OrdMap<u128, Arc<[u8]>>,
}

impl fmt::Debug for Reverse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reverse").finish_non_exhaustive()
    }
}

/// Lists the addresses of a service's instances, each with the label of whoever has it; sorted, each pair once.
pub(crate) fn contribution(service: &Service) -> Vec<(IpAddr, &[u8])> {
    let text = service.text();
    let mut list = Vec::with_capacity(service.members().len());
    for member in service.members() {
        let label = member.label_wire(text);
        list.extend(member.v4().map(|v4| (IpAddr::from(*v4), label)));
        list.extend(member.v6(text).map(|v6| (IpAddr::from(*v6), label)));
    }
    list.sort_unstable();
    list.dedup();
    list
}

/// What a service had and has.
pub(crate) struct Replacement {
    before: Vec<IpAddr>,
    after: Vec<IpAddr>,
}

impl Replacement {
    /// Compares two contributions; `None` when they say the same.
    pub(crate) fn of(before: &[(IpAddr, &[u8])], after: &[(IpAddr, &[u8])]) -> Option<Self> {
        let addresses = |pairs: &[(IpAddr, &[u8])]| {
            let mut list: Vec<IpAddr> = pairs.iter().map(|(address, _)| *address).collect();
            list.dedup();
            list
        };
        (before != after).then(|| Self {
            before: addresses(before),
            after: addresses(after),
        })
    }
}

impl Reverse {
    pub(crate) fn new(config: &DnsConfig) -> Self {
        let mut nets = config.reverse.clone();
        // Of networks within each other the smallest one has a name.
        nets.sort_by_key(|net| std::cmp::Reverse(net.prefix_len()));
        let zones = nets.iter().map(|net| (*net, zones_of(net, config)));
        Self {
            names: ArcSwap::default(),
            draft: Mutex::new(Draft {
                names: Names::default(),
                // Serials rise over a restart even if no address is there any more.
                is_new: true,
                revision: Revision::ZERO,
            }),
            zones: zones.collect(),
        }
    }

    /// Lists the zones.
    pub(crate) fn zones(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.zones
            .iter()
            .flat_map(|(_, zones)| zones.iter().map(|(_, zone)| zone))
    }

    /// Puts the addresses that a service has in the place of those that it had, for the next [`Reverse::publish`].
    pub(crate) fn replace(&self, service: &Arc<[u8]>, replacement: &Replacement) {
        let Replacement { before, after } = replacement;
        let mut draft = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        draft.is_new = true;
        let names = &mut draft.names;
        // Both are sorted: what most changes leave as it was costs a look each.
        for address in before {
            if after.binary_search(address).is_err() {
                names.remove(*address, service);
            }
        }
        for address in after {
            if before.binary_search(address).is_err() {
                names.add(*address, service);
            }
        }
    }

    /// Shows what was replaced, all of it at once.
    pub(crate) fn publish(&self, at: Revision) {
        let mut draft = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut draft.is_new) {
            return;
        }
        self.names.store(Arc::new(draft.names.clone()));
        // What was put off may be older than what was shown since.
        draft.revision = draft.revision.max(at);
        for (_, zones) in &self.zones {
            let show = |(_, zone): &(u128, Arc<Zone>)| zone.set_serial(draft.revision);
            zones.iter().for_each(show);
        }
    }

    /// Looks a name up, which is in lower case on the wire.
    pub(crate) fn find(&self, name: &[u8]) -> Reversed {
        let Some((prefix, is_number)) = read(name) else {
            return Reversed::Foreign;
        };
        let zone = self.zone_of(&prefix);
        let names = self.names.load();
        if is_number
            && prefix.len == prefix.tree.bits()
            && let Some(found) = names.get(&prefix)
        {
            return Reversed::Services(Arc::clone(found), prefix.address(), zone);
        }
        let Some(zone) = zone else {
            return Reversed::Foreign;
        };
        let is_apex = zone.apex() == name;
        if is_apex || (is_number && names.has_below(&prefix)) {
            return Reversed::Empty(zone, is_apex);
        }
        Reversed::Missing(zone)
    }

    fn zone_of(&self, prefix: &Prefix) -> Option<Arc<Zone>> {
        for (net, zones) in &self.zones {
            if Tree::of(net.addr()) != prefix.tree {
                continue;
            }
            let found = zones.iter().find(|(bits, _)| {
                let len = label_bits(net);
                let shift = prefix.tree.bits() - len;
                prefix.len >= len && prefix.bits.checked_shr(shift) == bits.checked_shr(shift)
            });
            if let Some((_, zone)) = found {
                return Some(Arc::clone(zone));
            }
        }
        None
    }
}

impl Names {
    fn get(&self, prefix: &Prefix) -> Option<&Arc<[u8]>> {
        match prefix.tree {
            Tree::Ipv4 => self.v4.get(&u32::try_from(prefix.bits).ok()?),
            Tree::Ipv6 => self.v6.get(&prefix.bits),
        }
    }

    fn has_below(&self, prefix: &Prefix) -> bool {
        let rest = prefix.tree.bits() - prefix.len;
        let last = prefix.bits | 1_u128.checked_shl(rest).map_or(u128::MAX, |bit| bit - 1);
        match prefix.tree {
            Tree::Ipv4 => {
                let first = u32::try_from(prefix.bits).unwrap_or(u32::MAX);
                let last = u32::try_from(last).unwrap_or(u32::MAX);
                self.v4.range(first..=last).next().is_some()
            }
            Tree::Ipv6 => self.v6.range(prefix.bits..=last).next().is_some(),
        }
    }

    fn of(&self, address: IpAddr) -> Option<&Arc<[u8]>> {
        match address {
            IpAddr::V4(v4) => self.v4.get(&v4.to_bits()),
            IpAddr::V6(v6) => self.v6.get(&v6.to_bits()),
        }
    }

    fn put(&mut self, address: IpAddr, names: Arc<[u8]>) {
        match (address, names.is_empty()) {
            (IpAddr::V4(v4), false) => drop(self.v4.insert(v4.to_bits(), names)),
            (IpAddr::V4(v4), true) => drop(self.v4.remove(&v4.to_bits())),
            (IpAddr::V6(v6), false) => drop(self.v6.insert(v6.to_bits(), names)),
            (IpAddr::V6(v6), true) => drop(self.v6.remove(&v6.to_bits())),
        }
    }

    fn add(&mut self, address: IpAddr, name: &Arc<[u8]>) {
        let names = match self.of(address) {
            None => Arc::clone(name),
            Some(old) if each_name(old).any(|known| known == &**name) => return,
            Some(old) => [&**old, &**name].concat().into(),
        };
        self.put(address, names);
    }

    fn remove(&mut self, address: IpAddr, name: &[u8]) {
        let Some(old) = self.of(address) else {
            return;
        };
        let kept = each_name(old).filter(|known| *known != name);
        let kept: Vec<u8> = kept.flatten().copied().collect();
        self.put(address, kept.into());
    }
}

/// Walks whole names that stand one after the other.
pub(crate) fn each_name(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if wire.is_empty() {
            return None;
        }
        let mut rest = wire;
        while let Some((_, after)) = split_label(rest) {
            rest = after;
        }
        let (name, after) = wire.split_at_checked(wire.len() - rest.len() + 1)?;
        wire = after;
        Some(name)
    })
}

/// Says whether a name, in lower case, lies below one of the two trees.
pub(crate) fn is_reverse(name: &[u8]) -> bool {
    let trees = [Tree::Ipv4, Tree::Ipv6];
    trees.iter().any(|tree| name.ends_with(tree.suffix()))
}

/// Reads a reverse name; the flag says whether every label is a number of its tree and there are not too many.
fn read(name: &[u8]) -> Option<(Prefix, bool)> {
    let tree = [Tree::Ipv4, Tree::Ipv6]
        .into_iter()
        .find(|tree| name.ends_with(tree.suffix()))?;
    let own = name.get(..name.len() - tree.suffix().len())?;
    let count = labels(own).count();
    let walked: usize = labels(own).map(|label| label.len() + 1).sum();
    if walked != own.len() {
        // What looked like the tree's name was the inside of a label.
        return None;
    }
    let mut prefix = Prefix {
        tree,
        bits: 0,
        len: 0,
    };
    // The leftmost labels are the last bits of the address.
    let mut values: Vec<Option<u128>> = labels(own).map(|label| tree.value(label)).collect();
    values.reverse();
    let most = usize::try_from(tree.bits() / tree.step()).unwrap_or(usize::MAX);
    for value in values.iter().take(most) {
        let Some(value) = value else {
            return Some((prefix, false));
        };
        prefix.len += tree.step();
        prefix.bits |= value << (tree.bits() - prefix.len);
    }
    Some((prefix, count <= most))
}

/// Bits of a network in whole labels.
fn label_bits(net: &IpNet) -> u32 {
    let step = Tree::of(net.addr()).step();
    u32::from(net.prefix_len()).div_ceil(step) * step
}

/// Makes the zones of a network: one, or as many as whole labels need.
fn zones_of(net: &IpNet, config: &DnsConfig) -> ZonesOf {
    let tree = Tree::of(net.addr());
    let first = match net.network() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let len = label_bits(net);
    let count = 1_u128 << (len - u32::from(net.prefix_len()));
    (0..count)
        .map(|at| {
            let shifted = at.checked_shl(tree.bits() - len).unwrap_or(0);
            let bits = first | shifted;
            let apex = tree.name(bits, len);
            (
                bits,
                Arc::new(Zone::of_no_namespace(&apex, Revision(1), config)),
            )
        })
        .collect()
}
