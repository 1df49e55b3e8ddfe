use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::path::PathBuilder;

/// Which lines of the journal to read. What is given must all hold.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// `changed`, `edge`, `refused`, by comma.
    pub kind: Option<String>,
    /// Who.
    pub subject: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// By which protocol.
    pub dialect: Option<String>,
    /// Why, in one word, or the kind of refusal.
    pub cause: Option<String>,
    /// About which namespace.
    pub namespace: Option<String>,
    /// About which service.
    pub service: Option<String>,
    /// Not before this time: RFC 3339, or seconds since 1970.
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// Before the line of this number.
    pub before: Option<u64>,
    /// After the line of this number, oldest first.
    pub after: Option<u64>,
    /// Most lines of a page: 1 to 1,000. A page of long lines has fewer.
    pub limit: Option<usize>,
}

impl AuditFilter {
    pub(crate) fn add_to(&self, path: PathBuilder) -> PathBuilder {
        let before = self.before.map(|number| number.to_string());
        let after = self.after.map(|number| number.to_string());
        let limit = self.limit.map(|number| number.to_string());
        path.query("kind", self.kind.as_deref())
            .query("subject", self.subject.as_deref())
            .query("address", self.address.as_deref())
            .query("dialect", self.dialect.as_deref())
            .query("cause", self.cause.as_deref())
            .query("namespace", self.namespace.as_deref())
            .query("service", self.service.as_deref())
            .query("since", self.since.as_deref())
            .query("until", self.until.as_deref())
            .query("before", before.as_deref())
            .query("after", after.as_deref())
            .query("limit", limit.as_deref())
    }
}

/// One line of the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditLine {
    /// Its number; numbers only rise.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// `changed`, `edge` or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Whose health changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whose health changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What the health was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The request that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Why, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many refusals have no line of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusals: Option<u64>,
    /// What changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<AuditObject>,
    /// Everything else that the server says.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

/// One object that changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditObject {
    /// `namespace`, `service`, `instance`, `verdict`, `mode` or `document`.
    pub kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Its instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Which document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// What it was; `omitted_bytes` alone stands for what was too long for the line.
    pub before: Option<Value>,
    /// What it is; `omitted_bytes` alone stands for what was too long for the line.
    pub after: Option<Value>,
}

/// A page of the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditPage<T = AuditLine> {
    /// The lines, newest first; oldest first with `after`.
    pub lines: Vec<T>,
    /// What `before`, or `after`, is for the next page, also when this one has fewer lines than were asked for; none when there is
    /// no more.
    pub next: Option<u64>,
}
