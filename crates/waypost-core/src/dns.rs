//! The names that services and instances have in DNS. What answers there is compiled elsewhere; the names are meaning.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::error::RegistryError;
use crate::name::{InstanceId, InstanceKey, ServiceKey, is_dns_label};
use crate::registration::Port;

#[cfg(test)]
mod tests;

/// Longest DNS name in bytes as it is written, without the root's dot (RFC 1035 section 2.3.4).
pub const DNS_NAME_BYTES_MAX: usize = 253;
/// Seconds that a DNS answer may be kept, unless the service says otherwise.
pub const DNS_TTL_SECONDS: u32 = 10;
/// Bytes of the label of an instance whose id is none: `i-` and 16 hexadecimal digits.
const HASHED_LABEL_BYTES: usize = 18;

/// Returns the label that an instance has below its service: its id, or `i-` and a hash where the id is no DNS label.
///
/// Labels that begin with `_` are kept for protocols (RFC 8552), so such an id is hashed too. The hash depends on
/// the id in lower case alone: the label stays the same over restarts and on every node.
pub fn instance_label<'a>(service: &ServiceKey, id: &'a InstanceId) -> Cow<'a, str> {
    let written = id.as_str();
    let below = service.name.as_str().len() + service.namespace.as_str().len() + 2;
    let fits = below + written.len() <= DNS_NAME_BYTES_MAX;
    if fits && is_dns_label(written) && !written.starts_with('_') {
        return Cow::Borrowed(written);
    }
    // FNV-1a, 64 bits: an id in a service of some thousands needs no more to be told apart.
    let hash = written
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
        });
    Cow::Owned(format!("i-{hash:016x}"))
}

/// Checks that a service of a namespace of DNS kind can be a name there.
///
/// Its name is one or more DNS labels joined by dots, as AWS Cloud Map allows (`_web._tcp`); `_tcp` and `_udp` alone
/// are where the SRV names of RFC 2782 lie. Whole names leave room for an instance's label.
///
/// # Errors
/// `Invalid` for `service_name` with the value and the rule.
pub fn check_dns_service(key: &ServiceKey) -> Result<(), RegistryError> {
    let name = key.name.as_str();
    let refuse = |rule: String| Err(RegistryError::invalid("service_name", name, rule));
    if !name.split('.').all(is_dns_label) {
        return refuse(format!(
            "must be DNS labels (1 to 63 letters, digits, - and _, joined by dots) since namespace {} is looked up by DNS",
            key.namespace
        ));
    }
    if name.eq_ignore_ascii_case("_tcp") || name.eq_ignore_ascii_case("_udp") {
        return refuse("_tcp and _udp are kept for the SRV names of the services".to_owned());
    }
    let most = DNS_NAME_BYTES_MAX - HASHED_LABEL_BYTES - 1;
    let bytes = name.len() + 1 + key.namespace.as_str().len();
    if bytes > most {
        return refuse(format!(
            "with the namespace must be at most {most} bytes, not {bytes}: an instance's label goes before it"
        ));
    }
    Ok(())
}

/// Returns the name of an address, without the root's dot (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let nibbles = octets.iter().rev().map(|octet| {
                let (high, low) = (octet >> 4, octet & 15);
                format!("{low:x}.{high:x}.")
            });
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

/// The transport that SRV names say (RFC 2782): `_udp` for what speaks UDP, else `_tcp`.
pub fn transport_label(port: &Port) -> &'static str {
    if port.protocol.eq_ignore_ascii_case("udp") {
        "_udp"
    } else {
        "_tcp"
    }
}

/// The names under which an instance is found by DNS, without the root's dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsNames {
    /// The service's name: A, AAAA and SRV of the whole rotation.
    pub service: String,
    /// The instance's own name, and the target of its SRV records.
    pub instance: String,
    /// SRV names of RFC 2782 and of its named ports.
    pub srv: Vec<String>,
}

impl DnsNames {
    /// Lists the names of an instance in a namespace of DNS kind; `None` where the service cannot be a name.
    pub fn of(key: &InstanceKey, ports: &[Port]) -> Option<Self> {
        check_dns_service(&key.service).ok()?;
        let (name, zone) = (&key.service.name, &key.service.namespace);
        let mut srv = Vec::new();
        for (at, port) in ports.iter().enumerate() {
            let transport = transport_label(port);
            if at == 0 && is_srv_label(name.as_str()) {
                srv.push(format!("_{name}.{transport}.{zone}"));
            }
            if is_srv_label(&port.name) {
                srv.push(format!("_{}.{transport}.{name}.{zone}", port.name));
            }
        }
        Some(Self {
            service: key.service.to_string(),
            instance: format!("{}.{}", instance_label(&key.service, &key.id), key.service),
            srv,
        })
    }
}

/// Says whether the name of a service or a port can be the first label of an SRV name, after the underscore.
pub fn is_srv_label(name: &str) -> bool {
    name.len() <= 62 && is_dns_label(name) && !name.starts_with('_')
}
