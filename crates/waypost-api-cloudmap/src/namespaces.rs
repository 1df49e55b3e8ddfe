//! Namespaces.

use std::sync::Arc;

use waypost_core::{
    Attributes, Command, Namespace, NamespaceChange, NamespaceKind, NamespaceName, NamespaceSpec,
    NamespaceState, text,
};

use crate::arn::Kind;
use crate::fault::{About, Fault};
use crate::operation::{OperationType, Targets};
use crate::page::Page;
use crate::quotas;
use crate::state::{Call, fresh_id};
use crate::tags;
use crate::value::{Map, Value};

fn type_of(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Http => "HTTP",
        NamespaceKind::PrivateDns => "DNS_PRIVATE",
        NamespaceKind::PublicDns => "DNS_PUBLIC",
    }
}

pub(crate) async fn create(call: &Call<'_>, kind: NamespaceKind) -> Result<Value, Fault> {
    let input = &call.input;
    let given = input.text("Name").unwrap_or_default();
    let name = NamespaceName::new(given).map_err(|error| Fault::of(&error, About::Namespace))?;
    if let Some(answer) = call.repeated(OperationType::CreateNamespace, given)? {
        return Ok(answer);
    }
    if kind != NamespaceKind::Http && call.is_strict() && !name.is_dns_name() {
        return Err(Fault::invalid(format!("{given} is not a DNS name.")));
    }
    if let Ok(known) = call.view().namespace(&name) {
        let fault = already_exists(known.namespace());
        return call.repeated_or(OperationType::CreateNamespace, given, fault);
    }
    let counts = call.cloud_map.config.quotas.namespaces.is_some();
    let _turn = quotas::turn(call, counts).await;
    quotas::check_namespaces(call)?;
    let id = fresh_id("ns-");
    let spec = NamespaceSpec {
        name,
        kind,
        id: Some(text(&id)),
        change: NamespaceChange {
            description: input.text("Description").map(text),
            soa_ttl: soa_ttl(input).map(Some),
            tags: Some(tags::given(input)?),
        },
        request_id: input.text("CreatorRequestId").map(text),
    };
    let targets = Targets {
        namespace: Some(id.clone()),
        ..Targets::default()
    };
    let command = Command::CreateNamespace(spec);
    let subject = (given, Some(&*id));
    call.operate(
        OperationType::CreateNamespace,
        subject,
        targets,
        command,
        About::Namespace,
    )
    .await
}

fn already_exists(known: &Namespace) -> Fault {
    let fault = Fault::bad(
        "NamespaceAlreadyExists",
        format!("Namespace {} exists already.", known.name),
    )
    .with("NamespaceId", known.id.to_string());
    match &known.request_id {
        Some(id) => fault.with("CreatorRequestId", id.to_string()),
        None => fault,
    }
}

fn soa_ttl(change: &Value) -> Option<u32> {
    let soa = change.get("Properties")?.get("DnsProperties")?.get("SOA")?;
    u32::try_from(soa.integer("TTL")?).ok()
}

pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.namespace(call.input.text("Id").unwrap_or_default())?;
    let namespace = state.namespace();
    let request_id = namespace.request_id.as_deref();
    let shown = summary(call, &state).with_some("CreatorRequestId", request_id);
    Ok(Map::new().with("Namespace", shown).done())
}

fn summary(call: &Call<'_>, state: &NamespaceState) -> Map {
    let namespace = state.namespace();
    let http = Map::new().with("HttpName", namespace.name.as_str());
    let mut properties = Map::new();
    if namespace.kind != NamespaceKind::Http {
        let ttl = namespace.soa_ttl.unwrap_or(SOA_TTL_SECONDS);
        let dns = Map::new()
            .with("HostedZoneId", hosted_zone(&namespace.id))
            .with("SOA", Map::new().with("TTL", ttl));
        properties = properties.with("DnsProperties", dns);
    }
    Map::new()
        .with("Id", &*namespace.id)
        .with("Arn", call.arn(Kind::Namespace, &namespace.id))
        .with("ResourceOwner", call.account.as_str())
        .with("Name", namespace.name.as_str())
        .with("Type", type_of(namespace.kind))
        .with_text("Description", &namespace.description)
        .with("ServiceCount", state.services_len())
        .with("Properties", properties.with("HttpProperties", http))
        .with("CreateDate", Value::Time(namespace.created))
}

/// What a zone's SOA record has, unless the namespace says otherwise: AWS's default is 15 for new namespaces.
const SOA_TTL_SECONDS: u32 = 15;

/// There is no Route 53 here; clients only look whether there is an id.
fn hosted_zone(id: &str) -> String {
    format!("Z{}", id.trim_start_matches("ns-").to_ascii_uppercase())
}

pub(crate) fn list(call: &Call<'_>) -> Result<Value, Fault> {
    let page = Page::read(call.operation, &call.input)?;
    let filters = call.input.list("Filters");
    check_filters(filters, |name, condition| match (name, condition) {
        ("TYPE" | "RESOURCE_OWNER", "EQ") => true,
        ("NAME" | "HTTP_NAME", condition) => matches!(condition, "EQ" | "BEGINS_WITH"),
        _ => false,
    })?;
    let view = call.view();
    let rows = view.namespaces().filter(|state| {
        let namespace = state.namespace();
        filters.iter().all(|filter| {
            let begins = filter.text("Condition") == Some("BEGINS_WITH");
            let fits = |value: &str, wanted: &str| {
                if begins {
                    value.starts_with(wanted)
                } else {
                    value == wanted
                }
            };
            let value = match filter.text("Name").unwrap_or_default() {
                "TYPE" => type_of(namespace.kind),
                "RESOURCE_OWNER" => return values_of(filter).any(|owner| owner == "SELF"),
                _ => namespace.name.as_str(),
            };
            values_of(filter).any(|wanted| fits(value, wanted))
        })
    });
    let rows = rows.map(|state| (state.namespace().id.to_string(), state));
    let mut rows: Vec<(String, &Arc<NamespaceState>)> = rows.collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let rows = rows
        .into_iter()
        .map(|(id, state)| (id, summary(call, state).done()));
    Ok(page.fill("Namespaces", rows).done())
}

/// Checks that each filter is given with a condition that it has.
pub(crate) fn check_filters(
    filters: &[Value],
    is_allowed: impl Fn(&str, &str) -> bool,
) -> Result<(), Fault> {
    for filter in filters {
        let name = filter.text("Name").unwrap_or_default();
        let condition = filter.text("Condition").unwrap_or("EQ");
        if !is_allowed(name, condition) {
            return Err(Fault::invalid(format!(
                "Filter {name} cannot be used with condition {condition}."
            )));
        }
        if values_of(filter).next().is_none() {
            return Err(Fault::invalid(format!("Filter {name} has no values.")));
        }
        if condition == "EQ" && values_of(filter).count() > 1 {
            return Err(Fault::invalid(format!(
                "Filter {name} with condition EQ has more than one value."
            )));
        }
    }
    Ok(())
}

pub(crate) fn values_of(filter: &Value) -> impl Iterator<Item = &str> {
    let values = filter.list("Values").iter();
    values.filter_map(|value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

pub(crate) async fn update(call: &Call<'_>, kind: NamespaceKind) -> Result<Value, Fault> {
    let state = call.namespace(call.input.text("Id").unwrap_or_default())?;
    let namespace = state.namespace();
    if namespace.kind != kind {
        return Err(Fault::invalid(format!(
            "Namespace {} is of type {}.",
            namespace.id,
            type_of(namespace.kind)
        )));
    }
    let nothing = Value::Null;
    let wanted = call.input.get("Namespace").unwrap_or(&nothing);
    let change = NamespaceChange {
        description: wanted.text("Description").map(text),
        soa_ttl: soa_ttl(wanted).map(Some),
        tags: None,
    };
    let command = Command::UpdateNamespace {
        name: namespace.name.clone(),
        change,
    };
    let targets = Targets {
        namespace: Some(namespace.id.to_string()),
        ..Targets::default()
    };
    let subject = (&*namespace.id, Some(&*namespace.id));
    call.operate(
        OperationType::UpdateNamespace,
        subject,
        targets,
        command,
        About::Namespace,
    )
    .await
}

pub(crate) async fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    let state = call.namespace(call.input.text("Id").unwrap_or_default())?;
    let namespace = state.namespace();
    let targets = Targets {
        namespace: Some(namespace.id.to_string()),
        ..Targets::default()
    };
    let command = Command::DeleteNamespace(namespace.name.clone());
    let subject = (&*namespace.id, Some(&*namespace.id));
    call.operate(
        OperationType::DeleteNamespace,
        subject,
        targets,
        command,
        About::Namespace,
    )
    .await
}

/// Writes tags onto a namespace.
pub(crate) async fn put_tags(call: &Call<'_>, id: &str, tags: Attributes) -> Result<(), Fault> {
    let state = call.namespace(id)?;
    let change = NamespaceChange {
        tags: Some(tags),
        ..NamespaceChange::default()
    };
    let command = Command::UpdateNamespace {
        name: state.namespace().name.clone(),
        change,
    };
    call.apply(command, About::Namespace).await.map(drop)
}
