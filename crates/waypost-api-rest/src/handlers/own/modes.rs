//! Modes: what operators and processes say of an instance, and what keeps one from coming back.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::IF_MATCH;
use waypost_core::{
    Access, Command, ErrorKind, InstanceId, InstanceKey, Mode, ModeChange, ModeSetting, Note,
    Owner, Position, RegistrationId, RegistryError, Revision, ServiceKey, Text, Verb, View, text,
};
use waypost_http::{Request, RequestHead, empty};

use super::{DIALECT, owner, param, render, service_key, unshown};
use crate::body::read_json;
use crate::cache::Rendered;
use crate::condition::refusal;
use crate::convert::own as convert;
use crate::error::{Answer, Problem, Refusal};
use crate::state::{Rest, conditional};
use crate::wire::own::{ModeReport, ModeSettings, ModeWord};

/// Longest block.
const BLOCK_SECONDS_MAX: u32 = 30 * 86_400;
/// Longest name of an author in bytes.
const AUTHOR_BYTES_MAX: usize = 64;

pub(super) fn get(rest: &Rest, head: &RequestHead) -> Answer {
    let access = rest.reader(head, DIALECT)?;
    let view = rest.registry.view(&access);
    let key = key_of(&view, head)?;
    let instance = view.instance(&key.service, &key.id, Some(&key.owner));
    let found = view.mode(&key);
    if found.is_none() {
        instance.as_ref().map_err(RegistryError::clone)?;
    }
    let setting = found.map(|(setting, _)| &**setting);
    let written = found.map_or(Revision::ZERO, |(_, written)| written);
    let position = view.position_at(written);
    let report = ModeReport {
        namespace: key.service.namespace.as_str().to_owned(),
        service: key.service.name.as_str().to_owned(),
        id: key.id.as_str().to_owned(),
        owner: key.owner.as_str().to_owned(),
        registered: instance.is_ok(),
        mode: setting
            .map_or(Mode::Active, |setting| setting.mode)
            .as_str(),
        overrides: convert::overrides_to_wire(setting),
        revision: position.to_string(),
    };
    let now = rest.registry.clock().monotonic();
    Ok(conditional(
        head,
        Rendered::new(render(&report), position, now),
    ))
}

pub(super) async fn put(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let wanted: ModeSettings = read_json(request).await?;
    let view = rest.registry.view(&access);
    let key = key_of(&view, &request.head)?;
    let author = author(rest, &access, wanted.author.as_deref())?;
    let note = convert::note(&wanted, author, rest.registry.clock().wall())?;
    let command = match &wanted.registration_id {
        Some(id) => of_process(&key, &wanted, note, id.parse()?)?,
        None => Command::ChangeMode {
            key: key.clone(),
            change: Box::new(convert::mode_change(&wanted, &note)?),
            expected: expected(&view, &request.head)?,
        },
    };
    let gone = |error: RegistryError| gone(rest, &access, &key, &error, nothing_to(wanted.mode));
    if access.allows(Verb::Read, &key.service) {
        // A mode may outlive its instance, but none is set for one that is not there.
        view.instance(&key.service, &key.id, Some(&key.owner))
            .map_err(gone)?;
    }
    rest.registry.apply(&access, command).await.map_err(gone)?;
    let view = rest.registry.view(&access);
    let gone = || unshown(&key);
    let state = view.service(&key.service).map_err(|_| gone())?;
    let instance = state.instance(&key).ok_or_else(gone)?;
    let document = convert::instance_to_wire(view.position().epoch, state, instance);
    Ok(super::super::answer(StatusCode::OK, &document))
}

/// A process speaks of the mode of its own registration, and of nothing else.
fn of_process(
    key: &InstanceKey,
    wanted: &ModeSettings,
    note: Note,
    process: RegistrationId,
) -> Result<Command, RegistryError> {
    let foreign = [
        ("weight", wanted.weight.is_some()),
        ("health", wanted.health.is_some()),
    ];
    if let Some((field, _)) = foreign.iter().find(|(_, given)| *given) {
        let rule = "is for operators: it must not be given together with registration_id";
        return Err(RegistryError::invalid(*field, "", rule));
    }
    let Some(mode) = wanted.mode else {
        return Err(RegistryError::invalid("mode", "", "is missing"));
    };
    let setting = ModeSetting {
        process: Some(process),
        ..ModeSetting::new(convert::mode_from_wire(mode), note)
    };
    Ok(Command::SetMode {
        key: key.clone(),
        setting: Some(Arc::new(setting)),
    })
}

pub(super) async fn delete(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let view = rest.registry.view(&access);
    let key = key_of(&view, &request.head)?;
    let command = Command::ChangeMode {
        key: key.clone(),
        change: Box::new(ModeChange::to_plain(rest.registry.clock().wall())),
        expected: expected(&view, &request.head)?,
    };
    let applied = rest.registry.apply(&access, command).await;
    applied.map_err(|error| gone(rest, &access, &key, &error, "there is nothing to resume"))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Makes the command that removes an instance, for good or so that it cannot come back for a while.
pub(super) fn removal(
    rest: &Rest,
    access: &Access,
    head: &RequestHead,
    (service, id, owner): (ServiceKey, InstanceId, Option<Owner>),
) -> Result<Command, Refusal> {
    let said = (head.query_value("reason")?, head.query_value("author")?);
    let Some(seconds) = head.query_value("block_seconds")? else {
        let names = ["reason", "author"];
        if let Some((name, value)) = names.into_iter().zip([said.0, said.1]).find_map(both) {
            let rule = "is noted with a block only: block_seconds is missing";
            return Err(RegistryError::invalid(name, value, rule).into());
        }
        return Ok(Command::Deregister { service, id, owner });
    };
    let rule = || format!("must be a whole number from 1 to {BLOCK_SECONDS_MAX}");
    let known = seconds.parse::<u32>().ok();
    let known = known.filter(|seconds| (1..=BLOCK_SECONDS_MAX).contains(seconds));
    let length = known.ok_or_else(|| RegistryError::invalid("block_seconds", &seconds, rule()))?;
    let since = rest.registry.clock().wall();
    let note = Note {
        reason: text(said.0.as_deref().unwrap_or_default()),
        author: author(rest, access, said.1.as_deref())?,
        since,
        until: Some(since.after(Duration::from_secs(length.into()))),
    };
    Ok(Command::Block {
        service,
        id,
        owner,
        note,
    })
}

fn both<N, V>((name, value): (N, Option<V>)) -> Option<(N, V)> {
    value.map(|value| (name, value))
}

/// Names the instance of the path; whether it is there, the registry decides.
pub(super) fn key_of(view: &View, head: &RequestHead) -> Result<InstanceKey, Refusal> {
    let service = service_key(head)?;
    let id = InstanceId::new(param(head, "id"))?;
    let owner = owner(head)?;
    match view.instance(&service, &id, owner.as_ref()) {
        Ok(instance) => Ok(instance.key().clone()),
        Err(error @ RegistryError::Conflict { .. }) => Err(error.into()),
        Err(_) => Ok(service.instance(owner.unwrap_or_default(), id)),
    }
}

/// Says who speaks: the credential's subject, or on a server that asks for none who the sender says it is.
fn author(rest: &Rest, access: &Access, sent: Option<&str>) -> Result<Text, RegistryError> {
    let Some(sent) = sent.filter(|sent| !sent.is_empty()) else {
        return Ok(access.subject().clone());
    };
    if sent.len() > AUTHOR_BYTES_MAX || !sent.bytes().all(|byte| byte.is_ascii_graphic()) {
        let rule = format!("must be at most {AUTHOR_BYTES_MAX} bytes of visible ASCII");
        return Err(RegistryError::invalid("author", sent.escape_debug(), rule));
    }
    Ok(if rest.authenticator.needs_credentials() {
        access.subject().clone()
    } else {
        text(sent)
    })
}

/// Reads `If-Match`: the position at which the mode was last written, as its ETag and its `revision` show it.
fn expected(view: &View, head: &RequestHead) -> Result<Option<Revision>, RegistryError> {
    let Some(sent) = head.headers().get(IF_MATCH) else {
        return Ok(None);
    };
    let shown = String::from_utf8_lossy(sent.as_bytes());
    let tag = shown.trim().trim_start_matches("W/").trim_matches('"');
    if tag == "*" {
        return Ok(None);
    }
    let position: Position = tag.parse().map_err(|_| {
        let rule = "must be the ETag of the mode, as GET on it answers";
        RegistryError::invalid("If-Match", &shown, rule)
    })?;
    if position.epoch != view.position().epoch {
        return Err(RegistryError::Conflict {
            what: "If-Match".to_owned(),
            why: format!("{position} is of another history"),
        });
    }
    Ok(Some(position.revision))
}

fn nothing_to(mode: Option<ModeWord>) -> &'static str {
    match mode {
        Some(ModeWord::Draining) => "there is nothing to drain",
        Some(ModeWord::Maintenance) => "there is nothing to take out",
        Some(ModeWord::Active) | None => "there is nothing to change",
    }
}

/// Says more of what is not there than that: what it was asked for, and whether it is kept from coming back.
pub(crate) fn gone(
    rest: &Rest,
    access: &Access,
    key: &InstanceKey,
    error: &RegistryError,
    then: &str,
) -> Refusal {
    let view = rest.registry.view(access);
    if error.kind() != ErrorKind::NotFound {
        return refusal(view.position().epoch, error);
    }
    let mut sentence = format!("{error}: {then}");
    let kept = view
        .mode(key)
        .and_then(|(setting, _)| setting.block.clone());
    if let Some(block) = kept {
        let what = "it".to_owned();
        let blocked = RegistryError::Blocked { what, block };
        sentence.push_str(&format!("; {blocked}"));
    }
    Problem::from(error).saying(sentence).into()
}
