//! IPv4 addresses inside of IPv6 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Gives every IPv4 address that an IPv6 address carries; none for an IPv4 address.
pub(super) fn addresses(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let (first, second) = match ip {
        IpAddr::V4(_) => (None, None),
        IpAddr::V6(v6) => carried(v6),
    };
    first.into_iter().chain(second).map(IpAddr::V4)
}

fn carried(ip: Ipv6Addr) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
    match ip.segments() {
        // `::` and `::1` look like compatible addresses and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => (None, None),
        // Compatible `::a.b.c.d` and mapped `::ffff:a.b.c.d` (RFC 4291), NAT64 `64:ff9b::a.b.c.d`
        // (RFC 6052), translated `::ffff:0:a.b.c.d` (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low] => (Some(joined(high, low)), None),
        // 6to4 `2002:a.b.c.d::` (RFC 3056).
        [0x2002, high, low, ..] => (Some(joined(high, low)), None),
        // Teredo (RFC 4380) carries its server and, with every bit turned, its client.
        [0x2001, 0, server_high, server_low, _, _, high, low] => (
            Some(joined(server_high, server_low)),
            Some(joined(!high, !low)),
        ),
        // ISATAP (RFC 5214) ends with `0:5efe:a.b.c.d` or `200:5efe:a.b.c.d` under any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => (Some(joined(high, low)), None),
        _ => (None, None),
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
