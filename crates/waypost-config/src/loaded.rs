//! Settings with the origin of each value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use serde::Serialize;

use crate::environment::variable_of;
use crate::error::ConfigError;
use crate::node::Node;
use crate::origin::Origin;
use crate::path::Path;
use crate::secret::REDACTED;

/// Settings that were read, with the origin of each value.
pub struct Loaded<C> {
    /// The settings.
    pub value: C,
    pub(crate) tree: Node,
    pub(crate) secrets: BTreeSet<Path>,
    pub(crate) accepted: Vec<String>,
}

/// One setting as `config show` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The setting as `section.field`.
    pub key: String,
    /// Its value; `***` for a secret, null when it is not set.
    pub value: serde_json::Value,
    /// Where it was set.
    pub origin: Origin,
    /// The environment variable that sets it.
    pub variable: String,
}

/// How [`Loaded::show`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    Table,
    /// One JSON array of rows.
    Json,
}

impl<C: fmt::Debug> fmt::Debug for Loaded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

impl<C> Loaded<C> {
    /// Gives the origin of a setting, or of the section that holds it.
    pub fn origin(&self, field: &str) -> &Origin {
        &self.tree.nearest(&Path::dotted(field)).origin
    }

    /// Gives the names of variables that are known and have no use yet.
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// Builds an error about a setting whose value passed its type and breaks another rule, for
    /// example one between two settings.
    pub fn error(&self, field: &str, rule: impl Into<String>) -> ConfigError {
        let path = Path::dotted(field);
        let value = self
            .tree
            .get(&path)
            .map(|node| match self.secrets.contains(&path) {
                true => REDACTED.to_owned(),
                false => node.shown(),
            });
        let origin = self.origin(field).clone();
        ConfigError {
            field: Some(field.to_owned()),
            value,
            rule: rule.into(),
            origin,
        }
    }
}

impl<C: Serialize> Loaded<C> {
    /// Gives a row for every setting, in the order of the sections and fields.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        // A settings struct that was read can be written; it was, for its defaults.
        let whole = serde_json::to_value(&self.value).unwrap_or_default();
        self.collect(&Path::default(), whole, &mut rows);
        rows
    }

    /// Lists the settings whose values differ, secrets too; where a value came from does not count.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.open_values(), other.open_values());
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for key in mine.keys().chain(theirs.keys()) {
            if mine.get(key) != theirs.get(key) {
                keys.insert(key.clone());
            }
        }
        for path in self.secrets.union(&other.secrets) {
            let [mine, theirs] = [self, other].map(|it| it.tree.nearest(path).text());
            if mine != theirs {
                keys.insert(path.to_string());
            }
        }
        keys.into_iter().collect()
    }

    /// Gives what is no secret by key.
    fn open_values(&self) -> BTreeMap<String, serde_json::Value> {
        let rows = self.rows().into_iter();
        rows.map(|row| (row.key, row.value)).collect()
    }

    /// Writes every setting with its value and origin. Secrets are never in it.
    pub fn show(&self, format: Format) -> String {
        match format {
            Format::Table => table(&self.rows()),
            Format::Json => serde_json::to_string_pretty(&self.rows()).unwrap_or_default(),
        }
    }

    fn collect(&self, path: &Path, value: serde_json::Value, rows: &mut Vec<Row>) {
        match value {
            serde_json::Value::Object(fields) if !fields.is_empty() => {
                for (key, field) in fields {
                    self.collect(&path.key(&key), field, rows);
                }
            }
            value => rows.push(Row {
                key: path.to_string(),
                value: self.redacted(path, value),
                origin: self.tree.nearest(path).origin.clone(),
                variable: variable_of(path).unwrap_or_default(),
            }),
        }
    }

    /// Redacts by place and not by type alone: a secret type of another crate may serialise openly.
    fn redacted(&self, path: &Path, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value as Json;
        match value {
            Json::Null => Json::Null,
            _ if self.secrets.contains(path) => Json::from(REDACTED),
            Json::Array(items) => {
                let each = items.into_iter().enumerate();
                each.map(|(index, item)| self.redacted(&path.index(index), item))
                    .collect()
            }
            Json::Object(fields) => {
                let each = fields.into_iter();
                each.map(|(key, item)| (key.clone(), self.redacted(&path.key(&key), item)))
                    .collect()
            }
            other => other,
        }
    }
}

fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 3]> =
        std::iter::once(["SETTING", "VALUE", "ORIGIN"].map(str::to_owned))
            .chain(
                rows.iter()
                    .map(|row| [row.key.clone(), text(&row.value), row.origin.to_string()]),
            )
            .collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        cells
            .iter()
            .map(|row| column(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (keys, values) = (width(|[key, ..]| key), width(|[_, value, _]| value));
    cells
        .iter()
        .fold(String::new(), |mut out, [key, value, origin]| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{key:keys$}  {value:values$}  {origin}");
            out
        })
}

/// Text stands as it is unless that would break the line.
fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "(not set)".to_owned(),
        serde_json::Value::String(text) if !text.is_empty() && !text.contains(char::is_control) => {
            text.clone()
        }
        other => other.to_string(),
    }
}
