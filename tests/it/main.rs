//! The real binary, over real sockets, with real files and real peers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::allow_attributes,
    missing_docs,
    unreachable_pub,
    reason = "a test crate"
)]

#[allow(dead_code, reason = "the shim can do more than this crate asks of it")]
#[path = "../shim/record.rs"]
mod record;
#[allow(
    dead_code,
    reason = "the long forms and peers are not asked for by every build"
)]
#[path = "../shim/skips.rs"]
mod skips;

#[path = "../../xtask/src/readme.rs"]
mod shell_blocks;

mod connection;
mod server;
mod target;

mod access;
mod attacks;
mod causes;
mod checks;
mod cli;
mod cloudmap;
mod completions;
mod disk;
mod dns_clients;
mod dns_commands;
mod dns_load;
mod dns_probes;
mod dns_rotation;
mod dns_server;
mod doctor;
mod durability;
mod faults;
mod fixture;
mod kills;
mod live;
mod operations;
mod operators;
mod peers;
mod promises;
mod readme;
mod references;
mod run;
mod running;
mod schemas;
mod snapshots;
mod soak;
mod sources;
mod threats;
mod tokens;
