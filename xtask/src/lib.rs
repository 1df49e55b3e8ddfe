//! The chores of the workspace, as a library so that tests can hold its rules against bad examples too.
//!
//! `main.rs` maps subcommands to these modules. Nothing here is part of the product, and no crate of it is named.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

pub mod bench;
pub mod check;
pub mod dependencies;
pub mod documents;
pub mod layers;
pub mod manifests;
pub mod metadata;
pub mod package;
pub mod peers;
pub mod program;
pub mod readme;
pub mod spdx;
pub mod tally;
pub mod test_run;

#[cfg(test)]
mod workspace_tests;
