//! The tree of values in which the layers are laid over each other.

use std::collections::BTreeMap;

use crate::error::ConfigError;
use crate::origin::Origin;
use crate::path::{Path, Step};
use crate::syntax;

/// A value with the place it comes from.
///
/// There is no `Debug` on purpose: the tree holds secrets in the clear.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    /// An option that is not set; only defaults have it.
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    /// Text of a variable or flag, whose type is the one that the setting asks for.
    Text(String),
    /// Keyed by position, so that taking a faulty element out leaves the others' names alone.
    List(BTreeMap<usize, Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub(crate) fn new(origin: Origin, value: Value) -> Self {
        Self { origin, value }
    }

    pub(crate) fn empty_table(origin: Origin) -> Self {
        Self::new(origin, Value::Table(BTreeMap::new()))
    }

    /// Turns serialised defaults into the lowest layer.
    pub(crate) fn of_defaults(value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => match number.as_i128() {
                Some(whole) => Value::Integer(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::String(text.clone()),
            Json::Array(items) => {
                Value::List(items.iter().map(Self::of_defaults).enumerate().collect())
            }
            Json::Object(fields) => Value::Table(
                fields
                    .iter()
                    .map(|(key, v)| (key.clone(), Self::of_defaults(v)))
                    .collect(),
            ),
        };
        Self::new(Origin::Default, value)
    }

    /// Lays a higher layer over this one: tables are merged, anything else is replaced.
    pub(crate) fn overlay(&mut self, higher: Self) {
        match (&mut self.value, higher.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (key, node) in above {
                    match below.get_mut(&key) {
                        Some(existing) => existing.overlay(node),
                        None => {
                            below.insert(key, node);
                        }
                    }
                }
                // A section counts as set by the last layer that names it.
                self.origin = higher.origin;
            }
            (_, value) => *self = Self::new(higher.origin, value),
        }
    }

    /// Makes a layer fit the sections that the defaults have: text for a section is read as an
    /// inline table, and any other single value for one is an error that no higher layer hides.
    pub(crate) fn conform(&mut self, defaults: &Self, path: &Path, errors: &mut Vec<ConfigError>) {
        let Value::Table(known) = &defaults.value else {
            return;
        };
        if let Value::Text(text) = &self.value
            && let Some(parsed) = syntax::value(text, &self.origin)
        {
            *self = parsed;
        }
        if let Value::Table(fields) = &mut self.value {
            for (key, field) in fields {
                if let Some(default) = known.get(key) {
                    field.conform(default, &path.key(key), errors);
                }
            }
            return;
        }
        errors.push(ConfigError {
            field: Some(path.to_string()),
            value: None,
            rule: "is a section and needs a table, such as { field = 1 }".to_owned(),
            origin: self.origin.clone(),
        });
        *self = Self::empty_table(self.origin.clone());
    }

    /// Wraps a value into tables so that it stands at the path; the path has keys only.
    pub(crate) fn at(path: &Path, origin: &Origin, value: Value) -> Self {
        let leaf = Self::new(origin.clone(), value);
        path.steps()
            .iter()
            .rev()
            .fold(leaf, |inner, step| match step {
                Step::Key(key) => {
                    Self::new(origin.clone(), Value::Table([(key.clone(), inner)].into()))
                }
                Step::Index(_) => inner,
            })
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&Self> {
        path.steps()
            .iter()
            .try_fold(self, |node, step| match (&node.value, step) {
                (Value::Table(fields), Step::Key(key)) => fields.get(key),
                (Value::List(items), Step::Index(index)) => items.get(index),
                _ => None,
            })
    }

    /// Gives the node at the path, or the deepest one above it.
    pub(crate) fn nearest(&self, path: &Path) -> &Self {
        let mut place = Some(path.clone());
        while let Some(current) = place {
            if let Some(node) = self.get(&current) {
                return node;
            }
            place = current.parent();
        }
        self
    }

    /// Puts the default back at the path, or takes the value out where there is none. Says whether
    /// that changed anything.
    pub(crate) fn reset(&mut self, path: &Path, defaults: &Self) -> bool {
        let Some((last, above)) = path.steps().split_last() else {
            return false;
        };
        let parent = above
            .iter()
            .try_fold(self, |node, step| match (&mut node.value, step) {
                (Value::Table(fields), Step::Key(key)) => fields.get_mut(key),
                (Value::List(items), Step::Index(index)) => items.get_mut(index),
                _ => None,
            });
        let default = defaults.get(path);
        match (parent.map(|node| &mut node.value), last, default) {
            (Some(Value::Table(fields)), Step::Key(key), default) => match fields.get_mut(key) {
                Some(node) if node.is_untouched() => false,
                Some(node) => match default {
                    Some(default) => {
                        *node = default.clone();
                        true
                    }
                    None => fields.remove(key).is_some(),
                },
                None => false,
            },
            (Some(Value::List(items)), Step::Index(index), _) => items.remove(index).is_some(),
            _ => false,
        }
    }

    /// Says whether neither this value nor any below it was set.
    fn is_untouched(&self) -> bool {
        self.origin == Origin::Default
            && match &self.value {
                Value::Table(fields) => fields.values().all(Self::is_untouched),
                _ => true,
            }
    }

    /// Gives the text of a value that is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) | Value::Text(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Table(_) => None,
        }
    }

    /// Gives the value as an error shows it. Tables and lists may hold secrets, so only their kind
    /// is named.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "unset".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::String(text) | Value::Text(text) => {
                let cut: String = text.chars().take(80).collect();
                let more = if cut.len() < text.len() { ".." } else { "" };
                format!("{cut:?}{more}")
            }
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}
