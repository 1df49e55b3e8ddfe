//! The commands, one file each.

mod audit;
mod completions;
mod deregister;
mod discover;
mod dns_place;
mod doctor;
mod env;
mod explain;
mod export;
mod get;
mod heartbeat;
mod list;
mod mode;
mod register;
mod register_many;
mod registration_file;
mod resolve;
mod settings;
mod token;
mod top;
mod watch;

pub use audit::{AuditArguments, HistoryArguments};
pub use completions::CompletionsArguments;
pub use deregister::DeregisterArguments;
pub use discover::DiscoverArguments;
pub use doctor::DoctorArguments;
pub use env::{EnvArguments, EnvClients};
pub use explain::ExplainArguments;
pub use export::{ExportArguments, Resolver};
pub use get::GetArguments;
pub use heartbeat::HeartbeatArguments;
pub use list::ListArguments;
pub use mode::{
    HealthWord, ModeArguments, OverrideArguments, ReportArguments, ResumeArguments,
    SayingArguments, StateWord, Taken,
};
pub use register::{CheckArgument, RegisterArguments};
pub use resolve::{RecordType, ResolveArguments};
pub use settings::{NamespaceArguments, ServiceArguments};
pub use token::TokenArguments;
pub use top::TopArguments;
pub use watch::WatchArguments;

use clap::{Args, Subcommand};
use serde::Serialize;
use waypost_client::InstanceRef;

use crate::Exit;
use crate::failure::Failure;
use crate::screen::Screen;

/// The commands that need nothing but the address of a server.
#[derive(Subcommand, Clone, Debug)]
pub enum ClientCommand {
    /// List the services, or the instances of one
    Ls(ListArguments),
    /// Show a service or an instance
    Get(GetArguments),
    /// Show changes as they happen
    Watch(WatchArguments),
    /// Show the services that are worst off, live
    Top(TopArguments),
    /// List the instances that may be sent traffic now
    Discover(DiscoverArguments),
    /// Register an instance, or many from a file
    Register(Box<RegisterArguments>),
    /// Remove an instance
    Deregister(DeregisterArguments),
    /// Renew the lease of an instance
    Heartbeat(HeartbeatArguments),
    /// What operators do.
    #[command(flatten)]
    Operator(OperatorCommand),
    /// Say why an instance is in rotation or out
    Explain(ExplainArguments),
    /// Ask the DNS server for a name, over the wire
    Resolve(ResolveArguments),
    /// Print what another DNS server needs to ask this one
    Export(ExportArguments),
    /// Look for what is wrong with the server and what is registered
    Doctor(DoctorArguments),
    /// Issue, list, rotate and revoke credentials
    Token(TokenArguments),
    /// Show who changed what, and who was refused
    Audit(Box<AuditArguments>),
    /// Show how the health of an instance went
    History(HistoryArguments),
    /// Print the environment that other clients need to use Waypost
    Env(EnvArguments),
    /// Print the completions of a shell
    Completions(CompletionsArguments),
    /// Print the version
    Version,
}

/// What operators do to namespaces, services and instances, whatever their processes say.
#[derive(Subcommand, Clone, Debug)]
pub enum OperatorCommand {
    /// Take an instance out of rotation so that it can end what it does
    Drain(ModeArguments),
    /// Take an instance out of rotation until it is resumed
    Maintenance(ModeArguments),
    /// Put an instance back into rotation
    Resume(ResumeArguments),
    /// Say the weight or the health of an instance, whatever was registered or checked
    Override(OverrideArguments),
    /// Report what a check says that is not asked by the server
    Report(ReportArguments),
    /// Create, change, list and remove namespaces
    Namespace(NamespaceArguments),
    /// Create, change, list and remove services
    Service(ServiceArguments),
}

/// Names one instance.
#[derive(Args, Clone, Debug)]
pub struct InstanceArguments {
    /// The instance
    #[arg(value_name = "SERVICE/ID", add = crate::complete::instances())]
    pub instance: InstanceRef,

    /// Who keeps it registered, when more than one does
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
}

impl InstanceArguments {
    /// Gives the instance with its owner.
    fn reference(&self) -> InstanceRef {
        InstanceRef {
            owner: self.owner.clone(),
            ..self.instance.clone()
        }
    }
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

/// Prints the program's own version.
pub(crate) fn version(screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let version = Version {
        name: "waypost",
        version: env!("CARGO_PKG_VERSION"),
    };
    screen.object(&version, |_| {
        format!("{} {}\n", version.name, version.version)
    })?;
    Ok(Exit::Ok)
}
