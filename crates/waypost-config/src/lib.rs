//! The settings loader: defaults, then a TOML file, then the environment, then flags.
//!
//! It knows no setting. Sections are plain serde structs that other crates own and the binary
//! composes; what a setting is called, its type and its default are read from there. Every value
//! remembers the layer it came from, every error is reported at once with its origin, and secrets
//! are never shown. This crate is the only one that reads the process environment.
//!
//! What a settings struct must look like: `Serialize + DeserializeOwned + Default`, every field
//! serialised under the name it is read by and never skipped (an unset `Option` is serialised as
//! null, which is how the loader learns that the setting exists), and no default for a secret.

mod environment;
mod error;
mod file;
mod loaded;
mod loader;
mod node;
mod origin;
mod path;
mod read;
mod secret;
mod syntax;

pub use environment::{Environment, process_environment};
pub use error::{ConfigError, ConfigErrors};
pub use loaded::{Format, Loaded, Row};
pub use loader::{Alias, Loader};
pub use origin::Origin;
pub use secret::Secret;

#[cfg(test)]
mod tests;
