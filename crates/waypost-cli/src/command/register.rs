//! `waypost register`

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;
use waypost_client::wire::AsSent;
use waypost_client::{Check, Client, Instance, InstanceRef, Registration};

use super::registration_file::{Item, default_id, read_items};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::{or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Longest file that is read.
const LONGEST_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Registrations of a file that are under way together.
const AT_ONCE: usize = 32;

/// Arguments of `register`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A file holds one JSON object, an array, one object per line, or TOML with [[instance]]. \
    Each has \"service\", \"id\" (optional), \"namespace\" (optional) and the fields of a registration."
)]
pub struct RegisterArguments {
    /// The service
    #[arg(required_unless_present = "file")]
    pub service: Option<String>,

    /// Id of the instance [default: ADDRESS:PORT]
    pub id: Option<String>,

    /// IP address or host name of the instance
    #[arg(long, required_unless_present = "file")]
    pub address: Option<String>,

    /// Port of the instance
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,

    /// An attribute; may be repeated
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = key_value)]
    pub attributes: Vec<(String, String)>,

    /// Share of the traffic relative to the other instances
    #[arg(long)]
    pub weight: Option<u32>,

    /// A check, http:/PATH, tcp or none; may be repeated
    #[arg(long = "check", value_name = "CHECK", value_parser = check)]
    pub checks: Vec<CheckArgument>,

    /// The instance leaves when it is not heard of for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub lease: Option<u64>,

    /// Zone that the instance runs in
    #[arg(long)]
    pub zone: Option<String>,

    /// Region that the instance runs in
    #[arg(long)]
    pub region: Option<String>,

    /// Who keeps it registered; without it: itself
    #[arg(long)]
    pub owner: Option<String>,

    /// Read registrations from a file; - is standard input
    #[arg(long, short = 'f', value_name = "FILE")]
    #[arg(conflicts_with_all = [
        "service", "id", "address", "port", "tags", "attributes", "weight", "checks", "lease", "zone",
        "region", "owner",
    ])]
    pub file: Option<PathBuf>,
}

/// A check as an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckArgument {
    /// A check.
    Check(Box<Check>),
    /// No check.
    None,
}

impl RegisterArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        input: &mut (dyn Read + Send),
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        if let Some(file) = &self.file {
            let text = read_file(file, input)?;
            let is_toml = file
                .extension()
                .is_some_and(|extension| extension == "toml");
            return register_items(&options.client()?, read_items(&text, is_toml)?, screen).await;
        }
        let client = options.client()?;
        let item = self.into_item()?;
        let sent: AsSent<Instance> = client.register_json(&item.instance, &item.body).await?;
        screen.object(&sent, |_| registered(&sent.value))?;
        Ok(Exit::Ok)
    }

    /// Writes the arguments as an item of a file would say them.
    fn into_item(self) -> Result<Item, Failure> {
        let registration = Registration {
            address: self.address,
            port: self.port,
            attributes: self.attributes.into_iter().collect(),
            tags: self.tags,
            weight: self.weight,
            region: self.region,
            zone: self.zone,
            checks: checks(self.checks)?,
            lease_seconds: self.lease,
            ..Registration::default()
        };
        let body = serde_json::to_value(&registration)
            .map_err(|error| Failure::usage(format!("the arguments cannot be written: {error}")))?;
        let id = self.id.map_or_else(|| default_id(&body), Ok)?;
        let service = self.service.unwrap_or_default();
        Ok(Item {
            namespace: None,
            instance: InstanceRef {
                service,
                id,
                owner: self.owner,
            },
            body,
        })
    }
}

fn registered(instance: &Instance) -> String {
    let name = visible(&format!("{}/{}", instance.service, instance.id));
    let mut text = format!("registered {name} in {}", visible(&instance.namespace));
    if let Some(address) = instance.address() {
        text.push_str(&format!(" at {}", visible(&address)));
    }
    if let Some(lease) = instance.lease_seconds {
        text.push_str(&format!("; heartbeat at least every {lease} s"));
    }
    text.push('\n');
    text
}

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

async fn register_items(
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

fn read_file(path: &Path, input: &mut (dyn Read + Send)) -> Result<String, Failure> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {shown}: {error}"));
    let mut text = String::new();
    if path == Path::new("-") {
        input
            .take(LONGEST_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(cannot)?;
    } else {
        let file = std::fs::File::open(path).map_err(cannot)?;
        file.take(LONGEST_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(cannot)?;
    }
    if text.len() as u64 > LONGEST_FILE_BYTES {
        return Err(Failure::usage(format!(
            "{shown} is longer than {LONGEST_FILE_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn check(text: &str) -> Result<CheckArgument, String> {
    match text.split_once(':') {
        None if text == "none" => Ok(CheckArgument::None),
        None if text == "tcp" => Ok(CheckArgument::Check(Box::new(Check::tcp()))),
        None if text == "http" => Ok(CheckArgument::Check(Box::new(Check::http("/health")))),
        Some(("http", path)) if path.starts_with('/') => {
            Ok(CheckArgument::Check(Box::new(Check::http(path))))
        }
        _ => Err("expected http:/PATH, tcp or none".to_owned()),
    }
}

/// Gives each check an id of its own: the kind, then the kind and a number.
fn checks(arguments: Vec<CheckArgument>) -> Result<Vec<Check>, Failure> {
    if arguments.len() > 1 && arguments.contains(&CheckArgument::None) {
        return Err(Failure::usage(
            "--check none cannot stand beside another check",
        ));
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    let checks = arguments.into_iter().filter_map(|argument| match argument {
        CheckArgument::Check(check) => Some(*check),
        CheckArgument::None => None,
    });
    let with_ids = checks.map(|mut check| {
        let count = counts.entry(check.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            check.id = format!("{}-{count}", check.id);
        }
        check
    });
    Ok(with_ids.collect())
}
