use serde::Serialize;
use utoipa::ToSchema;

use crate::time::Rfc3339;

/// One line of the journal: an accepted change, a change of health, or a refused request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditLine {
    /// Its number; numbers only rise.
    pub(crate) sequence: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Rfc3339,
    /// Where in the registry's history.
    pub(crate) revision: u64,
    /// `changed`, `edge` or `refused`.
    pub(crate) kind: &'static str,
    /// Who: the name of a credential, `anonymous`, `unknown`, or a part of the registry.
    pub(crate) subject: String,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// By which protocol.
    pub(crate) dialect: &'static str,
    /// Why it changed, in one word such as `register` or `lease_ended`; or the kind of refusal such as `denied`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// What changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<AuditObject>,
    /// The namespace of the instance whose health changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// Its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// What its health was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'static str>,
    /// What it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<&'static str>,
    /// The request that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// Why, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The body a probe got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// How many more requests were refused than there are lines of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusals: Option<u64>,
}

/// One object that changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditObject {
    /// `namespace`, `service`, `instance`, `verdict`, `mode` or `document`.
    pub(crate) kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// Its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// The id of its instance, with `@owner` behind it when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// Which document, such as `access/token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<String>,
    /// What it was, as it is stored, or its size as `omitted_bytes` when the line would be too long; none when it is new.
    #[schema(value_type = Option<Object>)]
    pub(crate) before: Option<serde_json::Value>,
    /// What it is, as it is stored, or its size as `omitted_bytes` when the line would be too long; none when it is gone.
    #[schema(value_type = Option<Object>)]
    pub(crate) after: Option<serde_json::Value>,
}

/// A page of the journal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// The lines, newest first; oldest first with `after`.
    pub(crate) lines: Vec<AuditLine>,
    /// What `before`, or `after`, is for the next page, also when this one has fewer lines than were asked for; none when there is
    /// no more.
    pub(crate) next: Option<u64>,
}

/// One change of an instance's health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryLine {
    /// Its number; numbers only rise.
    pub(crate) sequence: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Rfc3339,
    /// Where in the registry's history.
    pub(crate) revision: u64,
    /// What the health was.
    pub(crate) from: &'static str,
    /// What it became.
    pub(crate) to: &'static str,
    /// Why.
    pub(crate) reason: String,
    /// The body a probe got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

/// A page of an instance's changes of health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    /// The changes, newest first.
    pub(crate) lines: Vec<HistoryLine>,
    /// What `before` is for the next page, also when this one has fewer lines than were asked for; none when there is no more.
    pub(crate) next: Option<u64>,
}
