//! Reports of named checks: what somebody else than Waypost finds out.

use http::StatusCode;
use waypost_core::{
    Access, CheckId, CheckState, Command, ErrorKind, InstanceKey, RegistrationId, RegistryError,
    Report, effective_checks, text,
};
use waypost_http::Request;

use super::{DIALECT, modes, param};
use crate::body::read_json;
use crate::error::{Answer, Problem, Refusal};
use crate::state::Rest;
use crate::wire::own::{ReportAnswer, ReportBody, StateWord};

pub(super) async fn put(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let body: ReportBody = read_json(request).await?;
    let check = CheckId::new(param(&request.head, "check"))?;
    let key = modes::key_of(&rest.registry.view(&access), &request.head)?;
    let registration: Option<RegistrationId> = body
        .registration_id
        .as_deref()
        .map(str::parse)
        .transpose()?;
    let state = match body.state {
        StateWord::Passing => CheckState::Passing,
        StateWord::Warning => CheckState::Warning,
        StateWord::Failing => CheckState::Failing,
    };
    let report = Report {
        key: key.clone(),
        registration,
        check: check.clone(),
        state,
        reason: text(&body.note),
        body: None,
        resolved: None,
    };
    let command = Command::ReportNamed {
        report,
        for_seconds: body.for_seconds,
    };
    let applied = rest.registry.apply(&access, command).await;
    applied.map_err(|error| unknown(rest, &access, &key, error))?;
    Ok(super::super::answer(
        StatusCode::OK,
        &ReportAnswer {
            check: check.as_str().to_owned(),
            state: state.as_str(),
            deadline_seconds: body.for_seconds,
        },
    ))
}

/// Names the checks that there are, to whom may see them.
fn unknown(rest: &Rest, access: &Access, key: &InstanceKey, error: RegistryError) -> Refusal {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    let view = rest.registry.view(access);
    let (Ok(state), Ok(instance)) = (
        view.service(&key.service),
        view.instance(&key.service, &key.id, Some(&key.owner)),
    ) else {
        return error.into();
    };
    let own = &instance.registration().spec.checks;
    let named: Vec<String> = effective_checks(&state.service().checks, own)
        .map(|check| format!("{} ({})", check.id, check.kind_word()))
        .collect();
    let there = if named.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", named.join(", "))
    };
    let sentence = format!(
        "{}, {there}",
        error.to_string().replace("registered", "configured")
    );
    Problem::from(&error).saying(sentence).into()
}
