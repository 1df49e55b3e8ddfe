//! What a command prints when it fails: what, why, and what to do.

use waypost_client::{ClientError, ErrorKind, Problem};

use crate::Exit;
use crate::text::visible;

/// A failed command.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = describe(&error);
        let hint = hint(&error).map(str::to_owned);
        Self {
            exit: error.kind().into(),
            message,
            hint,
        }
    }
}

/// Gives the error's sentence, with the field, value and rule when the sentence does not say them.
pub(crate) fn describe(error: &ClientError) -> String {
    let mut text = visible(&error.to_string());
    let Some(problem) = error.problem() else {
        return text;
    };
    for (field, value, rule) in refused(problem) {
        if !rule.is_empty() && text.contains(rule) && text.contains(field) {
            continue;
        }
        text.push_str("; ");
        text.push_str(&visible(field));
        if let Some(value) = value {
            text.push_str(&format!(" {:?}", visible(value)));
        }
        if !rule.is_empty() {
            text.push_str(": ");
            text.push_str(&visible(rule));
        }
    }
    text
}

/// All refused fields: the list when there is one, else the single one.
fn refused(problem: &Problem) -> Vec<(&str, Option<&str>, &str)> {
    if !problem.errors.is_empty() {
        let several = problem.errors.iter();
        return several
            .map(|one| (&*one.field, Some(&*one.value), &*one.rule))
            .collect();
    }
    let Some(field) = &problem.field else {
        return Vec::new();
    };
    vec![(
        field,
        problem.value.as_deref(),
        problem.rule.as_deref().unwrap_or_default(),
    )]
}

/// Says whether an error is about a thing of this kind: the server's sentence begins with the word.
fn about(error: &ClientError, kind: &str) -> bool {
    error.to_string().starts_with(kind)
}

fn said(error: &ClientError, word: &str) -> bool {
    error.to_string().contains(word)
}

fn hint(error: &ClientError) -> Option<&'static str> {
    let status = error.problem().map(|problem| problem.status);
    match (error.kind(), status) {
        (ErrorKind::Unreachable, _) if said(error, "InvalidContentType") => {
            Some("the server speaks http there, not https")
        }
        (ErrorKind::Unreachable, _) if said(error, "CertificateRequired") => {
            Some("the server asks for a certificate: --certificate-file and --key-file show one")
        }
        (ErrorKind::Unreachable, _) if said(error, "received fatal alert") => {
            Some("the server does not take the certificate of --certificate-file")
        }
        (ErrorKind::Unreachable, _) if said(error, "certificate") => Some(
            "--ca-file FILE, or WAYPOST_CA_FILE, names the authorities to trust; the name in --server must be the certificate's",
        ),
        (ErrorKind::Unreachable, _) => {
            Some("is `waypost serve` running? --server or SERVICE_DISCOVERY_URL sets the address")
        }
        (ErrorKind::Denied, Some(403)) => {
            Some("the token is known, but its scopes do not allow this")
        }
        (ErrorKind::Denied, _) => {
            Some("--token-file, WAYPOST_TOKEN or SERVICE_DISCOVERY_SECRET gives the token")
        }
        (ErrorKind::NotFound, Some(404)) if about(error, "credential") => {
            Some("`waypost token ls` lists the credentials")
        }
        (ErrorKind::NotFound, Some(404)) if about(error, "namespace") => {
            Some("`waypost namespace ls` lists the namespaces")
        }
        (ErrorKind::NotFound, Some(404)) => {
            Some("`waypost ls` lists the services; -n or SERVICE_NAMESPACE sets the namespace")
        }
        (ErrorKind::Timeout, _) => Some("--timeout SECONDS allows more time"),
        (ErrorKind::Failed, Some(429 | 503)) => Some("the server asks to be called again later"),
        _ => None,
    }
}
