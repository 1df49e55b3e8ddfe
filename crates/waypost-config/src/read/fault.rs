//! What serde says is wrong, with its place.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::error::ConfigError;
use crate::node::Node;
use crate::origin::Origin;
use crate::path::Path;
use crate::secret::REDACTED;

/// An error of the read. It is made without a place and gets the one of the innermost reader.
#[derive(Debug)]
pub(crate) struct Fault {
    rule: String,
    missing: Option<&'static str>,
    show_value: bool,
    place: Option<Box<Place>>,
}

#[derive(Debug)]
struct Place {
    path: Path,
    value: Option<String>,
    origin: Origin,
}

impl Fault {
    pub(super) fn rule(rule: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            missing: None,
            show_value: true,
            place: None,
        }
    }

    /// The value is not shown, because it is or may hold a secret.
    pub(super) fn hidden(rule: &str) -> Self {
        Self {
            show_value: false,
            ..Self::rule(rule)
        }
    }

    pub(super) fn at(mut self, path: &Path, node: &Node) -> Self {
        if self.place.is_none() {
            let path = self
                .missing
                .map_or_else(|| path.clone(), |name| path.key(name));
            let value = (self.show_value && self.missing.is_none()).then(|| node.shown());
            self.place = Some(Box::new(Place {
                path,
                value,
                origin: node.origin.clone(),
            }));
        }
        self
    }

    pub(super) fn redacted(mut self) -> Self {
        if let Some(place) = &mut self.place {
            place.value = place.value.take().map(|_| REDACTED.to_owned());
        }
        self
    }

    pub(crate) fn into_error(self) -> (Path, ConfigError) {
        let place = self.place.map_or_else(
            || Place {
                path: Path::default(),
                value: None,
                origin: Origin::Default,
            },
            |place| *place,
        );
        let field = Some(place.path.to_string()).filter(|field| !field.is_empty());
        let rule = self.rule;
        let error = ConfigError {
            field,
            value: place.value,
            rule,
            origin: place.origin,
        };
        (place.path, error)
    }
}

/// Says what the parsers of the standard library want rather than that they did not get it.
fn in_our_words(message: String) -> String {
    match message.as_str() {
        "invalid socket address syntax" => {
            "must be an IP address and a port, such as 127.0.0.1:3004".to_owned()
        }
        // An address (std) and a network (ipnet) fail with the same words.
        "invalid IP address syntax" => {
            "must be an IP address such as 10.0.0.1, or a network such as 10.0.0.0/8 in a list of \
             networks"
                .to_owned()
        }
        _ => message,
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::rule(&in_our_words(message.to_string()))
    }

    // serde's own words repeat the value, which the error names itself unless it is a secret.
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::rule(&format!("must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::rule(&format!("must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::rule(&format!("must be one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            missing: Some(field),
            ..Self::rule("is required")
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

impl std::error::Error for Fault {}
