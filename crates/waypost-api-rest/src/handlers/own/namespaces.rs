//! Creating, changing and removing namespaces.

use http::StatusCode;
use waypost_core::{
    Command, ErrorKind, NamespaceChange, NamespaceKind, NamespaceName, NamespaceSpec, Outcome,
    RegistryError, text,
};
use waypost_http::{Request, empty};

use super::{DIALECT, TRIES_MAX, param, unshown};
use crate::body::read_json_or_empty;
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
    let mut tries = 1;
    let applied = loop {
        let view = rest.registry.view(&access);
        let command = match view.namespace(&name) {
            Ok(state) => {
                refuse_other_kind(state.namespace().kind, kind)?;
                Command::UpdateNamespace {
                    name: name.clone(),
                    change: change.clone(),
                }
            }
            Err(_) => Command::CreateNamespace(NamespaceSpec {
                name: name.clone(),
                kind: kind.unwrap_or(if name.is_dns_name() {
                    NamespaceKind::PrivateDns
                } else {
                    NamespaceKind::Http
                }),
                id: None,
                change: change.clone(),
                request_id: None,
            }),
        };
        match rest.registry.apply(&access, command).await {
            // Somebody else made or removed it in between.
            Err(error)
                if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound)
                    && tries < TRIES_MAX =>
            {
                tries += 1;
            }
            done => break done?,
        }
    };
    let view = rest.registry.view(&access);
    let state = view.namespace(&name).map_err(|_| unshown(&name))?;
    let status = match applied.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged | Outcome::Removed => StatusCode::OK,
    };
    Ok(super::super::answer(
        status,
        &convert::namespace_to_wire(&view, state),
    ))
}

fn kind_of(word: NamespaceKindWord) -> NamespaceKind {
    match word {
        NamespaceKindWord::PrivateDns => NamespaceKind::PrivateDns,
        NamespaceKindWord::PublicDns => NamespaceKind::PublicDns,
        NamespaceKindWord::Http => NamespaceKind::Http,
    }
}

fn refuse_other_kind(
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
    let command = Command::DeleteNamespace(name);
    rest.registry.apply(&access, command).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
