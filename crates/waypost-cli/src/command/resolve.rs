//! `waypost resolve`

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use waypost_client::Client;

use super::dns_place::{dns_address, place_of};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::{Grid, Paint};
use crate::text::visible;
use crate::{Exit, GlobalOptions};

pub(in crate::command) mod exchange;
mod left_out;
mod message;

use left_out::Standing;
use message::Reply;

/// Arguments of `resolve`.
#[derive(Args, Clone, Debug)]
pub struct ResolveArguments {
    /// The name; one without a dot is a service of the namespace, an address is asked for its names
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The type of record [default: A, or PTR for an address]
    #[arg(long = "type", short = 't', value_enum, ignore_case = true)]
    pub kind: Option<RecordType>,

    /// The DNS server to ask [default: where the registry says that it answers]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = dns_address)]
    pub dns: Option<SocketAddr>,

    /// Ask over TCP from the start
    #[arg(long)]
    pub tcp: bool,

    /// Show also every instance of the service, and why each one is left out
    #[arg(long)]
    pub explain: bool,
}

/// A type of record that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum RecordType {
    /// IPv4 addresses
    A,
    /// IPv6 addresses
    Aaaa,
    /// Hosts with ports
    Srv,
    /// Attributes
    Txt,
    /// Another name
    Cname,
    /// The names of an address
    Ptr,
    /// The start of the zone
    Soa,
    /// Name servers
    Ns,
    /// Whatever there is, of one type
    Any,
}

/// A record as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::command) struct Record {
    name: String,
    ttl: u32,
    #[serde(rename = "type")]
    pub(in crate::command) kind: String,
    data: String,
}

/// What was asked, of whom, and what came back.
#[derive(Debug, Serialize)]
struct Resolved {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    server: SocketAddr,
    /// `udp` or `tcp`.
    transport: &'static str,
    took_ms: f64,
    bytes: usize,
    #[serde(flatten)]
    reply: Reply,
    /// Every instance of the service, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<Vec<Standing>>,
}

impl ResolveArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let (name, kind) = self.question(&client)?;
        let server = match self.dns {
            Some(dns) => dns,
            None => place_of(&client, &client.dns().await?).await?,
        };
        let asked = exchange::ask(server, &name, kind, self.tcp, options.timeout).await?;
        let mut resolved = Resolved {
            name,
            kind: kind.word(),
            server,
            transport: asked.transport,
            took_ms: milliseconds(asked.took),
            bytes: asked.bytes,
            reply: asked.reply,
            instances: None,
        };
        if self.explain {
            let found = left_out::standings(&client, &resolved).await?;
            if found.is_none() {
                screen.note(&format!(
                    "{} belongs to no service of this registry",
                    visible(&resolved.name)
                ));
            }
            resolved.instances = found;
        }
        screen.object(&resolved, |colors| report(&resolved, colors))?;
        screen.note(&remark(&resolved));
        conclude(&resolved)
    }

    /// Completes the name and the type.
    fn question(&self, client: &Client) -> Result<(String, RecordType), Failure> {
        let given = self.name.trim();
        if let Ok(address) = given.parse::<IpAddr>() {
            let kind = self.kind.unwrap_or(RecordType::Ptr);
            return Ok((message::reverse_name(address), kind));
        }
        let name = match given.strip_suffix('.') {
            Some(whole) => whole.to_owned(),
            None if given.contains('.') => given.to_owned(),
            None => format!("{given}.{}", client.namespace()),
        };
        message::check(&name).map_err(Failure::usage)?;
        Ok((name, self.kind.unwrap_or(RecordType::A)))
    }
}

impl RecordType {
    fn word(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
            Self::Cname => "CNAME",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Ns => "NS",
            Self::Any => "ANY",
        }
    }
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

fn report(resolved: &Resolved, colors: bool) -> String {
    let mut text = String::new();
    if !resolved.reply.answers.is_empty() {
        let mut grid = Grid::with_header(&["NAME", "TTL", "TYPE", "DATA"]);
        for record in &resolved.reply.answers {
            grid.row([
                visible(&record.name).into(),
                u64::from(record.ttl).into(),
                record.kind.as_str().into(),
                visible(&record.data).into(),
            ]);
        }
        text.push_str(&grid.render(colors));
    }
    if let Some(instances) = &resolved.instances {
        if !text.is_empty() && !instances.is_empty() {
            text.push('\n');
        }
        text.push_str(&left_out::table(instances, colors));
    }
    text
}

/// One line about the exchange, as `dig` has at its end.
fn remark(resolved: &Resolved) -> String {
    let reply = &resolved.reply;
    let cut = if reply.truncated { ", cut" } else { "" };
    let foreign = if reply.authoritative {
        ""
    } else {
        ", not authoritative"
    };
    format!(
        "{} from {} over {} in {} ms ({} bytes{cut}{foreign})",
        reply.rcode, resolved.server, resolved.transport, resolved.took_ms, resolved.bytes,
    )
}

/// Turns what came back into the exit code, with a sentence where there is nothing.
fn conclude(resolved: &Resolved) -> Result<Exit, Failure> {
    let reply = &resolved.reply;
    let name = visible(&resolved.name);
    if !reply.answers.is_empty() {
        return Ok(Exit::Ok);
    }
    let said = visible(&reply.errors.join("; "));
    let failure = match reply.rcode.as_str() {
        "NOERROR" if !said.is_empty() => Failure::new(
            Exit::Unhealthy,
            format!("{name} has no {} records now: {said}", resolved.kind),
        ),
        "NOERROR" => Failure::new(
            Exit::NotFound,
            format!("{name} is there, but has no {} records", resolved.kind),
        ),
        "NXDOMAIN" => Failure::new(Exit::NotFound, format!("there is no name {name}")),
        "REFUSED" => Failure::new(
            Exit::NotFound,
            format!("{} answers for no zone of {name}", resolved.server),
        ),
        other => Failure::new(
            Exit::Failure,
            format!("{} answered {other} for {name}", resolved.server),
        ),
    };
    let may_be_left_out = matches!(resolved.kind, "A" | "AAAA" | "SRV" | "ANY");
    Err(
        if reply.rcode == "NOERROR" && may_be_left_out && resolved.instances.is_none() {
            failure.with_hint("--explain shows the instances and why each one is left out")
        } else {
            failure
        },
    )
}

impl Paint {
    /// Green for what is answered.
    fn of_answered(answered: bool) -> Self {
        if answered { Self::Good } else { Self::Bad }
    }
}
