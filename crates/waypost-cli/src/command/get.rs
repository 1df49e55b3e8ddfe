//! `waypost get`

use std::collections::BTreeMap;

use clap::Args;
use waypost_client::wire::AsSent;
use waypost_client::{
    Check, Client, Instance, InstanceRef, Port, Resource, Service, WatchEvent, WatchScope,
};

use crate::age::Ages;
use crate::failure::{Failure, describe};
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::{list, or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Arguments of `get`.
#[derive(Args, Clone, Debug)]
pub struct GetArguments {
    /// A service, or one of its instances
    #[arg(value_name = "SERVICE[/ID]", add = crate::complete::instances())]
    pub name: String,

    /// Who keeps the instance registered, when more than one does
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,

    /// Show it again whenever it changes
    #[arg(long, short)]
    pub watch: bool,
}

impl GetArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        if !self.watch {
            self.show(&client, screen, None).await?;
            return Ok(Exit::Ok);
        }
        let service = self.name.split('/').next().unwrap_or_default();
        let mut watch = client.watch(&[WatchScope::Service(service.to_owned())])?;
        let (mut shown, mut is_lost) = (None::<String>, false);
        loop {
            match watch.next().await? {
                WatchEvent::Synced => match self.show(&client, screen, shown.as_deref()).await {
                    Ok(text) => shown = Some(text),
                    Err(failure) if failure.exit == Exit::NotFound => {
                        if shown.as_deref() != Some("") {
                            screen.note(&format!("{} is not there", visible(&self.name)));
                        }
                        shown = Some(String::new());
                    }
                    Err(failure) => return Err(failure),
                },
                WatchEvent::Lost(error) => {
                    if !is_lost {
                        let why = describe(&error);
                        screen.note(&format!("the server is away, and is asked again: {why}"));
                    }
                    is_lost = true;
                    continue;
                }
                _ => {}
            }
            is_lost = false;
        }
    }

    /// Shows it, unless it says what was shown before; gives what it says.
    async fn show(
        &self,
        client: &Client,
        screen: &mut Screen<'_>,
        before: Option<&str>,
    ) -> Result<String, Failure> {
        if self.name.contains('/') {
            let named: InstanceRef = self.name.parse()?;
            let named = InstanceRef {
                owner: self.owner.clone(),
                ..named
            };
            let sent: AsSent<Instance> = client.get(Resource::Instance(&named)).await?;
            // What only grows older is no change.
            let said = format!("{} {}", sent.value.revision, sent.value.reason);
            if before != Some(said.as_str()) {
                let ages = Ages::new(client.server_time());
                screen.object(&sent, |colors| {
                    instance_details(&sent.value, ages).render(colors)
                })?;
            }
            Ok(said)
        } else {
            if self.owner.is_some() {
                return Err(Failure::usage("--owner needs an instance: SERVICE/ID"));
            }
            let sent: AsSent<Service> = client.get(Resource::Service(&self.name)).await?;
            let said = sent.value.revision.clone();
            if before != Some(said.as_str()) {
                screen.object(&sent, |colors| service_details(&sent.value).render(colors))?;
            }
            Ok(said)
        }
    }
}

pub(super) fn service_details(service: &Service) -> Grid {
    let mut grid = Grid::plain();
    let counts = &service.instances;
    grid.pair("service", visible(&service.name));
    grid.pair("namespace", visible(&service.namespace));
    grid.pair("id", or_dash(Some(&service.id)));
    grid.pair("description", or_dash(Some(&service.description)));
    grid.pair("origin", or_dash(Some(&service.origin)));
    grid.pair(
        "instances",
        format!(
            "{} of {} in rotation; {} healthy, {} warning, {} unknown, {} unhealthy",
            counts.in_rotation,
            counts.total,
            counts.healthy,
            counts.warning,
            counts.unknown,
            counts.unhealthy
        ),
    );
    grid.pair("fails open", if service.fail_open { "yes" } else { "no" });
    grid.pair("lease", seconds_or_dash(service.lease_seconds));
    grid.pair(
        "removed after",
        seconds_or_dash(service.remove_after_seconds),
    );
    grid.pair("dns", dns(service));
    grid.pair("checks", checks(&service.checks));
    grid.pair("tags", list(&service.tags));
    grid.pair("attributes", attributes(&service.attributes));
    grid.pair("revision", or_dash(Some(&service.revision)));
    grid
}

/// Shows how the service is looked up by DNS, with the seconds that answers may be kept.
fn dns(service: &Service) -> String {
    let Some(ttl) = service.dns_ttl_seconds else {
        return "-".to_owned();
    };
    match &service.dns {
        None => format!("A, AAAA, SRV for {ttl} s, the whole rotation"),
        Some(settings) => {
            let records = settings
                .records
                .iter()
                .map(|record| format!("{} for {} s", record.kind, record.ttl_seconds));
            format!("{}; {}", list(records), visible(&settings.routing))
        }
    }
}

fn instance_details(instance: &Instance, ages: Ages) -> Grid {
    let mut grid = Grid::plain();
    let (rotation, paint) = if instance.in_rotation {
        ("in", Paint::Good)
    } else {
        ("out", Paint::Bad)
    };
    grid.pair(
        "instance",
        visible(&format!("{}/{}", instance.service, instance.id)),
    );
    grid.pair("namespace", visible(&instance.namespace));
    grid.pair("owner", or_dash(Some(&instance.owner)));
    grid.pair("rotation", Cell::painted(rotation, paint));
    grid.pair("reason", or_dash(Some(&instance.reason)));
    grid.pair("health", &instance.health);
    grid.pair("since", ages.ago(Some(&instance.since)));
    grid.pair("mode", &instance.mode);
    let addresses = [&instance.ipv4, &instance.ipv6, &instance.hostname];
    grid.pair("addresses", list(addresses.into_iter().flatten()));
    grid.pair("ports", list(instance.ports.iter().map(port)));
    grid.pair("weight", u64::from(instance.weight));
    grid.pair("region", or_dash(instance.region.as_deref()));
    grid.pair("zone", or_dash(instance.zone.as_deref()));
    grid.pair("checks", checks(&instance.checks));
    grid.pair("lease", seconds_or_dash(instance.lease_seconds));
    grid.pair(
        "last heartbeat",
        ages.ago(instance.last_heartbeat.as_deref()),
    );
    grid.pair("last probe", ages.ago(instance.last_probe.as_deref()));
    grid.pair(
        "load",
        or_dash(instance.load.map(|load| load.to_string()).as_deref()),
    );
    grid.pair("tags", list(&instance.tags));
    grid.pair("attributes", attributes(&instance.attributes));
    let by = or_dash(Some(&instance.dialect));
    grid.pair(
        "registered",
        format!("{} over {by}", ages.ago(Some(&instance.registered_at))),
    );
    grid.pair("revision", or_dash(Some(&instance.revision)));
    grid
}

fn port(port: &Port) -> String {
    let mut text = match port.name.as_str() {
        "" | "default" => port.number.to_string(),
        name => format!("{name}={}", port.number),
    };
    if let Some(protocol) = port
        .protocol
        .as_deref()
        .filter(|protocol| !protocol.is_empty())
    {
        text.push_str(&format!(" ({protocol})"));
    }
    text
}

fn checks(checks: &[Check]) -> String {
    list(checks.iter().map(|check| {
        let kind = if check.id == check.kind.as_str() {
            check.id.clone()
        } else {
            format!("{} ({})", check.id, check.kind)
        };
        match &check.path {
            Some(path) => format!("{kind} {path}"),
            None => kind,
        }
    }))
}

fn attributes(attributes: &BTreeMap<String, String>) -> String {
    list(
        attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    )
}

fn seconds_or_dash(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"))
}
