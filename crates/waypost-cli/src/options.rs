//! Options that every command has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use waypost_client::{Client, ClientBuilder, Secret};

use crate::credential::{Credential, read_file, read_token};
use crate::failure::Failure;

const DEFAULT_SERVER: &str = "http://127.0.0.1:3004";
const LONGEST_TIMEOUT_SECONDS: f64 = 86_400.0;

/// Options that every command has, before or after the command's name.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Address of the server
    #[arg(long, short = 's', global = true, value_name = "URL", default_value = DEFAULT_SERVER)]
    #[arg(env = "SERVICE_DISCOVERY_URL", hide_env_values = true)]
    pub server: String,

    /// File with the token; without it WAYPOST_TOKEN or SERVICE_DISCOVERY_SECRET is used
    #[arg(long, global = true, value_name = "FILE", env = "WAYPOST_TOKEN_FILE")]
    #[arg(hide_env_values = true)]
    pub token_file: Option<PathBuf>,

    /// File with the certificates of authorities that the server's certificate may be of [default: the system's]
    #[arg(long, global = true, value_name = "FILE", env = "WAYPOST_CA_FILE")]
    #[arg(hide_env_values = true)]
    pub ca_file: Option<PathBuf>,

    /// File with a certificate that this program shows to the server
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "WAYPOST_CERTIFICATE",
        requires = "key_file"
    )]
    #[arg(hide_env_values = true)]
    pub certificate_file: Option<PathBuf>,

    /// File with the key of that certificate
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "WAYPOST_KEY_FILE",
        requires = "certificate_file"
    )]
    #[arg(hide_env_values = true)]
    pub key_file: Option<PathBuf>,

    /// The token that the environment gives.
    #[command(flatten)]
    pub credential: Credential,

    /// Namespace of the services [default: svc.internal]
    #[arg(
        long,
        short = 'n',
        global = true,
        value_name = "NAME",
        env = "SERVICE_NAMESPACE",
        add = crate::complete::namespaces()
    )]
    #[arg(hide_env_values = true)]
    pub namespace: Option<String>,

    /// Form of the output
    #[arg(
        long,
        short = 'o',
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM"
    )]
    pub output: OutputFormat,

    /// How long one call to the server may take
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,

    /// Print no notes, only data and errors
    #[arg(long, short = 'q', global = true)]
    pub quiet: bool,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,

    /// Any value but an empty one turns colours off, unless --color asks for them.
    #[arg(
        long = "no-color",
        global = true,
        hide = true,
        env = "NO_COLOR",
        hide_env_values = true
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    pub no_color: Option<String>,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Table,
    /// One JSON document, the server's own
    Json,
    /// One JSON object per line
    Jsonl,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also into a file
    Always,
    /// Not even on a terminal
    Never,
}

impl GlobalOptions {
    /// Says whether output to a terminal, or to something else, is coloured.
    pub fn use_colors(&self, is_terminal: bool) -> bool {
        let no_color = self
            .no_color
            .as_deref()
            .is_some_and(|value| !value.is_empty());
        match self.color {
            ColorChoice::Auto => is_terminal && !no_color,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        }
    }

    /// Makes the client that these options describe; the error is a sentence.
    ///
    /// # Errors
    /// An address that is none, or a token that cannot be read.
    pub fn connect(&self) -> Result<Client, String> {
        self.client().map_err(|failure| failure.message)
    }

    /// Gives the token that these options name, if they name one; the error is a sentence.
    ///
    /// # Errors
    /// A token file that cannot be read.
    pub fn token(&self) -> Result<Option<Secret>, String> {
        let token = self.credential.token(self.token_file.as_deref());
        token.map_err(|failure| failure.message)
    }

    /// Says whether the user named a namespace.
    pub fn names_a_namespace(&self) -> bool {
        self.named_namespace().is_some()
    }

    /// Gives the namespace when the user named one.
    pub(crate) fn named_namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|name| !name.is_empty())
    }

    /// Makes the client that these options describe.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let mut builder = self.stranger()?;
        if let Some(token) = self.credential.token(self.token_file.as_deref())? {
            builder = builder.token(token);
        }
        if let Some((certificate, key)) = self.identity_files() {
            builder = builder.identity(read_file(certificate)?, read_token(key)?);
        }
        Ok(builder.build()?)
    }

    /// Starts a client of the same server that shows no credential.
    pub(crate) fn stranger(&self) -> Result<ClientBuilder, Failure> {
        // An empty variable is what an orchestrator makes of an unset one.
        let server = if self.server.trim().is_empty() {
            DEFAULT_SERVER
        } else {
            &self.server
        };
        let mut builder = Client::builder(server).timeout(self.timeout);
        if let Some(namespace) = self.named_namespace() {
            builder = builder.namespace(namespace);
        }
        if let Some(file) = given(self.ca_file.as_deref()) {
            builder = builder.authorities(read_file(file)?);
        }
        Ok(builder)
    }

    /// Gives the files of the certificate that is shown to the server, and of its key.
    pub(crate) fn identity_files(&self) -> Option<(&Path, &Path)> {
        given(self.certificate_file.as_deref()).zip(given(self.key_file.as_deref()))
    }
}

/// An empty variable is what an orchestrator makes of an unset one.
fn given(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| !file.as_os_str().is_empty())
}

/// Reads a number of seconds such as `10` or `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let rule = "expected seconds, more than 0 and at most 86400";
    let seconds: f64 = text.parse().map_err(|_| rule.to_owned())?;
    let in_range = seconds > 0.0 && seconds <= LONGEST_TIMEOUT_SECONDS;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if in_range && !duration.is_zero() => Ok(duration),
        _ => Err(rule.to_owned()),
    }
}
