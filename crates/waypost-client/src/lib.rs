//! The Rust client of a Waypost server.
//!
//! [`Client`] speaks the server's own JSON paths under `/v1/` and source 003's registration paths. It is
//! cheap to clone, keeps connections open between calls, bounds every answer and every wait, and repeats
//! a call whose connection failed. [`Client::keep_registered`] registers an instance and keeps its lease
//! alive until it is closed. [`Client::follow`] keeps a local copy of services that stays usable while the server is away.
//!
//! ```no_run
//! # async fn example() -> Result<(), waypost_client::ClientError> {
//! use waypost_client::{Client, InstanceRef, Registration};
//!
//! let client = Client::builder("http://127.0.0.1:3004").build()?;
//! let registration = Registration::at("10.0.0.1", 8080);
//! client.register(&InstanceRef::new("web", "web-1"), &registration).await?;
//! for instance in client.discover("web").await?.instances {
//!     println!("{} {:?}", instance.id, instance.address());
//! }
//! # Ok(()) }
//! ```

mod address;
mod builder;
mod call;
#[cfg(test)]
mod canned;
mod client;
mod condition;
mod error;
mod filter;
mod follow;
mod path;
mod registered;
mod resource;
mod retry;
mod secret;
mod snapshot;
mod tls;
mod transport;
mod watch;
pub mod wire;

pub use builder::ClientBuilder;
pub use client::Client;
pub use condition::Condition;
pub use error::{ClientError, ErrorKind, FieldProblem, Problem};
pub use filter::InstanceFilter;
pub use follow::{Followed, Follower};
pub use path::InstanceRef;
pub use registered::{Registered, Standing};
pub use resource::Resource;
pub use secret::Secret;
pub use snapshot::SnapshotStream;
pub use watch::{Watch, WatchEvent, WatchScope};
pub use wire::{
    AuditFilter, AuditLine, AuditObject, AuditPage, BatchAnswer, Block, Check, CheckKind,
    CheckReport, CheckTls, CheckWord, CheckWordAnswer, Discovery, DnsRecord, DnsServer,
    DnsSettings, Explanation, GrantLine, Health, Heartbeat, HeartbeatAnswer, Instance, IssuedToken,
    ItemResult, Mode, ModeChange, ModeReport, Namespace, NamespaceSettings, Port, Registration,
    ServerHealth, Service, ServiceSettings, ServiceUpdate, Tier, TokenList, TokenSettings,
};
