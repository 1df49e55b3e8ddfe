//! Whether names are answered, by the server and by whoever this machine asks.

use std::net::{IpAddr, SocketAddr};

use tokio::time::timeout;
use waypost_client::{Instance, Namespace};

use super::context::Context;
use super::finding::{Finding, or_ok};
use super::report::counted;
use crate::command::dns_place::place_of;
use crate::command::resolve::{RecordType, exchange};
use crate::failure::describe;

/// Most zones that are asked for.
const ZONES_MAX: usize = 20;
const NSSWITCH: &str = "/etc/nsswitch.conf";

pub(super) async fn answers(context: &Context) -> Vec<Finding> {
    let place = match place(context).await {
        Ok(place) => place,
        Err(finding) => return vec![finding],
    };
    let zones: Vec<&Namespace> = zones(context).take(ZONES_MAX).collect();
    if zones.is_empty() {
        return vec![Finding::skipped("no namespace is of DNS kind")];
    }
    let mut found = Vec::new();
    for zone in &zones {
        for over_tcp in [false, true] {
            found.extend(ask(context, place, &zone.name, over_tcp).await);
        }
    }
    let zones = counted(zones.len(), "namespace");
    or_ok(
        found,
        format!("{place} answers for {zones}, over UDP and TCP"),
    )
}

/// Finds where the server answers DNS, as seen from here.
async fn place(context: &Context) -> Result<SocketAddr, Finding> {
    let dns = context.client.dns().await;
    let dns = dns.map_err(|error| Finding::skipped(describe(&error)))?;
    if dns.listen.is_empty() {
        let off = "this server answers no DNS (dns.listen is \"off\")";
        return Err(Finding::skipped(off));
    }
    let place = place_of(&context.client, &dns).await;
    let place = place.map_err(|failure| Finding::skipped(failure.message))?;
    if place.ip().is_loopback() && !context.on_loopback {
        return Err(Finding::warning(
            format!("the server answers DNS at {place} alone, which only its own machine reaches"),
            "set dns.listen to an address of the network, and dns.allow to who may ask",
        ));
    }
    Ok(place)
}

/// Gives the namespaces that are zones.
fn zones(context: &Context) -> impl Iterator<Item = &Namespace> {
    let all = context.namespaces.iter().flatten();
    all.filter(|namespace| namespace.kind != "Http")
}

/// Asks for the start of a zone; nothing is found when that is answered.
async fn ask(context: &Context, place: SocketAddr, zone: &str, over_tcp: bool) -> Option<Finding> {
    let transport = if over_tcp { "TCP" } else { "UDP" };
    let asked = exchange::ask(place, zone, RecordType::Soa, over_tcp, context.limit).await;
    match asked {
        Err(failure) => Some(Finding::failure(
            format!("{zone} over {transport}: {}", failure.message),
            format!(
                "let {transport} to the port {} through the firewall; `waypost serve` prints where it answers DNS",
                place.port()
            ),
        )),
        Ok(asked) => {
            let reply = &asked.reply;
            let has_start = reply.answers.iter().any(|record| record.kind == "SOA");
            (!has_start).then(|| {
                Finding::failure(
                    format!(
                        "{place} answers {} for {zone} over {transport}",
                        reply.rcode
                    ),
                    "REFUSED: let this machine ask with dns.allow; else the server's log says more",
                )
            })
        }
    }
}

pub(super) async fn resolver(context: &Context) -> Vec<Finding> {
    let listing = match context.listing().await {
        Ok(listing) => listing,
        Err(why) => return vec![Finding::skipped(why)],
    };
    let is_zone = |name: &str| zones(context).any(|zone| zone.name.eq_ignore_ascii_case(name));
    let served = listing.instances.iter().find(|instance| {
        let has_address = instance.ipv4.is_some() || instance.ipv6.is_some();
        instance.in_rotation && has_address && is_zone(&instance.namespace)
    });
    let Some(served) = served else {
        let why = "no service with an address is in rotation in a namespace of DNS kind";
        return vec![Finding::skipped(why)];
    };
    let name = format!("{}.{}", served.service, served.namespace);
    let rotation = listing.instances.iter().filter(|other| {
        other.in_rotation && other.service == served.service && other.namespace == served.namespace
    });
    let expected: Vec<IpAddr> = rotation.flat_map(ips).collect();
    let asked = tokio::net::lookup_host((name.as_str(), 0));
    let found = match timeout(context.limit, asked).await {
        Err(_) => Err("no answer in time".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect::<Vec<_>>()),
    };
    vec![judge_resolver(&name, found, &expected)]
}

fn ips(instance: &Instance) -> impl Iterator<Item = IpAddr> {
    let texts = [instance.ipv4.as_deref(), instance.ipv6.as_deref()];
    let read = texts.map(|text| text.and_then(|text| text.parse().ok()));
    read.into_iter().flatten()
}

fn judge_resolver(name: &str, found: Result<Vec<IpAddr>, String>, expected: &[IpAddr]) -> Finding {
    let hint = "`waypost export unbound`, `dnsmasq` or `coredns` prints what the DNS server of this machine needs";
    match found {
        Err(why) => Finding::warning(
            format!("this machine's own resolver does not find {name}: {why}"),
            hint,
        ),
        Ok(found) if found.iter().any(|address| expected.contains(address)) => {
            Finding::ok(format!("this machine's own resolver finds {name}"))
        }
        Ok(found) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            Finding::warning(
                format!(
                    "this machine's own resolver finds others at {name}: {}",
                    found.join(", ")
                ),
                hint,
            )
        }
    }
}

pub(super) async fn multicast(context: &Context) -> Vec<Finding> {
    let switch = std::fs::read_to_string(NSSWITCH).unwrap_or_default();
    let takes = cfg!(target_os = "macos") || multicast_comes_first(&switch);
    let here = if takes {
        "this machine is one of them"
    } else {
        "this machine is none of them"
    };
    let names = zones(context).filter(|zone| is_local(&zone.name));
    let found = names.map(|zone| {
        Finding::warning(
            format!(
                "the names of {} end in .local, which many machines ask by multicast DNS alone; {here}",
                zone.name
            ),
            "use a namespace that ends in .internal",
        )
    });
    or_ok(
        found.collect(),
        "no namespace ends in .local, which belongs to multicast DNS",
    )
}

fn is_local(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|label| label.eq_ignore_ascii_case("local"))
}

/// Says whether the line `hosts:` of `nsswitch.conf` names multicast DNS, or systemd-resolved, before DNS.
fn multicast_comes_first(switch: &str) -> bool {
    let hosts = switch.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.trim().strip_prefix("hosts:")
    });
    let sources = hosts.unwrap_or_default().split_whitespace();
    sources
        .take_while(|source| *source != "dns")
        .any(|source| source.starts_with("mdns"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    #[test]
    fn the_order_of_the_sources_decides_who_is_asked_by_multicast() {
        let first = "passwd: files\nhosts:  files mdns4_minimal [NOTFOUND=return] dns\n";
        assert!(multicast_comes_first(first));
        assert!(!multicast_comes_first("hosts: files dns mdns4\n"));
        assert!(!multicast_comes_first(
            "# hosts: mdns dns\nhosts: files dns # mdns\n"
        ));
        assert!(!multicast_comes_first(""));
    }

    #[test]
    fn only_the_last_label_makes_a_name_local() {
        assert!(is_local("secure-api.local") && is_local("LOCAL.") && is_local("a.Local."));
        assert!(!is_local("local.internal") && !is_local("mylocal"));
    }

    #[test]
    fn a_resolver_that_finds_others_is_not_ours() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let expected = [at("10.0.0.1"), at("10.0.0.2")];
        let judged = |found| judge_resolver("web.svc.internal", found, &expected);
        assert_eq!(judged(Ok(vec![at("10.0.0.2")])).outcome, Outcome::Ok);
        let others = judged(Ok(vec![at("192.0.2.1")]));
        assert_eq!(others.outcome, Outcome::Warning);
        assert!(others.detail.ends_with("192.0.2.1"), "{}", others.detail);
        let none = judged(Err("no such host".to_owned()));
        assert_eq!(none.outcome, Outcome::Warning);
        assert!(none.hint.unwrap().contains("waypost export unbound"));
    }
}
