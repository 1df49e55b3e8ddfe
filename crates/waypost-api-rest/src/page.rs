//! Pages of lists: `?limit=` and `?after=`.

use waypost_core::RegistryError;
use waypost_http::RequestHead;

use crate::config::RestConfig;
use crate::error::Refusal;

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    limit: usize,
    /// What the page before ended with.
    pub(crate) after: Option<String>,
}

impl Page {
    /// Reads the query; without a limit a page is as long as pages may be.
    pub(crate) fn of(head: &RequestHead, config: &RestConfig) -> Result<Self, Refusal> {
        let query = head.query()?;
        let most = config.page_size_max;
        let limit = match query.get("limit") {
            None => most,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=most).contains(limit))
                .ok_or_else(|| {
                    RegistryError::invalid("limit", text, format!("must be 1 to {most}"))
                })?,
        };
        let after = query.get("after").map(str::to_owned);
        Ok(Self { limit, after })
    }

    /// Returns how long the page may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes one page off a list, and says what `after` is for the next one.
    pub(crate) fn cut<T>(
        &self,
        all: impl Iterator<Item = T>,
        name: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        // One more than fits tells whether there is another page.
        let mut shown: Vec<T> = all.take(self.limit + 1).collect();
        let more = shown.len() > self.limit;
        shown.truncate(self.limit);
        let next = if more { shown.last().map(name) } else { None };
        (shown, next)
    }
}
