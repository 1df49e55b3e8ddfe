//! Which instances a listing across services shows.

use std::collections::BTreeMap;

use crate::path::PathBuilder;
use crate::{Health, Mode};

/// Which instances are listed: those that everything said here holds for. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceFilter {
    /// Only those in this namespace; `None`: in every namespace, not the client's alone.
    pub namespace: Option<String>,
    /// Only those of services of this name.
    pub service: Option<String>,
    /// Only those in one of these healths; empty: in any.
    pub health: Vec<Health>,
    /// Only those in one of these modes; empty: in any.
    pub modes: Vec<Mode>,
    /// Only those with all of these tags.
    pub tags: Vec<String>,
    /// Only those with all of these attributes.
    pub attributes: BTreeMap<String, String>,
    /// Only those in this zone.
    pub zone: Option<String>,
    /// Only those kept registered by this owner; empty: by themselves.
    pub owner: Option<String>,
}

impl InstanceFilter {
    pub(crate) fn add_to(&self, path: PathBuilder) -> PathBuilder {
        let joined = |words: Vec<&str>| (!words.is_empty()).then(|| words.join(","));
        let health = joined(self.health.iter().map(Health::as_str).collect());
        let modes = joined(self.modes.iter().map(Mode::as_str).collect());
        let mut path = path
            .query("namespace", self.namespace.as_deref())
            .query("service", self.service.as_deref())
            .query("health", health.as_deref())
            .query("mode", modes.as_deref())
            .query("zone", self.zone.as_deref())
            .query("owner", self.owner.as_deref());
        for tag in &self.tags {
            path = path.query("tag", Some(tag));
        }
        for (key, value) in &self.attributes {
            path = path.query(&format!("attribute.{key}"), Some(value));
        }
        path
    }
}
