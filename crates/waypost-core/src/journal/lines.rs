//! The lines of a committed batch.

use super::{JournalEntry, JournalRecord, ObjectChange};
use crate::batch::{Author, Batch, Change};
use crate::name::ObjectKey;
use crate::registration::Dialect;
use crate::snapshot::{Effects, InstanceChange, Snapshot};
use crate::store::Committed;
use crate::text::text;

/// Most objects that one line names.
const OBJECTS_MAX: usize = 64;

/// Lists what a batch writes, as it is before the batch and as it will be; nothing of what is no change of somebody's.
pub(crate) fn written_objects(before: &Snapshot, batch: &Batch) -> Vec<ObjectChange> {
    let is_own_document = |change: &Change| {
        batch.author.dialect == Dialect::Internal && matches!(change.key(), ObjectKey::Document(_))
    };
    if batch.is_verdict_only() || batch.changes.iter().all(is_own_document) {
        return Vec::new();
    }
    let changes = batch.changes.iter().take(OBJECTS_MAX);
    let changes = changes.map(|change| {
        let key = change.key();
        let after = match change {
            Change::Put(object) => Some(object.clone()),
            Change::Remove(_) => None,
        };
        ObjectChange::new(&key, before.object(&key), after)
    });
    changes.collect()
}

pub(crate) fn entries(
    committed: &Committed,
    objects: Vec<ObjectChange>,
    effects: &Effects,
) -> Vec<JournalEntry> {
    let batch = &committed.batch;
    let line = |record| JournalEntry {
        at: batch.at,
        revision: committed.revision,
        author: Author::clone(&batch.author),
        record,
    };
    let mut lines = Vec::new();
    if !objects.is_empty() {
        lines.push(line(JournalRecord::Changed {
            cause: text(batch.cause),
            objects,
        }));
    }
    lines.extend(
        effects
            .instances
            .iter()
            .filter_map(|change| edge(batch, change))
            .map(line),
    );
    lines
}

fn edge(batch: &Batch, change: &InstanceChange) -> Option<JournalRecord> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return None;
    };
    if before.health() == after.health() {
        return None;
    }
    let evidence = batch
        .evidence
        .as_ref()
        .filter(|evidence| evidence.instance == *after.key());
    Some(JournalRecord::Edge {
        instance: after.key().clone(),
        from: before.health(),
        to: after.health(),
        reason: after.health_reason(),
        body: evidence.and_then(|evidence| evidence.body.clone()),
    })
}
