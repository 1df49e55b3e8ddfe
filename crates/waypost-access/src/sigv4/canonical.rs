//! The canonical form of a request: the same for everybody who reads it.

use std::fmt::Write as _;

use http::HeaderMap;

/// Writes the path: empty and dot segments go, and what is escaped is escaped once more (every service but S3).
pub(super) fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut text = String::with_capacity(path.len() + 8);
    for segment in &segments {
        text.push('/');
        encode(segment.as_bytes(), &mut text);
    }
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if segments.is_empty() || ends_open {
        text.push('/');
    }
    text
}

/// Writes the query: decoded, encoded the one way, and sorted.
pub(super) fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => bytes.push(*first),
        }
    }
    let mut written = String::with_capacity(text.len());
    encode(&bytes, &mut written);
    written
}

/// Escapes everything but the unreserved characters of RFC 3986.
fn encode(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            to.push(char::from(*byte));
        } else {
            // Writing into a string cannot fail.
            let _written = write!(to, "%{byte:02X}");
        }
    }
}

/// Writes the signed headers, each in a line: several values joined, spaces at the ends gone and inside made one.
pub(super) fn canonical_headers(signed: &[String], headers: &HeaderMap) -> String {
    let mut text = String::new();
    for name in signed {
        text.push_str(name);
        text.push(':');
        for (at, value) in headers.get_all(name).iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            let value = String::from_utf8_lossy(value.as_bytes());
            for (at, word) in value.split_ascii_whitespace().enumerate() {
                if at > 0 {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        text.push('\n');
    }
    text
}
