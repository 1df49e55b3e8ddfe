//! `waypost run`: commands that are registered for as long as they run.
//!
//! A command is started with a port, registered with a check, kept registered by heartbeats, and taken out of rotation
//! before it is asked to stop, so that nobody is sent to a port that is closed. `-f services.toml` does the same for a
//! whole stack.

mod arguments;
mod child;
mod environment;
mod length;
mod membership;
mod output;
mod place;
mod plan;
mod reaper;
mod replica;
mod stack;
mod stop;
mod supervisor;
mod voice;

pub use arguments::RunArguments;
pub use supervisor::run;

use std::collections::BTreeSet;

use waypost_client::{Client, Secret};

/// What the command line knows besides the command's own arguments.
#[derive(Debug)]
pub struct Launch {
    /// Speaks to the registry, in the namespace that the user named or the default one.
    pub client: Client,
    /// Whether the user named the namespace, which then wins over a file's.
    pub namespace_is_named: bool,
    /// The token that the client sends, for children that register or discover themselves.
    pub token: Option<Secret>,
    /// The names of the variables that are set: children inherit them, and they win over what is injected.
    pub variables: BTreeSet<String>,
    /// Whether somebody sits at a terminal: then stopping does not wait for resolvers to forget.
    pub is_interactive: bool,
    /// Whether to say nothing but why it fails.
    pub quiet: bool,
}
