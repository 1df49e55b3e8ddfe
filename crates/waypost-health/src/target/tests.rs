use std::sync::Arc;

use waypost_core::{Addresses, Dialect, Port, ProbeProtocol, ProbeSpec, RegistrationSpec, text};

use super::Target;

fn registration() -> RegistrationSpec {
    let addresses = Addresses {
        ipv4: Some("10.0.0.1".parse().unwrap()),
        ipv6: Some("fd00::1".parse().unwrap()),
        hostname: Some(text("host.example")),
    };
    let mut spec = RegistrationSpec::new(addresses, 80, Dialect::Rest);
    let admin = Port {
        name: text("admin"),
        number: 9_000,
        protocol: text("http"),
        path: text(""),
    };
    spec.ports = spec.ports.iter().cloned().chain([admin]).collect();
    spec
}

fn probe(port: Option<&str>) -> ProbeSpec {
    ProbeSpec {
        port: port.map(text),
        ..ProbeSpec::new(ProbeProtocol::Tcp)
    }
}

#[test]
fn ipv4_comes_before_ipv6_before_the_host_name() {
    let mut spec = registration();
    assert_eq!(
        Target::of(&probe(None), &spec),
        Ok(Target::Address("10.0.0.1:80".parse().unwrap()))
    );
    spec.addresses.ipv4 = None;
    assert_eq!(
        Target::of(&probe(None), &spec),
        Ok(Target::Address("[fd00::1]:80".parse().unwrap()))
    );
    spec.addresses.ipv6 = None;
    assert_eq!(
        Target::of(&probe(None), &spec),
        Ok(Target::Name(text("host.example"), 80))
    );
}

#[test]
fn a_named_port_is_asked_and_a_missing_one_is_named() {
    let mut spec = registration();
    assert_eq!(
        Target::of(&probe(Some("admin")), &spec),
        Ok(Target::Address("10.0.0.1:9000".parse().unwrap()))
    );
    assert_eq!(
        Target::of(&probe(Some("metrics")), &spec),
        Err("the instance has no port named metrics".to_owned())
    );
    spec.ports = Arc::default();
    assert_eq!(
        Target::of(&probe(None), &spec),
        Err("the instance has no port".to_owned())
    );
}
