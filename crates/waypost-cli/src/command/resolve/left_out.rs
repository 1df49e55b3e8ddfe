//! Every instance of the service that a name belongs to, beside what was answered.

use std::net::IpAddr;

use serde::Serialize;
use waypost_client::{Client, ErrorKind, Instance};

use super::{Record, Resolved};
use crate::failure::Failure;
use crate::table::{Cell, Grid, Paint};
use crate::text::{or_dash, visible};

/// One instance and whether the answer has it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Standing {
    namespace: String,
    service: String,
    id: String,
    address: Option<String>,
    /// Whether the answer shows it.
    answered: bool,
    in_rotation: bool,
    reason: String,
}

/// Lists the instances of the service that the name belongs to; `None` when it belongs to none.
pub(super) async fn standings(
    client: &Client,
    resolved: &Resolved,
) -> Result<Option<Vec<Standing>>, Failure> {
    let names: Vec<String> = client
        .namespaces()
        .await?
        .into_iter()
        .map(|namespace| namespace.name)
        .collect();
    let name = resolved.name.to_ascii_lowercase();
    for (namespace, service) in candidates(&name, &names) {
        match client.in_namespace(&namespace).instances(&service).await {
            Ok(instances) => {
                let standings = instances
                    .iter()
                    .map(|instance| standing(instance, resolved));
                return Ok(Some(standings.collect()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Lists the services that a name can belong to, the likeliest first: `web`, `_web._tcp`, `id.web`, `_http._tcp.web`.
fn candidates(name: &str, namespaces: &[String]) -> Vec<(String, String)> {
    let mut fitting: Vec<&String> = namespaces
        .iter()
        .filter(|namespace| {
            let lower = namespace.to_ascii_lowercase();
            name.strip_suffix(&lower)
                .is_some_and(|before| before.len() > 1 && before.ends_with('.'))
        })
        .collect();
    fitting.sort_by_key(|namespace| std::cmp::Reverse(namespace.len()));
    let Some(namespace) = fitting.first() else {
        return Vec::new();
    };
    let own = name
        .get(..name.len() - namespace.len() - 1)
        .unwrap_or_default();
    let mut services = vec![own.to_owned()];
    let labels: Vec<&str> = own.split('.').collect();
    match labels.as_slice() {
        [service, "_tcp" | "_udp"] => {
            services.extend(service.strip_prefix('_').map(str::to_owned));
        }
        [_, "_tcp" | "_udp", rest @ ..] => services.push(rest.join(".")),
        [_, rest @ ..] if !rest.is_empty() => services.push(rest.join(".")),
        _ => {}
    }
    services
        .into_iter()
        .map(|service| ((*namespace).clone(), service))
        .collect()
}

fn standing(instance: &Instance, resolved: &Resolved) -> Standing {
    Standing {
        namespace: instance.namespace.clone(),
        service: instance.service.clone(),
        id: instance.id.clone(),
        address: instance.address(),
        answered: is_answered(instance, resolved),
        in_rotation: instance.in_rotation,
        reason: instance.reason.clone(),
    }
}

/// Says whether any record shows the instance: its address, its host name, or a target that has its address and its
/// port.
fn is_answered(instance: &Instance, resolved: &Resolved) -> bool {
    let reply = &resolved.reply;
    reply
        .answers
        .iter()
        .any(|record| match record.kind.as_str() {
            "A" | "AAAA" => has_address(instance, &record.data),
            "CNAME" => has_host(instance, &record.data),
            "SRV" => {
                let mut fields = record.data.split_whitespace().skip(2);
                let (port, target) = (fields.next(), fields.next().unwrap_or_default());
                let ports = instance.ports.iter().map(|port| port.number.to_string());
                let is_its_port = ports.into_iter().any(|number| Some(&*number) == port);
                is_its_port
                    && (has_host(instance, target) || is_there(instance, target, &reply.additional))
            }
            _ => false,
        })
}

fn is_there(instance: &Instance, target: &str, glue: &[Record]) -> bool {
    let target = target.trim_end_matches('.');
    let label = target.split('.').next().unwrap_or_default();
    label.eq_ignore_ascii_case(&instance.id)
        || glue.iter().any(|record| {
            let owner = record.name.trim_end_matches('.');
            owner.eq_ignore_ascii_case(target) && has_address(instance, &record.data)
        })
}

fn has_address(instance: &Instance, data: &str) -> bool {
    let known = [&instance.ipv4, &instance.ipv6];
    let Ok(address) = data.parse::<IpAddr>() else {
        return false;
    };
    known
        .into_iter()
        .flatten()
        .any(|known| known.parse() == Ok(address))
}

fn has_host(instance: &Instance, target: &str) -> bool {
    let host = instance.hostname.as_deref().unwrap_or_default();
    !host.is_empty()
        && target
            .trim_end_matches('.')
            .eq_ignore_ascii_case(host.trim_end_matches('.'))
}

/// Shows the instances, those that are left out first.
pub(super) fn table(standings: &[Standing], colors: bool) -> String {
    if standings.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&Standing> = standings.iter().collect();
    sorted.sort_by_key(|standing| standing.answered);
    let mut grid =
        Grid::with_header(&["INSTANCE", "ADDRESS", "IN THE ANSWER", "ROTATION", "REASON"]);
    for standing in sorted {
        let answered = if standing.answered { "yes" } else { "no" };
        let rotation = if standing.in_rotation { "in" } else { "out" };
        grid.row([
            visible(&format!("{}/{}", standing.service, standing.id)).into(),
            or_dash(standing.address.as_deref()).into(),
            Cell::painted(answered, Paint::of_answered(standing.answered)),
            Cell::painted(rotation, Paint::of_answered(standing.in_rotation)),
            visible(&standing.reason).into(),
        ]);
    }
    grid.render(colors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(name: &str) -> Vec<String> {
        let namespaces = ["internal".to_owned(), "svc.internal".to_owned()];
        let found = candidates(name, &namespaces).into_iter();
        found
            .inspect(|(namespace, _)| assert_eq!(namespace, "svc.internal"))
            .map(|(_, service)| service)
            .collect()
    }

    #[test]
    fn a_name_is_looked_for_as_service_srv_name_and_instance() {
        assert_eq!(services("web.svc.internal"), ["web"]);
        assert_eq!(services("_web._tcp.svc.internal"), ["_web._tcp", "web"]);
        assert_eq!(services("a.web.svc.internal"), ["a.web", "web"]);
        assert_eq!(
            services("_http._tcp.web.svc.internal"),
            ["_http._tcp.web", "web"]
        );
        assert!(candidates("web.example.org", &["svc.internal".to_owned()]).is_empty());
    }
}
