//! Who is out of rotation, and why: in the registry's own words.

use waypost_client::wire::CheckState;
use waypost_client::{Explanation, Instance, InstanceRef, Mode, Service, Tier};

use super::super::context::Context;
use super::super::finding::Finding;
use super::super::report::counted;
use super::Listing;

/// Most instances whose checks are asked for.
const EXPLAINED_MAX: usize = 20;

pub(super) async fn findings(context: &Context, listing: &Listing) -> Vec<Finding> {
    let services = listing.services.iter();
    let mut found: Vec<Finding> = services
        .filter_map(|service| nobody(service, &listing.service_name(service)))
        .collect();
    let mut explained = 0;
    for instance in &listing.instances {
        let name = listing.name(instance);
        if instance.in_rotation {
            found.extend(fails_open(instance, &name));
            continue;
        }
        let asks = (instance.mode == Mode::Active && explained < EXPLAINED_MAX).then_some(());
        let explanation = match asks {
            Some(()) => {
                explained += 1;
                explain(context, instance).await
            }
            None => None,
        };
        found.push(out(instance, &name, explanation.as_ref()));
    }
    found
}

/// Finds a service that nobody serves.
fn nobody(service: &Service, name: &str) -> Option<Finding> {
    let counts = &service.instances;
    if counts.in_rotation > 0 {
        return None;
    }
    let in_namespace = format!("-n {}", service.namespace);
    if counts.total > 0 {
        let total = usize::try_from(counts.total).unwrap_or(usize::MAX);
        let instances = counted(total, "instance");
        return Some(Finding::failure(
            format!("nobody of {name} is in rotation: it has {instances}"),
            format!(
                "`waypost ls {} {in_namespace}` shows why each one is out",
                service.name
            ),
        ));
    }
    // One that a registration implied goes by itself.
    (service.origin == "explicit").then(|| {
        Finding::warning(
            format!("{name} has no instance"),
            format!(
                "register one, or remove it: `waypost service rm {} {in_namespace}`",
                service.name
            ),
        )
    })
}

fn fails_open(instance: &Instance, name: &str) -> Option<Finding> {
    (instance.tier == Some(Tier::FailOpen)).then(|| {
        Finding::warning(
            format!(
                "{name} is in rotation only because its service fails open: {}",
                instance.reason
            ),
            format!("`waypost explain {name}` shows what its checks see"),
        )
    })
}

async fn explain(context: &Context, instance: &Instance) -> Option<Explanation> {
    let client = context.client.in_namespace(&instance.namespace);
    let named = InstanceRef::new(&*instance.service, &*instance.id).owned_by(&*instance.owner);
    // It may be gone meanwhile; the listing's own reason is there all the same.
    client.explain(&named).await.ok()
}

/// Describes an instance that is out, with what its failing checks ask.
fn out(instance: &Instance, name: &str, explanation: Option<&Explanation>) -> Finding {
    let checks = explanation.map_or(&[][..], |explanation| &explanation.checks);
    let failing = checks
        .iter()
        .filter(|check| matches!(check.state, CheckState::Failing | CheckState::Unknown));
    let targets: Vec<&str> = failing
        .filter_map(|check| check.target.as_deref())
        .collect();
    let asks = if targets.is_empty() {
        String::new()
    } else {
        format!(" (asked: {})", targets.join(", "))
    };
    let detail = format!("{name} is out of rotation: {}{asks}", instance.reason);
    let of = format!(
        "{}/{} -n {}",
        instance.service, instance.id, instance.namespace
    );
    let hint = if instance.mode != Mode::Active {
        format!("`waypost resume {of}` puts it back")
    } else if instance.reason.starts_with("lease ended") {
        format!(
            "start it again, and let it beat three times in a lease; if it is gone for good: `waypost deregister {of}`"
        )
    } else {
        match targets.iter().find(|target| target.starts_with("http")) {
            Some(url) => format!(
                "ask it from the server's machine: curl -i {url}; `waypost explain {of}` shows the answer"
            ),
            None => format!("`waypost explain {of}` shows the evidence"),
        }
    };
    Finding::warning(detail, hint)
}
