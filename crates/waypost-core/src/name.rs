//! The names of the model and the keys made of them. Names compare in ASCII lower case and are kept as written.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use equivalent::{Comparable, Equivalent};
use serde::{Deserialize, Serialize};

use crate::error::{Field, RegistryError};
use crate::text::{Text, text};

/// Longest namespace name in bytes (RFC 1035 section 2.3.4, less the root label).
pub const NAMESPACE_BYTES_MAX: usize = 253;
/// Longest service name in bytes (AWS Cloud Map, `CreateService`).
pub const SERVICE_BYTES_MAX: usize = 127;
/// Longest instance id in bytes (AWS Cloud Map, `RegisterInstance`).
pub const INSTANCE_BYTES_MAX: usize = 64;
/// Longest owner in bytes.
pub const OWNER_BYTES_MAX: usize = 253;
/// Longest check id in bytes.
pub const CHECK_BYTES_MAX: usize = 64;

/// Compares in ASCII lower case. Equal eights of bytes are skipped at once: names of one table begin alike.
fn compare_folded(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while let (Some((eight, rest)), Some((other, others))) = (
        left.split_first_chunk::<8>(),
        right.split_first_chunk::<8>(),
    ) {
        if eight != other {
            break;
        }
        (left, right) = (rest, others);
    }
    for (one, other) in left.iter().zip(right) {
        if one != other {
            let order = one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase());
            if order != Ordering::Equal {
                return order;
            }
        }
    }
    left.len().cmp(&right.len())
}

/// Takes what emulators of AWS Cloud Map take as a service's name; the rule for DNS is checked with the namespace.
fn visible_words(field: &'static str, value: &str, bytes_max: usize) -> Result<(), RegistryError> {
    if value.contains(' ') && value.split(' ').all(|word| !word.is_empty()) {
        let joined = value.replace(' ', "_");
        return visible_ascii(field, &joined, bytes_max);
    }
    visible_ascii(field, value, bytes_max)
}

fn visible_ascii(field: &'static str, value: &str, bytes_max: usize) -> Result<(), RegistryError> {
    if value.is_empty() {
        return Err(RegistryError::invalid(field, value, "must not be empty"));
    }
    if value.len() > bytes_max {
        return Err(RegistryError::invalid(
            field,
            value,
            format!("must be at most {bytes_max} bytes"),
        ));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(RegistryError::invalid(
            field,
            value,
            "must be visible ASCII without spaces or control characters",
        ));
    }
    Ok(())
}

fn instance_charset(
    field: &'static str,
    value: &str,
    bytes_max: usize,
) -> Result<(), RegistryError> {
    visible_ascii(field, value, bytes_max)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_/:.@-".contains(&byte);
    if value.bytes().all(allowed) {
        Ok(())
    } else {
        Err(RegistryError::invalid(
            field,
            value,
            "may only contain 0-9 A-Z a-z _ / : . @ -",
        ))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $reference:ident, $field:literal, $max:expr, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
        pub struct $name(Text);

        impl $name {
            /// Checks and takes a name. Errors: `Invalid` with the field, the value and the rule.
            ///
            /// # Errors
            /// `Invalid` when the name is empty, too long or has a character that is not allowed.
            pub fn new(value: &str) -> Result<Self, RegistryError> {
                $check($field, value, $max)?;
                Ok(Self(text(value)))
            }

            /// Returns the name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the name in ASCII lower case: two names are equal when these are.
            pub fn folded(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }
        impl Eq for $name {}
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                for byte in self.0.bytes() {
                    state.write_u8(byte.to_ascii_lowercase());
                }
                state.write_u8(0xff);
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                compare_folded(&self.0, &other.0)
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl TryFrom<std::borrow::Cow<'_, str>> for $name {
            type Error = RegistryError;
            fn try_from(value: std::borrow::Cow<'_, str>) -> Result<Self, RegistryError> {
                Self::new(&value)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_str().to_owned()
            }
        }

        /// A name to look up by, without an allocation.
        #[derive(Clone, Copy, Debug)]
        pub struct $reference<'a>(pub &'a str);

        impl Equivalent<$name> for $reference<'_> {
            fn equivalent(&self, key: &$name) -> bool {
                self.0.eq_ignore_ascii_case(&key.0)
            }
        }
        impl Comparable<$name> for $reference<'_> {
            fn compare(&self, key: &$name) -> Ordering {
                compare_folded(self.0, &key.0)
            }
        }
    };
}

name!(
    /// The name of a namespace: visible ASCII, at most 253 bytes.
    NamespaceName, NamespaceRef, "namespace", NAMESPACE_BYTES_MAX, visible_ascii
);
name!(
    /// The name of a service within its namespace: visible ASCII and, where nobody looks it up by DNS, single spaces
    /// between; at most 127 bytes.
    ServiceName, ServiceRef, "service_name", SERVICE_BYTES_MAX, visible_words
);
name!(
    /// The id of an instance within its service: `[0-9A-Za-z_/:.@-]`, at most 64 bytes.
    InstanceId, InstanceIdRef, "instance_id", INSTANCE_BYTES_MAX, instance_charset
);
name!(
    /// The id of a check within its service or instance: `[0-9A-Za-z_/:.@-]`, at most 64 bytes.
    CheckId, CheckIdRef, "check", CHECK_BYTES_MAX, instance_charset
);

impl NamespaceName {
    /// Says whether the name can be a DNS zone: labels of 1 to 63 letters, digits, `-` and `_`, joined by dots.
    pub fn is_dns_name(&self) -> bool {
        self.as_str().split('.').all(is_dns_label)
    }
}

/// Says whether `label` can be one label of a DNS name (RFC 1035 section 2.3.1, with `_` as in RFC 8552).
pub fn is_dns_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Who keeps an instance registered: empty for the instance itself, else `node/x`, `kubernetes/prod`, `static`, ...
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct Owner(Option<Text>);

impl Owner {
    /// The instance itself.
    pub const SELF: Self = Self(None);

    /// Checks and takes an owner; the empty string is the instance itself.
    ///
    /// # Errors
    /// `Invalid` when it is over 253 bytes or not visible ASCII.
    pub fn new(value: &str) -> Result<Self, RegistryError> {
        if value.is_empty() {
            return Ok(Self::SELF);
        }
        visible_ascii("owner", value, OWNER_BYTES_MAX)?;
        Ok(Self(Some(text(value))))
    }

    /// Returns the owner, empty for the instance itself.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
impl TryFrom<std::borrow::Cow<'_, str>> for Owner {
    type Error = RegistryError;
    fn try_from(value: std::borrow::Cow<'_, str>) -> Result<Self, RegistryError> {
        Self::new(&value)
    }
}
impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.as_str().to_owned()
    }
}

/// Names a service in all namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceKey {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its name in the namespace.
    pub name: ServiceName,
}

impl ServiceKey {
    /// Checks and joins the two names.
    ///
    /// # Errors
    /// `Invalid` as for each name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, RegistryError> {
        Ok(Self {
            namespace: NamespaceName::new(namespace)?,
            name: ServiceName::new(name)?,
        })
    }

    /// Names an instance of this service.
    pub fn instance(&self, owner: Owner, id: InstanceId) -> InstanceKey {
        InstanceKey {
            service: self.clone(),
            owner,
            id,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.namespace)
    }
}

/// Names an instance of a service, as one owner keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstanceKey {
    /// Its service.
    pub service: ServiceKey,
    /// Its id within the service.
    pub id: InstanceId,
    /// Who keeps it registered.
    pub owner: Owner,
}

impl InstanceKey {
    /// Checks and joins the names; the owner is the instance itself.
    ///
    /// # Errors
    /// `Invalid` as for each name.
    pub fn new(namespace: &str, service: &str, id: &str) -> Result<Self, RegistryError> {
        Ok(ServiceKey::new(namespace, service)?.instance(Owner::SELF, InstanceId::new(id)?))
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.id)?;
        if self.owner != Owner::SELF {
            write!(f, " (owner {})", self.owner.as_str())?;
        }
        Ok(())
    }
}

/// Names a document: what kind of thing a crate keeps, and which one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentKey {
    /// What it is, e.g. `cloudmap/operation`; visible ASCII, at most 64 bytes.
    pub kind: Text,
    /// Which one; visible ASCII, at most 255 bytes.
    pub key: Text,
}

impl DocumentKey {
    /// Checks and takes a document's key.
    ///
    /// # Errors
    /// `Invalid` when a part is empty, too long or not visible ASCII.
    pub fn new(kind: &str, key: &str) -> Result<Self, RegistryError> {
        visible_ascii("document kind", kind, 64)?;
        visible_ascii("document key", key, 255)?;
        Ok(Self {
            kind: text(kind),
            key: text(key),
        })
    }
}

/// Names one stored object: what batches write, and what preconditions speak of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKey {
    /// A namespace.
    Namespace(NamespaceName),
    /// A service.
    Service(ServiceKey),
    /// What the owner said of an instance.
    Registration(InstanceKey),
    /// What the checks say of an instance.
    Verdict(InstanceKey),
    /// What an operator says of an instance.
    Mode(InstanceKey),
    /// A document.
    Document(DocumentKey),
}

impl ObjectKey {
    /// Returns the word for the kind of object, as engines store it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "namespace",
            Self::Service(_) => "service",
            Self::Registration(_) => "registration",
            Self::Verdict(_) => "verdict",
            Self::Mode(_) => "mode",
            Self::Document(_) => "document",
        }
    }

    /// Returns the key within its kind as engines store it: folded names joined by a space, which no name contains.
    pub fn path(&self) -> String {
        match self {
            Self::Namespace(name) => name.folded(),
            Self::Service(key) => service_path(key),
            Self::Registration(key) | Self::Verdict(key) | Self::Mode(key) => {
                format!(
                    "{} {} {}",
                    service_path(&key.service),
                    key.id.folded(),
                    key.owner.as_str()
                )
            }
            Self::Document(key) => format!("{} {}", key.kind, key.key),
        }
    }

    /// Returns the field an error should name.
    pub fn field(&self) -> Field {
        match self {
            Self::Namespace(_) => "namespace".into(),
            Self::Service(_) => "service_name".into(),
            Self::Registration(_) | Self::Verdict(_) | Self::Mode(_) => "instance_id".into(),
            Self::Document(_) => "document".into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Service(key) => write!(f, "service {key}"),
            Self::Registration(key) => write!(f, "instance {key}"),
            Self::Verdict(key) => write!(f, "verdict of {key}"),
            Self::Mode(key) => write!(f, "mode of {key}"),
            Self::Document(key) => write!(f, "document {}/{}", key.kind, key.key),
        }
    }
}

fn service_path(key: &ServiceKey) -> String {
    format!("{} {}", key.namespace.folded(), key.name.folded())
}
