//! Credentials: issued, listed, revoked.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use waypost_access::{Issued, NEW, Wanted, forget_use};
use waypost_core::{Access, Command, Dialect, Grant, Pattern, RegistryError, Verb};
use waypost_http::{Request, RequestHead, Router, empty};

use super::{answer, at_once, param, waiting};
use crate::body::{read_json, read_json_or_empty};
use crate::error::Answer;
use crate::state::Rest;
use crate::time::Rfc3339;
use crate::wire::own::{GrantLine, RotationBody, Token, TokenList, TokenSettings, VerbWord};

const DIALECT: Dialect = Dialect::Rest;
const TOKENS: &str = "/v1/tokens";
const TOKEN: &str = "/v1/tokens/{id}";
const ROTATE: &str = "/v1/tokens/{id}/rotate";
/// Most credentials at once.
const TOKENS_MAX: usize = 10_000;
const GRANTS_MAX: usize = 32;
const ACCOUNT: &str = "000000000000";

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router
        .get_sync(TOKENS, at_once!(rest, list))
        .post(TOKENS, waiting!(rest, make))
        .post(ROTATE, waiting!(rest, rotate))
        .delete(TOKEN, waiting!(rest, revoke))
}

fn require_admin(access: &Access) -> Result<(), RegistryError> {
    if access.allows_everywhere(Verb::Admin) {
        return Ok(());
    }
    Err(RegistryError::Denied {
        subject: access.subject().to_string(),
        verb: "issue or see",
        what: "credentials".to_owned(),
    })
}

fn list(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    require_admin(&access)?;
    let snapshot = rest.snapshots.latest();
    let uses = rest.authenticator.last_uses(&snapshot);
    let mut tokens: Vec<Token> = Issued::all(&snapshot)
        .map(|(_, issued)| {
            let used = uses.get(&issued.id).copied();
            Token {
                last_used: used.map(Rfc3339),
                ..shown(&issued, None)
            }
        })
        .collect();
    tokens.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(answer(StatusCode::OK, &TokenList { tokens }))
}

async fn make(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    require_admin(&access)?;
    let settings: TokenSettings = read_json(request).await?;
    let wanted = wanted(rest, &settings)?;
    let _changing = rest.credentials.lock().await;
    if Issued::all(&rest.snapshots.latest()).next().is_none()
        && !rest.authenticator.has_configured_admin()
    {
        // From then on nobody has access without one, and somebody must be able to issue the next.
        let first = "the first credential must be a token for everything: `waypost token create admin`, or {\"name\": \"admin\"}";
        if !wanted.grants.is_empty() {
            let rule = format!("must not be given yet: {first}");
            return Err(RegistryError::invalid("grants", settings.name, rule).into());
        }
        if settings.aws {
            let rule = format!("must not be asked for yet: {first}");
            return Err(RegistryError::invalid("aws", "true", rule).into());
        }
        if settings.expires_in_seconds.flatten().is_some() {
            let rule = "must not be given yet: the first credential has to last, or nobody could get in when it ends";
            return Err(RegistryError::invalid("expires_in_seconds", settings.name, rule).into());
        }
    }
    if Issued::all(&rest.snapshots.latest()).count() >= TOKENS_MAX {
        let rule = format!("at most {TOKENS_MAX} credentials");
        let field = "tokens".into();
        return Err(RegistryError::TooLarge { field, rule }.into());
    }
    let now = rest.registry.clock().wall();
    let made = rest.authenticator.issue(wanted, now)?;
    let command = Command::PutDocument {
        document: Arc::new(made.document),
        expected: NEW,
    };
    let command = match mark(rest) {
        None => command,
        Some(mark) => Command::All(vec![command, mark]),
    };
    rest.registry.apply(&access, command).await?;
    tracing::info!(id = %made.issued.id, name = %made.issued.name, by = %access.subject(), "a credential was issued");
    rest.live.credentials_changed();
    let token = shown(&made.issued, Some(made.secret.expose()));
    Ok(answer(StatusCode::CREATED, &token))
}

/// Marks the registry with the server key, unless it is.
fn mark(rest: &Rest) -> Option<Command> {
    let mark = rest.authenticator.key_mark();
    let snapshot = rest.snapshots.latest();
    let known = snapshot.document(&mark.key);
    let is_marked = known.is_some_and(|(known, _)| known.bytes == mark.bytes);
    (!is_marked).then(|| Command::PutDocument {
        document: Arc::new(mark),
        expected: None,
    })
}

async fn rotate(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    require_admin(&access)?;
    let body: RotationBody = read_json_or_empty(request).await?;
    let grace = body.grace_seconds.flatten().unwrap_or(0);
    let id = param(&request.head, "id");
    let _changing = rest.credentials.lock().await;
    let now = rest.registry.clock().wall();
    let grace = Duration::from_secs(grace.into());
    let (made, commands) = rest.authenticator.rotate(id, grace, now)?;
    let commands = commands.into_iter().chain(mark(rest)).collect();
    rest.registry.apply(&access, Command::All(commands)).await?;
    let new = &made.issued;
    tracing::info!(%id, new = %new.id, by = %access.subject(), "a credential was rotated");
    rest.live.credentials_changed();
    let token = shown(new, Some(made.secret.expose()));
    Ok(answer(StatusCode::CREATED, &token))
}

async fn revoke(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    require_admin(&access)?;
    let id = param(&request.head, "id");
    let _changing = rest.credentials.lock().await;
    let snapshot = rest.snapshots.latest();
    let all: Vec<_> = Issued::all(&snapshot).collect();
    let Some((key, _)) = all.iter().find(|(_, issued)| issued.id == id) else {
        return Err(RegistryError::not_found(format!("credential {id}")).into());
    };
    let now = rest.registry.clock().wall();
    let others = all.iter().filter(|(_, issued)| issued.id != id);
    let (ended, others): (Vec<_>, Vec<_>) = others.partition(|(_, issued)| issued.has_ended(now));
    let is_last = others.is_empty();
    refuse_lock_out(rest, id, others.into_iter().map(|(_, issued)| issued))?;
    let mut commands = vec![Command::RemoveDocument(key.clone())];
    commands.extend(forget_use(&snapshot, id));
    // Who revokes the last one wants to go on without; who lets it end does not.
    if is_last {
        let mark = rest.authenticator.key_mark().key;
        commands.extend(
            snapshot
                .document(&mark)
                .map(|_| Command::RemoveDocument(mark.clone())),
        );
        let ended = ended.into_iter().map(|(key, _)| key.clone());
        commands.extend(ended.map(Command::RemoveDocument));
    }
    rest.registry.apply(&access, Command::All(commands)).await?;
    tracing::info!(%id, by = %access.subject(), "a credential was revoked");
    rest.live.credentials_changed();
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Sees to it that somebody who can issue credentials is left, or that nobody needs one.
fn refuse_lock_out<'a>(
    rest: &Rest,
    id: &str,
    mut others: impl Iterator<Item = &'a Issued> + Clone,
) -> Result<(), RegistryError> {
    let authenticator = &rest.authenticator;
    let is_open_then = others.clone().next().is_none() && authenticator.is_open_without_issued();
    if is_open_then || authenticator.has_configured_admin() || others.any(Issued::is_lasting_admin)
    {
        return Ok(());
    }
    Err(RegistryError::Conflict {
        what: format!("credential {id}"),
        why: "it is the last one that can issue credentials and does not end: nobody could get in. Issue another for everything first, or rotate this one".to_owned(),
    })
}

fn wanted(rest: &Rest, settings: &TokenSettings) -> Result<Wanted, RegistryError> {
    let name = &settings.name;
    if !(1..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let rule = "must be 1 to 64 visible ASCII characters";
        return Err(RegistryError::invalid("name", name.escape_debug(), rule));
    }
    let account = settings.account.as_deref().unwrap_or(ACCOUNT);
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RegistryError::invalid(
            "account",
            account.escape_debug(),
            "must have 12 digits",
        ));
    }
    if settings.grants.len() > GRANTS_MAX {
        return Err(RegistryError::TooLarge {
            field: "grants".into(),
            rule: format!("at most {GRANTS_MAX} grants"),
        });
    }
    let grants: Result<Vec<Grant>, RegistryError> = settings.grants.iter().map(grant).collect();
    let lives = settings.expires_in_seconds.flatten();
    let now = rest.registry.clock().wall();
    Ok(Wanted {
        name: name.clone(),
        is_aws: settings.aws,
        account: account.to_owned(),
        grants: grants?,
        expires: lives.map(|seconds| now.after(Duration::from_secs(seconds.into()))),
        replaces: None,
    })
}

fn grant(line: &GrantLine) -> Result<Grant, RegistryError> {
    if line.verbs.is_empty() {
        return Err(RegistryError::invalid(
            "verbs",
            "[]",
            "must name at least one verb",
        ));
    }
    let verbs = line.verbs.iter().map(|verb| match verb {
        VerbWord::Read => Verb::Read,
        VerbWord::Register => Verb::Register,
        VerbWord::Operate => Verb::Operate,
        VerbWord::Configure => Verb::Configure,
        VerbWord::Admin => Verb::Admin,
    });
    let grant = Grant {
        verbs: verbs.collect(),
        namespaces: Pattern::new(&line.namespaces)?,
        services: Pattern::new(&line.services)?,
    };
    let is_everywhere = grant.namespaces == Pattern::any() && grant.services == Pattern::any();
    if grant.verbs.contains(&Verb::Admin) && !is_everywhere {
        let place = format!("{}/{}", line.namespaces, line.services);
        let rule = "must be * for admin: who issues credentials can issue one for everything";
        return Err(RegistryError::invalid("namespaces", place, rule));
    }
    Ok(grant)
}

fn shown(issued: &Issued, secret: Option<&str>) -> Token {
    let lines = issued.grants.iter().map(|grant| GrantLine {
        verbs: grant.verbs.iter().map(|verb| word(*verb)).collect(),
        namespaces: grant.namespaces.as_str().to_owned(),
        services: grant.services.as_str().to_owned(),
    });
    Token {
        id: issued.id.clone(),
        name: issued.name.clone(),
        kind: if issued.is_aws { "aws" } else { "bearer" },
        account: issued.is_aws.then(|| issued.account.clone()),
        grants: lines.collect(),
        created: Rfc3339(issued.created),
        expires: issued.expires.map(Rfc3339),
        last_used: None,
        replaces: issued.replaces.clone(),
        secret: secret.map(str::to_owned),
    }
}

fn word(verb: Verb) -> VerbWord {
    match verb {
        Verb::Read => VerbWord::Read,
        Verb::Register => VerbWord::Register,
        Verb::Operate => VerbWord::Operate,
        Verb::Configure => VerbWord::Configure,
        Verb::Admin => VerbWord::Admin,
    }
}
