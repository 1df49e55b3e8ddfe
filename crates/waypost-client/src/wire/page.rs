//! Pages of listings.

use serde::Deserialize;

/// One page of a listing: its items, and the name after which the next page starts.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    #[serde(alias = "namespaces", alias = "services", alias = "instances")]
    pub(crate) items: Vec<T>,
    #[serde(default)]
    pub(crate) next: Option<String>,
}
