//! Laying the layers over each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::{self, Environment};
use crate::error::{ConfigError, ConfigErrors};
use crate::file;
use crate::loaded::Loaded;
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::path::Path;
use crate::read::{Pass, Reader};
use crate::secret::Secret;

/// Collects the layers and reads settings from them.
#[derive(Debug, Default)]
pub struct Loader {
    file: Option<PathBuf>,
    environment: Environment,
    aliases: Vec<Alias>,
    flags: Vec<Flag>,
}

/// A variable with a name of its own that is known beside `WAYPOST__SECTION__FIELD`.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    pub(crate) name: &'static str,
    pub(crate) target: Option<&'static str>,
    pub(crate) convert: fn(&str) -> Result<String, String>,
}

impl Alias {
    /// A variable that sets a setting (`section.field`) as it is.
    pub const fn of(name: &'static str, target: &'static str) -> Self {
        Self {
            name,
            target: Some(target),
            convert: |text| Ok(text.to_owned()),
        }
    }

    /// A variable whose words mean something else here. The conversion gives the setting's text, or
    /// the rule that the value breaks.
    pub const fn converted(
        name: &'static str,
        target: &'static str,
        convert: fn(&str) -> Result<String, String>,
    ) -> Self {
        Self {
            name,
            target: Some(target),
            convert,
        }
    }

    /// A variable that is known and has no use yet: listed in [`Loaded::accepted`].
    pub const fn accepted(name: &'static str) -> Self {
        Self {
            name,
            target: None,
            convert: |text| Ok(text.to_owned()),
        }
    }
}

#[derive(Debug)]
struct Flag {
    name: String,
    target: String,
    /// Not known to be a secret, but not to be logged before its setting is known either.
    value: Secret,
}

impl Loader {
    /// Begins with the defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this TOML file, if one is named. A named file must exist.
    pub fn file(mut self, path: Option<PathBuf>) -> Self {
        self.file = path;
        self
    }

    /// Takes variables from this environment.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Knows these variables too.
    pub fn aliases(mut self, aliases: &[Alias]) -> Self {
        self.aliases.extend_from_slice(aliases);
        self
    }

    /// Sets `target` (`section.field`) from a flag, if it was given. `name` has the dashes.
    pub fn flag(mut self, name: &str, target: &str, value: Option<impl Into<String>>) -> Self {
        self.flags.extend(value.map(|value| Flag {
            name: name.to_owned(),
            target: target.to_owned(),
            value: Secret::new(value),
        }));
        self
    }

    /// Lays the layers over each other and reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong, in all layers.
    pub fn load<C>(self) -> Result<Loaded<C>, ConfigErrors>
    where
        C: Serialize + DeserializeOwned + Default,
    {
        let mut errors = Vec::new();
        let defaults = defaults::<C>(&mut errors);
        let mut tree = defaults.clone();
        let file = self
            .file
            .as_deref()
            .and_then(|path| file::layer(path, &mut errors));
        let environment =
            environment::layers(&self.environment, &self.aliases, &defaults, &mut errors);
        let flags = self.flags.into_iter().map(Flag::layer);
        for mut layer in file.into_iter().chain(environment.nodes).chain(flags) {
            layer.conform(&defaults, &Path::default(), &mut errors);
            tree.overlay(layer);
        }
        let (value, secrets) = read::<C>(&mut tree, &defaults, &mut errors);
        match (value, ConfigErrors::of(errors)) {
            (Some(value), None) => Ok(Loaded {
                value,
                tree,
                secrets,
                accepted: environment.accepted,
            }),
            (_, Some(errors)) => Err(errors),
            (None, None) => unreadable(),
        }
    }
}

impl Flag {
    fn layer(self) -> Node {
        let origin = Origin::Flag { name: self.name };
        Node::at(
            &Path::dotted(&self.target),
            &origin,
            Value::Text(self.value.expose().to_owned()),
        )
    }
}

fn defaults<C: Serialize + Default>(errors: &mut Vec<ConfigError>) -> Node {
    match serde_json::to_value(C::default()) {
        Ok(value) => Node::of_defaults(&value),
        Err(error) => {
            errors.push(ConfigError::outside(Origin::Default, error.to_string()));
            Node::empty_table(Origin::Default)
        }
    }
}

/// Reads until nothing is wrong any more: serde stops at the first wrong value, so each is noted,
/// taken out and the rest read again. Every round takes out one value that somebody set, so the
/// rounds end.
fn read<C: DeserializeOwned>(
    tree: &mut Node,
    defaults: &Node,
    errors: &mut Vec<ConfigError>,
) -> (Option<C>, BTreeSet<Path>) {
    let mut found: BTreeMap<Path, ConfigError> = BTreeMap::new();
    let (value, secrets) = loop {
        let pass = Pass::default();
        let outcome = C::deserialize(Reader::root(tree, &pass));
        let (unknown, secrets) = pass.into_findings();
        found.extend(unknown);
        match outcome {
            Ok(value) => break (Some(value), secrets),
            Err(fault) => {
                let (path, error) = fault.into_error();
                found.entry(path.clone()).or_insert(error);
                if !take_out(tree, defaults, path) {
                    break (None, secrets);
                }
            }
        }
    };
    errors.extend(found.into_values());
    (value, secrets)
}

/// Resets the value at the path, or the nearest one above it that somebody set.
fn take_out(tree: &mut Node, defaults: &Node, mut path: Path) -> bool {
    while !tree.reset(&path, defaults) {
        match path.parent() {
            Some(above) => path = above,
            None => return false,
        }
    }
    true
}

/// Reading ends with a value or with an error; this answers the case that cannot be.
fn unreadable<T>() -> Result<T, ConfigErrors> {
    let error = ConfigError::outside(Origin::Default, "the settings cannot be read".to_owned());
    Err(ConfigErrors::only(error))
}
