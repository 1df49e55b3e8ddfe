//! What is wrong with the settings.

use std::fmt;

use serde::Serialize;

use crate::origin::Origin;

/// One thing that is wrong: the setting, its value, the rule it breaks and where it was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// The setting as `section.field`; none when the file as a whole is meant.
    pub field: Option<String>,
    /// The value as given; none when it is not to be shown or there is none.
    pub value: Option<String>,
    /// The rule it breaks, as the end of a sentence that begins with the setting.
    pub rule: String,
    /// Where it was set.
    pub origin: Origin,
}

/// Everything that is wrong, in the order of the settings; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigError {
    /// An error about a file or variable rather than about a setting.
    pub(crate) fn outside(origin: Origin, rule: String) -> Self {
        Self {
            field: None,
            value: None,
            rule,
            origin,
        }
    }
}

impl ConfigErrors {
    /// Collects errors, those of one setting beside each other; none when there are none.
    pub fn of(mut errors: Vec<ConfigError>) -> Option<Self> {
        errors.sort_by(|a, b| a.field.cmp(&b.field));
        (!errors.is_empty()).then_some(Self(errors))
    }

    pub(crate) fn only(error: ConfigError) -> Self {
        Self(vec![error])
    }

    /// Gives each error.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.field, &self.value) {
            (Some(field), Some(value)) => {
                write!(f, "{field} = {value} ({}): {}", self.origin, self.rule)
            }
            (Some(field), None) => write!(f, "{field} ({}): {}", self.origin, self.rule),
            (None, _) => write!(f, "{}: {}", self.origin, self.rule),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has an error:")?,
            count => write!(f, "the configuration has {count} errors:")?,
        }
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}
