//! The API over a real socket, with an in-process registry behind it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod access;
mod bad_input;
mod batch;
mod caching;
mod checks;
mod conditional;
mod explain;
mod lists;
mod live;
mod modes;
mod mutated;
mod own;
mod prometheus;
mod source_003;
mod source_004;
mod support;
