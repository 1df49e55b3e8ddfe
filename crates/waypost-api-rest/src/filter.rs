//! Filters of lists of instances, as the query string says them.

use sha2::{Digest, Sha256};
use waypost_core::{
    ATTRIBUTE_VALUE_BYTES_MAX, Health, Instance, Mode, NamespaceName, Owner, RegistryError,
    ServiceName, TAG_BYTES_MAX,
};
use waypost_http::Query;

/// What every list of instances can be asked for.
const COMMON: [&str; 10] = [
    "health", "mode", "tag", "version", "zone", "owner", "limit", "after", "revision", "wait",
];
/// What lists across services can be asked for besides.
const ACROSS: [&str; 2] = ["namespace", "service"];
/// What comes before the key of an attribute.
const ATTRIBUTE: &str = "attribute.";

/// Longest zone in bytes.
const ZONE_BYTES_MAX: usize = 64;

const HEALTH: [Health; 4] = [
    Health::Healthy,
    Health::Warning,
    Health::Unknown,
    Health::Unhealthy,
];
const MODES: [Mode; 3] = [Mode::Active, Mode::Draining, Mode::Maintenance];

/// Which instances a list shows: those that everything said holds for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// The namespace they are in.
    pub(crate) namespace: Option<NamespaceName>,
    /// The name of their service, in whichever namespace.
    pub(crate) service: Option<ServiceName>,
    health: Option<Vec<Health>>,
    modes: Option<Vec<Mode>>,
    tags: Vec<String>,
    attributes: Vec<(String, String)>,
    zone: Option<String>,
    owner: Option<Owner>,
    digest: [u8; 8],
}

impl Filter {
    /// Reads the query of a list across services.
    pub(crate) fn across(query: &Query<'_>) -> Result<Self, RegistryError> {
        Self::of(query, "", &ACROSS)
    }

    /// Reads the query of the list of one service, whose name is `scope`.
    pub(crate) fn within(query: &Query<'_>, scope: &str) -> Result<Self, RegistryError> {
        Self::of(query, scope, &[])
    }

    fn of(query: &Query<'_>, scope: &str, further: &[&str]) -> Result<Self, RegistryError> {
        let mut filter = Self {
            digest: digest(query, scope),
            ..Self::default()
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in query.iter() {
            if let Some(key) = name.strip_prefix(ATTRIBUTE) {
                let value = word(name, value, 0, ATTRIBUTE_VALUE_BYTES_MAX)?;
                filter.attributes.push((attribute_key(name, key)?, value));
                continue;
            }
            if !COMMON.contains(&name) && !further.contains(&name) {
                return Err(unknown(name, value, further));
            }
            if name != "tag" && seen.contains(&name) {
                return Err(RegistryError::invalid(
                    name.to_owned(),
                    value,
                    "must not be given twice",
                ));
            }
            seen.push(name);
            filter.take(name, value)?;
        }
        Ok(filter)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), RegistryError> {
        match name {
            "namespace" => self.namespace = Some(NamespaceName::new(value)?),
            "service" => self.service = Some(ServiceName::new(value)?),
            "health" => self.health = Some(words(name, value, &HEALTH, Health::as_str)?),
            "mode" => self.modes = Some(words(name, value, &MODES, Mode::as_str)?),
            "tag" => self.tags.push(word(name, value, 1, TAG_BYTES_MAX)?),
            "version" => {
                let version = word(name, value, 0, ATTRIBUTE_VALUE_BYTES_MAX)?;
                self.attributes.push((name.to_owned(), version));
            }
            "zone" => self.zone = Some(word(name, value, 0, ZONE_BYTES_MAX)?),
            "owner" => self.owner = Some(Owner::new(value)?),
            _ => {}
        }
        Ok(())
    }

    /// Says which query it is, the same for every page of it.
    pub(crate) fn digest(&self) -> [u8; 8] {
        self.digest
    }

    /// Says whether everything that was asked for holds.
    pub(crate) fn admits(&self, instance: &Instance) -> bool {
        let spec = &instance.registration().spec;
        let zone = || spec.locality.as_ref().map(|locality| &*locality.zone);
        let is_one = |health: &Vec<Health>| health.contains(&instance.health());
        let mut attributes = self.attributes.iter();
        self.health.as_ref().is_none_or(is_one)
            && self
                .modes
                .as_ref()
                .is_none_or(|modes| modes.contains(&instance.mode()))
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == instance.key().owner)
            && self
                .zone
                .as_ref()
                .is_none_or(|wanted| zone() == Some(wanted.as_str()))
            && self.tags.iter().all(|tag| spec.tags.contains(tag))
            && attributes.all(|(key, value)| spec.attributes.get(key) == Some(value))
    }
}

fn unknown(name: &str, value: &str, further: &[&str]) -> RegistryError {
    let known: Vec<&str> = further.iter().chain(&COMMON).copied().collect();
    let known = known.join(", ");
    RegistryError::invalid(
        name.to_owned(),
        value,
        format!("is not known; known are {known} and attribute.KEY"),
    )
}

fn attribute_key(name: &str, key: &str) -> Result<String, RegistryError> {
    if key.is_empty() {
        let at = ATTRIBUTE.len() + 1;
        let rule = format!("at character {at}: the key of an attribute is expected");
        return Err(RegistryError::invalid(name.to_owned(), name, rule));
    }
    Ok(key.to_owned())
}

/// Takes what something can be; nothing is longer.
fn word(name: &str, value: &str, least: usize, most: usize) -> Result<String, RegistryError> {
    if (least..=most).contains(&value.len()) {
        return Ok(value.to_owned());
    }
    let rule = format!("must be {least} to {most} bytes");
    Err(RegistryError::invalid(name.to_owned(), value, rule))
}

/// Reads words of a closed set, separated by commas, in any case.
fn words<T: Copy>(
    name: &str,
    value: &str,
    known: &[T],
    shown: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, RegistryError> {
    let mut at = 1;
    let mut read = Vec::new();
    for given in value.split(',') {
        let found = known
            .iter()
            .find(|one| shown(**one).eq_ignore_ascii_case(given));
        let Some(found) = found else {
            let expected: Vec<&str> = known.iter().map(|one| shown(*one)).collect();
            let expected = expected.join(", ");
            let rule = format!("at character {at}: one of {expected} is expected");
            return Err(RegistryError::invalid(name.to_owned(), value, rule));
        };
        read.push(*found);
        at += given.chars().count() + 1;
    }
    Ok(read)
}

/// Digests what is asked for, whatever the order; not where the page starts and how long it is.
fn digest(query: &Query<'_>, scope: &str) -> [u8; 8] {
    let mut pairs: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| !matches!(*name, "limit" | "after" | "revision" | "wait"))
        .collect();
    pairs.sort_unstable();
    let mut hasher = Sha256::new();
    hasher.update(scope.to_ascii_lowercase());
    for (name, value) in pairs {
        for part in [name, value] {
            hasher.update([0]);
            hasher.update(part);
        }
    }
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(hasher.finalize()) {
        *to = from;
    }
    first
}
