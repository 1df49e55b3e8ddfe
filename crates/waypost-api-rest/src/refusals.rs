//! What becomes of a handler's answer: refusals go into the journal.

use http::Method;
use waypost_core::{Author, Dialect, text};
use waypost_http::{RequestHead, Response};

use crate::error::{Answer, Refusal};
use crate::state::{Rest, caller};

/// Refusals that are noted whatever was asked.
const ALWAYS: [&str; 3] = ["denied", "unauthenticated", "throttled"];
/// Refusals of changes that say nothing an auditor asks for: whoever beats for what is gone is told to register.
const NEVER: [&str; 1] = ["not_found"];

impl Rest {
    /// Makes the response of what a handler gave, and notes a refusal.
    pub(crate) fn settle(&self, head: &RequestHead, answer: Answer) -> Response {
        match answer {
            Ok(response) => response,
            Err(Refusal::Problem(problem)) => {
                self.note(head, problem.code(), problem.sentence());
                problem.response()
            }
            Err(Refusal::Rejection(rejection)) => {
                self.note(head, rejection.code(), rejection.reason());
                head.reject(&rejection)
            }
        }
    }

    fn note(&self, head: &RequestHead, kind: &str, why: &str) {
        let is_change = !matches!(*head.method(), Method::GET | Method::HEAD);
        if ALWAYS.contains(&kind) || (is_change && !NEVER.contains(&kind)) {
            let author = Author {
                subject: text(&self.authenticator.subject_of(&caller(head))),
                address: Some(head.peer().ip()),
                dialect: dialect_of(head.pattern()),
            };
            let request = format!("{} {}", head.method(), head.path());
            self.registry.note_refusal(&author, &request, kind, why);
        }
    }
}

fn dialect_of(pattern: &str) -> Dialect {
    let is_below = |root: &str| {
        pattern
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_below("/v1/discovery") {
        Dialect::Discovery
    } else if is_below("/service-discovery") {
        Dialect::ServiceDiscovery
    } else {
        Dialect::Rest
    }
}
