//! Looking operations up.

use crate::arn::{Kind, id_of};
use crate::fault::Fault;
use crate::namespaces::{check_filters, values_of};
use crate::operation::Operation;
use crate::page::Page;
use crate::state::Call;
use crate::value::{Map, Value};

pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    let id = call.input.text("OperationId").unwrap_or_default();
    let snapshot = call.cloud_map.snapshots.latest();
    let found = Operation::find(&snapshot, id).filter(|operation| may_see(call, operation));
    let operation = found
        .ok_or_else(|| Fault::missing("OperationNotFound", format!("Operation {id} not found.")))?;
    let shown = operation.show(&call.account);
    Ok(Map::new().with("Operation", shown).done())
}

/// An operation is seen by whoever may see the namespace that it was in, or was about.
fn may_see(call: &Call<'_>, operation: &Operation) -> bool {
    if call.access.is_everything() {
        return true;
    }
    let view = call.view();
    operation
        .within
        .as_deref()
        .is_some_and(|id| view.namespace_by_id(id).is_some())
}

pub(crate) fn list(call: &Call<'_>) -> Result<Value, Fault> {
    let page = Page::read(call.operation, &call.input)?;
    let filters = call.input.list("Filters");
    check_filters(filters, |name, condition| match name {
        "NAMESPACE_ID" | "SERVICE_ID" => condition == "EQ",
        "STATUS" | "TYPE" => matches!(condition, "EQ" | "IN"),
        _ => condition == "BETWEEN",
    })?;
    for filter in filters {
        if filter.text("Name") == Some("UPDATE_DATE") && between(filter).is_none() {
            return Err(Fault::invalid(
                "Filter UPDATE_DATE needs two values: the first and the last time, in seconds since 1970.",
            ));
        }
    }
    let snapshot = call.cloud_map.snapshots.latest();
    let rows = Operation::all(&snapshot)
        .filter(|operation| may_see(call, operation))
        .filter(|operation| filters.iter().all(|filter| fits(operation, filter)))
        .map(|operation| {
            let row = Map::new()
                .with("Id", operation.id.as_str())
                .with("Status", "SUCCESS");
            (operation.id, row.done())
        });
    Ok(page.fill("Operations", rows).done())
}

fn fits(operation: &Operation, filter: &Value) -> bool {
    match filter.text("Name").unwrap_or_default() {
        "NAMESPACE_ID" => values_of(filter).any(|given| {
            let id = id_of(given, Kind::Namespace).unwrap_or(given);
            operation.targets.namespace.as_deref() == Some(id)
        }),
        "SERVICE_ID" => values_of(filter).any(|given| {
            let id = id_of(given, Kind::Service).unwrap_or(given);
            operation.targets.service.as_deref() == Some(id)
        }),
        "STATUS" => values_of(filter).any(|status| status == "SUCCESS"),
        "TYPE" => values_of(filter).any(|kind| kind == operation.kind.as_str()),
        _ => between(filter).is_some_and(|(first, last)| {
            let at = operation.created.0;
            (first..=last).contains(&at)
        }),
    }
}

/// Reads two times in seconds as milliseconds.
fn between(filter: &Value) -> Option<(u64, u64)> {
    let mut times = values_of(filter).map(|time| {
        let seconds = time.parse::<f64>().ok().filter(|time| *time >= 0.0)?;
        let milliseconds = std::time::Duration::try_from_secs_f64(seconds)
            .ok()?
            .as_millis();
        u64::try_from(milliseconds).ok()
    });
    let (first, last) = (times.next()??, times.next()??);
    times.next().is_none().then_some((first, last))
}
