//! Credentials become an [`Access`](waypost_core::Access): who asks, and what that allows.
//!
//! Without any credential configured everybody may do everything, which is only safe on loopback: the composition
//! root asks [`AccessConfig::startup_check`] before it listens anywhere else. As soon as one credential is configured
//! nothing is allowed without one, in every dialect; `public_reads` opens reads again.
//!
//! A token is kept only as its HMAC-SHA256 under the server key, so that nothing kept here can be sent to a server; the one
//! that a connection sent last is remembered with that connection alone ([`LastToken`]).

mod authenticator;
mod book;
mod caller;
mod config;
mod credential;
mod issued;
mod owner;
mod rate;
mod secret;
mod server_key;
pub mod sigv4;
mod usage;

#[cfg(test)]
mod tests;

pub use authenticator::{ANONYMOUS, Authenticator, PUBLIC_READER, SHARED_SECRET, Signer};
pub use caller::{Caller, LastToken};
pub use config::{AccessConfig, AccessError, AwsKeyConfig, CertificateConfig, RatesConfig};
pub use issued::{Issued, Made, NEW, Wanted};
pub use rate::RequestRate;
pub use secret::Secret;
pub use server_key::{SERVER_KEY_BYTES, ServerKey, ServerKeyError};
pub use usage::{UsageKeeper, forget_use};
