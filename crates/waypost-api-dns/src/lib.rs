//! The DNS server: authoritative answers for every namespace that is looked up by DNS.
//!
//! [`answer`] is pure: bytes of a question in, bytes of an answer out, over a [`Table`] that is brought up to date
//! before a change of the registry is acknowledged. Everything else brings bytes to it and back.

mod answer;
mod chance;
mod metrics;
mod name;
mod places;
mod query_log;
mod question;
mod records;
mod reply;
mod reverse;
mod server;
mod service;
mod settings;
mod sockets;
mod table;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;
mod zone;

pub use answer::{Context, Transport, answer};
pub use metrics::DnsMetrics;
pub use server::{Died, DnsServer};
pub use settings::{DnsConfig, InvalidSetting};
pub use sockets::{BindError, Given};
pub use table::Table;
