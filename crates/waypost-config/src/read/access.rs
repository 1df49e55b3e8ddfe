//! Walking lists and tables for serde.

use std::collections::BTreeMap;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::{Fault, Reader};
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::syntax;

/// Splits text into a list, by TOML's brackets or by commas.
pub(super) fn items_of(text: &str, origin: &Origin) -> Result<BTreeMap<usize, Node>, Fault> {
    if text.trim_start().starts_with('[') {
        return match syntax::value(text, origin).map(|node| node.value) {
            Some(Value::List(items)) => Ok(items),
            _ => Err(Fault::rule("must be a list, such as [\"a\", \"b\"] or a,b")),
        };
    }
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let nodes = words.map(|word| Node::new(origin.clone(), Value::Text(word.to_owned())));
    Ok(nodes.enumerate().collect())
}

/// Walks a list.
pub(super) struct Items<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) left: std::collections::btree_map::Iter<'a, usize, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.left.next() else {
            return Ok(None);
        };
        let reader = self.reader.child(self.reader.path.index(*index), node);
        let place = reader.clone();
        place.here(|| seed.deserialize(reader)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// Walks a table.
pub(super) struct Fields<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) left: std::vec::IntoIter<(&'a str, &'a Node)>,
    pub(super) current: Option<(&'a str, &'a Node)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self.left.next();
        let Some((key, node)) = self.current else {
            return Ok(None);
        };
        // A key is text of no type, so that a map's keys may be numbers or addresses.
        let text = Node::new(node.origin.clone(), Value::Text(key.to_owned()));
        let reader = self.reader.child(self.reader.path.key(key), &text);
        let place = reader.clone();
        place.here(|| seed.deserialize(reader)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.current.ok_or_else(|| Fault::rule("has no value"))?;
        let reader = self.reader.child(self.reader.path.key(key), node);
        let place = reader.clone();
        place.here(|| seed.deserialize(reader))
    }
}
