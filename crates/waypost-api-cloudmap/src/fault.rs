//! Errors as AWS Cloud Map tells them: a code, a status, a message and sometimes more.

use http::StatusCode;
use waypost_core::{ErrorKind, RegistryError};

use crate::value::{Map, Value};

/// What goes wrong, in the words of the service model.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// Members beside the message.
    more: Vec<(&'static str, String)>,
}

/// What the call is about, so that "not found" and "there already" have the right names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Namespace,
    Service,
    Instance,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            more: Vec::new(),
        }
    }

    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::bad("InvalidInput", message)
    }

    pub(crate) fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "ResourceInUse", message)
    }

    pub(crate) fn namespace_not_found(id: &str) -> Self {
        Self::missing("NamespaceNotFound", format!("Namespace {id} not found."))
    }

    pub(crate) fn service_not_found(id: &str) -> Self {
        Self::missing("ServiceNotFound", format!("Service {id} not found."))
    }

    pub(crate) fn instance_not_found(id: &str) -> Self {
        Self::missing("InstanceNotFound", format!("Instance {id} not found."))
    }

    /// Makes the refusal of a request that is one too many a second. The model has a name for it where discoveries are
    /// made; SDKs back off on either.
    pub(crate) fn throttled(operation: &str) -> Self {
        let message = format!("The rate of {operation} is exceeded.");
        if operation.starts_with("Discover") {
            Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "RequestLimitExceeded",
                message,
            )
        } else {
            Self::bad("ThrottlingException", message)
        }
    }

    /// Adds a member beside the message.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// Turns the registry's refusal of a call into AWS's.
    pub(crate) fn of(error: &RegistryError, about: About) -> Self {
        let message = sentence(error);
        let not_found = match about {
            About::Namespace => "NamespaceNotFound",
            About::Service => "ServiceNotFound",
            About::Instance => "InstanceNotFound",
        };
        if let RegistryError::Blocked { .. } = error {
            // An operator keeps the id: AWS has no word for that, and the next closest says who has it.
            return Self::in_use(message);
        }
        match error.kind() {
            ErrorKind::NotFound => Self::missing(not_found, message),
            ErrorKind::AlreadyExists if about == About::Namespace => {
                Self::bad("NamespaceAlreadyExists", message)
            }
            ErrorKind::AlreadyExists => Self::bad("ServiceAlreadyExists", message),
            ErrorKind::InUse => Self::in_use(message),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, "DuplicateRequest", message),
            ErrorKind::Denied => Self::bad("AccessDeniedException", message),
            ErrorKind::Unauthenticated => Self::bad("UnrecognizedClientException", message),
            ErrorKind::Throttled => Self::bad("ThrottlingException", message),
            ErrorKind::TooLarge => Self::bad("ResourceLimitExceeded", message),
            ErrorKind::Unavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailableException",
                message,
            ),
            ErrorKind::Unknown => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalFailure",
                message,
            ),
            ErrorKind::Invalid => Self::invalid(message),
        }
    }

    /// Returns the members of the answer. `Message` is the model's name, `message` what older clients read.
    pub(crate) fn body(self) -> Value {
        let mut body = Map::new()
            .with("__type", self.code)
            .with("Message", self.message.as_str())
            .with("message", self.message);
        for (name, value) in self.more {
            body = body.with(name, value);
        }
        body.done()
    }
}

fn sentence(error: &RegistryError) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return text;
    };
    let mut whole: String = first.to_uppercase().chain(characters).collect();
    if !whole.ends_with('.') {
        whole.push('.');
    }
    whole
}
