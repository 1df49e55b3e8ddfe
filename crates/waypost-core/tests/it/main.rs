//! The core as its users see it: through the registry, over the memory store, with the time in the test's hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::allow_attributes,
    missing_docs,
    unreachable_pub,
    reason = "a test crate"
)]

mod beats;
mod conditions;
mod groups;
mod harness;
mod model;
mod operators;
mod refusals;
mod rules;
mod simulation;
mod watching;
