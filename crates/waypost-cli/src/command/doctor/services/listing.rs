//! The services and instances that are looked at: a bounded number.

use std::collections::HashSet;
use std::time::SystemTime;

use waypost_client::{ErrorKind, Instance, InstanceFilter, Namespace, Resource, Service};

use super::super::context::{Context, NAMESPACES_MAX};
use crate::failure::describe;

/// Most services that are looked at; one that is named is always.
const SERVICES_MAX: usize = 200;
/// Most instances that are looked at.
const INSTANCES_MAX: usize = 20_000;

/// What is looked at.
#[derive(Debug, Default)]
pub(in super::super) struct Listing {
    pub(in super::super) services: Vec<Service>,
    pub(in super::super) instances: Vec<Instance>,
    /// What was left out.
    pub(in super::super) cut: Option<String>,
    /// When the instances were as they are here, by the server's clock.
    pub(super) seen_at: Option<SystemTime>,
    names_namespaces: bool,
}

impl Listing {
    /// Asks for it; the error says why it cannot be seen.
    pub(in super::super) async fn of(context: &Context) -> Result<Self, String> {
        let mut listing = Self {
            names_namespaces: context.arguments.all,
            ..Self::default()
        };
        listing.ask_for_services(context).await?;
        if listing.services.len() > SERVICES_MAX {
            listing.services.truncate(SERVICES_MAX);
            listing.cut = Some(format!(
                "only the first {SERVICES_MAX} services: --service NAME looks at another one"
            ));
        }
        if !listing.services.is_empty() {
            listing.ask_for_instances(context).await?;
        }
        Ok(listing)
    }

    async fn ask_for_services(&mut self, context: &Context) -> Result<(), String> {
        let client = &context.client;
        if let Some(name) = &context.arguments.service {
            let service = client
                .service(name)
                .await
                .map_err(|error| describe(&error))?;
            self.services.push(service);
            return Ok(());
        }
        let known: &[Namespace] = context.namespaces.as_deref().unwrap_or_default();
        let namespaces: Vec<&str> = if context.arguments.all {
            let names = known.iter().take(NAMESPACES_MAX);
            names.map(|namespace| &*namespace.name).collect()
        } else {
            vec![client.namespace()]
        };
        for name in namespaces {
            let client = client.in_namespace(name);
            let wanted = SERVICES_MAX + 1 - self.services.len();
            match client.list_at_most(Resource::Services, wanted).await {
                Ok(services) => self.services.extend::<Vec<Service>>(services),
                // The default one is not there before something is registered.
                Err(error)
                    if error.kind() == ErrorKind::NotFound && !context.namespace_is_named => {}
                Err(error) => return Err(describe(&error)),
            }
            if self.services.len() > SERVICES_MAX {
                break;
            }
        }
        Ok(())
    }

    async fn ask_for_instances(&mut self, context: &Context) -> Result<(), String> {
        let client = &context.client;
        let namespace = (!context.arguments.all).then(|| client.namespace().to_owned());
        let filter = InstanceFilter {
            namespace,
            service: context.arguments.service.clone(),
            ..InstanceFilter::default()
        };
        let resource = Resource::AllInstances(&filter);
        let found = client.list_at_most(resource, INSTANCES_MAX + 1).await;
        let mut found: Vec<Instance> = found.map_err(|error| describe(&error))?;
        self.seen_at = client.server_time();
        if found.len() > INSTANCES_MAX {
            found.truncate(INSTANCES_MAX);
            self.cut = Some(format!(
                "only the first {INSTANCES_MAX} instances: --service NAME looks at those of one service"
            ));
        }
        let services = self.services.iter();
        let looked_at: HashSet<(&str, &str)> = services
            .map(|service| (&*service.namespace, &*service.name))
            .collect();
        found.retain(|instance| looked_at.contains(&(&*instance.namespace, &*instance.service)));
        self.instances = found;
        Ok(())
    }

    /// Names a service, with its namespace where several are looked at.
    pub(super) fn service_name(&self, service: &Service) -> String {
        if self.names_namespaces {
            return format!("{} in {}", service.name, service.namespace);
        }
        service.name.clone()
    }

    /// Names an instance as commands take it, with its namespace where several are looked at.
    pub(super) fn name(&self, instance: &Instance) -> String {
        let Instance {
            namespace,
            service,
            id,
            ..
        } = instance;
        if self.names_namespaces {
            return format!("{service}/{id} in {namespace}");
        }
        format!("{service}/{id}")
    }
}
