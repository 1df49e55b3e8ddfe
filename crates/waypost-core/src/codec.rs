//! How engines keep objects: JSON, readable by every operator, with the fields of newer writers kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::attributes::{Extra, Unknown};
use crate::batch::{Document, Object};
use crate::name::{DocumentKey, InstanceKey};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The format this version writes. Raised when an object gains a field; older versions keep what they do not know.
pub const FORMAT: u32 = 2;

/// An object as an engine keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The format of its writer.
    pub format: u32,
    /// JSON; for a document JSON, a line feed and the document's bytes.
    pub bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Of<T> {
    of: InstanceKey,
    is: T,
}

#[derive(Serialize, Deserialize)]
struct DocumentHead {
    #[serde(flatten)]
    key: DocumentKey,
    expiry: Option<Timestamp>,
}

/// Encodes an object.
///
/// # Errors
/// When the object cannot be written as JSON, which no object of the model does.
pub fn encode(object: &Object) -> Result<Encoded, StoreError> {
    match object {
        Object::Namespace(namespace) => with_extra(namespace.as_ref(), &namespace.extra),
        Object::Service(service) => with_extra(service.as_ref(), &service.extra),
        Object::Registration(key, registration) => {
            with_key(key, registration.as_ref(), &registration.extra)
        }
        Object::Verdict(key, verdict) => with_key(key, verdict, &verdict.extra),
        Object::Mode(key, setting) => with_key(key, setting.as_ref(), &setting.extra),
        Object::Document(document) => {
            let head = DocumentHead {
                key: document.key.clone(),
                expiry: document.expiry,
            };
            let mut bytes = serde_json::to_vec(&head).map_err(|error| unwritable(&error))?;
            bytes.push(b'\n');
            bytes.extend_from_slice(&document.bytes);
            Ok(Encoded {
                format: FORMAT,
                bytes,
            })
        }
    }
}

/// Decodes an object of the given kind (the word of [`crate::ObjectKey::kind`]).
///
/// # Errors
/// When the kind is unknown or the bytes are not such an object.
pub fn decode(kind: &str, format: u32, bytes: &[u8]) -> Result<Object, StoreError> {
    match kind {
        "namespace" => {
            let mut namespace: crate::namespace::Namespace = read(bytes)?;
            namespace.extra = unknown_members::<crate::namespace::Namespace>(format, bytes)?;
            Ok(Object::Namespace(Arc::new(namespace)))
        }
        "service" => {
            let mut service: crate::service::Service = read(bytes)?;
            service.extra = unknown_members::<crate::service::Service>(format, bytes)?;
            Ok(Object::Service(Arc::new(service)))
        }
        "registration" => {
            let (key, mut registration, extra) =
                keyed::<crate::registration::Registration>(format, bytes)?;
            registration.extra = extra;
            registration.spec.share();
            Ok(Object::Registration(key, Arc::new(registration)))
        }
        "verdict" => {
            let (key, mut verdict, extra) = keyed::<crate::verdict::Verdict>(format, bytes)?;
            verdict.extra = extra;
            Ok(Object::Verdict(key, verdict))
        }
        "mode" => {
            let (key, mut setting, extra) = keyed::<crate::mode::ModeSetting>(format, bytes)?;
            setting.extra = extra;
            Ok(Object::Mode(key, Arc::new(setting)))
        }
        "document" => document(bytes),
        other => Err(StoreError(format!("unknown kind of object {other:?}"))),
    }
}

fn document(bytes: &[u8]) -> Result<Object, StoreError> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, body) = end
        .and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?)))
        .ok_or_else(|| StoreError("the document has no head".to_owned()))?;
    let head: DocumentHead = read(head)?;
    Ok(Object::Document(Arc::new(Document {
        key: head.key,
        bytes: body.into(),
        expiry: head.expiry,
    })))
}

fn unwritable(error: &serde_json::Error) -> StoreError {
    StoreError(format!("cannot be written as JSON: {error}"))
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError(format!("not a readable object: {error}")))
}

fn with_extra<T: Serialize>(value: &T, extra: &Extra) -> Result<Encoded, StoreError> {
    let bytes = serde_json::to_vec(value).map_err(|error| unwritable(&error))?;
    Ok(splice(bytes, 1, extra))
}

fn with_key<T: Serialize>(
    key: &InstanceKey,
    value: &T,
    extra: &Extra,
) -> Result<Encoded, StoreError> {
    let bytes = serde_json::to_vec(&Of {
        of: key.clone(),
        is: value,
    })
    .map_err(|error| unwritable(&error))?;
    // The object itself is the last member, so its end is one brace before the end.
    Ok(splice(bytes, 2, extra))
}

/// Puts the unknown members back before the last `braces` closing braces.
fn splice(mut bytes: Vec<u8>, braces: usize, extra: &Extra) -> Encoded {
    let Some(unknown) = &extra.0 else {
        return Encoded {
            format: FORMAT,
            bytes,
        };
    };
    let tail = bytes.split_off(bytes.len().saturating_sub(braces));
    for (name, value) in &unknown.members {
        bytes.extend_from_slice(b",");
        bytes.extend_from_slice(
            serde_json::Value::from(name.as_str())
                .to_string()
                .as_bytes(),
        );
        bytes.extend_from_slice(b":");
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.extend_from_slice(&tail);
    Encoded {
        format: unknown.format,
        bytes,
    }
}

fn keyed<T: DeserializeOwned>(
    format: u32,
    bytes: &[u8],
) -> Result<(InstanceKey, T, Extra), StoreError> {
    if format <= FORMAT {
        let Of { of, is } = read::<Of<T>>(bytes)?;
        return Ok((of, is, Extra::default()));
    }
    let Of { of, is } = read::<Of<&RawValue>>(bytes)?;
    let inner = is.get().as_bytes();
    Ok((of, read(inner)?, unknown_members::<T>(format, inner)?))
}

/// Collects what this version does not know; only looked for where the writer was newer.
fn unknown_members<T: DeserializeOwned>(format: u32, bytes: &[u8]) -> Result<Extra, StoreError> {
    if format <= FORMAT {
        return Ok(Extra::default());
    }
    let mut names = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_ignored::deserialize::<_, _, T>(&mut deserializer, |path| names.push(path.to_string()))
        .map_err(|error| StoreError(format!("not a readable object: {error}")))?;
    let all: BTreeMap<Cow<'_, str>, &RawValue> = read(bytes)?;
    let members = names
        .into_iter()
        .filter_map(|name| {
            all.get(name.as_str())
                .map(|raw| (name.clone(), raw.get().to_owned()))
        })
        .collect();
    Ok(Extra(Some(Box::new(Unknown { format, members }))))
}
