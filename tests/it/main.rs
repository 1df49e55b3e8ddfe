//! The real binary, over real sockets, with real files and real peers.
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
