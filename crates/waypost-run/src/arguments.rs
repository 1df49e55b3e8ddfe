//! The command line of `waypost run`.

use std::path::PathBuf;

use clap::Args;

use crate::length::{self, Length};
use crate::plan::{
    AddressChoice, CheckChoice, GRACE, LEASE_SECONDS, Plan, PortChoice, Restart, STARTUP,
    read_check, read_port, with_interval, with_tls,
};

/// Runs a command that is registered for as long as it runs.
///
/// The command gets a port (as PORT, and for {port} in its arguments; {address}, {id} and {replica} are known too), is in
/// rotation from its first passing check on, and leaves it before it is asked to stop. The global -n names the namespace.
#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    /// Name of the service
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    name: Option<String>,

    /// Id of the instance [default: HOST-PORT-RANDOM]
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// Port that the command listens on: a number, or auto for a free one
    #[arg(long, value_name = "PORT", default_value = "auto", env = "PORT", value_parser = read_port)]
    #[arg(hide_env_values = true)]
    port: PortChoice,

    /// Address that it is reached at, auto for the one that faces the registry, or one for each replica: A,B,..
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1",
        value_delimiter = ','
    )]
    address: Vec<String>,

    /// How the registry finds out whether it works: http:/PATH, https:/PATH, grpc:SERVICE, grpcs:SERVICE, tcp, or none
    /// (heartbeats alone)
    #[arg(long, value_name = "CHECK", default_value = "tcp", value_parser = read_check)]
    check: CheckChoice,

    /// TLS of an https or grpcs check: insecure, server-name=NAME, ca=FILE (its authorities) or profile=NAME (of the
    /// server's configuration); may be repeated
    #[arg(long = "check-tls", value_name = "SETTING")]
    check_tls: Vec<String>,

    /// Time between two checks [default: the server's, 30s]
    #[arg(long, value_name = "TIME", value_parser = length::read)]
    check_interval: Option<Length>,

    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// An attribute; may be repeated
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,

    /// Share of the traffic relative to the other instances
    #[arg(long)]
    weight: Option<u32>,

    /// It leaves when nothing is heard of this process for so long
    #[arg(long, value_name = "SECONDS", default_value_t = LEASE_SECONDS)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lease: u64,

    /// Time between leaving the rotation and stopping [default: as long as DNS answers may be kept and 2s more; 5s
    /// outside of DNS; 0 on a terminal]
    #[arg(long, value_name = "TIME", value_parser = length::read)]
    drain: Option<Length>,

    /// Time between asking it to stop and killing it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length::read)]
    grace: Length,

    /// Time until its check must have passed once; 0 waits for ever
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = length::read)]
    startup: Length,

    /// Whether it is started again when it ended
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    restart: Restart,

    /// How many of it run
    #[arg(long, default_value_t = 1, value_name = "N")]
    replicas: u32,

    /// Run the services of a file instead
    #[arg(long, short = 'f', value_name = "FILE")]
    #[arg(conflicts_with_all = ["name", "id", "check_interval", "tags", "attributes", "weight", "drain", "command",
        "address", "check", "check_tls", "lease", "grace", "startup", "restart", "replicas"])]
    pub(crate) file: Option<PathBuf>,

    /// The command and its arguments, after --
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "file")]
    command: Vec<String>,
}

impl RunArguments {
    /// Says what is to be run, when no file does.
    ///
    /// # Errors
    /// When what is said of TLS cannot be.
    pub(crate) fn plan(self) -> Result<Plan, String> {
        let check =
            with_tls(self.check, &self.check_tls).map_err(|rule| format!("--check-tls: {rule}"))?;
        let addresses = match self.address.as_slice() {
            [only] if only == "auto" => AddressChoice::Auto,
            _ => AddressChoice::Listed(self.address),
        };
        Ok(Plan {
            name: self.name.unwrap_or_default(),
            command: self.command,
            directory: None,
            environment: std::collections::BTreeMap::new(),
            replicas: self.replicas,
            id: self.id,
            port: self.port,
            addresses,
            check: with_interval(check, self.check_interval.map(|length| length.0)),
            tags: self.tags,
            attributes: self.attributes.into_iter().collect(),
            weight: self.weight,
            lease_seconds: self.lease,
            drain: self.drain.map(|length| length.0),
            grace: self.grace.0,
            startup: self.startup.0,
            restart: self.restart,
            registers: true,
            depends_on: Vec::new(),
        })
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

// The defaults above are words, since help shows them; these are the same in numbers.
const _: () = assert!(GRACE.as_secs() == 30 && STARTUP.as_secs() == 60);
