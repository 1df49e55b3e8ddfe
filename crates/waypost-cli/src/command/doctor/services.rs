//! Whether the instances of the services that are looked at serve, and will go on to.

use super::context::Context;
use super::finding::{Finding, or_ok};
use super::report::counted;

mod address;
mod beat;
mod label;
mod listing;
mod standing;

pub(super) use listing::Listing;

/// Looks at what is listed; when that cannot be seen, the finding says why.
macro_rules! listing {
    ($context:ident) => {
        match $context.listing().await {
            Ok(listing) => listing,
            Err(why) => return vec![Finding::skipped(why)],
        }
    };
}

pub(super) async fn listed(context: &Context) -> Vec<Finding> {
    let listing = match context.listing().await {
        Ok(listing) => listing,
        // What was named is not there, or cannot be seen.
        Err(why) => {
            let hint = "`waypost ls -A` lists what is there; -n sets the namespace";
            return vec![Finding::failure(why, hint)];
        }
    };
    let services = counted(listing.services.len(), "service");
    let instances = counted(listing.instances.len(), "instance");
    let place = if context.arguments.all {
        "in all namespaces".to_owned()
    } else {
        format!("in {}", context.client.namespace())
    };
    let found = Finding::ok(format!("{services} {place} with {instances}"));
    let cut = listing.cut.iter().map(Finding::skipped);
    [found].into_iter().chain(cut).collect()
}

pub(super) async fn rotation(context: &Context) -> Vec<Finding> {
    let listing = listing!(context);
    let found = standing::findings(context, listing).await;
    or_ok(found, "every instance is in rotation")
}

pub(super) async fn heartbeats(context: &Context) -> Vec<Finding> {
    let listing = listing!(context);
    let Some(now) = listing.seen_at.or_else(|| context.client.server_time()) else {
        return vec![Finding::skipped("the server's answers have no date")];
    };
    let late = listing.instances.iter();
    let late = late.filter_map(|instance| beat::late(instance, &listing.name(instance), now));
    or_ok(
        late.collect(),
        "every lease that runs was renewed in its first half",
    )
}

pub(super) async fn addresses(context: &Context) -> Vec<Finding> {
    let listing = listing!(context);
    or_ok(
        address::shared(listing),
        "no address with a port is registered twice",
    )
}

pub(super) async fn reachable_addresses(context: &Context) -> Vec<Finding> {
    let listing = listing!(context);
    let found = listing.instances.iter().filter_map(|instance| {
        address::of_nobody(instance, &listing.name(instance), context.on_loopback)
    });
    or_ok(
        found.collect(),
        "no instance is registered at an address that others cannot reach",
    )
}

pub(super) async fn labels(context: &Context) -> Vec<Finding> {
    let listing = listing!(context);
    let found = listing.instances.iter().flat_map(|instance| {
        let names = instance.attributes.keys().map(String::as_str);
        label::collisions(names, &listing.name(instance))
    });
    or_ok(
        found.collect(),
        "every attribute has a label of its own in /sd/prometheus",
    )
}

pub(super) async fn load(context: &Context) -> Vec<Finding> {
    let listing = listing!(context);
    let found = listing.instances.iter().filter_map(|instance| {
        let load = instance.load.filter(|load| !(0.0..=1.0).contains(load))?;
        Some(Finding::warning(
            format!(
                "{} reports a load of {load}, which is not between 0 and 1",
                listing.name(instance)
            ),
            "report a share of what it can do: 0.3, not 30",
        ))
    });
    or_ok(found.collect(), "every load that is reported is 0 to 1")
}
