//! The token: from a file or the environment, never from an argument.

use std::io::Read as _;
use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use waypost_client::Secret;

use crate::failure::Failure;

/// Longest token file that is read; a token is 43 characters.
const LONGEST_FILE_BYTES: u64 = 64 * 1024;

/// The environment variables that hold a token, the first that is set wins.
const VARIABLES: [(&str, &str, &str); 2] = [
    ("waypost-token", "token", "WAYPOST_TOKEN"),
    ("discovery-secret", "secret", "SERVICE_DISCOVERY_SECRET"),
];

/// The token that the environment gives, if any.
///
/// clap reads the variables, so each needs an option; giving that option on the command line is refused,
/// because every user of the machine can read the arguments of a process.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    from_environment: Option<Secret>,
}

impl Credential {
    /// Gives the token of `file` when there is one, else that of the environment.
    pub(crate) fn token(&self, file: Option<&Path>) -> Result<Option<Secret>, Failure> {
        match file {
            Some(file) => read_token(file).map(Some),
            None => Ok(self.from_environment.clone()),
        }
    }
}

/// Reads a file of a bounded length.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::usage(format!("cannot read the file {shown}: {error}")))?;
    if bytes.len() as u64 > LONGEST_FILE_BYTES {
        return Err(Failure::usage(format!(
            "the file {shown} is longer than {LONGEST_FILE_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

/// Reads a token, or a key, from a file.
pub(crate) fn read_token(path: &Path) -> Result<Secret, Failure> {
    let shown = path.display();
    let text = String::from_utf8(read_file(path)?)
        .map_err(|_| Failure::usage(format!("the file {shown} is not text")))?;
    match text.trim() {
        "" => Err(Failure::usage(format!("the file {shown} is empty"))),
        token => Ok(Secret::new(token)),
    }
}

impl FromArgMatches for Credential {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut from_environment = None;
        for (id, long, _) in VARIABLES {
            if matches.value_source(id) == Some(ValueSource::CommandLine) {
                return Err(clap::Error::raw(
                    ErrorKind::ArgumentConflict,
                    format!(
                        "--{long} is not an argument, because every user of the machine can read arguments\n\n\
                         Use --token-file FILE or the environment variable WAYPOST_TOKEN"
                    ),
                ));
            }
            // An empty variable is what an orchestrator makes of an unset one.
            let value = matches
                .get_one::<String>(id)
                .filter(|value| !value.is_empty());
            from_environment =
                from_environment.or_else(|| value.map(|value| Secret::new(value.as_str())));
        }
        Ok(Self { from_environment })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Credential {
    fn augment_args(command: Command) -> Command {
        command.args(VARIABLES.map(|(id, long, variable)| {
            Arg::new(id)
                .long(long)
                .env(variable)
                .global(true)
                .hide(true)
                .hide_env_values(true)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
