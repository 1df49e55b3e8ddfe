//! What a write made, for its answer, when a removal that came right after it has taken it from every later view.
//!
//! The write was applied, so that its answer is a success. What it wrote is decided once more, on nothing but its
//! service as it was, and shown from there. Ids that only the writer gives are not known then.

use std::sync::Arc;

use waypost_core::{
    Access, Applied, Author, Batch, Change, Command, Context, Object, Policy, RegistryError, Seed,
    Service, Snapshot, decide,
};

use crate::state::Rest;

/// Returns a snapshot with what the command made, and its service as it was before, if it was there.
pub(crate) fn replay(
    rest: &Rest,
    access: &Access,
    before: Option<&Arc<Service>>,
    command: &Command,
    applied: &Applied,
) -> Result<Snapshot, RegistryError> {
    let author = Author {
        subject: access.subject().clone(),
        address: access.address(),
        dialect: access.dialect(),
    };
    let context = Context {
        at: rest.registry.clock().wall(),
        author: author.clone(),
        seed: Seed(0),
        // Whether it may be done was decided when it was done.
        policy: Policy::default(),
    };
    let known = Batch {
        at: context.at,
        author,
        preconditions: Vec::new(),
        changes: before
            .map(|service| Change::Put(Object::Service(Arc::clone(service))))
            .into_iter()
            .collect(),
        evidence: None,
        cause: "replay",
    };
    let epoch = rest.registry.view(access).position().epoch;
    let snapshot = Snapshot::empty(epoch).apply(applied.revision, &known);
    let decision = decide(&context, &snapshot, command)?;
    Ok(snapshot.apply(applied.revision, &decision.batch))
}
