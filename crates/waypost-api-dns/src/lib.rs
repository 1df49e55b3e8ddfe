//! The DNS server: authoritative answers for every namespace that is looked up by DNS.
//!
//! [`answer`] is pure: bytes of a question in, bytes of an answer out, over a [`Table`] that is brought up to date
//! before a change of the registry is acknowledged. Everything else brings bytes to it and back.

mod answer;
mod name;
mod question;
mod records;
mod reply;
mod reverse;
mod service;
mod settings;
mod table;
#[cfg(test)]
mod testing;
mod zone;

pub use answer::{Context, Transport, answer};
pub use settings::DnsConfig;
pub use table::Table;
