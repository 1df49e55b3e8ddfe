use std::sync::Arc;

use super::*;
use crate::batch::{Author, Prefix};
use crate::command::{Policy, ServiceChange};
use crate::id::{Epoch, Seed};
use crate::name::{InstanceId, InstanceKey, ServiceKey};
use crate::registration::{Addresses, Dialect, RegistrationSpec};
use crate::time::Timestamp;

fn context() -> Context {
    let author = Author {
        subject: "ann".into(),
        address: None,
        dialect: Dialect::Rest,
    };
    Context {
        at: Timestamp(1),
        author,
        seed: Seed(42),
        policy: Policy::default(),
    }
}

fn register(service: &str, id: &str) -> Command {
    let addresses = Addresses::parse("host", "10.0.0.1").unwrap();
    Command::Register {
        service: ServiceKey::new("svc.internal", service).unwrap(),
        id: InstanceId::new(id).unwrap(),
        owner: None,
        spec: Arc::new(RegistrationSpec::new(addresses, 80, Dialect::Rest)),
        defaults: ServiceChange::default(),
    }
}

fn after(snapshot: &Snapshot, command: &Command) -> Snapshot {
    let decision = decide(&context(), snapshot, command).unwrap();
    snapshot.apply(Revision(snapshot.revision().0 + 1), &decision.batch)
}

#[test]
fn deciding_twice_gives_the_same_and_changes_nothing() {
    let snapshot = Snapshot::empty(Epoch(1));
    let one = decide(&context(), &snapshot, &register("web", "a")).unwrap();
    let two = decide(&context(), &snapshot, &register("web", "a")).unwrap();
    assert_eq!(one.batch, two.batch);
    assert_eq!(snapshot.instances_len(), 0);
}

#[test]
fn a_first_registration_states_that_nothing_was_there() {
    let snapshot = Snapshot::empty(Epoch(1));
    let batch = decide(&context(), &snapshot, &register("web", "a"))
        .unwrap()
        .batch;
    let key = InstanceKey::new("svc.internal", "web", "a").unwrap();
    for absent in [
        ObjectKey::Namespace(key.service.namespace.clone()),
        ObjectKey::Service(key.service.clone()),
        ObjectKey::Registration(key.clone()),
        ObjectKey::Verdict(key),
    ] {
        assert!(
            batch
                .preconditions
                .contains(&Precondition::Absent(absent.clone())),
            "{absent}"
        );
    }
}

#[test]
fn a_registration_states_the_revision_of_its_service_so_that_a_deletion_conflicts() {
    let snapshot = after(&Snapshot::empty(Epoch(1)), &register("web", "a"));
    let batch = decide(&context(), &snapshot, &register("web", "b"))
        .unwrap()
        .batch;
    let service = ObjectKey::Service(ServiceKey::new("svc.internal", "web").unwrap());
    assert!(
        batch
            .preconditions
            .contains(&Precondition::At(service, Revision(1)))
    );
}

#[test]
fn deleting_a_service_states_that_it_is_empty() {
    let key = ServiceKey::new("svc.internal", "web").unwrap();
    let snapshot = after(&Snapshot::empty(Epoch(1)), &register("web", "a"));
    let refused = decide(&context(), &snapshot, &Command::DeleteService(key.clone())).unwrap_err();
    assert_eq!(refused.kind(), crate::error::ErrorKind::InUse);
    let leave = Command::Deregister {
        service: key.clone(),
        id: InstanceId::new("a").unwrap(),
        owner: None,
    };
    let snapshot = after(&snapshot, &leave);
    let batch = decide(&context(), &snapshot, &Command::DeleteService(key.clone()))
        .unwrap()
        .batch;
    assert!(
        batch
            .preconditions
            .contains(&Precondition::Empty(Prefix::Instances(key)))
    );
}

#[test]
fn the_implied_namespace_is_private_dns_when_its_name_can_be_a_zone_and_http_else() {
    let mut command = register("web", "a");
    let snapshot = after(&Snapshot::empty(Epoch(1)), &command);
    let kind = |snapshot: &Snapshot| snapshot.namespaces().next().unwrap().namespace().kind;
    assert_eq!(kind(&snapshot), crate::namespace::NamespaceKind::PrivateDns);
    if let Command::Register { service, .. } = &mut command {
        *service = ServiceKey::new("not+a+zone", "web").unwrap();
    }
    let snapshot = after(&Snapshot::empty(Epoch(1)), &command);
    assert_eq!(kind(&snapshot), crate::namespace::NamespaceKind::Http);
}

#[test]
fn ids_are_in_the_form_of_aws_and_stay() {
    let snapshot = after(&Snapshot::empty(Epoch(1)), &register("web", "a"));
    let state = snapshot.services().next().unwrap();
    let id = state.service().id.clone();
    assert_eq!(id.len(), "srv-".len() + 16);
    assert!(
        id.strip_prefix("srv-")
            .unwrap()
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    );
    let change = ServiceChange {
        fail_open: Some(true),
        ..ServiceChange::default()
    };
    let update = Command::UpdateService {
        key: state.service().key.clone(),
        change,
        expected: None,
    };
    let snapshot = after(&snapshot, &update);
    assert_eq!(snapshot.service_by_id(&id).unwrap().service().id, id);
}

#[test]
fn a_document_is_written_only_over_the_revision_that_was_expected() {
    let key = DocumentKey::new("test", "one").unwrap();
    let document = |bytes: &[u8]| crate::batch::Document {
        key: key.clone(),
        bytes: bytes.into(),
        expiry: None,
    };
    let put = |bytes: &[u8], expected| Command::PutDocument {
        document: Arc::new(document(bytes)),
        expected,
    };
    let snapshot = after(&Snapshot::empty(Epoch(1)), &put(b"a", Some(Revision::ZERO)));
    let late = decide(&context(), &snapshot, &put(b"b", Some(Revision::ZERO))).unwrap_err();
    assert_eq!(late.kind(), crate::error::ErrorKind::Conflict);
    let snapshot = after(&snapshot, &put(b"b", Some(Revision(1))));
    assert_eq!(&*snapshot.document(&key).unwrap().0.bytes, b"b");
    let large = put(&vec![0; DOCUMENT_BYTES_MAX + 1], None);
    let refused = decide(&context(), &snapshot, &large).unwrap_err();
    assert_eq!(refused.kind(), crate::error::ErrorKind::TooLarge);
}
