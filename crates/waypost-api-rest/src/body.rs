//! Request bodies: JSON objects, read with an eye on what is wrong with them.

use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use waypost_core::RegistryError;
use waypost_http::Request;

use crate::error::{Problem, Refusal};

/// How deep arrays and objects may nest.
const DEPTH_MAX: usize = 32;

/// Reads the body of a request as a JSON object.
pub(crate) async fn read_json<T: DeserializeOwned>(request: &mut Request) -> Result<T, Refusal> {
    let bytes = request.read_body().await?;
    parse(&bytes)
}

/// Reads the body as a JSON object; an empty body stands for an empty object.
pub(crate) async fn read_json_or_empty<T: DeserializeOwned>(
    request: &mut Request,
) -> Result<T, Refusal> {
    let bytes = request.read_body().await?;
    parse(if bytes.is_empty() { b"{}" } else { &bytes })
}

/// Reads the body as a JSON merge patch (RFC 7396) of an object.
pub(crate) async fn read_patch(request: &mut Request) -> Result<Map<String, Value>, Refusal> {
    if let Some(sent) = request.head.header(CONTENT_TYPE.as_str()) {
        let essence = sent.split(';').next().unwrap_or_default().trim();
        let known = ["application/merge-patch+json", "application/json"];
        // What curl says of every body unless it is told.
        let unsaid = "application/x-www-form-urlencoded";
        let mut read = known.iter().chain([&unsaid]);
        if !read.any(|known| essence.eq_ignore_ascii_case(known)) {
            return Err(Problem::unsupported(sent, &known.join(" or ")).into());
        }
    }
    read_json(request).await
}

/// Reads `bytes` as a JSON object.
///
/// What is no JSON text is `400`; JSON that does not fit is `422` and names the field, its value and the rule.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Problem::unreadable("must be UTF-8").into());
    };
    check_depth(bytes)?;
    // A struct would also be read from an array of its fields.
    if !text.trim_start().starts_with(['{', '[']) || text.trim_start().starts_with('[') {
        return Err(explain_no_object(text));
    }
    match serde_json::from_str(text) {
        Ok(read) => Ok(read),
        // Read again for the words: what fits is read once only.
        Err(_) => parse_slowly(text),
    }
}

fn explain_no_object(text: &str) -> Refusal {
    if text.trim().is_empty() {
        return Problem::unreadable("must be a JSON object, and is empty").into();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => RegistryError::invalid("body", shown(&value), "must be a JSON object").into(),
        Err(error) => Problem::unreadable(format!("must be JSON: {error}")).into(),
    }
}

fn parse_slowly<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Problem::unreadable(format!("must be JSON: {error}")))?;
    // A member that comes twice counts with its last value, as in the sources' own servers.
    Ok(read_value(&value)?)
}

/// Reads JSON that was read already; what does not fit names the field, its value and the rule.
pub(crate) fn read_value<T: DeserializeOwned>(value: &Value) -> Result<T, RegistryError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        explain_misfit(value, &path, &error.inner().to_string())
    })
}

/// Turns serde's words into a field, its value and a rule.
fn explain_misfit(value: &Value, path: &str, message: &str) -> RegistryError {
    let parent = if path == "." { "" } else { path };
    let member = |name: &str| {
        if parent.is_empty() {
            name.to_owned()
        } else {
            format!("{parent}.{name}")
        }
    };
    if let Some(name) = message.strip_prefix("missing field `") {
        let name = name.strip_suffix('`').unwrap_or(name);
        return RegistryError::invalid(member(name), "", "is missing");
    }
    if let Some((name, known)) = unknown_field(message) {
        // The path may end in the name already.
        let holder = match parent.strip_suffix(name) {
            Some("") => "",
            Some(holder) if holder.ends_with('.') => holder.trim_end_matches('.'),
            _ => parent,
        };
        let field = if holder.is_empty() {
            name.to_owned()
        } else {
            format!("{holder}.{name}")
        };
        let given = at(value, holder).and_then(|holder| holder.get(name));
        let given = given.map(shown).unwrap_or_default();
        return RegistryError::invalid(field, given, format!("is not known; known are {known}"));
    }
    let field = if parent.is_empty() { "body" } else { parent };
    RegistryError::invalid(field.to_owned(), shown_at(value, parent), rule_of(message))
}

/// Splits "unknown field `port`, expected one of ..." into the name and the known ones. The name is the client's and
/// may hold anything, backticks too; what is known is ours.
fn unknown_field(message: &str) -> Option<(&str, &str)> {
    let quoted = message.strip_prefix("unknown field `")?;
    let (name, known) = quoted.rsplit_once("`, expected ")?;
    Some((name, known.strip_prefix("one of ").unwrap_or(known)))
}

fn rule_of(message: &str) -> String {
    if message.starts_with("must ") {
        return message.to_owned();
    }
    let Some((_, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let words = match expected {
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number that is not negative",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "an array",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("must be {words}")
}

/// Shows the value at a path such as `ports[0].number`; nothing when it is not there.
fn shown_at(value: &Value, path: &str) -> String {
    at(value, path).map(shown).unwrap_or_default()
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    for segment in path.split('.').filter(|segment| !segment.is_empty()) {
        let (name, indexes) = segment
            .split_once('[')
            .map_or((segment, ""), |(name, rest)| (name, rest));
        if !name.is_empty() {
            at = at.get(name)?;
        }
        for index in indexes.split('[').filter(|index| !index.is_empty()) {
            let index = index.trim_end_matches(']').parse::<usize>().ok()?;
            at = at.get(index)?;
        }
    }
    Some(at)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Counts the nesting before anything is built; brackets in strings do not count.
fn check_depth(bytes: &[u8]) -> Result<(), Refusal> {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    let rule = format!("must not nest deeper than {DEPTH_MAX} levels");
                    return Err(Problem::unreadable(rule).into());
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
