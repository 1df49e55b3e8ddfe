//! Creating, changing and removing namespaces.

use http::StatusCode;
use waypost_core::{
    Command, ErrorKind, Expected, Fact, NamespaceChange, NamespaceKind, NamespaceName,
    NamespaceSpec, RegistryError, Scope, text,
};
use waypost_http::{Request, empty};

use super::{DIALECT, TRIES_MAX, param, unshown, written};
use crate::body::read_json_or_empty;
use crate::condition::{guarded, of_change, of_put, refusal, refusal_of_what_is};
use crate::convert::own as convert;
use crate::error::Answer;
use crate::state::Rest;
use crate::wire::own::{NamespaceKindWord, NamespaceSettings};

pub(super) async fn put(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let name = NamespaceName::new(param(&request.head, "namespace"))?;
    let settings: NamespaceSettings = read_json_or_empty(request).await?;
    let kind = settings.kind.map(kind_of);
    let change = NamespaceChange {
        description: settings.description.as_deref().map(text),
        soa_ttl: settings.soa_ttl_seconds,
        tags: None,
    };
    let view = rest.registry.view(&access);
    let epoch = view.position().epoch;
    let expected = of_put(&request.head, &view)?;
    let must_be_new = expected == Some(Expected::Absent);
    let mut tries = if expected.is_some() { TRIES_MAX } else { 1 };
    let applied = loop {
        let view = rest.registry.view(&access);
        let is = view.namespace(&name).ok();
        if let Some(state) = is.filter(|_| !must_be_new) {
            refuse_other_kind(state.namespace().kind, kind)?;
        }
        let command = match expected {
            None if is.is_none() => None,
            Some(Expected::Absent) => None,
            expected => {
                let update = Command::UpdateNamespace {
                    name: name.clone(),
                    change: change.clone(),
                };
                let fact = expected.map(|expected| Fact::Namespace(name.clone(), expected));
                Some(guarded(fact, update))
            }
        };
        let command = command.unwrap_or_else(|| {
            Command::CreateNamespace(NamespaceSpec {
                name: name.clone(),
                kind: kind.unwrap_or(if name.is_dns_name() {
                    NamespaceKind::PrivateDns
                } else {
                    NamespaceKind::Http
                }),
                id: None,
                change: change.clone(),
                request_id: None,
            })
        });
        match rest.registry.apply(&access, command).await {
            // Somebody else made or removed it in between.
            Err(error)
                if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound)
                    && tries < TRIES_MAX =>
            {
                tries += 1;
            }
            done => break done.map_err(|error| refusal(epoch, &error))?,
        }
    };
    let view = rest.registry.view(&access);
    let state = view.namespace(&name).map_err(|_| unshown(&name))?;
    let document = convert::namespace_to_wire(&view, state);
    let position = view.position_at(view.modified(&Scope::Namespace(name)));
    Ok(written(position, applied.outcome, &document))
}

pub(super) fn kind_of(word: NamespaceKindWord) -> NamespaceKind {
    match word {
        NamespaceKindWord::PrivateDns => NamespaceKind::PrivateDns,
        NamespaceKindWord::PublicDns => NamespaceKind::PublicDns,
        NamespaceKindWord::Http => NamespaceKind::Http,
    }
}

pub(super) fn refuse_other_kind(
    is: NamespaceKind,
    wanted: Option<NamespaceKind>,
) -> Result<(), RegistryError> {
    match wanted {
        Some(wanted) if wanted != is => Err(RegistryError::Conflict {
            what: "kind of the namespace".to_owned(),
            why: format!("it is {is:?} and stays that: remove the namespace and create it anew"),
        }),
        _ => Ok(()),
    }
}

pub(super) async fn delete(rest: &Rest, request: &mut Request) -> Answer {
    let access = rest.writer(&request.head, DIALECT)?;
    let name = NamespaceName::new(param(&request.head, "namespace"))?;
    let view = rest.registry.view(&access);
    let expected = of_change(&request.head, &view)?;
    let fact = expected.map(|expected| Fact::Namespace(name.clone(), expected));
    let command = guarded(fact, Command::DeleteNamespace(name));
    let applied = rest.registry.apply(&access, command).await;
    applied.map_err(|error| refusal_of_what_is(view.position().epoch, error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}
