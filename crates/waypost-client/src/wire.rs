//! The JSON of the server's own paths, as this version of the client knows it.
//!
//! Answers may hold fields that this version does not know: they are passed over, and [`AsSent`] keeps the
//! server's own text beside the typed value for callers that show it. Words that this version does not know
//! become `Other`. Times are RFC 3339 text as the server wrote it.

mod as_sent;
mod audit;
mod batch;
mod check;
mod discovery;
mod explanation;
mod instance;
mod mode;
mod page;
mod registration;
mod service;
mod token;
mod update;
mod word;

#[cfg(test)]
mod tests;

pub use as_sent::AsSent;
pub use audit::{AuditFilter, AuditLine, AuditObject, AuditPage};
pub use batch::{BatchAnswer, Heartbeat, ItemResult};
pub use check::{Check, CheckTls};
pub use discovery::{Discovery, DiscoveryRegistration, ServerHealth, Success};
pub use explanation::{
    CheckReport, DependencyReport, Edge, Explanation, LastAnswer, LastFailure, Lease, Visibility,
};
pub use instance::{HeartbeatAnswer, Instance};
pub use mode::{
    Block, CheckWord, CheckWordAnswer, HealthSaid, ModeChange, ModeReport, ModeSaid, Overrides,
    Said, WeightSaid,
};
pub use registration::{Port, Registration};
pub use service::{
    DnsRecord, DnsServer, DnsSettings, InstanceCounts, Namespace, NamespaceSettings, Service,
    ServiceSettings,
};
pub use token::{GrantLine, IssuedToken, TokenList, TokenSettings};
pub use update::ServiceUpdate;
pub use word::{CheckKind, CheckState, Health, LeaseState, Mode, Tier};

pub(crate) use batch::{BatchBody, HeartbeatItem, ItemName, RegisterItem};
pub(crate) use discovery::DiscoveryHeartbeat;
pub(crate) use instance::{HeartbeatBody, ModeBody};
pub(crate) use page::Page;
pub(crate) use token::RotationBody;
