//! `GET /v1/explain/{service}/{id}`: why an instance is in rotation or out.

use std::sync::Arc;

use http::StatusCode;
use waypost_core::{
    Access, Dialect, InstanceId, InstanceKey, JournalFilter, JournalRecord, NamespaceKind,
};
use waypost_http::{Request, Router};

use super::own::{gone, only, owner, service_asked};
use super::{answer, param, waiting};
use crate::error::Answer;
use crate::explain::InDns;
use crate::state::Rest;
use crate::time::Rfc3339;
use crate::wire::own::HealthEdge;

const DIALECT: Dialect = Dialect::Rest;
/// Most changes of health that are told.
const HISTORY_MAX: usize = 20;

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router.get("/v1/explain/{service}/{id}", waiting!(rest, explain))
}

async fn explain(rest: &Rest, request: &mut Request) -> Answer {
    let head = &request.head;
    let access = rest.reader(head, DIALECT)?;
    only(head, &["namespace", "owner"])?;
    let service = service_asked(rest, head)?;
    let id = InstanceId::new(param(head, "id"))?;
    let owner = owner(head)?;
    let key = {
        let view = rest.registry.view(&access);
        let named = service.instance(owner.clone().unwrap_or_default(), id.clone());
        let found = view.instance(&service, &id, owner.as_ref());
        let gone = |error| gone(rest, &access, &named, &error, "there is nothing to explain");
        found.map_err(gone)?.key().clone()
    };
    let history = history(rest, &access, &key).await;
    // Taken after the journal was read: what is told last is the latest state.
    let view = rest.registry.view(&access);
    let instance = view.instance(&service, &id, Some(&key.owner))?;
    let state = view.service(&service)?;
    let now = rest.registry.clock().monotonic();
    let kind = view.namespace(&service.namespace)?.namespace().kind;
    let in_dns = match kind {
        _ if rest.dns.listen.is_empty() => InDns::Off,
        NamespaceKind::Http => InDns::OfOtherKind,
        _ => InDns::Looked,
    };
    let explanation =
        crate::explain::explain(state, instance, now, history, rest.namespace(), in_dns);
    Ok(answer(StatusCode::OK, &explanation))
}

/// Reads the instance's changes of health from the journal, oldest first; none when it cannot be read, since the
/// snapshot keeps the latest ones.
async fn history(rest: &Rest, access: &Access, key: &InstanceKey) -> Vec<HealthEdge> {
    let filter = JournalFilter {
        instance: Some(key.clone()),
        ..JournalFilter::default()
    };
    let page = match rest.registry.journal(access, filter, HISTORY_MAX).await {
        Ok(page) => page,
        Err(error) => {
            tracing::warn!(%error, instance = %key, "the history of an instance cannot be read");
            return Vec::new();
        }
    };
    let edges = page
        .lines
        .into_iter()
        .rev()
        .filter_map(|(_, entry)| match entry.record {
            JournalRecord::Edge {
                from,
                to,
                reason,
                body,
                ..
            } => Some(HealthEdge {
                at: Rfc3339(entry.at),
                from: from.as_str(),
                to: to.as_str(),
                reason: reason.to_string(),
                body: body.as_ref().map(ToString::to_string),
            }),
            _ => None,
        });
    edges.collect()
}
