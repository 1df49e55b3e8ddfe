//! Modes: taking an instance out of rotation without removing it.

use std::sync::Arc;

use http::StatusCode;
use waypost_core::{
    Command, Extra, InstanceId, InstanceKey, Mode, ModeSetting, RegistrationId, RegistryError,
    Verb, text,
};
use waypost_http::{Request, empty};

use super::{DIALECT, owner, param, service_key, unshown};
use crate::body::read_json;
use crate::convert::own as convert;
use crate::error::{Answer, Refusal};
use crate::state::Rest;
use crate::wire::own::{ModeSettings, ModeWord};

pub(super) async fn put(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let wanted: ModeSettings = read_json(request).await?;
    let process: Option<RegistrationId> = wanted
        .registration_id
        .as_deref()
        .map(str::parse)
        .transpose()?;
    let key = key_of(rest, &access, request)?;
    if access.allows(Verb::Read, &key.service) {
        // A mode may outlive its instance, but none is set for one that is not there.
        let view = rest.registry.view(&access);
        view.instance(&key.service, &key.id, Some(&key.owner))?;
    }
    let setting = ModeSetting {
        mode: match wanted.mode {
            ModeWord::Active => Mode::Active,
            ModeWord::Draining => Mode::Draining,
            ModeWord::Maintenance => Mode::Maintenance,
        },
        reason: text(&wanted.reason),
        author: access.subject().clone(),
        since: rest.registry.clock().wall(),
        until: None,
        weight: None,
        weight_note: None,
        health: None,
        block: None,
        process,
        extra: Extra::default(),
    };
    // Plainly Active is no setting at all, unless it is a process that takes back its own.
    let setting = (setting.mode != Mode::Active || process.is_some()).then(|| Arc::new(setting));
    let command = Command::SetMode {
        key: key.clone(),
        setting,
    };
    rest.registry.apply(&access, command).await?;
    let view = rest.registry.view(&access);
    let gone = || unshown(&key);
    let state = view.service(&key.service).map_err(|_| gone())?;
    let instance = state.instance(&key).ok_or_else(gone)?;
    let document = convert::instance_to_wire(view.position().epoch, state, instance);
    Ok(super::super::answer(StatusCode::OK, &document))
}

pub(super) async fn delete(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let key = key_of(rest, &access, request)?;
    let command = Command::SetMode { key, setting: None };
    rest.registry.apply(&access, command).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Names the instance of the path; whether it is there, the registry decides.
fn key_of(
    rest: &Rest,
    access: &waypost_core::Access,
    request: &Request,
) -> Result<InstanceKey, Refusal> {
    let service = service_key(&request.head)?;
    let id = InstanceId::new(param(&request.head, "id"))?;
    let owner = owner(&request.head)?;
    let view = rest.registry.view(access);
    match view.instance(&service, &id, owner.as_ref()) {
        Ok(instance) => Ok(instance.key().clone()),
        Err(error @ RegistryError::Conflict { .. }) => Err(error.into()),
        Err(_) => Ok(service.instance(owner.unwrap_or_default(), id)),
    }
}
