//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// The layer and place a value comes from. `Display` and `Serialize` give it as the operator would
/// look it up: `default`, `waypost.toml:12`, `WAYPOST__HTTP__LISTEN`, `--http`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nothing set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, from 1; 0 when the file as a whole is meant.
        line: usize,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
    },
    /// The content of a file that an environment variable names (`.._FILE`).
    VariableFile {
        /// The name of the variable.
        name: String,
        /// The file it names.
        path: PathBuf,
    },
    /// A command line flag.
    Flag {
        /// Its name with the dashes.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable { name } | Self::Flag { name } => f.write_str(name),
            Self::VariableFile { name, path } => write!(f, "{name} ({})", path.display()),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
