//! Short ways to objects, batches and commands with sensible content.

use std::sync::Arc;

use waypost_core::{
    Access, Addresses, Author, Batch, Change, Check, CheckId, CheckKind, Command, Dialect,
    Document, DocumentKey, Extra, Health, InstanceId, InstanceKey, LeaseState, Mode, ModeSetting,
    Namespace, NamespaceKind, NamespaceName, Object, ObjectKey, Origin, Precondition,
    ProbeProtocol, ProbeSpec, Registration, RegistrationId, RegistrationSpec, Service,
    ServiceChange, ServiceKey, Timestamp, Verdict, text,
};

/// Returns an access that may do everything, as `tester`.
pub fn access() -> Access {
    Access::everything("tester", Dialect::Rest, None)
}

/// Returns what to register for an address and a port.
pub fn spec(ip: &str, port: u16) -> RegistrationSpec {
    let addresses = Addresses::parse("address", ip).expect("the test's address is legal");
    RegistrationSpec::new(addresses, port, Dialect::Rest)
}

/// Returns a TCP check every 10 seconds.
pub fn check(id: &str) -> Check {
    let id = CheckId::new(id).expect("the test's check id is legal");
    Check::new(id, CheckKind::Probe(ProbeSpec::new(ProbeProtocol::Tcp)))
}

/// Names a service in the namespace `svc.internal`.
pub fn service_key(service: &str) -> ServiceKey {
    ServiceKey::new("svc.internal", service).expect("the test's service name is legal")
}

/// Names an instance, kept by itself, of a service in the namespace `svc.internal`.
pub fn instance_key(service: &str, id: &str) -> InstanceKey {
    InstanceKey::new("svc.internal", service, id).expect("the test's names are legal")
}

/// Returns the command that registers an instance in the namespace `svc.internal`.
pub fn register(service: &str, id: &str, spec: RegistrationSpec) -> Command {
    Command::Register {
        service: service_key(service),
        id: InstanceId::new(id).expect("the test's instance id is legal"),
        owner: None,
        spec: Arc::new(spec),
        defaults: ServiceChange::default(),
    }
}

/// Returns a namespace as a store keeps it.
pub fn namespace(name: &str) -> Object {
    Object::Namespace(Arc::new(Namespace {
        name: NamespaceName::new(name).expect("the test's namespace is legal"),
        id: text("ns-abcdefghijklmnop"),
        kind: NamespaceKind::PrivateDns,
        origin: Origin::Explicit,
        description: text("made by a test"),
        soa_ttl: Some(60),
        tags: waypost_core::Attributes::default(),
        created: Timestamp(1_000),
        request_id: None,
        extra: Extra::default(),
    }))
}

/// Returns a service of `svc.internal` as a store keeps it.
pub fn service(name: &str) -> Object {
    Object::Service(Arc::new(Service {
        key: service_key(name),
        id: text("srv-abcdefghijklmnop"),
        origin: Origin::Explicit,
        description: text("made by a test"),
        dns: None,
        checks: Arc::from([check("tcp")]),
        fail_open: true,
        remove_after_seconds: 60,
        lease_seconds: Some(30),
        attributes: waypost_core::Attributes::default(),
        tags: waypost_core::Attributes::default(),
        created: Timestamp(1_000),
        request_id: None,
        extra: Extra::default(),
    }))
}

/// Returns a registration in `svc.internal` as a store keeps it; the number makes it differ from others.
pub fn registration(service: &str, id: &str, number: u64) -> Object {
    let registration = Registration {
        id: RegistrationId(number),
        first: Timestamp(1_000),
        judged_from: Timestamp(1_000),
        spec: spec("192.0.2.1", 8_080),
        extra: Extra::default(),
    };
    Object::Registration(instance_key(service, id), Arc::new(registration))
}

/// Returns the verdict on an instance of `svc.internal` as a store keeps it.
pub fn verdict(service: &str, id: &str, health: Health) -> Object {
    let verdict = Verdict {
        health,
        since: Timestamp(2_000),
        reason: text("a test says so"),
        ever_healthy: true,
        lease: LeaseState::Suspect {
            since: Timestamp(1_500),
        },
        checks: Box::default(),
        resolved: Box::default(),
        extra: Extra::default(),
    };
    Object::Verdict(instance_key(service, id), verdict)
}

/// Returns the mode of an instance of `svc.internal` as a store keeps it.
pub fn mode(service: &str, id: &str, mode: Mode) -> Object {
    let setting = ModeSetting {
        mode,
        reason: text("a test says so"),
        author: text("tester"),
        since: Timestamp(2_000),
        until: Some(Timestamp(9_000)),
        weight: Some(7),
        weight_note: None,
        health: None,
        block: None,
        process: None,
        extra: Extra::default(),
    };
    Object::Mode(instance_key(service, id), Arc::new(setting))
}

/// Returns a document of the kind `test`.
pub fn document(key: &str, bytes: &[u8], expiry: Option<Timestamp>) -> Object {
    Object::Document(Arc::new(Document {
        key: DocumentKey::new("test", key).expect("the test's document key is legal"),
        bytes: bytes.into(),
        expiry,
    }))
}

/// Returns the change that writes the object.
pub fn put(object: Object) -> Change {
    Change::Put(object)
}

/// Returns the change that removes the object.
pub fn remove(object: &Object) -> Change {
    Change::Remove(object.key())
}

/// Returns a batch of changes under preconditions.
pub fn batch(
    preconditions: impl IntoIterator<Item = Precondition>,
    changes: impl IntoIterator<Item = Change>,
) -> Batch {
    Batch {
        at: Timestamp(1_000),
        author: Author {
            subject: text("tester"),
            address: None,
            dialect: Dialect::Rest,
        },
        preconditions: preconditions.into_iter().collect(),
        changes: changes.into_iter().collect(),
        evidence: None,
        cause: "test",
    }
}

/// Names an object: reads better in a row of objects.
pub(crate) fn key(object: &Object) -> ObjectKey {
    object.key()
}
