//! Health checks that Waypost runs itself: which probe is due when, what an answer means, and what to tell the registry.
//!
//! [`Checker`] follows the registry and keeps one schedule per instance and probe check. A probe that is due is resolved
//! and judged by `waypost-dial`, run by a [`Probe`], counted by core's `Tally`, and reported to the registry only when the
//! check says something else than before. The timing is pure (`pace`, `schedule`, `follow`); `checker` is the one place
//! with tasks and sockets.
//!
//! Not here: heartbeats and leases (core's timekeeper), addresses that may be connected to (dial), thresholds and the
//! verdict itself (core).

mod body;
mod chance;
mod checker;
mod config;
mod follow;
mod metrics;
mod pace;
mod probe;
mod schedule;
mod target;
mod tls;

pub use body::BODY_KEPT_BYTES;
pub use checker::{Checker, Parts};
pub use config::{HealthConfig, TlsProfile};
pub use probe::{Grpc, Http, Https, Probe, ProbeReport, Probes, Tcp};
pub use tls::{ProfileError, Tls};

#[cfg(test)]
mod testing;
