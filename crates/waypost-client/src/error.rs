//! What can go wrong with a call, in nine kinds, and the problem document that the server sent.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Says what a caller can do about a failed call. Each kind has one exit code in the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave something that cannot be right: an address, a name, a registration.
    Usage,
    /// The namespace, service or instance is not there.
    NotFound,
    /// The token is missing, wrong, or lacks the right (401 and 403).
    Denied,
    /// No connection to the server, or it broke before an answer came.
    Unreachable,
    /// The call disagrees with what the registry holds (409).
    Conflict,
    /// No answer within the time the caller allowed.
    Timeout,
    /// Everything else, first of all an error inside the server.
    Failed,
}

/// The problem document (`application/problem+json`) of an answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// HTTP status of the answer.
    pub status: u16,
    /// The server's word for the kind of error, such as `not_found`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// Name of the field that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value that was refused, as the server read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The rule that the value breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where what is there was last changed, when it is not as the call expected: a new
    /// [`Condition::Unchanged`](crate::Condition::Unchanged).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Which item of a batch failed, from 0, and all others with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<u64>,
    /// All refused fields, when there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Seconds after which the server asks to be called again (429 and 503).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// One refused field of a [`Problem`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldProblem {
    /// Name of the field.
    pub field: String,
    /// The value that was refused, as the server read it.
    pub value: String,
    /// The rule that the value breaks.
    pub rule: String,
}

/// A failed call: its [kind](ErrorKind), a sentence, and the server's [`Problem`] when it sent one.
///
/// Cheap to clone, so that a waiting task and a log line can share one.
#[derive(Clone)]
pub struct ClientError(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    problem: Option<Problem>,
}

impl ClientError {
    /// Makes an error of `kind` with a sentence for a person.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            problem: None,
        }))
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    pub(crate) fn from_problem(problem: Problem) -> Self {
        let kind = kind_of_status(problem.status);
        let message = problem.message.clone();
        Self(Arc::new(Inner {
            kind,
            message,
            problem: Some(problem),
        }))
    }

    /// Says what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Gives the server's own words, when the server answered at all.
    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_ref()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("problem", &self.0.problem)
            .finish()
    }
}

impl Error for ClientError {}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        400 | 413 | 414 | 415 | 422 => ErrorKind::Usage,
        401 | 403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 => ErrorKind::Conflict,
        408 | 504 => ErrorKind::Timeout,
        _ => ErrorKind::Failed,
    }
}

/// Reads the problem out of an answer. An answer of something else than a Waypost server (a proxy's
/// page) becomes a problem that quotes its first line.
pub(crate) fn read_problem(status: StatusCode, retry_after: Option<u64>, body: &[u8]) -> Problem {
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    // Values are whatever JSON the caller sent; a person reads them as text.
    let text = |name: &str| match document.get(name) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let errors = document
        .get("errors")
        .and_then(|errors| serde_json::from_value(errors.clone()).ok())
        .unwrap_or_default();
    Problem {
        status: status.as_u16(),
        code: text("code").unwrap_or_default(),
        message: text("detail")
            .or_else(|| text("message"))
            .or_else(|| text("title"))
            .unwrap_or_else(|| foreign_answer(status, body)),
        field: text("field"),
        value: text("value"),
        rule: text("rule"),
        revision: text("revision"),
        item: document.get("item").and_then(serde_json::Value::as_u64),
        errors,
        retry_after_seconds: retry_after,
    }
}

fn foreign_answer(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or_default());
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!("the server answered {status}: {line}"),
        None => format!("the server answered {status} without a reason"),
    }
}
