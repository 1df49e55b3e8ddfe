//! From TOML to the tree.

use toml::de::{DeTable, DeValue};

use crate::node::{Node, Value};
use crate::origin::Origin;

/// Gives the origin of what stands at a byte offset.
type OriginAt<'a> = &'a dyn Fn(usize) -> Origin;

/// Turns a parsed table into a value of the tree.
pub(crate) fn table(table: &DeTable<'_>, origin_at: OriginAt<'_>) -> Value {
    let fields = table.iter().map(|(key, value)| {
        // The line of the key, because the value of a section begins anywhere below its header.
        let origin = origin_at(key.span().start);
        (
            key.get_ref().to_string(),
            node(value.get_ref(), origin, origin_at),
        )
    });
    Value::Table(fields.collect())
}

/// Reads a single TOML value (`[1, 2]`, `{ a = 1 }`, `true`), all of it from the same origin.
pub(crate) fn value(text: &str, origin: &Origin) -> Option<Node> {
    let parsed = DeValue::parse(text).ok()?;
    Some(node(parsed.get_ref(), origin.clone(), &|_| origin.clone()))
}

fn node(value: &DeValue<'_>, origin: Origin, origin_at: OriginAt<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        // A number beyond i128 fits no setting; as a float it is refused with its value.
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| float(number.as_str()), Value::Integer),
        DeValue::Float(number) => float(number.as_str()),
        DeValue::Array(items) => {
            let nodes = items.iter().map(|item| {
                let origin = origin_at(item.span().start);
                node(item.get_ref(), origin, origin_at)
            });
            Value::List(nodes.enumerate().collect())
        }
        DeValue::Table(fields) => table(fields, origin_at),
    };
    Node::new(origin, value)
}

fn float(text: &str) -> Value {
    Value::Float(text.parse().unwrap_or(f64::NAN))
}
