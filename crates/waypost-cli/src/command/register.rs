//! `waypost register`

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use waypost_client::wire::AsSent;
use waypost_client::{Check, CheckKind, CheckTls, Instance, InstanceRef, Registration};

use super::register_many::register_items;
use super::registration_file::{Item, default_id, read_items};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::text::visible;
use crate::{Exit, GlobalOptions};

/// Longest file that is read.
const LONGEST_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Arguments of `register`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A file holds one JSON object, an array, one object per line, or TOML with [[instance]]. \
    Each has \"service\", \"id\" (optional), \"namespace\" (optional) and the fields of a registration."
)]
pub struct RegisterArguments {
    /// The service
    #[arg(required_unless_present = "file")]
    pub service: Option<String>,

    /// Id of the instance [default: ADDRESS:PORT]
    pub id: Option<String>,

    /// IP address or host name of the instance
    #[arg(long, required_unless_present = "file")]
    pub address: Option<String>,

    /// Port of the instance
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,

    /// An attribute; may be repeated
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = key_value)]
    pub attributes: Vec<(String, String)>,

    /// Share of the traffic relative to the other instances
    #[arg(long)]
    pub weight: Option<u32>,

    /// A check, http:/PATH, https:/PATH, grpc:SERVICE, grpcs:SERVICE, tcp or none; may be repeated
    #[arg(long = "check", value_name = "CHECK", value_parser = check)]
    pub checks: Vec<CheckArgument>,

    /// TLS of https and grpcs checks: insecure, server-name=NAME, ca=FILE (its authorities) or profile=NAME (of the
    /// server's configuration); may be repeated
    #[arg(long = "check-tls", value_name = "SETTING")]
    pub check_tls: Vec<String>,

    /// How often the checks ask, while they pass and while they fail; such as 2s
    #[arg(long, value_name = "TIME", value_parser = crate::duration::seconds)]
    pub check_interval: Option<u32>,

    /// The instance leaves when it is not heard of for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub lease: Option<u64>,

    /// Zone that the instance runs in
    #[arg(long)]
    pub zone: Option<String>,

    /// Region that the instance runs in
    #[arg(long)]
    pub region: Option<String>,

    /// Who keeps it registered; without it: itself
    #[arg(long)]
    pub owner: Option<String>,

    /// Read registrations from a file; - is standard input
    #[arg(long, short = 'f', value_name = "FILE")]
    #[arg(conflicts_with_all = [
        "service", "id", "address", "port", "tags", "attributes", "weight", "checks", "check_tls", "check_interval", "lease",
        "zone", "region", "owner",
    ])]
    pub file: Option<PathBuf>,
}

/// A check as an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckArgument {
    /// A check.
    Check(Box<Check>),
    /// No check.
    None,
}

impl RegisterArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        input: &mut (dyn Read + Send),
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        if let Some(file) = &self.file {
            let text = read_file(file, input)?;
            let is_toml = file
                .extension()
                .is_some_and(|extension| extension == "toml");
            return register_items(&options.client()?, read_items(&text, is_toml)?, screen).await;
        }
        let client = options.client()?;
        let item = self.into_item()?;
        let sent: AsSent<Instance> = client.register_json(&item.instance, &item.body).await?;
        screen.object(&sent, |_| registered(&sent.value))?;
        Ok(Exit::Ok)
    }

    /// Writes the arguments as an item of a file would say them.
    fn into_item(self) -> Result<Item, Failure> {
        let registration = Registration {
            address: self.address,
            port: self.port,
            attributes: self.attributes.into_iter().collect(),
            tags: self.tags,
            weight: self.weight,
            region: self.region,
            zone: self.zone,
            checks: paced(
                secured(checks(self.checks)?, &self.check_tls)?,
                self.check_interval,
            ),
            lease_seconds: self.lease,
            ..Registration::default()
        };
        let body = serde_json::to_value(&registration)
            .map_err(|error| Failure::usage(format!("the arguments cannot be written: {error}")))?;
        let id = self.id.map_or_else(|| default_id(&body), Ok)?;
        let service = self.service.unwrap_or_default();
        Ok(Item {
            namespace: None,
            instance: InstanceRef {
                service,
                id,
                owner: self.owner,
            },
            body,
        })
    }
}

fn registered(instance: &Instance) -> String {
    let name = visible(&format!("{}/{}", instance.service, instance.id));
    let mut text = format!("registered {name} in {}", visible(&instance.namespace));
    if let Some(address) = instance.address() {
        text.push_str(&format!(" at {}", visible(&address)));
    }
    if let Some(lease) = instance.lease_seconds {
        text.push_str(&format!("; heartbeat at least every {lease} s"));
    }
    text.push('\n');
    text
}

fn read_file(path: &Path, input: &mut (dyn Read + Send)) -> Result<String, Failure> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {shown}: {error}"));
    let mut text = String::new();
    if path == Path::new("-") {
        input
            .take(LONGEST_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(cannot)?;
    } else {
        let file = std::fs::File::open(path).map_err(cannot)?;
        file.take(LONGEST_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(cannot)?;
    }
    if text.len() as u64 > LONGEST_FILE_BYTES {
        return Err(Failure::usage(format!(
            "{shown} is longer than {LONGEST_FILE_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn check(text: &str) -> Result<CheckArgument, String> {
    if text == "none" {
        return Ok(CheckArgument::None);
    }
    match text.parse() {
        Ok(check) => Ok(CheckArgument::Check(Box::new(check))),
        Err(forms) => Err(format!("expected {forms} or none")),
    }
}

/// Has every check that asks do so as often as said.
fn paced(mut checks: Vec<Check>, interval: Option<u32>) -> Vec<Check> {
    if let Some(seconds) = interval.map(f64::from) {
        for check in &mut checks {
            check.interval_seconds = Some(seconds);
            check.unhealthy_interval_seconds = Some(seconds.min(5.0));
        }
    }
    checks
}

/// Gives what was said of TLS to every check that speaks it.
fn secured(mut checks: Vec<Check>, settings: &[String]) -> Result<Vec<Check>, Failure> {
    if settings.is_empty() {
        return Ok(checks);
    }
    let tls =
        CheckTls::of(settings).map_err(|why| Failure::usage(format!("--check-tls: {why}")))?;
    let speak_it = |check: &&mut Check| check.kind == CheckKind::Https || check.tls.is_some();
    let mut none = true;
    for check in checks.iter_mut().filter(speak_it) {
        check.tls = Some(tls.clone());
        none = false;
    }
    if none {
        let why = "--check-tls is for checks of https:/PATH or grpcs:SERVICE";
        return Err(Failure::usage(why));
    }
    Ok(checks)
}

/// Gives each check an id of its own: the kind, then the kind and a number.
fn checks(arguments: Vec<CheckArgument>) -> Result<Vec<Check>, Failure> {
    if arguments.len() > 1 && arguments.contains(&CheckArgument::None) {
        return Err(Failure::usage(
            "--check none cannot stand beside another check",
        ));
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    let checks = arguments.into_iter().filter_map(|argument| match argument {
        CheckArgument::Check(check) => Some(*check),
        CheckArgument::None => None,
    });
    let with_ids = checks.map(|mut check| {
        let count = counts.entry(check.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            check.id = format!("{}-{count}", check.id);
        }
        check
    });
    Ok(with_ids.collect())
}
