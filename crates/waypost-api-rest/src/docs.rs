//! `/docs`: the OpenAPI document as one page that runs no script and loads nothing.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h2{margin-top:2.5rem}details{border:1px solid #8884;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}\
summary{cursor:pointer}code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;background:#8881;padding:.6rem}\
b{display:inline-block;width:4.5rem}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;vertical-align:top}\
@media(prefers-color-scheme:dark){body{background:#151515;color:#ddd}a{color:#8ab4f8}}";

/// The page and the policy under which browsers show it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) html: String,
    pub(crate) policy: String,
}

/// Makes the page of an OpenAPI document.
pub(crate) fn page(document: &Value) -> Page {
    let mut html = String::new();
    let title = text(document.pointer("/info/title"));
    let version = text(document.pointer("/info/version"));
    let about = text(document.pointer("/info/description"));
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} API</title><style>{STYLE}</style><h1>{title} API {version}</h1>\
         <p>{about} <a href=\"/openapi.json\">openapi.json</a></p>"
    );
    let mut tag = String::new();
    for operation in operations(document) {
        if operation.tag != tag {
            tag.clone_from(&operation.tag);
            let _ = write!(html, "<h2>{}</h2>", escape(&tag));
        }
        write_operation(&mut html, &operation);
    }
    html.push_str("<h2>Documents</h2>");
    for (name, schema) in members(document.pointer("/components/schemas")) {
        let shown = serde_json::to_string_pretty(schema).unwrap_or_default();
        let name = escape(name);
        let _ = write!(
            html,
            "<details id=\"{name}\"><summary><code>{name}</code></summary><pre>{}</pre></details>",
            escape(&shown)
        );
    }
    html.push_str("</html>\n");
    let hash = base64(&Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Page { html, policy }
}

struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    tag: String,
    value: &'a Value,
}

/// Lists the operations by tag, each tag where it comes first.
fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    let mut order: Vec<String> = Vec::new();
    for (path, item) in members(document.pointer("/paths")) {
        for (method, value) in members(Some(item)) {
            let tag = value
                .pointer("/tags/0")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if !order.contains(&tag) {
                order.push(tag.clone());
            }
            all.push(Operation {
                method,
                path,
                tag,
                value,
            });
        }
    }
    all.sort_by_key(|operation| order.iter().position(|tag| *tag == operation.tag));
    all
}

fn write_operation(html: &mut String, operation: &Operation<'_>) {
    let value = operation.value;
    let _ = write!(
        html,
        "<details><summary><b>{}</b><code>{}</code> {}</summary><table>",
        escape(&operation.method.to_uppercase()),
        escape(operation.path),
        text(value.get("summary"))
    );
    for parameter in value
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let _ = write!(
            html,
            "<tr><td><code>{}</code><td>{}<td>{}",
            text(parameter.get("name")),
            text(parameter.get("in")),
            text(parameter.get("description"))
        );
    }
    let body = value.pointer("/requestBody/content/application~1json/schema");
    if let Some(schema) = body {
        let _ = write!(html, "<tr><td>body<td>JSON<td>{}", reference(schema));
    }
    for (status, response) in members(value.get("responses")) {
        let content = members(response.get("content")).next();
        let (media_type, schema) =
            content.map_or(("", None), |(name, content)| (name, content.get("schema")));
        let _ = write!(
            html,
            "<tr><td>{}<td><code>{}</code><td>{} {}",
            escape(status),
            escape(media_type),
            text(response.get("description")),
            schema.map(reference).unwrap_or_default()
        );
    }
    html.push_str("</table></details>");
}

/// Links to the document that a schema names.
fn reference(schema: &Value) -> String {
    let named = schema
        .get("$ref")
        .or_else(|| schema.pointer("/items/$ref"))
        .and_then(Value::as_str);
    let name = named.and_then(|named| named.rsplit('/').next()).map(escape);
    name.map(|name| format!("<a href=\"#{name}\">{name}</a>"))
        .unwrap_or_default()
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

fn text(value: Option<&Value>) -> String {
    escape(value.and_then(Value::as_str).unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// RFC 4648 section 4; a hash of 32 bytes ends in one `=`.
fn base64(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let symbol = SYMBOLS.get((bits >> (18 - 6 * place) & 63) as usize);
            let symbol = symbol
                .filter(|_| place <= chunk.len())
                .copied()
                .unwrap_or(b'=');
            text.push(char::from(symbol));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_the_rfc() {
        let encoded =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(
            encoded,
            [
                "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"
            ]
        );
    }

    #[test]
    fn the_page_loads_nothing_and_shows_every_path() {
        let document = crate::openapi::document("1.2.3");
        let page = page(&document);
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(page.html.contains(path.as_str()), "{path}");
        }
        for loads in [
            "<script", "src=", "<link", "@import", "url(", "http://", "https://",
        ] {
            assert!(!page.html.contains(loads), "{loads}");
        }
        assert!(page.policy.starts_with("default-src 'none'"));
    }
}
