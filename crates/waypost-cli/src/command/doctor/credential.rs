//! Whether the credential is taken, and how the ones are that were issued.

use std::time::SystemTime;

use waypost_client::{ErrorKind, IssuedToken};

use super::clock::{self, seconds_since};
use super::context::Context;
use super::finding::{Finding, or_ok};
use super::mode::readable_by_others;
use crate::failure::describe;
use crate::text::list;

const DAY: f64 = 86_400.0;
/// A credential that ends sooner is replaced now.
const ENDING_DAYS: f64 = 14.0;
/// A credential that nobody used for so long is one that nobody would miss.
const UNUSED_DAYS: f64 = 90.0;
/// One that was issued just now may still be on its way.
const NEW_DAYS: f64 = 1.0;

pub(super) async fn accepted(context: &Context) -> Vec<Finding> {
    if let Some(why) = context.silence() {
        return vec![Finding::skipped(why)];
    }
    if context.is_open {
        return vec![open(context.on_loopback)];
    }
    let found = match &context.namespaces {
        Err(error) if error.kind() == ErrorKind::Denied => {
            let hint = if context.has_credential {
                "it may have been revoked or have ended: `waypost token ls` lists those that hold, `waypost token create` issues one"
            } else {
                "--token-file, WAYPOST_TOKEN or SERVICE_DISCOVERY_SECRET gives one; an administrator issues it with `waypost token create`"
            };
            let what = if context.has_credential {
                format!("the credential is refused: {}", describe(error))
            } else {
                "the server wants a credential, and none was given".to_owned()
            };
            Finding::failure(what, hint)
        }
        Err(error) => Finding::skipped(describe(error)),
        Ok(_) => Finding::ok(who(context)),
    };
    vec![found]
}

fn open(on_loopback: bool) -> Finding {
    if on_loopback {
        return Finding::ok(
            "the server asks for no credential: whoever is on its machine may do everything",
        );
    }
    Finding::warning(
        "the server asks for no credential, and not only its own machine reaches it",
        "`waypost token create admin` closes it to everybody without a credential; docs/tokens.md",
    )
}

fn who(context: &Context) -> String {
    match (context.has_credential, context.tokens.is_ok()) {
        (true, true) => "the credential is accepted, and is an administrator's".to_owned(),
        (true, false) => "the credential is accepted; it is no administrator's".to_owned(),
        (false, _) => {
            "reads need no credential (access.public_reads), and none was given".to_owned()
        }
    }
}

pub(super) async fn files(context: &Context) -> Vec<Finding> {
    if context.secret_files.is_empty() {
        return vec![Finding::skipped("no file with a secret was named")];
    }
    let paths = context.secret_files.iter();
    let found = paths.filter_map(|path| readable_by_others(path)).collect();
    or_ok(found, "only its owner may read the file of the credential")
}

pub(super) async fn ending(context: &Context) -> Vec<Finding> {
    with_tokens(context, |tokens, now| {
        let found = tokens.iter().filter_map(|token| ends_soon(token, now));
        or_ok(
            found.collect(),
            format!("no credential ends within {ENDING_DAYS} days"),
        )
    })
}

pub(super) async fn unused(context: &Context) -> Vec<Finding> {
    with_tokens(context, |tokens, now| {
        let unused = tokens.iter().filter(|token| is_unused(token, now));
        let names: Vec<String> = unused.map(named).collect();
        if names.is_empty() {
            return vec![Finding::ok(format!(
                "every credential was used within {UNUSED_DAYS} days"
            ))];
        }
        vec![Finding::warning(
            format!(
                "nobody used these credentials within {UNUSED_DAYS} days, or ever: {}",
                list(&names)
            ),
            "`waypost token revoke ID` ends one",
        )]
    })
}

fn with_tokens(
    context: &Context,
    look: impl FnOnce(&[IssuedToken], SystemTime) -> Vec<Finding>,
) -> Vec<Finding> {
    if let Some(why) = context.silence() {
        return vec![Finding::skipped(why)];
    }
    match &context.tokens {
        Ok(tokens) => look(
            tokens,
            context.client.server_time().unwrap_or_else(clock::now),
        ),
        Err(error) if error.kind() == ErrorKind::Denied => {
            vec![Finding::skipped("only administrators see the credentials")]
        }
        Err(error) => vec![Finding::skipped(describe(error))],
    }
}

fn named(token: &IssuedToken) -> String {
    format!("{} ({})", token.name, token.id)
}

fn ends_soon(token: &IssuedToken, now: SystemTime) -> Option<Finding> {
    let left = -seconds_since(token.expires.as_deref()?, now)?;
    if left > ENDING_DAYS * DAY {
        return None;
    }
    let name = named(token);
    if left <= 0.0 {
        return Some(Finding::warning(
            format!("credential {name} has ended"),
            format!("`waypost token revoke {}` removes it", token.id),
        ));
    }
    let days = (left / DAY).floor();
    Some(Finding::warning(
        format!("credential {name} ends in less than {} days", days + 1.0),
        format!(
            "`waypost token rotate {} --grace 1d` issues another one beside it",
            token.id
        ),
    ))
}

fn is_unused(token: &IssuedToken, now: SystemTime) -> bool {
    let days = |time: &str| seconds_since(time, now).map(|seconds| seconds / DAY);
    match &token.last_used {
        Some(used) => days(used).is_some_and(|days| days > UNUSED_DAYS),
        None => days(&token.created).is_some_and(|days| days > NEW_DAYS),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// 2026-01-15T00:00:00Z.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_768_435_200)
    }

    fn token(created: &str, expires: Option<&str>, last_used: Option<&str>) -> IssuedToken {
        IssuedToken {
            id: "t-1".to_owned(),
            name: "ann".to_owned(),
            kind: "bearer".to_owned(),
            account: None,
            grants: Vec::new(),
            created: created.to_owned(),
            expires: expires.map(str::to_owned),
            last_used: last_used.map(str::to_owned),
            replaces: None,
            secret: None,
        }
    }

    #[test]
    fn a_credential_that_ends_soon_is_named() {
        let ends = |at| ends_soon(&token("2026-01-01T00:00:00Z", at, None), now());
        assert_eq!(ends(None), None);
        assert_eq!(ends(Some("2026-01-30T00:00:00Z")), None);
        let soon = ends(Some("2026-01-16T12:00:00Z")).unwrap();
        assert_eq!(soon.detail, "credential ann (t-1) ends in less than 2 days");
        assert!(soon.hint.unwrap().contains("token rotate t-1"));
        let over = ends(Some("2026-01-14T00:00:00Z")).unwrap();
        assert_eq!(over.detail, "credential ann (t-1) has ended");
    }

    #[test]
    fn a_credential_nobody_uses_is_told_from_a_new_one() {
        let is = |created, used| is_unused(&token(created, None, used), now());
        assert!(is("2026-01-10T00:00:00Z", None));
        assert!(!is("2026-01-14T12:00:00Z", None));
        assert!(is("2025-01-01T00:00:00Z", Some("2025-10-01T00:00:00Z")));
        assert!(!is("2025-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z")));
    }
}
