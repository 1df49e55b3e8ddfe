//! Who runs the timers and probes of an instance: this process, or another node.

use crate::name::InstanceKey;

/// A period of ownership; it changes when ownership is gained again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(pub u64);

/// Says which instances this process keeps time for and probes.
pub trait Ownership: Send + Sync + 'static {
    /// Returns the term in which this process owns the instance, or none when another node does.
    fn owns(&self, key: &InstanceKey) -> Option<Term>;
}

/// A single node owns everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoleOwner;

impl Ownership for SoleOwner {
    fn owns(&self, _key: &InstanceKey) -> Option<Term> {
        Some(Term(1))
    }
}
