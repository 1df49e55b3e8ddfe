//! What every storage engine must do, as functions that a macro turns into tests.

mod changes;
mod commits;
mod contents;

use waypost_core::{
    Batch, BoxFuture, ChangeStream, CommitError, Committed, Loaded, ObjectKey, Revision, Store,
};

pub use changes::{
    a_reader_that_fell_too_far_behind_is_told, a_stream_resumes_after_a_revision,
    a_waiting_stream_wakes_for_the_next_commit,
    changes_come_in_the_order_of_their_revisions_own_commits_included,
};
pub use commits::{
    a_conflict_fails_alone, a_refused_batch_writes_nothing,
    absent_holds_only_while_there_is_no_such_object,
    at_holds_only_for_the_revision_that_wrote_last,
    empty_holds_only_while_nothing_lies_under_the_prefix, names_compare_in_lower_case,
    neighbours_of_a_prefix_do_not_fill_it, preconditions_see_the_batches_before_them,
    revisions_rise_and_never_come_again,
};
pub use contents::{
    a_new_store_is_empty, a_removed_object_stays_removed, changes_within_a_batch_apply_in_order,
    documents_keep_their_bytes_and_expiry, every_kind_of_object_comes_back,
    fields_of_a_newer_writer_are_kept, the_epoch_stays, what_was_committed_outlives_the_store,
};

/// A storage engine under test, with a store that is empty at first.
pub trait Engine: Send {
    /// Returns the store.
    fn store(&self) -> &dyn Store;
    /// Closes the store in order and opens the same data again. An engine that keeps nothing does nothing.
    fn reopen(&mut self) -> BoxFuture<'_, ()>;
}

/// Makes one test of each check; the argument is a closure that makes a future of an [`Engine`].
///
/// The invoking crate needs nothing but this one.
#[macro_export]
macro_rules! store_conformance {
    ($engine:expr) => {
        $crate::store_conformance! { @each $engine;
            a_new_store_is_empty
            every_kind_of_object_comes_back
            documents_keep_their_bytes_and_expiry
            a_removed_object_stays_removed
            changes_within_a_batch_apply_in_order
            what_was_committed_outlives_the_store
            the_epoch_stays
            fields_of_a_newer_writer_are_kept
            at_holds_only_for_the_revision_that_wrote_last
            absent_holds_only_while_there_is_no_such_object
            empty_holds_only_while_nothing_lies_under_the_prefix
            neighbours_of_a_prefix_do_not_fill_it
            names_compare_in_lower_case
            preconditions_see_the_batches_before_them
            a_conflict_fails_alone
            a_refused_batch_writes_nothing
            revisions_rise_and_never_come_again
            changes_come_in_the_order_of_their_revisions_own_commits_included
            a_stream_resumes_after_a_revision
            a_waiting_stream_wakes_for_the_next_commit
            a_reader_that_fell_too_far_behind_is_told
        }
    };
    (@each $engine:expr; $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $crate::conformance::run(async {
                    $crate::conformance::$check(&mut ($engine)().await).await;
                });
            }
        )*
    };
}

/// Runs a check on a runtime of its own.
pub fn run(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(check);
}

/// Commits batches that must all succeed, and returns their revisions.
async fn commit(engine: &dyn Engine, batches: Vec<Batch>) -> Vec<Revision> {
    let results = try_commit(engine, batches).await;
    results
        .into_iter()
        .map(|result| result.expect("the batch is committed"))
        .collect()
}

/// Commits one batch that must succeed.
async fn commit_one(engine: &dyn Engine, batch: Batch) -> Revision {
    let revisions = commit(engine, vec![batch]).await;
    revisions
        .first()
        .copied()
        .expect("there is one answer per batch")
}

/// Commits batches and returns one answer for each. A store that works never leaves an outcome unknown.
async fn try_commit(
    engine: &dyn Engine,
    batches: Vec<Batch>,
) -> Vec<Result<Revision, CommitError>> {
    let count = batches.len();
    let results = engine.store().commit(batches).await;
    assert_eq!(results.len(), count, "there is one answer per batch");
    for result in &results {
        assert!(
            matches!(result, Ok(_) | Err(CommitError::Conflict(_))),
            "a store that works commits or names a conflict: {result:?}"
        );
    }
    results
}

async fn load(engine: &dyn Engine) -> Loaded {
    let loaded = engine.store().load().await.expect("the store can be read");
    assert_eq!(
        loaded.quarantined,
        Vec::<String>::new(),
        "nothing is damaged"
    );
    loaded
}

/// Reads everything, sorted by key.
async fn keys(engine: &dyn Engine) -> Vec<(ObjectKey, Revision)> {
    let loaded = load(engine).await;
    let mut keys: Vec<_> = loaded
        .objects
        .iter()
        .map(|(object, revision)| (object.key(), *revision))
        .collect();
    keys.sort();
    keys
}

/// Reads from a stream until it has shown a revision.
async fn read_up_to(stream: &mut dyn ChangeStream, last: Revision) -> Vec<Committed> {
    let mut seen: Vec<Committed> = Vec::new();
    while seen
        .last()
        .is_none_or(|committed| committed.revision < last)
    {
        let next = stream.next().await.expect("the history is kept");
        assert!(
            !next.is_empty(),
            "a stream completes with at least one batch"
        );
        seen.extend(next);
    }
    seen
}
