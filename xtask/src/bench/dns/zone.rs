//! The names that every server answers for.

use std::fmt::Write as _;

pub(super) const ZONE: &str = "svc.test";
pub(super) const INSTANCES: [char; 3] = ['a', 'b', 'c'];
pub(super) const PORT: u16 = 8_080;

pub(super) fn service(number: usize) -> String {
    format!("s{number:04}")
}

/// Gives the address of an instance: each has its own.
pub(super) fn address(service: usize, instance: usize) -> String {
    let number = service * INSTANCES.len() + instance;
    format!(
        "10.{}.{}.{}",
        number >> 16,
        (number >> 8) & 255,
        number & 255
    )
}

/// Writes the zone as Knot and NSD read it, with what Waypost has for the same instances.
pub(super) fn file(services: usize) -> String {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 10\n@ 60 IN SOA ns hostmaster 1 3600 600 86400 5\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n"
    );
    for number in 0..services {
        let service = service(number);
        for (at, instance) in INSTANCES.iter().enumerate() {
            let address = address(number, at);
            // Writing into a string cannot fail.
            let _written = write!(
                text,
                "{service} IN A {address}\n\
                 {service} IN SRV 1 1 {PORT} {instance}.{service}\n\
                 _{service}._tcp IN SRV 1 1 {PORT} {instance}.{service}\n\
                 {instance}.{service} IN A {address}\n"
            );
        }
    }
    text
}

/// Writes questions as dnsperf reads them: one in ten for a name that is not there.
pub(super) fn questions(services: usize, count: usize) -> String {
    let mut text = String::new();
    let mut state = 1_usize;
    for at in 0..count {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = (state >> 33) % services;
        let name = if at % 10 == 9 {
            format!("x{number:04}")
        } else {
            service(number)
        };
        let _written = writeln!(text, "{name}.{ZONE} A");
    }
    text
}
