//! `waypost ls`

use clap::Args;
use serde::Serialize;
use waypost_client::wire::AsSent;
use waypost_client::{Client, ErrorKind, Instance, Resource, Service};

use crate::age::Ages;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::{list, or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Arguments of `ls`.
#[derive(Args, Clone, Debug)]
pub struct ListArguments {
    /// List the instances of this service instead of the services
    #[arg(add = crate::complete::services())]
    pub service: Option<String>,
}

#[derive(Serialize)]
struct ServiceList<'a> {
    namespace: &'a str,
    services: &'a [AsSent<Service>],
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct InstanceList<'a> {
    namespace: &'a str,
    service: &'a str,
    instances: &'a [AsSent<Instance>],
    next: Option<&'a str>,
}

impl ListArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        match self.service {
            Some(service) => list_instances(&client, &service, screen).await,
            None => list_services(&client, options, screen).await,
        }
    }
}

pub(super) async fn list_services(
    client: &Client,
    options: &GlobalOptions,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let services = match client.list::<AsSent<Service>>(Resource::Services).await {
        // The default namespace appears with its first service; a new server is not an error.
        Err(error)
            if error.kind() == ErrorKind::NotFound && options.named_namespace().is_none() =>
        {
            Vec::new()
        }
        outcome => outcome?,
    };
    let whole = ServiceList {
        namespace: client.namespace(),
        services: &services,
        next: None,
    };
    screen.objects(&whole, &services, |colors| service_table(&services, colors))?;
    if services.is_empty() {
        let namespace = visible(client.namespace());
        screen.note(&format!(
            "no services in {namespace} yet; `waypost register web --address 127.0.0.1 --port 8080` makes one"
        ));
    }
    Ok(Exit::Ok)
}

fn service_table(services: &[AsSent<Service>], colors: bool) -> String {
    if services.is_empty() {
        return String::new();
    }
    let mut grid = Grid::with_header(&[
        "SERVICE",
        "IN ROTATION",
        "HEALTHY",
        "WARNING",
        "UNKNOWN",
        "UNHEALTHY",
        "TAGS",
    ]);
    for AsSent { value: service, .. } in services {
        let counts = &service.instances;
        let rotation = format!("{}/{}", counts.in_rotation, counts.total);
        let paint = match counts.in_rotation {
            0 if counts.total > 0 => Paint::Bad,
            in_rotation if in_rotation < counts.total => Paint::Doubtful,
            _ => Paint::Plain,
        };
        grid.row([
            visible(&service.name).into(),
            Cell::painted(rotation, paint),
            counts.healthy.into(),
            counts.warning.into(),
            counts.unknown.into(),
            counts.unhealthy.into(),
            list(&service.tags).into(),
        ]);
    }
    grid.render(colors)
}

async fn list_instances(
    client: &Client,
    service: &str,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let instances: Vec<AsSent<Instance>> = client.list(Resource::Instances(service)).await?;
    let ages = Ages::new(client.server_time());
    let whole = InstanceList {
        namespace: client.namespace(),
        service,
        instances: &instances,
        next: None,
    };
    screen.objects(&whole, &instances, |colors| {
        instance_table(&instances, ages, colors)
    })?;
    if instances.is_empty() {
        screen.note(&format!("{} has no instances", visible(service)));
    }
    Ok(Exit::Ok)
}

fn instance_table(instances: &[AsSent<Instance>], ages: Ages, colors: bool) -> String {
    if instances.is_empty() {
        return String::new();
    }
    let mut grid = Grid::with_header(&[
        "INSTANCE", "ADDRESS", "HEALTH", "MODE", "ROTATION", "SINCE", "REASON",
    ]);
    for AsSent {
        value: instance, ..
    } in instances
    {
        grid.row(instance_row(instance, ages));
    }
    grid.render(colors)
}

/// The columns that listings of instances have in common.
pub(super) fn instance_row(instance: &Instance, ages: Ages) -> [Cell; 7] {
    let rotation = if instance.in_rotation {
        ("in", Paint::Good)
    } else {
        ("out", Paint::Bad)
    };
    [
        name_with_owner(instance).into(),
        or_dash(instance.address().as_deref()).into(),
        (&instance.health).into(),
        (&instance.mode).into(),
        Cell::painted(rotation.0, rotation.1),
        ages.short(Some(&instance.since)).into(),
        visible(&instance.reason).into(),
    ]
}

/// Two owners may register the same id, so an owner is shown when there is one.
fn name_with_owner(instance: &Instance) -> String {
    if instance.owner.is_empty() {
        visible(&instance.id)
    } else {
        format!("{} ({})", visible(&instance.id), visible(&instance.owner))
    }
}
