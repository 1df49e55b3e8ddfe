//! `waypost watch`

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use waypost_client::{Client, Followed, Instance, WatchEvent, WatchScope};

use crate::age::Ages;
use crate::command::list::instance_row;
use crate::failure::{Failure, describe};
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::visible;
use crate::{Exit, GlobalOptions, OutputFormat};

/// Arguments of `watch`.
#[derive(Args, Clone, Debug)]
pub struct WatchArguments {
    /// Watch these services only; they need not be there yet
    #[arg(value_name = "SERVICE", add = crate::complete::services())]
    pub services: Vec<String>,

    /// Watch the services of every namespace
    #[arg(long, short = 'A', conflicts_with = "services")]
    pub all: bool,

    /// End after so many changes; what is there at the beginning is the first
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// One line of output for programs.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    event: &'static str,
    data: &'a T,
}

#[derive(Serialize)]
struct Reason<'a> {
    reason: &'a str,
}

#[derive(Serialize)]
struct Gone<'a> {
    namespace: &'a str,
    service: &'a str,
}

#[derive(Serialize)]
struct Empty {}

impl WatchArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let scopes = scopes(&client, &self.services, self.all);
        let left = self.count.unwrap_or(u64::MAX);
        match screen.format {
            OutputFormat::Table => show(&client, &scopes, left, screen).await,
            OutputFormat::Json | OutputFormat::Jsonl => tell(&client, &scopes, left, screen).await,
        }
    }
}

/// Names what is watched: services, else a namespace, else everything.
pub(super) fn scopes(client: &Client, services: &[String], all: bool) -> Vec<WatchScope> {
    if all {
        return Vec::new();
    }
    if services.is_empty() {
        return vec![WatchScope::Namespace(client.namespace().to_owned())];
    }
    let services = services.iter();
    services
        .map(|name| WatchScope::Service(name.clone()))
        .collect()
}

/// Prints every event as the server tells it.
async fn tell(
    client: &Client,
    scopes: &[WatchScope],
    mut left: u64,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let mut watch = client.watch(scopes)?;
    let mut is_lost = false;
    while left > 0 {
        match watch.next().await? {
            WatchEvent::Reset { reason } => screen.line_of(&Line {
                event: "reset",
                data: &Reason { reason: &reason },
            })?,
            WatchEvent::Service(update) => screen.line_of(&Line {
                event: "service",
                data: &update,
            })?,
            WatchEvent::Gone { namespace, service } => screen.line_of(&Line {
                event: "gone",
                data: &Gone {
                    namespace: &namespace,
                    service: &service,
                },
            })?,
            WatchEvent::Synced => {
                screen.line_of(&Line {
                    event: "synced",
                    data: &Empty {},
                })?;
                left -= 1;
            }
            WatchEvent::Lost(error) => {
                if !is_lost {
                    screen.note(&lost(&error));
                }
                is_lost = true;
                continue;
            }
            _ => {}
        }
        is_lost = false;
    }
    Ok(Exit::Ok)
}

fn lost(error: &waypost_client::ClientError) -> String {
    format!(
        "the server is away, and is asked again: {}",
        describe(error)
    )
}

/// Shows what there is: on a terminal one table that stays up to date, elsewhere a line for each change.
async fn show(
    client: &Client,
    scopes: &[WatchScope],
    mut left: u64,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let (mut follower, upkeep) = client.follow(scopes)?;
    let shown = async {
        let mut before = Followed::default();
        while left > 0 {
            let now = follower.changed().await?;
            let is_lost = match (now.lost(), before.lost()) {
                (Some(error), None) if !screen.is_terminal => {
                    screen.note(&lost(error));
                    true
                }
                (lost, _) => lost.is_some(),
            };
            if screen.is_terminal {
                let table = table(&now, Ages::new(client.server_time()), screen.colors);
                screen.redraw(&table)?;
            } else if !is_lost {
                let lines = lines(&before, &now, screen.colors);
                screen.data(&lines)?;
            }
            if !is_lost {
                left -= 1;
            }
            before = (*now).clone();
        }
        Ok(Exit::Ok)
    };
    tokio::select! {
        shown = shown => shown,
        // It ends by itself only after it has told why.
        () = async { upkeep.await; std::future::pending().await } => Ok(Exit::Ok),
    }
}

fn table(now: &Followed, ages: Ages, colors: bool) -> String {
    let mut grid = Grid::with_header(&[
        "SERVICE", "INSTANCE", "ADDRESS", "HEALTH", "MODE", "ROTATION", "SINCE", "REASON",
    ]);
    let (mut services, mut instances) = (0, 0);
    for update in now.services() {
        services += 1;
        let name = Cell::from(visible(&update.service.name));
        if update.instances.is_empty() {
            grid.row([name.clone(), Cell::painted("none", Paint::Faint)]);
        }
        for instance in &update.instances {
            instances += 1;
            let row = instance_row(instance, ages);
            grid.row(std::iter::once(name.clone()).chain(row));
        }
    }
    let state = match now.lost() {
        Some(error) => Paint::Bad.apply(&lost(error), colors),
        None => Paint::Faint.apply(
            &format!("services: {services}, instances: {instances}; ^C ends"),
            colors,
        ),
    };
    format!("{state}\n{}", grid.render(colors))
}

type ByName<'a> = BTreeMap<(&'a str, &'a str, &'a str, &'a str), &'a Instance>;

fn instances(followed: &Followed) -> ByName<'_> {
    let all = followed.services().flat_map(|update| &update.instances);
    all.map(|it| {
        let name = (&*it.namespace, &*it.service, &*it.id, &*it.owner);
        (name, it)
    })
    .collect()
}

/// Says what differs: a line for each instance that is new, changed or gone, and for services without any.
fn lines(before: &Followed, now: &Followed, colors: bool) -> String {
    let mut text = String::new();
    let (old, new) = (instances(before), instances(now));
    for update in before.services() {
        let service = &update.service;
        if now.service(&service.namespace, &service.name).is_none() {
            let name = visible(&service.name);
            text.push_str(&format!("{name} {}\n", Paint::Bad.apply("is gone", colors)));
        }
    }
    for (name, it) in &old {
        if !new.contains_key(name) {
            let what = Paint::Bad.apply("is gone", colors);
            text.push_str(&format!("{} {what}\n", full_name(it)));
        }
    }
    for (name, it) in &new {
        let is_same = |known: &&Instance| {
            (known.in_rotation, &known.health, &known.mode)
                == (it.in_rotation, &it.health, &it.mode)
                && (known.reason == it.reason && known.address() == it.address())
                && (known.weight == it.weight && known.registration_id == it.registration_id)
        };
        if old.get(name).is_some_and(is_same) {
            continue;
        }
        let (word, paint) = if it.in_rotation {
            ("in", Paint::Good)
        } else {
            ("out", Paint::Bad)
        };
        let address = it.address().unwrap_or_default();
        text.push_str(&format!(
            "{} {} {} {}: {}\n",
            full_name(it),
            visible(&address),
            visible(it.health.as_str()),
            paint.apply(word, colors),
            visible(&it.reason)
        ));
    }
    text
}

fn full_name(instance: &Instance) -> String {
    let owner = match instance.owner.as_str() {
        "" => String::new(),
        owner => format!(" ({})", visible(owner)),
    };
    format!(
        "{}/{}{owner}",
        visible(&instance.service),
        visible(&instance.id)
    )
}
