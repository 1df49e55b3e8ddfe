//! The refusals of this layer, and how they become responses.

use std::sync::Arc;

use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};

use crate::body::{Response, problem};

/// Why a request was refused before, or instead of, an answer of its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// No route has this path.
    NotFound,
    /// The path is known, the method is not; `allow` is the value of the `Allow` header.
    MethodNotAllowed {
        /// The methods of the path, separated by `, `.
        allow: HeaderValue,
    },
    /// A path parameter has a bad escape or is not UTF-8.
    BadPath {
        /// What is wrong, as a sentence part.
        reason: &'static str,
    },
    /// The query string has a bad escape, is not UTF-8 or is too long.
    BadQuery {
        /// What is wrong, as a sentence part.
        reason: &'static str,
    },
    /// The request or its body is malformed.
    BadRequest {
        /// What is wrong, as a sentence part.
        reason: String,
    },
    /// The body is longer than the listener takes.
    TooLarge {
        /// The bound that was passed.
        limit_bytes: usize,
    },
    /// The request has too many header lines (too many bytes are refused before routing).
    HeadersTooLarge {
        /// The bound that was passed.
        limit: usize,
    },
    /// The body did not arrive in time.
    BodyTimeout {
        /// The time it had.
        limit_seconds: u64,
    },
    /// The handler did not answer in time; whether it changed something is unknown.
    Deadline {
        /// The time it had.
        limit_seconds: u64,
    },
    /// The handler panicked; whether it changed something is unknown.
    Panicked,
    /// The server cannot answer at the moment.
    Unavailable {
        /// Why, as a sentence part.
        reason: String,
        /// When to ask again.
        retry_after_seconds: u64,
    },
    /// Some bound on work in progress was hit.
    Overloaded {
        /// When to ask again.
        retry_after_seconds: u64,
    },
    /// The address sends more requests than its rate allows.
    Throttled {
        /// When to ask again.
        retry_after_seconds: u64,
        /// The setting that bounds it.
        setting: &'static str,
    },
    /// The credential is known, and does not allow this.
    Denied {
        /// What it would take, as a sentence part.
        reason: &'static str,
    },
    /// Credentials are missing or wrong.
    Unauthenticated {
        /// Why, as a sentence part.
        reason: &'static str,
    },
}

impl Rejection {
    /// The HTTP status of this refusal.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadPath { .. } | Self::BadQuery { .. } | Self::BadRequest { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Deadline { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable { .. } | Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Denied { .. } => StatusCode::FORBIDDEN,
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
        }
    }

    /// The kind in snake case, as the `code` member of a problem document has it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BadPath { .. } | Self::BadQuery { .. } | Self::BadRequest { .. } => "invalid",
            Self::TooLarge { .. } | Self::HeadersTooLarge { .. } => "too_large",
            Self::BodyTimeout { .. } => "timeout",
            Self::Deadline { .. } | Self::Panicked => "unknown",
            Self::Unavailable { .. } | Self::Overloaded { .. } => "unavailable",
            Self::Throttled { .. } => "throttled",
            Self::Denied { .. } => "denied",
            Self::Unauthenticated { .. } => "unauthenticated",
        }
    }

    /// The value of the `reason` label in `waypost_http_rejections_total`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BadPath { .. } => "bad_path",
            Self::BadQuery { .. } => "bad_query",
            Self::BadRequest { .. } => "bad_request",
            Self::TooLarge { .. } => "body_too_large",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::BodyTimeout { .. } => "body_timeout",
            Self::Deadline { .. } => "deadline",
            Self::Panicked => "panic",
            Self::Unavailable { .. } => "unavailable",
            Self::Overloaded { .. } => "overloaded",
            Self::Throttled { .. } => "rate",
            Self::Denied { .. } => "denied",
            Self::Unauthenticated { .. } => "unauthenticated",
        }
    }

    /// The refusal as one sentence for the caller.
    #[must_use]
    pub fn sentence(&self, context: &RejectionContext<'_>) -> String {
        let (method, path) = (context.method, context.path);
        match self {
            Self::NotFound => format!("No route has the path {path}."),
            Self::MethodNotAllowed { allow } => {
                let allow = allow.to_str().unwrap_or_default();
                format!("{method} is not allowed on {path}; allowed: {allow}.")
            }
            Self::BadPath { reason } => format!("The path {path} is invalid: {reason}."),
            Self::BadQuery { reason } => format!("The query string is invalid: {reason}."),
            Self::BadRequest { reason } => format!("The request is invalid: {reason}."),
            Self::TooLarge { limit_bytes } => {
                format!("The request body is longer than {limit_bytes} bytes.")
            }
            Self::HeadersTooLarge { limit } => {
                format!("The request has more than {limit} header lines.")
            }
            Self::BodyTimeout { limit_seconds } => {
                format!("The request body did not arrive within {limit_seconds} seconds.")
            }
            Self::Deadline { limit_seconds } => format!(
                "There was no answer within {limit_seconds} seconds; the outcome is unknown."
            ),
            Self::Panicked => {
                let id = context.request_id;
                format!("The server failed on this request (id {id}); the outcome is unknown.")
            }
            Self::Unavailable { reason, .. } => format!("The server is unavailable: {reason}."),
            Self::Overloaded { .. } => "The server has too much work in progress.".to_owned(),
            Self::Throttled { setting, .. } => {
                format!("This address sends more requests than {setting} allows.")
            }
            Self::Denied { reason } => format!("The credential does not allow this: {reason}."),
            Self::Unauthenticated { reason } => {
                format!("The request is not authenticated: {reason}.")
            }
        }
    }

    /// Sets the headers this refusal needs: `Allow`, `Retry-After` or `WWW-Authenticate`.
    ///
    /// The layer calls it on whatever the renderer returns, so that no renderer can forget them.
    pub fn add_headers(&self, response: &mut Response) {
        match self {
            Self::MethodNotAllowed { allow } => {
                response.headers_mut().insert(ALLOW, allow.clone());
            }
            Self::Unavailable {
                retry_after_seconds,
                ..
            }
            | Self::Overloaded {
                retry_after_seconds,
            }
            | Self::Throttled {
                retry_after_seconds,
                ..
            } => {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
            }
            Self::Unauthenticated { .. } => {
                response
                    .headers_mut()
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::NotFound
            | Self::BadPath { .. }
            | Self::BadQuery { .. }
            | Self::BadRequest { .. }
            | Self::TooLarge { .. }
            | Self::HeadersTooLarge { .. }
            | Self::BodyTimeout { .. }
            | Self::Deadline { .. }
            | Self::Denied { .. }
            | Self::Panicked => {}
        }
    }
}

/// The parts of a refused request that a renderer may use.
#[derive(Debug, Clone, Copy)]
pub struct RejectionContext<'a> {
    /// The method as it came.
    pub method: &'a Method,
    /// The path as it came, not decoded.
    pub path: &'a str,
    /// The id of the request.
    pub request_id: &'a str,
    /// The pattern of the route, when one matched.
    pub pattern: Option<&'a str>,
}

/// Turns a refusal into a response; see [`crate::Router::on_rejection`].
pub type RejectionRenderer =
    Arc<dyn Fn(&Rejection, &RejectionContext<'_>) -> Response + Send + Sync>;

/// The default renderer: `application/problem+json` with the members of the REST contract.
#[must_use]
pub fn render_problem(rejection: &Rejection, context: &RejectionContext<'_>) -> Response {
    let status = rejection.status();
    let sentence = rejection.sentence(context);
    let document = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": sentence,
        "success": false,
        "message": sentence,
        "code": rejection.code(),
    });
    problem(status, document.to_string())
}
