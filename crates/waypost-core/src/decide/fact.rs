//! What a command under a condition holds to be so.

use crate::command::{Expected, Fact};
use crate::error::RegistryError;
use crate::id::Revision;
use crate::name::ObjectKey;
use crate::snapshot::resolve_owner;

use super::Draft;

/// Fails unless the fact holds, and states in the batch what that was decided on.
pub(super) fn check(draft: &mut Draft<'_>, fact: &Fact) -> Result<(), RegistryError> {
    match fact {
        Fact::Namespace(name, expected) => {
            let object = ObjectKey::Namespace(name.clone());
            let written = draft.state().namespace(name).map(|state| state.revision());
            check_object(draft, object, written, *expected)
        }
        Fact::Service(key, expected) => {
            let object = ObjectKey::Service(key.clone());
            let written = draft.state().service(key).map(|state| state.revision());
            check_object(draft, object, written, *expected)
        }
        Fact::Instance {
            service,
            id,
            owner,
            expected,
        } => {
            let found = resolve_owner(draft.state().service(service), service, id, owner.as_ref())?;
            let written = found.map(|instance| instance.modified());
            let key = found.map_or_else(
                || service.instance(owner.clone().unwrap_or_default(), id.clone()),
                |instance| instance.key().clone(),
            );
            hold(
                draft,
                &ObjectKey::Registration(key.clone()),
                written,
                *expected,
            )?;
            for part in [
                ObjectKey::Registration(key.clone()),
                ObjectKey::Verdict(key.clone()),
                ObjectKey::Mode(key),
            ] {
                draft.require_unchanged(part);
            }
            Ok(())
        }
    }
}

fn check_object(
    draft: &mut Draft<'_>,
    object: ObjectKey,
    written: Option<Revision>,
    expected: Expected,
) -> Result<(), RegistryError> {
    hold(draft, &object, written, expected)?;
    draft.require_unchanged(object);
    Ok(())
}

/// Compares a thing with what is expected of it; `written` is none when it is not there.
fn hold(
    draft: &Draft<'_>,
    object: &ObjectKey,
    written: Option<Revision>,
    expected: Expected,
) -> Result<(), RegistryError> {
    match (expected, written) {
        (Expected::Absent, None) | (Expected::Present, Some(_)) => Ok(()),
        (Expected::Absent, Some(_)) => Err(RegistryError::AlreadyExists {
            what: object.to_string(),
        }),
        // Nobody has seen a revision that is still to come.
        (Expected::UnchangedSince(since), Some(written))
            if written <= since && since != Revision::ZERO && since <= draft.base.revision() =>
        {
            Ok(())
        }
        (Expected::Present | Expected::UnchangedSince(_), written) => Err(changed(object, written)),
    }
}

pub(super) fn changed(object: &ObjectKey, revision: Option<Revision>) -> RegistryError {
    let why = match revision {
        Some(revision) => format!("it was last changed at revision {revision}"),
        None => "it is not there".to_owned(),
    };
    RegistryError::Changed {
        what: object.to_string(),
        why,
        revision,
    }
}
