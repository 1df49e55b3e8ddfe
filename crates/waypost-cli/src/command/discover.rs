//! `waypost discover`

use clap::Args;
use serde::Deserialize;
use waypost_client::wire::AsSent;
use waypost_client::{Instance, Resource, Tier};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::Grid;
use crate::text::{or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Arguments of `discover`.
#[derive(Args, Clone, Debug)]
pub struct DiscoverArguments {
    /// The service
    #[arg(add = crate::complete::services())]
    pub service: String,
}

/// The answer, with each instance as it was sent.
#[derive(Debug, Deserialize)]
struct Rotation {
    #[serde(default)]
    tier: Option<Tier>,
    instances: Vec<AsSent<Instance>>,
}

impl DiscoverArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let sent: AsSent<Rotation> = client.get(Resource::Discovery(&self.service)).await?;
        let rotation = &sent.value;
        let service = visible(&self.service);
        screen.objects(&sent, &rotation.instances, |colors| table(rotation, colors))?;
        if rotation.instances.is_empty() {
            return Err(Failure::new(
                Exit::Unhealthy,
                format!("no instance of {service} may be sent traffic"),
            )
            .with_hint(match options.named_namespace() {
                Some(namespace) => format!(
                    "`waypost -n {} ls {service}` shows why each one is out",
                    visible(namespace)
                ),
                None => format!("`waypost ls {service}` shows why each one is out"),
            }));
        }
        if rotation.tier == Some(Tier::FailOpen) {
            screen.note(&format!(
                "no instance of {service} is well; these are served because the service fails open"
            ));
        }
        Ok(Exit::Ok)
    }
}

fn table(rotation: &Rotation, colors: bool) -> String {
    if rotation.instances.is_empty() {
        return String::new();
    }
    let mut grid = Grid::with_header(&["INSTANCE", "ADDRESS", "HEALTH", "TIER", "WEIGHT", "ZONE"]);
    let served = rotation.tier.as_ref().map(ToString::to_string);
    for AsSent {
        value: instance, ..
    } in &rotation.instances
    {
        let tier = instance.tier.as_ref().map(ToString::to_string);
        grid.row([
            visible(&instance.id).into(),
            or_dash(instance.address().as_deref()).into(),
            (&instance.health).into(),
            or_dash(tier.as_deref().or(served.as_deref())).into(),
            u64::from(instance.weight).into(),
            or_dash(instance.zone.as_deref()).into(),
        ]);
    }
    grid.render(colors)
}
