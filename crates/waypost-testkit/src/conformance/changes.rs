//! The change stream shows every commit once, in order.

use waypost_core::{Batch, Precondition, Revision};

use super::{Engine, commit, commit_one, load, read_up_to, try_commit};
use crate::model::{batch, document, key, put, registration};

/// More batches than any engine keeps for its streams.
const TOO_MANY: usize = 10_240;

fn numbered(number: usize) -> Batch {
    batch([], [put(document("one", &number.to_le_bytes(), None))])
}

/// Own commits come by as others' do; batches that were refused do not.
pub async fn changes_come_in_the_order_of_their_revisions_own_commits_included(
    engine: &mut dyn Engine,
) {
    let after = load(engine).await.revision;
    let mut stream = engine
        .store()
        .changes(after)
        .await
        .expect("the history is kept");
    let refused = batch(
        [Precondition::At(
            key(&registration("web", "a", 1)),
            Revision(99),
        )],
        [put(registration("web", "a", 1))],
    );
    let results = try_commit(engine, vec![numbered(1), refused, numbered(2)]).await;
    let last = commit_one(engine, numbered(3)).await;
    let seen = read_up_to(stream.as_mut(), last).await;
    let mut expected: Vec<Revision> = results.into_iter().filter_map(Result::ok).collect();
    expected.push(last);
    let revisions: Vec<Revision> = seen.iter().map(|committed| committed.revision).collect();
    assert_eq!(revisions, expected);
    let batches: Vec<&Batch> = seen.iter().map(|committed| &*committed.batch).collect();
    assert_eq!(batches, [&numbered(1), &numbered(2), &numbered(3)]);
}

/// A stream starts right after the revision it is asked for.
pub async fn a_stream_resumes_after_a_revision(engine: &mut dyn Engine) {
    let revisions = commit(engine, (0..5).map(numbered).collect()).await;
    let [_, second, .., last] = revisions.as_slice() else {
        return;
    };
    let mut stream = engine
        .store()
        .changes(*second)
        .await
        .expect("the history is kept");
    let seen = read_up_to(stream.as_mut(), *last).await;
    let seen: Vec<Revision> = seen.iter().map(|committed| committed.revision).collect();
    assert_eq!(Some(seen.as_slice()), revisions.get(2..));
}

/// A stream that is at the end waits, and sees what is committed meanwhile.
pub async fn a_waiting_stream_wakes_for_the_next_commit(engine: &mut dyn Engine) {
    let after = load(engine).await.revision;
    let mut stream = engine
        .store()
        .changes(after)
        .await
        .expect("the history is kept");
    let (seen, committed) = tokio::join!(stream.next(), async {
        // The stream waits first: a current-thread runtime polls in order.
        tokio::task::yield_now().await;
        commit_one(engine, numbered(1)).await
    });
    let seen = seen.expect("the history is kept");
    let revisions: Vec<Revision> = seen.iter().map(|committed| committed.revision).collect();
    assert_eq!(revisions, [committed]);
}

/// Nothing is skipped silently: who is too far behind is told to load again.
pub async fn a_reader_that_fell_too_far_behind_is_told(engine: &mut dyn Engine) {
    let after = load(engine).await.revision;
    let mut stream = engine
        .store()
        .changes(after)
        .await
        .expect("the history is kept");
    let all: Vec<Batch> = (0..TOO_MANY).map(numbered).collect();
    let mut last = after;
    for group in all.chunks(1_024) {
        last = commit(engine, group.to_vec())
            .await
            .last()
            .copied()
            .unwrap_or(last);
    }
    assert!(
        stream.next().await.is_err(),
        "the first batches are no longer kept"
    );
    assert!(engine.store().changes(after).await.is_err());
    let mut fresh = engine.store().changes(last).await.expect("the end is kept");
    let next = commit_one(engine, numbered(TOO_MANY)).await;
    let seen = read_up_to(fresh.as_mut(), next).await;
    assert_eq!(seen.len(), 1);
}
