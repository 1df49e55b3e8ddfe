//! Operations: what AWS gives an id for, kept as documents in the batch of their effect.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use waypost_core::{Command, Document, DocumentKey, Revision, Snapshot, Timestamp};

use crate::value::{Map, Value};

const KIND: &str = "cloudmap/operation";
/// Letters of operation ids.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum OperationType {
    CreateNamespace,
    DeleteNamespace,
    UpdateNamespace,
    UpdateService,
    RegisterInstance,
    DeregisterInstance,
}

impl OperationType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CreateNamespace => "CREATE_NAMESPACE",
            Self::DeleteNamespace => "DELETE_NAMESPACE",
            Self::UpdateNamespace => "UPDATE_NAMESPACE",
            Self::UpdateService => "UPDATE_SERVICE",
            Self::RegisterInstance => "REGISTER_INSTANCE",
            Self::DeregisterInstance => "DEREGISTER_INSTANCE",
        }
    }
}

/// What an operation is about, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Targets {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
}

/// An operation as it is kept. All of its effect is there when it is: it is kept in the batch of the effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operation {
    #[serde(skip)]
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: OperationType,
    pub(crate) created: Timestamp,
    pub(crate) targets: Targets,
    /// What the request asked for, so that the same request id with another request is told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// Id of the namespace that the target is in, for filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<String>,
}

impl Operation {
    pub(crate) fn show(&self, account: &str) -> Value {
        let targets = Map::new()
            .with_some("NAMESPACE", self.targets.namespace.as_deref())
            .with_some("SERVICE", self.targets.service.as_deref())
            .with_some("INSTANCE", self.targets.instance.as_deref());
        Map::new()
            .with("Id", self.id.as_str())
            .with("OwnerAccount", account)
            .with("Type", self.kind.as_str())
            .with("Status", "SUCCESS")
            .with("CreateDate", Value::Time(self.created))
            .with("UpdateDate", Value::Time(self.created))
            .with("Targets", targets)
            .done()
    }

    fn key(id: &str) -> Option<DocumentKey> {
        DocumentKey::new(KIND, id).ok()
    }

    fn read(document: &Document) -> Option<Self> {
        let read: Option<Self> = serde_json::from_slice(&document.bytes).ok();
        read.map(|operation| Self {
            id: document.key.key.to_string(),
            ..operation
        })
    }

    /// Finds an operation that can still be looked up.
    pub(crate) fn find(snapshot: &Snapshot, id: &str) -> Option<Self> {
        let (document, _) = snapshot.document(&Self::key(id)?)?;
        Self::read(document)
    }

    /// Lists all that can be looked up, by id.
    pub(crate) fn all(snapshot: &Snapshot) -> impl Iterator<Item = Self> {
        let documents = snapshot.documents_of(KIND);
        documents.filter_map(|document| Self::read(document))
    }

    /// Returns the command that keeps it. With a request id nobody else may have kept it before.
    pub(crate) fn keep(&self, lives: Duration) -> Option<Command> {
        Some(Command::PutDocument {
            document: Document {
                key: Self::key(&self.id)?,
                bytes: serde_json::to_vec(self).ok()?.into(),
                expiry: Some(self.created.after(lives)),
            }
            .into(),
            expected: Some(Revision::ZERO),
        })
    }
}

/// Makes the id of an operation: the same for the same request id, so that a repeated request meets itself.
pub(crate) fn operation_id(kind: OperationType, subject: &str, request_id: &str) -> String {
    let digest = Sha256::digest(format!("{}\n{subject}\n{request_id}", kind.as_str()));
    digest
        .iter()
        .map(|byte| {
            let letter = LETTERS.get(usize::from(byte & 31)).copied();
            char::from(letter.unwrap_or(b'a'))
        })
        .collect()
}

/// The order in which operations were kept, so that the oldest go when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Order(Mutex<Option<VecDeque<String>>>);

impl Order {
    /// Notes an operation that is to be kept, and returns those that go for it.
    pub(crate) fn make_room(&self, snapshot: &Snapshot, id: &str, max: usize) -> Vec<Command> {
        let mut order = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = order.get_or_insert_with(|| {
            let mut known: Vec<(Timestamp, String)> = Operation::all(snapshot)
                .map(|operation| (operation.created, operation.id))
                .collect();
            known.sort();
            known.into_iter().map(|(_, id)| id).collect()
        });
        order.push_back(id.to_owned());
        let mut gone = Vec::new();
        while order.len() > max.max(1) {
            let oldest = order.pop_front().and_then(|id| Operation::key(&id));
            // One whose time was over has gone by itself.
            gone.extend(
                oldest
                    .filter(|key| snapshot.document(key).is_some())
                    .map(Command::RemoveDocument),
            );
        }
        gone
    }
}
