//! The commands of `waypost` that talk to a running server.
//!
//! The binary's own commands (`serve`, `config show`) stand beside [`ClientCommand`] in its clap enum, and
//! [`GlobalOptions`] beside its own options:
//!
//! ```ignore
//! #[derive(clap::Parser)]
//! struct Arguments {
//!     #[command(flatten)]
//!     global: waypost_cli::GlobalOptions,
//!     #[command(subcommand)]
//!     command: Command,
//! }
//! #[derive(clap::Subcommand)]
//! enum Command {
//!     Serve(ServeArguments),
//!     #[command(flatten)]
//!     Client(waypost_cli::ClientCommand),
//! }
//! ```
//!
//! Rules that every command keeps: data goes to standard output and everything else to standard error;
//! `-o json` prints the server's own objects; the exit code is one of [`Exit`]; a reader that goes away
//! (`waypost ls | head`) is no error; no secret is ever an argument.

mod age;
mod clock;
mod command;
mod complete;
mod credential;
mod duration;
mod exit;
mod failure;
mod layout;
mod options;
mod run;
mod screen;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use command::{
    AuditArguments, CheckArgument, ClientCommand, CompletionsArguments, DeregisterArguments,
    DiscoverArguments, DoctorArguments, EnvArguments, EnvClients, ExplainArguments,
    ExportArguments, GetArguments, HealthWord, HeartbeatArguments, HistoryArguments,
    InstanceArguments, ListArguments, ModeArguments, NamespaceArguments, OverrideArguments,
    RecordType, RegisterArguments, ReportArguments, ResolveArguments, Resolver, ResumeArguments,
    SayingArguments, ServiceArguments, StateWord, Taken, TokenArguments, TopArguments,
    WatchArguments,
};
pub use complete::complete;
pub use credential::Credential;
pub use exit::Exit;
pub use options::{ColorChoice, GlobalOptions, OutputFormat};
pub use run::{Session, run, run_on_stdio};
