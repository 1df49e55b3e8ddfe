//! Changes under a condition: `If-Match`, and `If-None-Match: *` (RFC 9110 section 13.1).
//!
//! An ETag is a position of the history. `If-Match` holds when the thing itself was not written after that position:
//! what lies in a namespace or a service, or beside an instance, does not count. The registry decides it with the
//! change.

use http::HeaderName;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use waypost_core::{Command, Epoch, Expected, Fact, Position, RegistryError, Revision, View};
use waypost_http::RequestHead;

use crate::error::{Problem, Refusal};

/// Reads the condition of a `PUT`, if it has one.
pub(crate) fn of_put(head: &RequestHead, view: &View) -> Result<Option<Expected>, RegistryError> {
    let matching = matching(head, view)?;
    let Some(tags) = tags(head, &IF_NONE_MATCH)? else {
        return Ok(matching);
    };
    if tags != ["*"] {
        let rule = "must be * in a PUT: create, and change nothing that is there";
        return Err(RegistryError::invalid(
            "if-none-match",
            tags.join(", "),
            rule,
        ));
    }
    if matching.is_some() {
        let rule = "must not be given together with if-match";
        return Err(RegistryError::invalid("if-none-match", "*", rule));
    }
    Ok(Some(Expected::Absent))
}

/// Reads the condition of a change to what is there, if it has one.
pub(crate) fn of_change(
    head: &RequestHead,
    view: &View,
) -> Result<Option<Expected>, RegistryError> {
    if let Some(tags) = tags(head, &IF_NONE_MATCH)? {
        let rule = "is only known in GET and in PUT; here if-match is";
        return Err(RegistryError::invalid(
            "if-none-match",
            tags.join(", "),
            rule,
        ));
    }
    matching(head, view)
}

/// Puts a command under a condition, if there is one.
pub(crate) fn guarded(fact: Option<Fact>, command: Command) -> Command {
    match fact {
        None => command,
        Some(fact) => Command::When {
            facts: vec![fact],
            command: Box::new(command),
        },
    }
}

/// Makes the refusal of a change; one whose condition does not hold tells the position that would.
pub(crate) fn refusal(epoch: Epoch, error: &RegistryError) -> Refusal {
    let problem = Problem::from(error);
    match error {
        RegistryError::Changed {
            revision: Some(revision),
            ..
        } => {
            let revision = *revision;
            problem.at(Position { epoch, revision }).into()
        }
        _ => problem.into(),
    }
}

/// Makes the refusal of a change to what has to be there: a condition on what is not there is not looked at (RFC 9110
/// section 13.2.1).
pub(crate) fn refusal_of_what_is(epoch: Epoch, error: RegistryError) -> Refusal {
    match error {
        RegistryError::Changed {
            what,
            revision: None,
            ..
        } => RegistryError::NotFound { what }.into(),
        other => refusal(epoch, &other),
    }
}

fn matching(head: &RequestHead, view: &View) -> Result<Option<Expected>, RegistryError> {
    let here = view.position();
    let Some(tags) = tags(head, &IF_MATCH)? else {
        return Ok(None);
    };
    if tags == ["*"] {
        return Ok(Some(Expected::Present));
    }
    if tags.is_empty() {
        return Err(no_tag(""));
    }
    // One of another history, or of anybody else, has been seen by nobody here.
    let mut newest = Revision::ZERO;
    for tag in tags {
        let known = position(tag)?
            .filter(|seen| seen.epoch == here.epoch && seen.revision <= here.revision);
        newest = newest.max(known.map_or(Revision::ZERO, |seen| seen.revision));
    }
    Ok(Some(Expected::UnchangedSince(newest)))
}

/// Lists what a header says; none when it is not there.
fn tags<'a>(
    head: &'a RequestHead,
    name: &HeaderName,
) -> Result<Option<Vec<&'a str>>, RegistryError> {
    if !head.headers().contains_key(name) {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for value in head.headers().get_all(name) {
        let text = value.to_str().map_err(|_| {
            RegistryError::invalid(name.as_str().to_owned(), "", "must be visible ASCII")
        })?;
        tags.extend(text.split(',').map(str::trim).filter(|tag| !tag.is_empty()));
    }
    Ok(Some(tags))
}

/// Reads an ETag; one that is quoted and not ours is none. A `revision` as documents show it is taken bare.
fn position(tag: &str) -> Result<Option<Position>, RegistryError> {
    let opaque = tag.strip_prefix("W/").unwrap_or(tag);
    let quoted = opaque
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(quoted) => Ok(quoted.parse().ok()),
        None => tag.parse().map(Some).map_err(|_| no_tag(tag)),
    }
}

fn no_tag(tag: &str) -> RegistryError {
    let rule = "must be * or an ETag as it was answered, such as W/\"00000000000000a1.7\"";
    RegistryError::invalid("if-match", tag, rule)
}
