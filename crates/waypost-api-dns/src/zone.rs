//! A zone: a namespace that is looked up by DNS.

use std::sync::atomic::{AtomicU32, Ordering};

use waypost_core::{Namespace, NamespaceState, Revision};

use crate::name::to_lower_wire;
use crate::settings::DnsConfig;

/// The first label of the zone's name server.
pub(crate) const NAME_SERVER: &[u8] = b"\x0awaypost-ns";
/// The first label of the mailbox in the SOA record.
const MAILBOX: &[u8] = b"\x0ahostmaster";
/// Seconds that the SOA and NS records may be kept, unless the namespace says otherwise.
const SOA_TTL: u32 = 60;
/// What the SOA record tells secondaries: when to ask, when to ask again, when to give up.
const REFRESH_RETRY_EXPIRE: [u32; 3] = [60, 15, 86_400];

/// A zone. What changes in it is atomic, so that its services can share it.
#[derive(Debug)]
pub(crate) struct Zone {
    apex: Box<[u8]>,
    serial: AtomicU32,
    ttl: AtomicU32,
    negative_ttl: AtomicU32,
    /// How many services have an SRV name below `_tcp` and below `_udp`.
    transports: [AtomicU32; 2],
}

/// The two labels below which SRV names lie (RFC 2782).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// Reads a label, which is in lower case.
    pub(crate) fn of_label(label: &[u8]) -> Option<Self> {
        match label {
            b"_tcp" => Some(Self::Tcp),
            b"_udp" => Some(Self::Udp),
            _ => None,
        }
    }

    /// Returns its bit in a set.
    pub(crate) fn bit(self) -> u8 {
        match self {
            Self::Tcp => 1,
            Self::Udp => 2,
        }
    }
}

impl Zone {
    /// Makes the zone of a namespace; `None` when its name cannot be one.
    pub(crate) fn new(namespace: &Namespace, config: &DnsConfig) -> Option<Self> {
        let zone = Self {
            apex: to_lower_wire(namespace.name.as_str())?.into(),
            serial: AtomicU32::new(0),
            ttl: AtomicU32::new(0),
            negative_ttl: AtomicU32::new(0),
            transports: [AtomicU32::new(0), AtomicU32::new(0)],
        };
        zone.set_times(namespace.soa_ttl, config);
        Some(zone)
    }

    /// Makes a zone that belongs to no namespace: of reverse names, or of a name of this server.
    pub(crate) fn of_no_namespace(apex: &[u8], revision: Revision, config: &DnsConfig) -> Self {
        let zone = Self {
            apex: apex.into(),
            serial: AtomicU32::new(serial_of(revision)),
            ttl: AtomicU32::new(0),
            negative_ttl: AtomicU32::new(0),
            transports: [AtomicU32::new(0), AtomicU32::new(0)],
        };
        zone.set_times(None, config);
        zone
    }

    /// Takes over what the namespace says now.
    pub(crate) fn update(&self, state: &NamespaceState, config: &DnsConfig) {
        self.set_times(state.namespace().soa_ttl, config);
        self.set_serial(state.modified());
    }

    /// Moves the serial on.
    pub(crate) fn set_serial(&self, revision: Revision) {
        self.serial.store(serial_of(revision), Ordering::Relaxed);
    }

    fn set_times(&self, soa_ttl: Option<u32>, config: &DnsConfig) {
        let most = config.ttl_seconds_max;
        let ttl = soa_ttl.unwrap_or(SOA_TTL).min(most);
        let negative = soa_ttl.unwrap_or(config.negative_ttl_seconds).min(most);
        self.ttl.store(ttl, Ordering::Relaxed);
        self.negative_ttl.store(negative, Ordering::Relaxed);
    }

    /// Returns the zone's own name, lower case.
    pub(crate) fn apex(&self) -> &[u8] {
        &self.apex
    }

    /// Returns the time to live of the SOA and NS records.
    pub(crate) fn ttl(&self) -> u32 {
        self.ttl.load(Ordering::Relaxed)
    }

    /// Returns the time to live of "there is no such thing" (RFC 2308 section 5).
    pub(crate) fn negative_ttl(&self) -> u32 {
        self.negative_ttl.load(Ordering::Relaxed).min(self.ttl())
    }

    /// Says whether SRV names lie below `_tcp` or `_udp` of the zone.
    pub(crate) fn has(&self, protocol: Protocol) -> bool {
        self.count(protocol).load(Ordering::Relaxed) > 0
    }

    /// Counts the services that came to have, or ceased to have, SRV names of these protocols.
    pub(crate) fn recount(&self, before: u8, after: u8) {
        for protocol in Protocol::ALL {
            let bit = protocol.bit();
            match (before & bit != 0, after & bit != 0) {
                (false, true) => self.count(protocol).fetch_add(1, Ordering::Relaxed),
                (true, false) => self.count(protocol).fetch_sub(1, Ordering::Relaxed),
                _ => continue,
            };
        }
    }

    fn count(&self, protocol: Protocol) -> &AtomicU32 {
        let [tcp, udp] = &self.transports;
        match protocol {
            Protocol::Tcp => tcp,
            Protocol::Udp => udp,
        }
    }

    /// Returns the data of the SOA record after its two names, which are [`Zone::soa_labels`] below the apex.
    pub(crate) fn soa_numbers(&self) -> [u8; 20] {
        let [refresh, retry, expire] = REFRESH_RETRY_EXPIRE;
        let serial = self.serial.load(Ordering::Relaxed);
        let minimum = self.negative_ttl.load(Ordering::Relaxed);
        let mut bytes = [0; 20];
        let numbers = [serial, refresh, retry, expire, minimum];
        for (to, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            to.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Returns the first labels of the name server and of the mailbox.
    pub(crate) fn soa_labels() -> (&'static [u8], &'static [u8]) {
        (NAME_SERVER, MAILBOX)
    }
}

/// Serials are counted modulo 2^32 and only ever rise (RFC 1982), as revisions do.
#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
fn serial_of(revision: Revision) -> u32 {
    revision.0 as u32
}
