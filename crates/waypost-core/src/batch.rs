//! What is written: objects, changes, preconditions, and the batch that carries them through the store.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Revision;
use crate::mode::ModeSetting;
use crate::name::{DocumentKey, InstanceKey, ObjectKey, ServiceKey};
use crate::namespace::Namespace;
use crate::registration::{Dialect, Registration};
use crate::service::Service;
use crate::text::Text;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Most bytes of one document.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1_024;

/// Small data that one crate needs kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Which one.
    pub key: DocumentKey,
    /// Its content, at most 64 KiB.
    pub bytes: Arc<[u8]>,
    /// When it may go.
    pub expiry: Option<Timestamp>,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A namespace.
    Namespace(Arc<Namespace>),
    /// A service.
    Service(Arc<Service>),
    /// What the owner said of an instance.
    Registration(InstanceKey, Arc<Registration>),
    /// What the checks say of an instance.
    Verdict(InstanceKey, Verdict),
    /// What an operator says of an instance.
    Mode(InstanceKey, Arc<ModeSetting>),
    /// A document.
    Document(Arc<Document>),
}

impl Object {
    /// Names the object.
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Namespace(namespace) => ObjectKey::Namespace(namespace.name.clone()),
            Self::Service(service) => ObjectKey::Service(service.key.clone()),
            Self::Registration(key, _) => ObjectKey::Registration(key.clone()),
            Self::Verdict(key, _) => ObjectKey::Verdict(key.clone()),
            Self::Mode(key, _) => ObjectKey::Mode(key.clone()),
            Self::Document(document) => ObjectKey::Document(document.key.clone()),
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object is now this.
    Put(Object),
    /// The object is gone.
    Remove(ObjectKey),
}

impl Change {
    /// Names the object.
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Put(object) => object.key(),
            Self::Remove(key) => key.clone(),
        }
    }
}

/// Under what a set of objects lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// The registrations of a service.
    Instances(ServiceKey),
    /// The services of a namespace.
    Services(crate::name::NamespaceName),
}

impl Prefix {
    /// Says whether the object lies under it.
    pub fn holds(&self, key: &ObjectKey) -> bool {
        match (self, key) {
            (Self::Instances(service), ObjectKey::Registration(instance)) => {
                instance.service == *service
            }
            (Self::Services(namespace), ObjectKey::Service(service)) => {
                service.namespace == *namespace
            }
            _ => false,
        }
    }
}

/// A fact that a batch was decided on; the store refuses the batch when it no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The object was last written at that revision.
    At(ObjectKey, Revision),
    /// There is no such object.
    Absent(ObjectKey),
    /// Nothing lies under the prefix.
    Empty(Prefix),
}

/// Who caused a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The credential's name, or the part of the registry.
    pub subject: Text,
    /// The peer's address.
    pub address: Option<IpAddr>,
    /// The protocol.
    pub dialect: Dialect,
}

/// What the journal gets to know beside the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The instance it is about.
    pub instance: InstanceKey,
    /// The body a probe got, at most 4 KiB.
    pub body: Option<Text>,
}

/// An atomic step: all of its changes or none, if every precondition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub author: Author,
    /// The facts it was decided on.
    pub preconditions: Vec<Precondition>,
    /// What it changes, in order.
    pub changes: Vec<Change>,
    /// What the journal gets beside.
    pub evidence: Option<Evidence>,
    /// Why, in one word, for metrics and the journal: `register`, `lease_ended`, `deregister`, ...
    pub cause: &'static str,
}

impl Batch {
    /// Says whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Says whether it writes verdicts only. Those are still published while a store cannot write.
    pub fn is_verdict_only(&self) -> bool {
        self.changes.iter().all(|change| {
            matches!(
                change,
                Change::Put(Object::Verdict(..)) | Change::Remove(ObjectKey::Verdict(_))
            )
        })
    }
}
