//! Registrations from a file: one JSON object, an array, one object per line, or TOML with `[[instance]]`.

use serde_json::{Map, Value};
use waypost_client::InstanceRef;

use crate::failure::Failure;
use crate::text::visible;

/// Most registrations in one file.
const MOST_ITEMS: usize = 100_000;

/// One registration of a file: whose it is, and the body for the server, which is the one that judges it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) namespace: Option<String>,
    pub(crate) instance: InstanceRef,
    pub(crate) body: Value,
}

/// Reads every item; an item that does not even name an instance is an error in its place.
pub(crate) fn read_items(text: &str, is_toml: bool) -> Result<Vec<Result<Item, Failure>>, Failure> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let values = if is_toml || text.starts_with("[[instance]]") {
        from_toml(text)?
    } else {
        from_json(text)?
    };
    match values.len() {
        0 => Err(Failure::usage("there is no registration in the input")),
        1..=MOST_ITEMS => Ok(values.into_iter().map(Item::from_value).collect()),
        count => Err(Failure::usage(format!(
            "the input has {count} registrations, more than {MOST_ITEMS}"
        ))),
    }
}

fn from_json(text: &str) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| Failure::usage(format!("the input is not JSON: {error}")))? {
            Value::Array(items) => values.extend(items),
            value => values.push(value),
        }
    }
    Ok(values)
}

fn from_toml(text: &str) -> Result<Vec<Value>, Failure> {
    let not_toml = |error: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "the input is not TOML: {}",
            visible(&error.to_string())
        ))
    };
    let table: toml::Table = toml::from_str(text).map_err(|error| not_toml(&error))?;
    let mut values = Vec::new();
    for (key, value) in table {
        match serde_json::to_value(value).map_err(|error| not_toml(&error))? {
            Value::Array(items) if key == "instance" => values.extend(items),
            _ => {
                return Err(Failure::usage(format!(
                    "{key:?} is not known here: the input consists of [[instance]] tables"
                )));
            }
        }
    }
    Ok(values)
}

impl Item {
    fn from_value(value: Value) -> Result<Self, Failure> {
        let Value::Object(mut body) = value else {
            return Err(Failure::usage(format!(
                "{} is not a registration: expected an object",
                visible(&value.to_string())
            )));
        };
        let service = take_text(&mut body, "service")?.ok_or_else(|| {
            Failure::usage("service is missing: expected the name of the service")
        })?;
        let namespace = take_text(&mut body, "namespace")?;
        let owner = take_text(&mut body, "owner")?;
        let id = take_text(&mut body, "id")?;
        let body = Value::Object(body);
        let id = id.map_or_else(|| default_id(&body), Ok)?;
        let instance = InstanceRef { service, id, owner };
        Ok(Self {
            namespace,
            instance,
            body,
        })
    }
}

fn take_text(body: &mut Map<String, Value>, field: &str) -> Result<Option<String>, Failure> {
    match body.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Failure::usage(format!(
            "{field} {other} is not usable: expected text"
        ))),
    }
}

/// Makes the id of an instance that names none: where it is, so that registering again means the same one.
pub(crate) fn default_id(body: &Value) -> Result<String, Failure> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let address = ["address", "ipv4", "ipv6", "hostname"]
        .into_iter()
        .find_map(text);
    let address = address.ok_or_else(|| {
        Failure::usage("id is missing, and without an address none can be made: give one of them")
    })?;
    let first_port = || body.get("ports")?.get(0)?.get("number");
    let port = body.get("port").or_else(first_port).and_then(Value::as_u64);
    Ok(match port {
        // An IPv6 address has colons of its own.
        Some(port) if address.contains(':') => format!("{address}-{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_owned(),
    })
}
