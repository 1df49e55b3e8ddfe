//! Pages of lists, by the last key shown, so that they survive changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fault::Fault;
use crate::value::{Map, Value};

/// Rows of a page, unless the request says otherwise.
const ROWS: usize = 100;

/// A page that was asked for.
#[derive(Debug)]
pub(crate) struct Page {
    rows: usize,
    after: Option<String>,
    /// What the token belongs to: the operation and what it filters by.
    query: String,
}

impl Page {
    /// Reads `MaxResults` and `NextToken`; a token of another query is refused.
    pub(crate) fn read(operation: &str, input: &Value) -> Result<Self, Fault> {
        let rows = input
            .integer("MaxResults")
            .and_then(|rows| usize::try_from(rows).ok());
        let filters = input.get("Filters").or(input.get("Instances"));
        let about = input.text("ServiceId").unwrap_or_default();
        let query = format!("{operation}\n{about}\n{filters:?}");
        let after = match input.text("NextToken") {
            None => None,
            Some(token) => Some(read_token(token, &query)?),
        };
        Ok(Self {
            rows: rows.unwrap_or(ROWS),
            after,
            query,
        })
    }

    /// Says whether a row comes after what was shown before; rows come in the order of their keys.
    pub(crate) fn is_next(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| key > after)
    }

    /// Takes the rows of the page, each with its key, and adds the token of the next page if there is one.
    pub(crate) fn fill(self, name: &str, rows: impl Iterator<Item = (String, Value)>) -> Map {
        let mut list = Vec::new();
        let mut last = None;
        let mut rows = rows.filter(|(key, _)| self.is_next(key));
        for (key, value) in rows.by_ref().take(self.rows) {
            list.push(value);
            last = Some(key);
        }
        let more = rows.next().is_some();
        let token = last
            .filter(|_| more)
            .map(|last| write_token(&last, &self.query));
        Map::new().with(name, list).with_some("NextToken", token)
    }
}

fn write_token(after: &str, query: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{:016x}{after}", digest(query)))
}

fn read_token(token: &str, query: &str) -> Result<String, Fault> {
    let refused = || Fault::invalid("NextToken is not one that this request was given.");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    let after = text.strip_prefix(&format!("{:016x}", digest(query)));
    after.map(str::to_owned).ok_or_else(refused)
}

/// FNV-1a: it tells honest mistakes apart; what a forged token shows, its bearer may see anyway.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(rows: i64, token: Option<String>) -> Value {
        Map::new()
            .with("MaxResults", Value::Integer(rows))
            .with_some("NextToken", token)
            .done()
    }

    fn rows(keys: &[&str]) -> impl Iterator<Item = (String, Value)> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.into_iter().map(|key| (key.clone(), Value::from(key)))
    }

    #[test]
    fn pages_survive_rows_that_come_and_go_and_tokens_belong_to_their_query() {
        let first = Page::read("List", &input(2, None)).unwrap();
        let shown = first.fill("Rows", rows(&["a", "c", "e"])).done();
        assert_eq!(shown.list("Rows"), ["a".into(), "c".into()]);
        let token = shown.text("NextToken").unwrap().to_owned();
        let second = Page::read("List", &input(2, Some(token.clone()))).unwrap();
        let shown = second.fill("Rows", rows(&["b", "d", "e"])).done();
        assert_eq!(shown.list("Rows"), ["d".into(), "e".into()]);
        assert!(shown.get("NextToken").is_none());
        assert!(Page::read("Other", &input(2, Some(token))).is_err());
        assert!(Page::read("List", &input(2, Some("!".into()))).is_err());
    }
}
