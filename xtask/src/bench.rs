//! `cargo xtask bench`: measures the release build beside its references and keeps the table.

use crate::program::{Environment, Failure};

mod cloudmap;
mod dns;
mod figure;
mod heading;
mod registry;
mod server;
mod watch;

/// Runs the benchmark of that name. A quick run measures little and keeps nothing.
///
/// # Errors
/// When there is no such benchmark, or a part of it cannot be measured.
pub fn run(environment: &Environment, name: &str, quick: bool) -> Result<bool, Failure> {
    match name {
        "cloudmap" => cloudmap::run(environment, quick).map(|()| true),
        "dns" => dns::run(environment, quick).map(|()| true),
        "registry" => registry::run(environment, quick).map(|()| true),
        "watch" => watch::run(environment, quick).map(|()| true),
        _ => Err(Failure::new(format!(
            "there is no benchmark `{name}`; there are `cloudmap`, `dns`, `registry` and `watch`"
        ))),
    }
}

#[cfg(test)]
mod tests;
