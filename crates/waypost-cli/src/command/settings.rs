//! `waypost namespace` and `waypost service`

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use waypost_client::wire::{AsSent, DnsRecord, DnsSettings};
use waypost_client::{Condition, Namespace, NamespaceSettings, Resource, Service, ServiceSettings};

use crate::command::get::service_details;
use crate::command::list::list_services;
use crate::duration::seconds;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::Grid;
use crate::text::{or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Arguments of `namespace`.
#[derive(Args, Clone, Debug)]
pub struct NamespaceArguments {
    #[command(subcommand)]
    command: NamespaceCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum NamespaceCommand {
    /// Create a namespace
    Create {
        /// Its name; one that is looked up by DNS is a domain
        name: String,
        /// Whether it is looked up by DNS
        #[arg(long, value_enum, default_value_t = KindWord::PrivateDns)]
        kind: KindWord,
        #[command(flatten)]
        settings: NamespaceOptions,
    },
    /// Change what is given of a namespace
    Set {
        /// Its name
        #[arg(add = crate::complete::namespaces())]
        name: String,
        #[command(flatten)]
        settings: NamespaceOptions,
    },
    /// List the namespaces
    Ls,
    /// Show a namespace
    Get {
        /// Its name
        #[arg(add = crate::complete::namespaces())]
        name: String,
    },
    /// Remove a namespace that has no services
    Rm {
        /// Its name
        #[arg(add = crate::complete::namespaces())]
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindWord {
    /// Looked up by DNS
    PrivateDns,
    /// Looked up by DNS; public in AWS's words
    PublicDns,
    /// Not looked up by DNS
    Http,
}

#[derive(Args, Clone, Debug)]
struct NamespaceOptions {
    /// Free text
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How long resolvers keep that a name is not there, such as 60s
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    soa_ttl: Option<u32>,
}

/// Arguments of `service`.
#[derive(Args, Clone, Debug)]
pub struct ServiceArguments {
    #[command(subcommand)]
    command: ServiceCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum ServiceCommand {
    /// Create a service
    Create {
        /// Its name
        #[arg(add = crate::complete::services())]
        name: String,
        #[command(flatten)]
        settings: ServiceOptions,
    },
    /// Change what is given of a service
    Set {
        /// Its name
        #[arg(add = crate::complete::services())]
        name: String,
        #[command(flatten)]
        settings: ServiceOptions,
    },
    /// List the services
    Ls,
    /// Show a service
    Get {
        /// Its name
        #[arg(add = crate::complete::services())]
        name: String,
    },
    /// Remove a service that has no instances
    Rm {
        /// Its name
        #[arg(add = crate::complete::services())]
        name: String,
    },
}

#[derive(Args, Clone, Debug)]
struct ServiceOptions {
    /// Free text
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whether failing instances are served when no other is left
    #[arg(long, value_name = "YES")]
    fail_open: Option<bool>,
    /// How long after the end of its lease an instance is removed
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    remove_after: Option<u32>,
    /// Lease of instances that do not say one
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    lease: Option<u32>,
    /// A record it has in DNS, such as A:60s or SRV:10s; may be given again
    #[arg(long, value_name = "TYPE:TTL", value_parser = record)]
    record: Vec<DnsRecord>,
    /// How DNS answers: up to eight instances, or one by weight
    #[arg(long, value_enum, requires = "record", default_value_t = RoutingWord::Multivalue)]
    routing: RoutingWord,
    /// A word; may be given again, and replaces those there are
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// Text by key; may be given again, and replaces those there are
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoutingWord {
    Multivalue,
    Weighted,
}

fn record(text: &str) -> Result<DnsRecord, String> {
    let (kind, ttl) = text
        .split_once(':')
        .ok_or("expected TYPE:TTL, such as A:60s")?;
    Ok(DnsRecord {
        kind: kind.to_ascii_uppercase(),
        ttl_seconds: seconds(ttl)?,
    })
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

impl NamespaceOptions {
    fn settings(self, kind: Option<KindWord>) -> NamespaceSettings {
        let kind = kind.map(|kind| match kind {
            KindWord::PrivateDns => "PrivateDns",
            KindWord::PublicDns => "PublicDns",
            KindWord::Http => "Http",
        });
        NamespaceSettings {
            kind: kind.map(str::to_owned),
            description: self.description,
            soa_ttl_seconds: self.soa_ttl,
        }
    }
}

impl ServiceOptions {
    fn settings(self) -> ServiceSettings {
        let routing = match self.routing {
            RoutingWord::Multivalue => "Multivalue",
            RoutingWord::Weighted => "Weighted",
        };
        let dns = (!self.record.is_empty()).then(|| DnsSettings {
            routing: routing.to_owned(),
            records: self.record,
        });
        ServiceSettings {
            description: self.description,
            fail_open: self.fail_open,
            remove_after_seconds: self.remove_after.map(u64::from),
            lease_seconds: self.lease.map(u64::from),
            dns,
            checks: None,
            attributes: (!self.attributes.is_empty())
                .then(|| self.attributes.into_iter().collect()),
            tags: (!self.tags.is_empty()).then_some(self.tags),
        }
    }
}

#[derive(Serialize)]
struct Removed<'a> {
    name: &'a str,
    removed: bool,
}

fn removed(name: &str, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let done = Removed {
        name,
        removed: true,
    };
    screen.object(&done, |_| format!("removed {}\n", visible(name)))
}

impl NamespaceArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        #[derive(Serialize)]
        struct Listing<'a> {
            namespaces: &'a [AsSent<Namespace>],
            next: Option<&'a str>,
        }
        let client = options.client()?;
        let name = match self.command {
            NamespaceCommand::Create {
                name,
                kind,
                settings,
            } => {
                let settings = settings.settings(Some(kind));
                let client = client.only_if(Condition::Absent);
                client.put_namespace(&name, &settings).await?;
                name
            }
            NamespaceCommand::Set { name, settings } => {
                let settings = settings.settings(None);
                client.patch_namespace(&name, &settings).await?;
                name
            }
            NamespaceCommand::Ls => {
                let all: Vec<AsSent<Namespace>> = client.list(Resource::Namespaces).await?;
                let whole = Listing {
                    namespaces: &all,
                    next: None,
                };
                screen.objects(&whole, &all, |colors| namespaces(&all, colors))?;
                return Ok(Exit::Ok);
            }
            NamespaceCommand::Get { name } => name,
            NamespaceCommand::Rm { name } => {
                client.delete_namespace(&name).await?;
                removed(&name, screen)?;
                return Ok(Exit::Ok);
            }
        };
        let sent: AsSent<Namespace> = client.get(Resource::Namespace(&name)).await?;
        screen.object(&sent, |colors| {
            let namespace = &sent.value;
            let mut grid = Grid::plain();
            grid.pair("namespace", visible(&namespace.name));
            grid.pair("id", or_dash(Some(&namespace.id)));
            grid.pair("kind", or_dash(Some(&namespace.kind)));
            grid.pair("description", or_dash(Some(&namespace.description)));
            let ttl = namespace.soa_ttl_seconds.map(|ttl| format!("{ttl} s"));
            grid.pair("soa ttl", or_dash(ttl.as_deref()));
            grid.pair("services", namespace.services);
            grid.pair("revision", or_dash(Some(&namespace.revision)));
            grid.render(colors)
        })?;
        Ok(Exit::Ok)
    }
}

fn namespaces(all: &[AsSent<Namespace>], colors: bool) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut grid = Grid::with_header(&["NAMESPACE", "KIND", "SERVICES", "DESCRIPTION"]);
    for AsSent { value, .. } in all {
        grid.row([
            visible(&value.name).into(),
            visible(&value.kind).into(),
            value.services.into(),
            or_dash(Some(&value.description)).into(),
        ]);
    }
    grid.render(colors)
}

impl ServiceArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let name = match self.command {
            ServiceCommand::Create { name, settings } => {
                let client = client.only_if(Condition::Absent);
                client.put_service(&name, &settings.settings()).await?;
                name
            }
            ServiceCommand::Set { name, settings } => {
                client.patch_service(&name, &settings.settings()).await?;
                name
            }
            ServiceCommand::Ls => return list_services(&client, options, screen).await,
            ServiceCommand::Get { name } => name,
            ServiceCommand::Rm { name } => {
                client.delete_service(&name).await?;
                removed(&name, screen)?;
                return Ok(Exit::Ok);
            }
        };
        let sent: AsSent<Service> = client.get(Resource::Service(&name)).await?;
        screen.object(&sent, |colors| service_details(&sent.value).render(colors))?;
        Ok(Exit::Ok)
    }
}
