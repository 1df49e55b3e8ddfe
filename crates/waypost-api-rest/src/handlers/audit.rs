//! The journal: who changed what, who was refused, and how the health of an instance went.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use waypost_core::{
    Dialect, InstanceId, InstanceKey, JournalEntry, JournalFilter, JournalKind, JournalRecord,
    NamespaceName, ObjectChange, Owner, RegistryError, ServiceKey, Timestamp,
};
use waypost_http::{Query, Request, Router};

use super::own::{only, owner};
use super::{answer, param, waiting};
use crate::error::{Answer, Refusal};
use crate::state::Rest;
use crate::time::Rfc3339;
use crate::wire::own::{AuditLine, AuditObject, AuditPage, HistoryLine, HistoryPage};

const DIALECT: Dialect = Dialect::Rest;
const HISTORY: &str = "/v1/namespaces/{namespace}/services/{service}/instances/{id}/history";
/// Lines of a page, unless the request says otherwise, and at most. The journal ends it sooner when they are long.
const LINES: usize = 100;
const LINES_MAX: usize = 1_000;
/// What the journal is narrowed by.
pub(crate) const FILTERS: [&str; 12] = [
    "kind",
    "subject",
    "address",
    "dialect",
    "cause",
    "namespace",
    "service",
    "since",
    "until",
    "before",
    "after",
    "limit",
];

pub(crate) fn routes(router: Router, rest: &Arc<Rest>) -> Router {
    router
        .get("/v1/audit", waiting!(rest, audit))
        .get(HISTORY, waiting!(rest, history))
}

async fn audit(rest: &Rest, request: &mut Request) -> Answer {
    let head = &request.head;
    let access = rest.reader(head, DIALECT)?;
    only(head, &FILTERS)?;
    let query = head.query()?;
    let filter = filter(&query, rest.namespace())?;
    let limit = limit(&query)?;
    let page = rest.registry.journal(&access, filter, limit).await?;
    let lines = page.lines.into_iter();
    let shown = AuditPage {
        lines: lines
            .map(|(sequence, entry)| line(sequence, entry))
            .collect(),
        next: page.next,
    };
    Ok(answer(StatusCode::OK, &shown))
}

async fn history(rest: &Rest, request: &mut Request) -> Answer {
    let head = &request.head;
    let access = rest.reader(head, DIALECT)?;
    only(head, &["owner", "before", "limit"])?;
    let service = ServiceKey::new(param(head, "namespace"), param(head, "service"))?;
    let id = InstanceId::new(param(head, "id"))?;
    let query = head.query()?;
    // Of one that is gone there is a history all the same.
    let view = rest.registry.view(&access);
    let asked = owner(head)?;
    let key = match view.instance(&service, &id, asked.as_ref()) {
        Ok(instance) => instance.key().clone(),
        Err(error) if error.kind() == waypost_core::ErrorKind::NotFound => InstanceKey {
            service,
            owner: asked.unwrap_or(Owner::SELF),
            id,
        },
        Err(error) => return Err(error.into()),
    };
    let filter = JournalFilter {
        instance: Some(key),
        before: number(&query, "before")?,
        ..JournalFilter::default()
    };
    let page = rest
        .registry
        .journal(&access, filter, limit(&query)?)
        .await?;
    let lines = page.lines.into_iter().filter_map(|(sequence, entry)| {
        let JournalRecord::Edge {
            from,
            to,
            reason,
            body,
            ..
        } = entry.record
        else {
            return None;
        };
        Some(HistoryLine {
            sequence,
            at: Rfc3339(entry.at),
            revision: entry.revision.0,
            from: from.as_str(),
            to: to.as_str(),
            reason: reason.to_string(),
            body: body.as_ref().map(ToString::to_string),
        })
    });
    let shown = HistoryPage {
        lines: lines.collect(),
        next: page.next,
    };
    Ok(answer(StatusCode::OK, &shown))
}

fn filter(query: &Query<'_>, default: &NamespaceName) -> Result<JournalFilter, Refusal> {
    let text = |name: &'static str, most: usize| match query.get(name) {
        Some(value) if value.chars().count() > most => {
            let rule = format!("must have at most {most} characters");
            Err(RegistryError::invalid(name, value, rule))
        }
        value => Ok(value.map(str::to_owned)),
    };
    let service = text("service", 127)?;
    // A service without a namespace is one of the default namespace, as everywhere.
    let of_default = || service.is_some().then(|| default.to_string());
    let namespace = text("namespace", 253)?.or_else(of_default);
    if let Some(namespace) = &namespace {
        NamespaceName::new(namespace)?;
        if let Some(service) = &service {
            ServiceKey::new(namespace, service)?;
        }
    }
    Ok(JournalFilter {
        instance: None,
        kinds: kinds(query)?,
        subject: text("subject", 255)?,
        address: address(query)?,
        dialect: dialect(query)?,
        cause: text("cause", 64)?,
        namespace,
        service,
        since: time(query, "since")?,
        until: time(query, "until")?,
        before: number(query, "before")?,
        after: number(query, "after")?,
    })
}

fn kinds(query: &Query<'_>) -> Result<Vec<JournalKind>, RegistryError> {
    let words = query.get("kind").into_iter().flat_map(|it| it.split(','));
    let read = |word: &str| {
        let known = JournalKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word);
        known.ok_or_else(|| {
            RegistryError::invalid("kind", word, "must be changed, edge or refused, by comma")
        })
    };
    words.map(read).collect()
}

fn address(query: &Query<'_>) -> Result<Option<IpAddr>, RegistryError> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| RegistryError::invalid("address", text, "must be an IP address"))
    };
    query.get("address").map(read).transpose()
}

fn dialect(query: &Query<'_>) -> Result<Option<String>, RegistryError> {
    let known = [
        "rest",
        "discovery",
        "service-discovery",
        "cloudmap",
        "internal",
        "dns",
    ];
    match query.get("dialect") {
        Some(word) if !known.contains(&word) => Err(RegistryError::invalid(
            "dialect",
            word,
            format!("must be one of {}", known.join(", ")),
        )),
        word => Ok(word.map(str::to_owned)),
    }
}

/// Reads a time: RFC 3339, or seconds since 1970.
fn time(query: &Query<'_>, name: &'static str) -> Result<Option<Timestamp>, RegistryError> {
    let read = |text: &str| {
        let seconds = text.parse::<u64>().ok();
        let milliseconds = seconds.and_then(|seconds| seconds.checked_mul(1_000));
        let written = || {
            let time: jiff::Timestamp = text.parse().ok()?;
            u64::try_from(time.as_millisecond()).ok()
        };
        let rule = "must be a time such as 2026-01-15T10:30:00Z, or seconds since 1970";
        milliseconds
            .or_else(written)
            .map(Timestamp)
            .ok_or_else(|| RegistryError::invalid(name, text, rule))
    };
    query.get(name).map(read).transpose()
}

fn number(query: &Query<'_>, name: &'static str) -> Result<Option<u64>, RegistryError> {
    let read = |text: &str| {
        let number = text
            .parse()
            .ok()
            .filter(|number| *number <= i64::MAX as u64);
        let rule = "must be the number of a line, or `next` of the page before";
        number.ok_or_else(|| RegistryError::invalid(name, text, rule))
    };
    query.get(name).map(read).transpose()
}

fn limit(query: &Query<'_>) -> Result<usize, RegistryError> {
    let Some(text) = query.get("limit") else {
        return Ok(LINES);
    };
    let limit = text.parse().ok();
    limit
        .filter(|limit| (1..=LINES_MAX).contains(limit))
        .ok_or_else(|| RegistryError::invalid("limit", text, format!("must be 1 to {LINES_MAX}")))
}

fn line(sequence: u64, entry: JournalEntry) -> AuditLine {
    let mut line = AuditLine {
        sequence,
        at: Rfc3339(entry.at),
        revision: entry.revision.0,
        kind: entry.record.kind().as_str(),
        subject: entry.author.subject.to_string(),
        address: entry.author.address.map(|address| address.to_string()),
        dialect: entry.author.dialect.as_str(),
        cause: None,
        objects: Vec::new(),
        namespace: None,
        service: None,
        instance: None,
        from: None,
        to: None,
        request: None,
        reason: None,
        body: None,
        refusals: None,
    };
    match entry.record {
        JournalRecord::Changed { cause, objects } => {
            line.cause = Some(cause.to_string());
            line.objects = objects.into_iter().map(object).collect();
        }
        JournalRecord::Edge {
            instance,
            from,
            to,
            reason,
            body,
        } => {
            line.namespace = Some(instance.service.namespace.to_string());
            line.service = Some(instance.service.name.to_string());
            line.instance = Some(instance.id.to_string());
            line.from = Some(from.as_str());
            line.to = Some(to.as_str());
            line.reason = Some(reason.to_string());
            line.body = body.as_ref().map(ToString::to_string);
        }
        JournalRecord::Refused { request, kind, why } => {
            line.request = Some(request.to_string());
            line.cause = Some(kind.to_string());
            line.reason = Some(why.to_string());
        }
        JournalRecord::Uncounted { refusals } => line.refusals = Some(refusals),
    }
    line
}

fn object(change: ObjectChange) -> AuditObject {
    let text = |text: Option<waypost_core::Text>| text.map(|text| text.to_string());
    AuditObject {
        kind: change.kind.to_string(),
        namespace: text(change.namespace),
        service: text(change.service),
        instance: text(change.instance),
        document: text(change.document),
        before: change.before.map(|content| content.to_json()),
        after: change.after.map(|content| content.to_json()),
    }
}
