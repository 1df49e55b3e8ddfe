//! Paths of the server's own interface, with every name percent-encoded.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ClientError;

/// Everything but RFC 3986's unreserved characters: an instance id may contain `/`, a name may contain
/// any character, and both must stay one segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Names one instance of a service, in the namespace of the client that it is given to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceRef {
    /// Name of the service.
    pub service: String,
    /// Id of the instance in its service.
    pub id: String,
    /// Who keeps it registered. `None` lets the server decide: itself, else the only owner there is.
    pub owner: Option<String>,
}

impl InstanceRef {
    /// Names the instance `id` of `service` without saying an owner.
    pub fn new(service: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            id: id.into(),
            owner: None,
        }
    }

    /// Names the same instance as registered by `owner`, such as `node/a`.
    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }
}

impl fmt::Display for InstanceRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.service, self.id)
    }
}

impl FromStr for InstanceRef {
    type Err = ClientError;

    /// Reads `SERVICE/ID`. The first slash divides, because an id may contain slashes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((service, id)) if !service.is_empty() && !id.is_empty() => {
                Ok(Self::new(service, id))
            }
            _ => Err(ClientError::usage(format!(
                "{text:?} does not name an instance: expected SERVICE/ID"
            ))),
        }
    }
}

/// Builds the path and query of one call.
pub(crate) struct PathBuilder {
    text: String,
    has_query: bool,
}

impl PathBuilder {
    /// Starts with a fixed path such as `/v1/namespaces`.
    pub(crate) fn new(fixed: &str) -> Self {
        Self {
            text: fixed.to_owned(),
            has_query: false,
        }
    }

    /// Adds a name as one segment. An empty one would name another path, so it is refused here.
    pub(crate) fn name(mut self, what: &str, name: &str) -> Result<Self, ClientError> {
        // Intermediaries resolve dot segments away, and the call would reach another path.
        if matches!(name, "" | "." | "..") {
            return Err(ClientError::usage(format!(
                "{what} {name:?} is not usable: it must have at least one character that is not a dot"
            )));
        }
        self.text.push('/');
        self.text.extend(utf8_percent_encode(name, SEGMENT));
        Ok(self)
    }

    /// Adds a fixed segment such as `services`.
    pub(crate) fn fixed(mut self, segment: &str) -> Self {
        self.text.push('/');
        self.text.push_str(segment);
        self
    }

    /// Adds a query parameter when it has a value.
    pub(crate) fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.text.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            self.text.extend(utf8_percent_encode(name, SEGMENT));
            self.text.push('=');
            self.text.extend(utf8_percent_encode(value, SEGMENT));
        }
        self
    }

    /// Gives the finished text.
    pub(crate) fn build(self) -> String {
        self.text
    }
}
