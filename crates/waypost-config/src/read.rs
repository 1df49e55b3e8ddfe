//! Reading settings out of the tree.
//!
//! This is a serde deserializer because serde alone knows which type a setting asks for: text of a
//! variable becomes a number where a number is wanted, unknown keys are noted without ending the
//! read, and a newtype called `Secret` marks its place as one that is never shown.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use crate::error::ConfigError;
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::path::Path;
use crate::secret::NEWTYPE_NAME;
use crate::syntax;

mod access;
mod fault;

use access::{Fields, Items, items_of};
pub(crate) use fault::Fault;

/// What one read finds beside its value.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    unknown: RefCell<BTreeMap<Path, ConfigError>>,
    secrets: RefCell<BTreeSet<Path>>,
}

impl Pass {
    /// Gives unknown keys and the places of secrets.
    pub(crate) fn into_findings(self) -> (BTreeMap<Path, ConfigError>, BTreeSet<Path>) {
        (self.unknown.into_inner(), self.secrets.into_inner())
    }

    /// The value is left out: it may be a secret under a mistyped name.
    fn note_unknown(&self, path: Path, name: &str, node: &Node, known: &[&'static str]) {
        let rule = match closest(name, known) {
            Some(close) => {
                let suggestion = path.parent().unwrap_or_default().key(close);
                format!("is not a setting; did you mean {suggestion}?")
            }
            None => "is not a setting".to_owned(),
        };
        let error = ConfigError {
            field: Some(path.to_string()),
            value: None,
            rule,
            origin: node.origin.clone(),
        };
        self.unknown.borrow_mut().insert(path, error);
    }
}

/// Gives the known name that a mistyped one is nearest to: at most a third of it may differ.
fn closest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Reads one node.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    node: &'a Node,
    path: Path,
    pass: &'a Pass,
}

impl<'a> Reader<'a> {
    pub(crate) fn root(node: &'a Node, pass: &'a Pass) -> Self {
        Self {
            node,
            path: Path::default(),
            pass,
        }
    }

    /// Runs a part of the read and gives an error that has no place yet this one.
    fn here<T>(&self, part: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        part().map_err(|fault| {
            let fault = fault.at(&self.path, self.node);
            let is_secret = self.pass.secrets.borrow().contains(&self.path);
            if is_secret { fault.redacted() } else { fault }
        })
    }

    fn whole_number<T: TryFrom<i128>>(&self, rule: &str) -> Result<T, Fault> {
        let number = match &self.node.value {
            Value::Integer(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .and_then(|n| T::try_from(n).ok())
            .ok_or_else(|| Fault::rule(rule))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a setting that is a float has no exact form"
    )]
    fn number(&self) -> Result<f64, Fault> {
        let number = match &self.node.value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|n| n.is_finite())
            .ok_or_else(|| Fault::rule("must be a number"))
    }

    fn flag(&self) -> Result<bool, Fault> {
        let word = match &self.node.value {
            Value::Bool(flag) => return Ok(*flag),
            Value::Text(text) => text.trim().to_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(Fault::rule("must be true or false")),
        }
    }

    fn text(&self) -> Result<&'a str, Fault> {
        match &self.node.value {
            Value::String(text) | Value::Text(text) => Ok(text),
            _ => Err(Fault::rule("must be text in quotes")),
        }
    }

    /// Text becomes a list by TOML's brackets or by commas.
    fn list<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        let split;
        let items = match &self.node.value {
            Value::List(items) => items,
            Value::Text(text) => {
                split = items_of(text, &self.node.origin)?;
                &split
            }
            _ => return Err(Fault::rule("must be a list")),
        };
        visitor.visit_seq(Items {
            reader: self,
            left: items.iter(),
        })
    }

    /// Reads a table; with `known` names, keys that are not among them are noted and left out.
    fn table<'de, V: Visitor<'de>>(
        &self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let parsed;
        let node = match &self.node.value {
            Value::Text(text) => {
                parsed = syntax::value(text, &self.node.origin)
                    .ok_or_else(|| Fault::hidden("must be a table, such as { field = 1 }"))?;
                &parsed
            }
            _ => self.node,
        };
        let Value::Table(fields) = &node.value else {
            return Err(Fault::hidden("must be a table"));
        };
        let mut wanted = Vec::new();
        for (key, field) in fields {
            match known {
                Some(names) if !names.contains(&key.as_str()) => {
                    self.pass
                        .note_unknown(self.path.key(key), key, field, names);
                }
                _ => wanted.push((key.as_str(), field)),
            }
        }
        visitor.visit_map(Fields {
            reader: self,
            left: wanted.into_iter(),
            current: None,
        })
    }

    fn child<'b>(&'b self, path: Path, node: &'b Node) -> Reader<'b> {
        Reader {
            node,
            path,
            pass: self.pass,
        }
    }
}

/// Whole numbers, each with the rule that names its range.
macro_rules! whole_numbers {
    ($($read:ident $visit:ident $rule:literal;)*) => {$(
        fn $read<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.here(|| visitor.$visit(self.whole_number($rule)?))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    whole_numbers! {
        deserialize_u8 visit_u8 "must be a whole number from 0 to 255";
        deserialize_u16 visit_u16 "must be a whole number from 0 to 65535";
        deserialize_u32 visit_u32 "must be a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 "must be a whole number, 0 or more";
        deserialize_i8 visit_i8 "must be a whole number from -128 to 127";
        deserialize_i16 visit_i16 "must be a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 "must be a whole number from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 "must be a whole number";
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| visitor.visit_f64(self.number()?))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| visitor.visit_bool(self.flag()?))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| visitor.visit_str(self.text()?))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| match &self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self.clone()),
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name != NEWTYPE_NAME {
            return self.here(|| visitor.visit_newtype_struct(self.clone()));
        }
        self.pass.secrets.borrow_mut().insert(self.path.clone());
        self.here(|| match self.node.origin {
            Origin::Default => Err(Fault::hidden("has a default, which no secret may have")),
            _ => visitor.visit_newtype_struct(self.clone()),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| self.list(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| self.table(None, visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.here(|| self.table(Some(fields), visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.here(|| match &self.node.value {
            Value::Table(fields) => {
                let left: Vec<_> = fields
                    .iter()
                    .map(|(key, node)| (key.as_str(), node))
                    .collect();
                let fields = Fields {
                    reader: &self,
                    left: left.into_iter(),
                    current: None,
                };
                visitor.visit_enum(MapAccessDeserializer::new(fields))
            }
            _ => {
                let word: StrDeserializer<'_, Fault> = self.text()?.into_deserializer();
                visitor.visit_enum(word)
            }
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|| match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_str(text),
            // Nothing says which type is wanted, so TOML decides; what is not TOML is text.
            Value::Text(text) => match syntax::value(text, &self.node.origin) {
                Some(node) => self
                    .child(self.path.clone(), &node)
                    .deserialize_any(visitor),
                None => visitor.visit_str(text),
            },
            Value::List(_) => self.list(visitor),
            Value::Table(_) => self.table(None, visitor),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct }
}
