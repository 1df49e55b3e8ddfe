//! What is damaged in the registry's file, and what its journal knows that the file does not.

use waypost_core::{Access, JournalFilter, JournalKind, Registry, RegistryError, Revision};

use super::Engine;

/// Pages of 20,000 lines that are looked at for the newest change: more lines than a journal of a gigabyte has.
const JOURNAL_PAGES_MAX: usize = 1_000;

/// Tells what is damaged or missing, and gives the list.
pub(super) async fn damage(
    mut quarantined: Vec<String>,
    engine: &Engine,
    registry: &Registry,
) -> Vec<String> {
    for name in &quarantined {
        tracing::error!(object = %name, "damaged in the store and set aside");
    }
    if let Some(missing) = missing_changes(engine, registry).await {
        tracing::error!("{missing}");
        quarantined.push(missing);
    }
    quarantined
}

/// The journal has a line for each change after it was durable: a change that the registry's file does not have was lost
/// afterwards, with the end of its log, which the file alone cannot tell from a change that was never acknowledged.
async fn missing_changes(engine: &Engine, registry: &Registry) -> Option<String> {
    let Engine::Sqlite(store) = engine else {
        return None;
    };
    let newest = newest_change(registry).await.inspect_err(
        |error| tracing::warn!(%error, "the journal cannot be compared with the registry"),
    );
    let (known, found) = (newest.ok()??.0, store.opened_at().0);
    (known > found).then(|| {
        format!(
            "changes are missing: the journal knows of revision {known}, the registry's file ends at {found}; its log was cut or an older \
             file was put in its place: look at `waypost audit` for what is missing, or restore a snapshot"
        )
    })
}

/// Finds the newest change in the journal, behind however many refusals and changes of health came after it.
async fn newest_change(registry: &Registry) -> Result<Option<Revision>, RegistryError> {
    let access = Access::internal("start");
    let mut filter = JournalFilter {
        kinds: vec![JournalKind::Changed],
        ..JournalFilter::default()
    };
    for _ in 0..JOURNAL_PAGES_MAX {
        let page = registry.journal(&access, filter.clone(), 1).await?;
        let newest = page.lines.first().map(|(_, line)| line.revision);
        if newest.is_some() || page.next.is_none() {
            return Ok(newest);
        }
        filter.before = page.next;
    }
    let why = format!("there is no change in its last {JOURNAL_PAGES_MAX} pages");
    Err(RegistryError::Unavailable { why })
}
