//! Errors as this protocol shows them: RFC 9457 problem documents with source 003's `success` and `message`.

use crate::time::Rfc3339;
use http::header::{ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use waypost_core::{ErrorKind, Position, RegistryError};
use waypost_http::{Rejection, Response, problem};

/// When to ask again after a full queue.
const THROTTLED_RETRY_SECONDS: u64 = 1;
/// When to ask again while the store takes no writes.
const UNAVAILABLE_RETRY_SECONDS: u64 = 5;

/// What a handler gives: an answer, or why there is none.
pub(crate) type Answer = Result<Response, Refusal>;

/// Why a handler gives no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The registry, or a rule of this protocol, says no.
    Problem(Box<Problem>),
    /// The HTTP layer says no.
    Rejection(Rejection),
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        Self::Problem(Box::new(Problem::from(&error)))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

/// A problem document (RFC 9457) that also reads like a refusal of source 003.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: `code` says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong, in one sentence.
    detail: String,
    /// Always false.
    success: bool,
    /// The same as `detail`.
    message: String,
    /// The kind of problem, for programs.
    code: &'static str,
    /// The field that breaks a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Its value, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Which item of an atomic batch failed, from 0, and all others with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    /// Where what is there was last changed, `epoch.revision`, when it is not as the request expects.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// Why an operator keeps it from being registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Rfc3339>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            message: detail.clone(),
            detail,
            success: false,
            code,
            field: None,
            value: None,
            rule: None,
            item: None,
            revision: None,
            reason: None,
            until: None,
        }
    }

    /// Makes the problem of a body that is no JSON text this server reads.
    pub(crate) fn unreadable(rule: impl Into<String>) -> Self {
        let rule = rule.into();
        let mut problem = Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            format!("the request body {rule}"),
        );
        problem.field = Some("body".to_owned());
        problem.rule = Some(rule);
        problem
    }

    /// Makes the problem of a body of another kind than the path reads.
    pub(crate) fn unsupported(media_type: &str, known: &str) -> Self {
        let rule = format!("must be {known}");
        let detail = format!("content-type {media_type:?}: {rule}");
        let mut problem = Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        );
        problem.field = Some("content-type".to_owned());
        problem.value = Some(media_type.to_owned());
        problem.rule = Some(rule);
        problem
    }

    /// Names the item of a batch that failed.
    pub(crate) fn of_item(mut self, at: usize, what: Option<&str>) -> Self {
        let what = what.map(|what| format!(" ({what})")).unwrap_or_default();
        let sentence = format!("item {at}{what}: {}", self.detail);
        self.item = Some(at);
        self.field = self.field.map(|field| format!("items[{at}].{field}"));
        self.saying(sentence)
    }

    /// Returns the kind of problem in one word.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the sentence.
    pub(crate) fn sentence(&self) -> &str {
        &self.detail
    }

    /// Returns the HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Says where what is there was last changed.
    pub(crate) fn at(mut self, position: Position) -> Self {
        self.revision = Some(position.to_string());
        self
    }

    /// Puts another sentence in the place of the registry's.
    pub(crate) fn saying(mut self, sentence: impl Into<String>) -> Self {
        self.detail = sentence.into();
        self.message.clone_from(&self.detail);
        self
    }

    /// Says whether it is of that kind.
    pub(crate) fn is(&self, kind: ErrorKind) -> bool {
        self.code == status_and_code(kind).1
    }

    /// Makes the response.
    pub(crate) fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A struct of strings and numbers always serializes.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = problem(status, body);
        let headers = response.headers_mut();
        let etag = self.revision.as_ref();
        if let Some(etag) = etag.and_then(|at| HeaderValue::from_str(&format!("W/\"{at}\"")).ok()) {
            headers.insert(ETAG, etag);
        }
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from(THROTTLED_RETRY_SECONDS));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(UNAVAILABLE_RETRY_SECONDS));
            }
            _ => {}
        }
        response
    }
}

/// The status and the code of each kind of error.
pub(crate) fn status_and_code(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        ErrorKind::AlreadyExists => (StatusCode::CONFLICT, "already_exists"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
        ErrorKind::InUse => (StatusCode::CONFLICT, "in_use"),
        ErrorKind::Denied => (StatusCode::FORBIDDEN, "denied"),
        ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        ErrorKind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "throttled"),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ErrorKind::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "unknown"),
    }
}

impl From<&RegistryError> for Problem {
    fn from(error: &RegistryError) -> Self {
        let (status, code) = status_and_code(error.kind());
        let mut problem = Self::new(status, code, error.to_string());
        match error {
            RegistryError::Item { error, .. } => return Self::from(&**error),
            RegistryError::Invalid { field, value, rule } => {
                problem.field = Some(field.clone().into_owned());
                problem.value = Some(value.clone());
                problem.rule = Some(rule.clone());
            }
            RegistryError::TooLarge { field, rule } => {
                problem.field = Some(field.clone().into_owned());
                problem.rule = Some(rule.clone());
            }
            RegistryError::Blocked { block, .. } => {
                problem.code = "blocked";
                problem.reason = Some(block.reason.to_string());
                problem.until = block.until.map(Rfc3339);
            }
            _ => {}
        }
        problem
    }
}

/// Gives the model's field names the words that a source's own JSON has.
pub(crate) fn in_words_of(error: RegistryError, words: &[(&str, &'static str)]) -> RegistryError {
    let rename = |field: waypost_core::Field| -> waypost_core::Field {
        for (ours, theirs) in words {
            if field == *ours {
                return (*theirs).into();
            }
            if let Some(rest) = field
                .strip_prefix(ours)
                .and_then(|rest| rest.strip_prefix('.'))
            {
                return format!("{theirs}.{rest}").into();
            }
        }
        field
    };
    match error {
        RegistryError::Invalid { field, value, rule } => RegistryError::Invalid {
            field: rename(field),
            value,
            rule,
        },
        RegistryError::TooLarge { field, rule } => RegistryError::TooLarge {
            field: rename(field),
            rule,
        },
        other => other,
    }
}
