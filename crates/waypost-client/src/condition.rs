//! Conditions under which a change is made.

use http::HeaderName;
use http::header::{IF_MATCH, IF_NONE_MATCH};

/// What has to be so for a change to be made; else the call fails with `Conflict`, and its problem tells the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is not there: create, and change nothing that is there.
    Absent,
    /// It is there: change, and create nothing.
    Present,
    /// It was not changed after this `revision`, as documents show it.
    Unchanged(String),
}

impl Condition {
    pub(crate) fn header(&self) -> (HeaderName, String) {
        match self {
            Self::Absent => (IF_NONE_MATCH, "*".to_owned()),
            Self::Present => (IF_MATCH, "*".to_owned()),
            Self::Unchanged(revision) => (IF_MATCH, format!("W/\"{revision}\"")),
        }
    }
}
