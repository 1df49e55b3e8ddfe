//! What the tests of several crates need: one conformance suite for every storage engine, a registry in the process
//! whose time a test moves, a store that fails on demand, and mutated inputs. A development dependency only.

#![expect(
    clippy::expect_used,
    reason = "a broken expectation is how a test fails"
)]

pub mod conformance;
mod faulty;
mod harness;
mod model;
mod mutate;

#[cfg(test)]
mod tests;

pub use faulty::{Fault, FaultyStore};
pub use harness::{Harness, Setup, manual_registry};
pub use model::{
    access, batch, check, document, instance_key, mode, namespace, put, register, registration,
    remove, service, service_key, spec, verdict,
};
pub use mutate::{Mutator, Tried, mutations, slow_mutations};
