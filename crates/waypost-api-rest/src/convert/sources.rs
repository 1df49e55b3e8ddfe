//! What both sources' dialects say about an instance.

use std::borrow::Cow;

use waypost_core::{CheckKind, Health, Instance, Mode, Service, effective_checks};

use crate::wire::discovery::Status;

/// Puts health and mode into the sources' three words.
pub(crate) fn status(instance: &Instance) -> Status {
    match (instance.mode(), instance.health()) {
        (Mode::Draining | Mode::Maintenance, _) | (Mode::Active, Health::Unhealthy) => {
            Status::Unhealthy
        }
        (Mode::Active, Health::Healthy | Health::Warning) => Status::Healthy,
        (Mode::Active, Health::Unknown) => Status::Unknown,
    }
}

/// Returns the instance's address as one word; a host name is not copied.
pub(crate) fn host(instance: &Instance) -> Cow<'_, str> {
    let addresses = &instance.registration().spec.addresses;
    match &addresses.hostname {
        Some(hostname) => Cow::Borrowed(hostname),
        None => Cow::Owned(addresses.host()),
    }
}

/// Returns the load the instance last spoke of. Minus zero is shown as zero, whichever way it came.
pub(crate) fn load(instance: &Instance) -> Option<f32> {
    instance.vitals().load().map(|load| load + 0.0)
}

/// Joins host and port; an IPv6 address stands in brackets.
pub(crate) fn authority(host: &str, port: Option<u16>) -> String {
    let host: Cow<'_, str> = if host.contains(':') {
        format!("[{host}]").into()
    } else {
        host.into()
    };
    port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

/// Returns the path of the first HTTP check that holds for the instance; empty without one.
pub(crate) fn health_path<'a>(service: &'a Service, instance: &'a Instance) -> &'a str {
    let mut checks = effective_checks(&service.checks, &instance.registration().spec.checks);
    let path = checks.find_map(|check| match &check.kind {
        CheckKind::Probe(spec) => spec.protocol.request().map(|request| &*request.path),
        _ => None,
    });
    path.unwrap_or_default()
}

/// Returns where the instance's service starts: `protocol://host:port/path`.
pub(crate) fn base_url(instance: &Instance) -> String {
    let host = host(instance);
    match instance.registration().spec.port() {
        Some(port) => format!(
            "{}://{}{}",
            port.protocol,
            authority(&host, Some(port.number)),
            port.path
        ),
        None => format!("http://{}", authority(&host, None)),
    }
}
