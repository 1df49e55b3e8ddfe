//! Many registrations at once, each reported.

use std::collections::HashMap;

use serde::Serialize;
use tokio::task::JoinSet;
use waypost_client::wire::AsSent;
use waypost_client::{Client, Instance, InstanceRef};

use super::registration_file::Item;
use crate::Exit;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::{or_dash, visible};

/// Registrations that are under way together.
const AT_ONCE: usize = 32;

/// The outcome of one item of a file.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    item: usize,
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<AsSent<Instance>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    exit: Option<Exit>,
}

#[derive(Serialize)]
struct Outcomes<'a> {
    registered: usize,
    failed: usize,
    results: &'a [Outcome],
}

/// Registers every item and reports each; the exit code is that of the failures when they agree.
pub(super) async fn register_items(
    client: &Client,
    items: Vec<Result<Item, Failure>>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let items = refuse_duplicates(items, client.namespace());
    let outcomes = send_items(client, items).await;
    let failures: Vec<Exit> = outcomes.iter().filter_map(|outcome| outcome.exit).collect();
    let failed = failures.len();
    let whole = Outcomes {
        registered: outcomes.len() - failed,
        failed,
        results: &outcomes,
    };
    screen.objects(&whole, &outcomes, |colors| outcome_table(&outcomes, colors))?;
    if failed > 0 {
        screen.note(&format!(
            "{failed} of {} registrations failed",
            outcomes.len()
        ));
    }
    // One code when all failures agree; else no code describes them.
    Ok(match failures.split_first() {
        None => Exit::Ok,
        Some((first, others)) if others.iter().all(|other| other == first) => *first,
        Some(_) => Exit::Failure,
    })
}

/// Refuses the second registration of an instance: they are sent together, so neither would surely win.
fn refuse_duplicates(
    items: Vec<Result<Item, Failure>>,
    namespace: &str,
) -> Vec<Result<Item, Failure>> {
    let mut seen = HashMap::new();
    let numbered = items.into_iter().zip(1..);
    let checked = numbered.map(|(item, number): (_, usize)| {
        let item = item?;
        let within = item
            .namespace
            .as_deref()
            .unwrap_or(namespace)
            .to_ascii_lowercase();
        let service = item.instance.service.to_ascii_lowercase();
        let InstanceRef { id, owner, .. } = item.instance.clone();
        match seen.insert((within, service, id, owner), number) {
            None => Ok(item),
            Some(earlier) => Err(Failure::usage(format!(
                "{} is already item {earlier} of the input",
                visible(&item.instance.to_string())
            ))),
        }
    });
    checked.collect()
}

async fn send_items(client: &Client, items: Vec<Result<Item, Failure>>) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(items.len());
    let mut numbered = (1..).zip(items);
    let mut gone: Option<Failure> = None;
    loop {
        let group: Vec<_> = numbered.by_ref().take(AT_ONCE).collect();
        if group.is_empty() {
            return outcomes;
        }
        let mut results = send_group(client, group, gone.as_ref()).await;
        results.sort_by_key(|(outcome, _)| outcome.item);
        for (outcome, failure) in results {
            // A server that is away stays away: the rest is reported, not tried one timeout after another.
            if let Some(failure) = failure {
                gone.get_or_insert(failure);
            }
            outcomes.push(outcome);
        }
    }
}

/// Sends a group together; the second of each result is the failure that ends the sending.
async fn send_group(
    client: &Client,
    group: Vec<(usize, Result<Item, Failure>)>,
    gone: Option<&Failure>,
) -> Vec<(Outcome, Option<Failure>)> {
    let mut results = Vec::with_capacity(group.len());
    let mut under_way = JoinSet::new();
    for (number, item) in group {
        match (item, gone) {
            (Err(failure), _) => results.push((Outcome::failed(number, None, &failure), None)),
            (Ok(item), Some(gone)) => {
                let name = item.instance.to_string();
                let failure = Failure::new(gone.exit, format!("not sent: {}", gone.message));
                results.push((Outcome::failed(number, Some(name), &failure), None));
            }
            (Ok(item), None) => {
                under_way.spawn(send_item(client.clone(), number, item));
            }
        }
    }
    // A task that panicked has no result; joining all keeps those of the others.
    while let Some(result) = under_way.join_next().await {
        results.extend(result);
    }
    results
}

async fn send_item(client: Client, number: usize, item: Item) -> (Outcome, Option<Failure>) {
    let client = match &item.namespace {
        Some(namespace) => client.in_namespace(namespace),
        None => client,
    };
    let name = item.instance.to_string();
    match client.register_json(&item.instance, &item.body).await {
        Ok(instance) => (Outcome::registered(number, name, instance), None),
        Err(error) => {
            let failure = Failure::from(error);
            let outcome = Outcome::failed(number, Some(name), &failure);
            let ends = matches!(failure.exit, Exit::Unreachable | Exit::Timeout);
            (outcome, ends.then_some(failure))
        }
    }
}

impl Outcome {
    fn registered(item: usize, name: String, instance: AsSent<Instance>) -> Self {
        let instance = Some(instance);
        Self {
            item,
            registered: true,
            name: Some(name),
            instance,
            error: None,
            exit: None,
        }
    }

    fn failed(item: usize, name: Option<String>, failure: &Failure) -> Self {
        let error = Some(failure.message.clone());
        Self {
            item,
            registered: false,
            name,
            instance: None,
            error,
            exit: Some(failure.exit),
        }
    }
}

fn outcome_table(outcomes: &[Outcome], colors: bool) -> String {
    let mut grid = Grid::with_header(&["ITEM", "INSTANCE", "RESULT", "DETAIL"]);
    for outcome in outcomes {
        let address = outcome
            .instance
            .as_ref()
            .and_then(|sent| sent.value.address());
        let (result, paint) = if outcome.registered {
            ("registered", Paint::Good)
        } else {
            ("failed", Paint::Bad)
        };
        grid.row([
            (outcome.item as u64).into(),
            or_dash(outcome.name.as_deref()).into(),
            Cell::painted(result, paint),
            or_dash(outcome.error.as_deref().or(address.as_deref())).into(),
        ]);
    }
    grid.render(colors)
}
