//! Who asks, and what that allows. Every way into the registry takes an [`Access`].

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::RegistryError;
use crate::name::{NamespaceName, ServiceKey, ServiceName};
use crate::registration::Dialect;
use crate::text::{Text, text};

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// See namespaces, services and instances.
    Read,
    /// Register, renew, report on and deregister instances.
    Register,
    /// Set modes and overrides.
    Operate,
    /// Create, change and delete namespaces and services.
    Configure,
    /// Everything else: credentials, audit, snapshots.
    Admin,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Register,
        Self::Operate,
        Self::Configure,
        Self::Admin,
    ];

    /// Returns the word, as scopes and errors use it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Register => "register",
            Self::Operate => "operate",
            Self::Configure => "configure",
            Self::Admin => "admin",
        }
    }
}

/// Which names a grant covers: `*`, a name, or a name that ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Text);

impl Pattern {
    /// Checks and takes a pattern.
    ///
    /// # Errors
    /// `Invalid` when it is empty, over 255 bytes, or has a `*` anywhere but at its end.
    pub fn new(value: &str) -> Result<Self, RegistryError> {
        let inner = value.strip_suffix('*').unwrap_or(value);
        if value.is_empty() || value.len() > 255 || inner.contains('*') {
            return Err(RegistryError::invalid(
                "scope",
                value,
                "must be a name, a name that ends in *, or *",
            ));
        }
        Ok(Self(text(value)))
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern that covers every name.
    pub fn any() -> Self {
        Self(text("*"))
    }

    /// Says whether it covers `name`.
    pub fn covers(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            None => self.0.eq_ignore_ascii_case(name),
            Some(prefix) => name
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
        }
    }
}

/// One line of what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What.
    pub verbs: Vec<Verb>,
    /// In which namespaces; all unless it says which.
    #[serde(default = "Pattern::any")]
    pub namespaces: Pattern,
    /// For which services; all unless it says which.
    #[serde(default = "Pattern::any")]
    pub services: Pattern,
}

/// Who asks, from where, and what that allows.
#[derive(Clone, Debug)]
pub struct Access {
    subject: Text,
    address: Option<IpAddr>,
    dialect: Dialect,
    grants: Grants,
}

#[derive(Clone, Debug)]
enum Grants {
    Everything,
    Only(Arc<[Grant]>),
}

impl Access {
    /// Makes an access that allows everything: the anonymous one on loopback, and operators.
    pub fn everything(subject: &str, dialect: Dialect, address: Option<IpAddr>) -> Self {
        Self {
            subject: text(subject),
            address,
            dialect,
            grants: Grants::Everything,
        }
    }

    /// Makes an access that allows what the grants say.
    pub fn granted(
        subject: &str,
        dialect: Dialect,
        address: Option<IpAddr>,
        grants: Arc<[Grant]>,
    ) -> Self {
        Self {
            subject: text(subject),
            address,
            dialect,
            grants: Grants::Only(grants),
        }
    }

    /// Makes the access of a part of the registry itself.
    pub fn internal(part: &'static str) -> Self {
        Self::everything(part, Dialect::Internal, None)
    }

    /// Returns the same access for another request: its protocol and its peer.
    #[must_use]
    pub fn of_request(&self, dialect: Dialect, address: IpAddr) -> Self {
        Self {
            dialect,
            address: Some(address),
            ..self.clone()
        }
    }

    /// Returns the name that audit lines show.
    pub fn subject(&self) -> &Text {
        &self.subject
    }

    /// Returns the peer's address, if it came over the network.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the protocol it came by.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Says whether everything is allowed, so that filters can be skipped.
    pub fn is_everything(&self) -> bool {
        matches!(self.grants, Grants::Everything)
    }

    /// Says whether the verb is allowed on the service.
    pub fn allows(&self, verb: Verb, key: &ServiceKey) -> bool {
        self.allows_names(verb, &key.namespace, Some(&key.name))
    }

    /// Says whether the verb is allowed on the namespace; for reading, a grant on any of its services is enough.
    pub fn allows_namespace(&self, verb: Verb, namespace: &NamespaceName) -> bool {
        self.allows_names(verb, namespace, None)
    }

    /// Says whether the verb is allowed somewhere.
    pub fn allows_somewhere(&self, verb: Verb) -> bool {
        match &self.grants {
            Grants::Everything => true,
            Grants::Only(grants) => grants.iter().any(|grant| grant.verbs.contains(&verb)),
        }
    }

    /// Says whether the verb is allowed everywhere, whatever comes to be there.
    pub fn allows_everywhere(&self, verb: Verb) -> bool {
        let any = Pattern::any();
        match &self.grants {
            Grants::Everything => true,
            Grants::Only(grants) => grants.iter().any(|grant| {
                grant.verbs.contains(&verb) && grant.namespaces == any && grant.services == any
            }),
        }
    }

    fn allows_names(
        &self,
        verb: Verb,
        namespace: &NamespaceName,
        service: Option<&ServiceName>,
    ) -> bool {
        let Grants::Only(grants) = &self.grants else {
            return true;
        };
        grants.iter().any(|grant| {
            let services = match service {
                Some(name) => grant.services.covers(name.as_str()),
                None => verb == Verb::Read || grant.services == Pattern::any(),
            };
            grant.verbs.contains(&verb) && grant.namespaces.covers(namespace.as_str()) && services
        })
    }

    /// Requires the verb on a service: what may not even be read is not found.
    ///
    /// # Errors
    /// `NotFound` when the service may not be seen, else `Denied`.
    pub fn require(&self, verb: Verb, key: &ServiceKey) -> Result<(), RegistryError> {
        if self.allows(verb, key) {
            return Ok(());
        }
        let seen = self.allows(Verb::Read, key);
        Err(self.refusal(verb, format!("service {key}"), seen))
    }

    /// Requires the verb on a namespace.
    ///
    /// # Errors
    /// `NotFound` when the namespace may not be seen, else `Denied`.
    pub fn require_namespace(
        &self,
        verb: Verb,
        namespace: &NamespaceName,
    ) -> Result<(), RegistryError> {
        if self.allows_namespace(verb, namespace) {
            return Ok(());
        }
        let seen = self.allows_namespace(Verb::Read, namespace);
        Err(self.refusal(verb, format!("namespace {namespace}"), seen))
    }

    fn refusal(&self, verb: Verb, what: String, seen: bool) -> RegistryError {
        // Only reads hide what is there: a refused change is the same for whatever name, and so tells nothing.
        if seen || verb != Verb::Read || !self.allows_somewhere(verb) {
            RegistryError::Denied {
                subject: self.subject.to_string(),
                verb: verb.as_str(),
                what,
            }
        } else {
            RegistryError::NotFound { what }
        }
    }
}
