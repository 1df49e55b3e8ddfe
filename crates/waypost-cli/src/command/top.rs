//! `waypost top`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use waypost_client::{Followed, ServiceUpdate, WatchScope};

use crate::failure::{Failure, describe};
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::visible;
use crate::{Exit, GlobalOptions};

/// Arguments of `top`.
#[derive(Args, Clone, Debug)]
pub struct TopArguments {
    /// Print the table once and end; so it is too when the output is no terminal
    #[arg(long)]
    pub once: bool,

    /// Show so many services at most
    #[arg(long, value_name = "NUMBER", default_value = "40")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub limit: u16,
}

/// One service, for programs.
#[derive(Serialize)]
struct Row<'a> {
    namespace: &'a str,
    service: &'a str,
    in_rotation: u64,
    total: u64,
    healthy: u64,
    warning: u64,
    unknown: u64,
    unhealthy: u64,
}

#[derive(Serialize)]
struct Listing<'a> {
    services: &'a [Row<'a>],
}

type Changes = BTreeMap<(String, String), u64>;

impl TopArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let named = options.named_namespace();
        let scopes: Vec<WatchScope> = named
            .map(|name| WatchScope::Namespace(name.to_owned()))
            .into_iter()
            .collect();
        let (mut follower, upkeep) = client.follow(&scopes)?;
        let limit = usize::from(self.limit);
        let shown = async {
            if self.once || !screen.is_terminal {
                let complete = tokio::time::timeout(options.timeout, follower.complete()).await;
                let now = complete.map_err(|_| {
                    let why = match follower.current().lost() {
                        Some(error) => describe(error),
                        None => "the server has not told everything in time".to_owned(),
                    };
                    Failure::new(Exit::Unreachable, why)
                })??;
                once(&now, limit, screen)?;
                return Ok(Exit::Ok);
            }
            let mut changes = Changes::new();
            let mut before = follower.complete().await?;
            loop {
                screen.redraw(&table(&before, &changes, limit, screen.colors))?;
                let now = follower.changed().await?;
                count(&before, &now, &mut changes);
                before = now;
            }
        };
        tokio::select! {
            shown = shown => shown,
            // It ends by itself only after it has told why.
            () = async { upkeep.await; std::future::pending().await } => Ok(Exit::Ok),
        }
    }
}

fn once(now: &Followed, limit: usize, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let worst = worst_first(now, limit);
    let rows: Vec<Row<'_>> = worst
        .iter()
        .map(|update| {
            let counts = &update.service.instances;
            Row {
                namespace: &update.service.namespace,
                service: &update.service.name,
                in_rotation: counts.in_rotation,
                total: counts.total,
                healthy: counts.healthy,
                warning: counts.warning,
                unknown: counts.unknown,
                unhealthy: counts.unhealthy,
            }
        })
        .collect();
    let whole = Listing { services: &rows };
    screen.objects(&whole, &rows, |colors| {
        table(now, &Changes::new(), limit, colors)
    })
}

/// Those that serve nobody come first, then those with the greatest share out of rotation.
fn worst_first(now: &Followed, limit: usize) -> Vec<&Arc<ServiceUpdate>> {
    let mut all: Vec<&Arc<ServiceUpdate>> = now.services().collect();
    all.sort_by_key(|update| {
        let counts = &update.service.instances;
        let out = counts.total.saturating_sub(counts.in_rotation);
        let share = (out * 1_000).checked_div(counts.total).unwrap_or(0);
        (Reverse(share), Reverse(out))
    });
    all.truncate(limit);
    all
}

fn count(before: &Followed, now: &Followed, changes: &mut Changes) {
    for update in now.services() {
        let service = &update.service;
        let known = before.service(&service.namespace, &service.name);
        if known.is_none_or(|known| !Arc::ptr_eq(known, update)) {
            let name = (service.namespace.clone(), service.name.clone());
            *changes.entry(name).or_default() += 1;
        }
    }
}

fn table(now: &Followed, changes: &Changes, limit: usize, colors: bool) -> String {
    let mut grid = Grid::with_header(&[
        "NAMESPACE",
        "SERVICE",
        "IN ROTATION",
        "HEALTHY",
        "WARNING",
        "UNKNOWN",
        "UNHEALTHY",
        "CHANGES",
    ]);
    for update in worst_first(now, limit) {
        let (service, counts) = (&update.service, &update.service.instances);
        let rotation = format!("{}/{}", counts.in_rotation, counts.total);
        let paint = match counts.in_rotation {
            0 if counts.total > 0 => Paint::Bad,
            in_rotation if in_rotation < counts.total => Paint::Doubtful,
            _ => Paint::Plain,
        };
        let name = (service.namespace.clone(), service.name.clone());
        grid.row([
            visible(&service.namespace).into(),
            visible(&service.name).into(),
            Cell::painted(rotation, paint),
            counts.healthy.into(),
            counts.warning.into(),
            counts.unknown.into(),
            counts.unhealthy.into(),
            changes.get(&name).copied().unwrap_or(0).into(),
        ]);
    }
    let total = now.services().count();
    let state = match now.lost() {
        Some(error) => {
            Paint::Bad.apply(&format!("the server is away: {}", describe(error)), colors)
        }
        None => Paint::Faint.apply(&format!("{total} in all, the worst first"), colors),
    };
    format!("{state}\n{}", grid.render(colors))
}
