//! Reading files: the configuration file, and files that hold a single value.

use std::io::Read;
use std::path::Path as FilePath;

use toml::de::DeTable;

use crate::error::ConfigError;
use crate::node::Node;
use crate::origin::Origin;
use crate::syntax;

/// How large a configuration file may be.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// How large a file named by a `.._FILE` variable may be.
const MAX_VALUE_BYTES: u64 = 64 * 1024;

/// Reads the file into a layer. Parsing goes on after a syntax error, so that all of them are
/// reported and what could be read is still checked.
pub(crate) fn layer(path: &FilePath, errors: &mut Vec<ConfigError>) -> Option<Node> {
    let whole = Origin::File {
        path: path.to_owned(),
        line: 0,
    };
    let text = match read(path, MAX_FILE_BYTES) {
        Ok(text) => text,
        Err(rule) => {
            errors.push(ConfigError::outside(whole, rule));
            return None;
        }
    };
    let origin_at = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File {
            path: path.to_owned(),
            line,
        }
    };
    let (table, faults) = DeTable::parse_recoverable(&text);
    for fault in faults {
        let start = fault.span().map_or(0, |span| span.start);
        errors.push(ConfigError::outside(
            origin_at(start),
            fault.message().to_owned(),
        ));
    }
    Some(Node::new(whole, syntax::table(table.get_ref(), &origin_at)))
}

/// Reads a value from the file that a variable names: its text without the white space around it.
pub(crate) fn value(path: &FilePath) -> Result<String, String> {
    Ok(read(path, MAX_VALUE_BYTES)?.trim().to_owned())
}

fn read(path: &FilePath, limit: u64) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("the file cannot be opened: {e}"))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("the file has more than {} KiB", limit / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())
}
