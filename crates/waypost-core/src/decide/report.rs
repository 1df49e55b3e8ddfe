//! Decisions on what checks found and on what somebody reports of them.

use crate::batch::Evidence;
use crate::check::{CheckKind, CheckState};
use crate::command::{Outcome, Report};
use crate::error::RegistryError;
use crate::name::{CheckId, InstanceKey};
use crate::text::text;
use crate::verdict::CheckVerdict;

use super::Draft;
use super::instance::{checks_of, current, put_verdict};

/// Longest note of a report in bytes.
const NOTE_BYTES_MAX: usize = 1_024;
/// Longest time within which somebody must report again.
const FOR_SECONDS_MAX: u32 = 30 * 86_400;

pub(super) fn report(draft: &mut Draft<'_>, report: &Report) -> Result<Outcome, RegistryError> {
    let (instance, service) = current(draft, &report.key, report.registration)?;
    let mut checks = checks_of(&service, &instance);
    if !checks.clone().any(|check| check.id == report.check) {
        let what = format!("check {} of instance {}", report.check, report.key);
        return Err(RegistryError::NotFound { what });
    }
    let at = draft.context().at;
    let known = checks.find(|check| check.id == report.check);
    let said = instance.verdict().check(&report.check).is_some();
    // Saying for the first time what it was taken to say is still news: someone has looked.
    let same = known.is_some_and(|check| instance.verdict().state_of(check) == report.state);
    let verdict = instance.verdict();
    let next = if same && said {
        None
    } else {
        let checks = checks_of(&service, &instance);
        verdict.with_check(&report.check, report.state, &report.reason, at, checks)
    };
    let moved = report
        .resolved
        .as_ref()
        .and_then(|resolved| next.as_ref().unwrap_or(verdict).with_resolved(resolved));
    let Some(next) = moved.or(next) else {
        return Ok(Outcome::Unchanged);
    };
    put_verdict(draft, &instance, next);
    draft.attach(Evidence {
        instance: report.key.clone(),
        body: report.body.clone(),
    });
    Ok(Outcome::Updated)
}

pub(super) fn report_named(
    draft: &mut Draft<'_>,
    report: &Report,
    for_seconds: Option<u32>,
) -> Result<Outcome, RegistryError> {
    if report.reason.len() > NOTE_BYTES_MAX {
        let rule = format!("must be at most {NOTE_BYTES_MAX} bytes");
        return Err(RegistryError::invalid("note", &report.reason, rule));
    }
    if let Some(seconds) = for_seconds
        && !(1..=FOR_SECONDS_MAX).contains(&seconds)
    {
        let rule = format!("must be 1 to {FOR_SECONDS_MAX}");
        return Err(RegistryError::invalid("for_seconds", seconds, rule));
    }
    let (instance, service) = current(draft, &report.key, report.registration)?;
    let mut checks = checks_of(&service, &instance);
    let what = format!("check {} of instance {}", report.check, report.key);
    let check = checks.find(|check| check.id == report.check);
    let Some(check) = check else {
        return Err(RegistryError::NotFound { what });
    };
    if check.kind != CheckKind::Reported {
        let kind = check.kind_word();
        let why =
            format!("it is of the kind {kind}: only checks of the kind reported are reported");
        return Err(RegistryError::Conflict { what, why });
    }
    let said = CheckVerdict {
        id: report.check.clone(),
        state: report.state,
        since: draft.context().at,
        reason: report.reason.clone(),
        for_seconds,
    };
    let checks = checks_of(&service, &instance);
    let Some(next) = instance.verdict().with_said(said, checks) else {
        return Ok(Outcome::Unchanged);
    };
    put_verdict(draft, &instance, next);
    Ok(Outcome::Updated)
}

/// Silence is failure: who promised to report again within a time did not.
pub(super) fn end_report(
    draft: &mut Draft<'_>,
    key: &InstanceKey,
    check: &CheckId,
) -> Result<Outcome, RegistryError> {
    let (instance, service) = current(draft, key, None)?;
    let Some((said, seconds)) = instance
        .verdict()
        .check(check)
        .and_then(|said| Some((said, said.for_seconds?)))
    else {
        return Ok(Outcome::Unchanged);
    };
    let mut reason = format!(
        "nobody reported within {seconds} s; the last report said {}",
        said.state.as_str()
    );
    if !said.reason.is_empty() {
        reason.push_str(&format!(": {}", said.reason));
    }
    let silent = CheckVerdict {
        id: check.clone(),
        state: CheckState::Failing,
        since: draft.context().at,
        reason: text(&reason),
        for_seconds: None,
    };
    let checks = checks_of(&service, &instance);
    if let Some(next) = instance.verdict().with_said(silent, checks) {
        put_verdict(draft, &instance, next);
    }
    Ok(Outcome::Updated)
}
