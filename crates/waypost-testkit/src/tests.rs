//! The suite over the memory store, and the tools that other crates' tests trust.

mod faulty;
mod harness;
mod mutate;

use waypost_core::{BoxFuture, Epoch, MemoryStore, Store};

use crate::FaultyStore;
use crate::conformance::Engine;

/// Keeps nothing beyond the process: reopening it goes on with the same store.
struct Kept<S>(S);

impl<S: Store> Engine for Kept<S> {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

mod memory {
    use super::{Epoch, Kept, MemoryStore};
    crate::store_conformance!(|| async { Kept(MemoryStore::new(Epoch(1))) });
}

mod a_faulty_store_without_a_fault {
    use super::{Epoch, FaultyStore, Kept, MemoryStore};
    crate::store_conformance!(|| async { Kept(FaultyStore::new(MemoryStore::new(Epoch(1)))) });
}
