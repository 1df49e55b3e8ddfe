//! `waypost export`

use std::fmt::Write as _;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::dns_place::{dns_address, place_of};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::{Exit, GlobalOptions};

/// Arguments of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArguments {
    /// The program that is to ask
    pub resolver: Resolver,

    /// Where it asks [default: where the server says that it answers]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = dns_address)]
    pub dns: Option<SocketAddr>,

    /// Also the names of addresses: by default all private networks
    #[arg(long)]
    pub reverse: bool,
}

/// A DNS server that can be told to ask another one for some zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Resolver {
    /// A part of a Corefile
    Coredns,
    /// A part of unbound.conf
    Unbound,
    /// A part of dnsmasq.conf
    Dnsmasq,
}

/// What is exported.
#[derive(Debug, Serialize)]
struct Export {
    /// Where the zones are asked for.
    dns: SocketAddr,
    zones: Vec<String>,
    /// The text for the configuration file.
    config: String,
}

impl ExportArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let server = client.dns().await?;
        let dns = match self.dns {
            Some(dns) => dns,
            None => place_of(&client, &server).await?,
        };
        let namespaces = client.namespaces().await?;
        let mut zones: Vec<String> = namespaces
            .into_iter()
            .filter(|namespace| namespace.kind != "Http")
            .map(|namespace| namespace.name)
            .collect();
        if self.reverse {
            zones.extend(server.reverse_zones);
        }
        if zones.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                "there is no namespace that is looked up by DNS yet",
            )
            .with_hint("the first registration makes one, unless its namespace is there and of the kind Http: see `waypost namespace ls`"));
        }
        let config = match self.resolver {
            Resolver::Coredns => coredns(&zones, dns, server.ttl_seconds),
            Resolver::Unbound => unbound(&zones, dns),
            Resolver::Dnsmasq => dnsmasq(&zones, dns),
        };
        let export = Export { dns, zones, config };
        screen.object(&export, |_| export.config.clone())?;
        Ok(Exit::Ok)
    }
}

/// Writes a server block. The cache keeps no answer longer than Waypost says, and "nothing" for five seconds at most.
fn coredns(zones: &[String], dns: SocketAddr, ttl: u32) -> String {
    let names = zones.join(" ");
    let ttl = ttl.max(1);
    format!(
        "{names} {{\n    errors\n    cache {ttl} {{\n        denial 9984 5\n    }}\n    forward . {dns}\n}}\n"
    )
}

/// Writes stub zones. Unbound answers some names itself and takes private addresses for an attack, unless it is told.
fn unbound(zones: &[String], dns: SocketAddr) -> String {
    let mut text = String::from("server:\n");
    if dns.ip().is_loopback() {
        text.push_str("    do-not-query-localhost: no\n");
    }
    for zone in zones {
        let kind = if zone.ends_with(".arpa") {
            "nodefault"
        } else {
            "transparent"
        };
        // Writing into a string cannot fail.
        let _written = write!(
            text,
            "    domain-insecure: \"{zone}\"\n    private-domain: \"{zone}\"\n    local-zone: \"{zone}.\" {kind}\n"
        );
    }
    let (ip, port) = (dns.ip(), dns.port());
    for zone in zones {
        let _written = write!(
            text,
            "stub-zone:\n    name: \"{zone}\"\n    stub-addr: {ip}@{port}\n"
        );
    }
    text
}

fn dnsmasq(zones: &[String], dns: SocketAddr) -> String {
    let mut text = String::new();
    let (ip, port) = (dns.ip(), dns.port());
    for zone in zones {
        let _written = writeln!(text, "server=/{zone}/{ip}#{port}");
    }
    for zone in zones.iter().filter(|zone| !zone.ends_with(".arpa")) {
        let _written = writeln!(text, "rebind-domain-ok=/{zone}/");
    }
    text
}
