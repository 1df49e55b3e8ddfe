//! The environment as a layer.
//!
//! `WAYPOST__SECTION__FIELD` sets `section.field`. With `_FILE` behind it, the value is the content
//! of the file it names, which is how orchestrators hand over secrets; a setting whose own name ends
//! with `_file` keeps that meaning. An empty variable is one that is not set.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::error::ConfigError;
use crate::file;
use crate::loader::Alias;
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::path::{Path, Step};

const PREFIX: &str = "WAYPOST__";
const FILE_SUFFIX: &str = "_FILE";

/// Environment variables, read once.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

/// Reads the environment of the process. This is the only place that does.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate is where the environment is read"
)]
pub fn process_environment() -> Environment {
    Environment(std::env::vars_os().collect())
}

impl Environment {
    /// Gives the value of a variable that is set, not empty and UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.raw(name)?;
        value.to_str()
    }

    /// Lists the names of the variables that are set, as far as they are UTF-8.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(name, _)| name.to_str())
    }

    fn raw(&self, name: &str) -> Option<&OsStr> {
        let (_, value) = self.0.iter().find(|(n, v)| n == name && !v.is_empty())?;
        Some(value)
    }
}

/// Values may be secrets, so only names are shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// What the environment sets, lowest first, and which variables were accepted without a use.
#[derive(Default)]
pub(crate) struct Layers {
    pub(crate) nodes: Vec<Node>,
    pub(crate) accepted: Vec<String>,
}

/// Reads the variables that concern the settings. Our own names win over aliases, and among
/// aliases of one setting the one that is listed first.
pub(crate) fn layers(
    environment: &Environment,
    aliases: &[Alias],
    defaults: &Node,
    errors: &mut Vec<ConfigError>,
) -> Layers {
    let mut layers = Layers::default();
    for alias in aliases.iter().rev() {
        let by_file = alias.target.and_then(|target| {
            let name = format!("{}{FILE_SUFFIX}", alias.name);
            let raw = environment.raw(&name)?;
            Some(value_of_file(&name, raw, &Path::dotted(target)))
        });
        match by_file {
            Some(Ok(node)) => layers.nodes.push(node),
            Some(Err(error)) => errors.push(*error),
            None => {}
        }
        let Some(raw) = environment.raw(alias.name) else {
            continue;
        };
        let Some(target) = alias.target else {
            layers.accepted.push(alias.name.to_owned());
            continue;
        };
        let origin = Origin::Variable {
            name: alias.name.to_owned(),
        };
        match utf8(raw).and_then(|text| (alias.convert)(text)) {
            Ok(text) => {
                layers
                    .nodes
                    .push(Node::at(&Path::dotted(target), &origin, Value::Text(text)));
            }
            Err(rule) => errors.push(ConfigError {
                field: Some(target.to_owned()),
                value: None,
                rule,
                origin,
            }),
        }
    }
    layers.accepted.sort();
    let mut seen = BTreeSet::new();
    for (name, raw) in &environment.0 {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        if raw.is_empty() {
            continue;
        }
        match setting(name, raw, defaults) {
            Ok((path, node)) if seen.insert(path.clone()) => layers.nodes.push(node),
            Ok((path, node)) => errors.push(ConfigError {
                field: Some(path.to_string()),
                value: None,
                rule: "is set by two variables; keep one of them".to_owned(),
                origin: node.nearest(&path).origin.clone(),
            }),
            Err(error) => errors.push(*error),
        }
    }
    layers
}

/// Reads one variable of ours. The error is boxed because it is large and rare.
fn setting(name: &str, raw: &OsStr, defaults: &Node) -> Result<(Path, Node), Box<ConfigError>> {
    let variable = Origin::Variable {
        name: name.to_owned(),
    };
    let path = path_of(name);
    let failed = |path: &Path, origin: &Origin, rule| {
        let field = Some(path.to_string());
        Box::new(ConfigError {
            field,
            value: None,
            rule,
            origin: origin.clone(),
        })
    };
    let text = utf8(raw).map_err(|rule| failed(&path, &variable, rule))?;
    let from_file = name
        .strip_suffix(FILE_SUFFIX)
        .map(path_of)
        .filter(|short| defaults.get(&path).is_none() && defaults.get(short).is_some());
    let Some(path) = from_file else {
        let node = Node::at(&path, &variable, Value::Text(text.to_owned()));
        return Ok((path, node));
    };
    let node = value_of_file(name, raw, &path)?;
    Ok((path, node))
}

/// Reads a setting from the file that a variable names.
fn value_of_file(name: &str, raw: &OsStr, path: &Path) -> Result<Node, Box<ConfigError>> {
    let failed = |origin: Origin, rule: String| {
        Box::new(ConfigError {
            field: Some(path.to_string()),
            value: None,
            rule,
            origin,
        })
    };
    let variable = Origin::Variable {
        name: name.to_owned(),
    };
    let text = utf8(raw).map_err(|rule| failed(variable, rule))?;
    let file = PathBuf::from(text);
    let origin = Origin::VariableFile {
        name: name.to_owned(),
        path: file.clone(),
    };
    let content = file::value(&file).map_err(|rule| failed(origin.clone(), rule))?;
    if content.is_empty() {
        return Err(failed(origin, "the file is empty".to_owned()));
    }
    Ok(Node::at(path, &origin, Value::Text(content)))
}

fn path_of(name: &str) -> Path {
    let name = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase();
    Path::of_keys(name.split("__"))
}

fn utf8(raw: &OsStr) -> Result<&str, String> {
    raw.to_str()
        .ok_or_else(|| "the value is not UTF-8".to_owned())
}

/// Gives the variable that sets a setting; none inside of a list.
pub(crate) fn variable_of(path: &Path) -> Option<String> {
    let keys: Option<Vec<String>> = path
        .steps()
        .iter()
        .map(|step| match step {
            Step::Key(key) => Some(key.to_uppercase()),
            Step::Index(_) => None,
        })
        .collect();
    Some(format!("{PREFIX}{}", keys?.join("__")))
}
