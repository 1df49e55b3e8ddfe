//! What a line of the journal says.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::batch::Object;
use crate::name::{InstanceKey, ObjectKey, ServiceKey};
use crate::text::{Text, text};
use crate::verdict::Health;

/// Most bytes of an object that a line holds; of a larger one only its size is kept.
const OBJECT_BYTES_MAX: usize = 16 * 1_024;
/// What stands in the place of a content that is too long.
const OMITTED_BYTES: &str = "omitted_bytes";
/// Documents whose keys are hashes of secrets, which help nobody who reads the line.
const HASHED: &str = "access/token";

/// What a journal line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalRecord {
    /// Objects were written.
    Changed {
        /// Why, in one word.
        cause: Text,
        /// Which objects, as they were and as they are.
        objects: Vec<ObjectChange>,
    },
    /// An instance's health changed.
    Edge {
        /// Which instance.
        instance: InstanceKey,
        /// What it was.
        from: Health,
        /// What it became.
        to: Health,
        /// Why.
        reason: Text,
        /// The body a probe got, at most 4 KiB.
        body: Option<Text>,
    },
    /// A request was refused.
    Refused {
        /// The request, such as `DELETE /v1/tokens/{id}`.
        request: Text,
        /// The kind of refusal in one word, such as `denied`.
        kind: Text,
        /// Why, in one sentence.
        why: Text,
    },
    /// More requests were refused than lines are kept of.
    Uncounted {
        /// How many.
        refusals: u64,
    },
}

impl JournalRecord {
    /// Returns the word for what kind of line it is.
    pub fn kind(&self) -> JournalKind {
        match self {
            Self::Changed { .. } => JournalKind::Changed,
            Self::Edge { .. } => JournalKind::Edge,
            Self::Refused { .. } | Self::Uncounted { .. } => JournalKind::Refused,
        }
    }

    /// Says whether it is about a service, or about a namespace where no service is given.
    pub fn is_about(&self, namespace: &str, service: Option<&str>) -> bool {
        match self {
            Self::Changed { objects, .. } => objects.iter().any(|object| {
                let of_service = |wanted: &str| is_same(object.service.as_ref(), wanted);
                is_same(object.namespace.as_ref(), namespace) && service.is_none_or(of_service)
            }),
            Self::Edge { instance, .. } => {
                let key = &instance.service;
                key.namespace.as_str().eq_ignore_ascii_case(namespace)
                    && service.is_none_or(|it| key.name.as_str().eq_ignore_ascii_case(it))
            }
            Self::Refused { .. } | Self::Uncounted { .. } => false,
        }
    }
}

fn is_same(name: Option<&Text>, wanted: &str) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
}

/// What kinds of lines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalKind {
    /// An accepted change.
    Changed,
    /// A change of an instance's health.
    Edge,
    /// A refused request.
    Refused,
}

impl JournalKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Changed, Self::Edge, Self::Refused];

    /// Returns the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Edge => "edge",
            Self::Refused => "refused",
        }
    }
}

/// One object that was written, as it was and as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct ObjectChange {
    /// What it is: `namespace`, `service`, `instance`, `verdict`, `mode`, `document`.
    pub kind: Text,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Text>,
    /// Its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Text>,
    /// The id of its instance, with `@owner` behind it when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Text>,
    /// The document's kind and key; for credentials the kind only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Text>,
    /// What was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Content>,
    /// What is there since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Content>,
}

/// A line's object as it is read: the first journals kept names only.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Name(String),
    Whole(Box<Whole>),
}

#[derive(Deserialize)]
struct Whole {
    kind: Text,
    namespace: Option<Text>,
    service: Option<Text>,
    instance: Option<Text>,
    document: Option<Text>,
    before: Option<Content>,
    after: Option<Content>,
}

impl From<Kept> for ObjectChange {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Name(name) => Self {
                kind: text("object"),
                namespace: None,
                service: None,
                instance: None,
                document: Some(text(&name)),
                before: None,
                after: None,
            },
            Kept::Whole(whole) => Self {
                kind: whole.kind,
                namespace: whole.namespace,
                service: whole.service,
                instance: whole.instance,
                document: whole.document,
                before: whole.before,
                after: whole.after,
            },
        }
    }
}

impl ObjectChange {
    pub(crate) fn new(key: &ObjectKey, before: Option<Object>, after: Option<Object>) -> Self {
        let mut change = Self {
            kind: text(kind_of(key)),
            namespace: None,
            service: None,
            instance: None,
            document: None,
            before: before.map(|object| Content(Inner::Object(object))),
            after: after.map(|object| Content(Inner::Object(object))),
        };
        match key {
            ObjectKey::Namespace(name) => change.namespace = Some(text(name.as_str())),
            ObjectKey::Service(service) => change.of_service(service),
            ObjectKey::Registration(key) | ObjectKey::Verdict(key) | ObjectKey::Mode(key) => {
                change.of_service(&key.service);
                let owner = key.owner.as_str();
                let id = key.id.as_str();
                change.instance = Some(match owner {
                    "" => text(id),
                    owner => text(&format!("{id}@{owner}")),
                });
            }
            ObjectKey::Document(key) if *key.kind == *HASHED => {
                change.document = Some(key.kind.clone());
            }
            ObjectKey::Document(key) => {
                change.document = Some(text(&format!("{}/{}", key.kind, key.key)));
            }
        }
        change
    }

    fn of_service(&mut self, key: &ServiceKey) {
        self.namespace = Some(text(key.namespace.as_str()));
        self.service = Some(text(key.name.as_str()));
    }
}

fn kind_of(key: &ObjectKey) -> &'static str {
    match key {
        ObjectKey::Namespace(_) => "namespace",
        ObjectKey::Service(_) => "service",
        ObjectKey::Registration(_) => "instance",
        ObjectKey::Verdict(_) => "verdict",
        ObjectKey::Mode(_) => "mode",
        ObjectKey::Document(_) => "document",
    }
}

/// What an object held, as JSON. It is written as JSON only when the line is, which is not the registry's writer's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    Object(Object),
    Json(Value),
}

impl Content {
    /// Returns the content as JSON.
    pub fn to_json(&self) -> Value {
        let json = match &self.0 {
            Inner::Json(value) => return value.clone(),
            Inner::Object(object) => json_of(object),
        };
        // What the model holds are texts, numbers and lists of them, which are always JSON.
        let json = json.unwrap_or(Value::Null);
        let bytes = json.to_string().len();
        if bytes > OBJECT_BYTES_MAX {
            return omitted(bytes);
        }
        json
    }

    /// Keeps the content if it has at most so many bytes, else its size. Returns the bytes that are kept.
    pub(super) fn shorten(&mut self, bytes_max: usize) -> usize {
        let json = self.to_json();
        let bytes = json.to_string().len();
        if json.get(OMITTED_BYTES).is_some() {
            return 0;
        }
        if bytes > bytes_max {
            self.0 = Inner::Json(omitted(bytes));
            return 0;
        }
        bytes
    }
}

fn omitted(bytes: usize) -> Value {
    serde_json::json!({ OMITTED_BYTES: bytes })
}

fn json_of(object: &Object) -> Result<Value, serde_json::Error> {
    match object {
        Object::Namespace(namespace) => serde_json::to_value(namespace.as_ref()),
        Object::Service(service) => serde_json::to_value(service.as_ref()),
        Object::Registration(_, registration) => serde_json::to_value(registration.as_ref()),
        Object::Verdict(_, verdict) => serde_json::to_value(verdict),
        Object::Mode(_, setting) => serde_json::to_value(setting.as_ref()),
        Object::Document(document) => {
            let body = serde_json::from_slice(&document.bytes);
            let body = body.unwrap_or_else(|_| Value::from(document.bytes.len()));
            Ok(serde_json::json!({ "content": body, "expiry": document.expiry }))
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Inner::Json(Value::deserialize(deserializer)?)))
    }
}
