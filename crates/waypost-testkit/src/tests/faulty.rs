use waypost_core::{CommitError, Epoch, MemoryStore, Revision, Store};

use crate::conformance::run;
use crate::{Fault, FaultyStore, batch, document, put};

fn store() -> FaultyStore<MemoryStore> {
    FaultyStore::new(MemoryStore::new(Epoch(1)))
}

fn one(key: &str) -> waypost_core::Batch {
    batch([], [put(document(key, b"", None))])
}

async fn revision(store: &FaultyStore<MemoryStore>) -> Revision {
    store.load().await.unwrap().revision
}

#[test]
fn an_outcome_is_unknown_with_and_without_the_write() {
    run(async {
        let store = store();
        store.fail(0, Fault::UnknownLost);
        store.fail(1, Fault::UnknownWritten);
        let lost = store.commit(vec![one("a")]).await;
        assert!(matches!(lost[..], [Err(CommitError::Unknown(_))]));
        assert_eq!(revision(&store).await, Revision(0));
        let written = store.commit(vec![one("a")]).await;
        assert!(matches!(written[..], [Err(CommitError::Unknown(_))]));
        assert_eq!(revision(&store).await, Revision(1));
        assert_eq!(store.commit(vec![one("b")]).await, [Ok(Revision(2))]);
    });
}

#[test]
fn another_writer_comes_first() {
    run(async {
        let store = store();
        store.fail(0, Fault::Before(vec![one("theirs")]));
        assert_eq!(store.commit(vec![one("ours")]).await, [Ok(Revision(2))]);
        assert_eq!(store.load().await.unwrap().objects.len(), 2);
    });
}

#[test]
fn a_held_commit_waits_for_its_release() {
    run(async {
        let store = store();
        store.hold();
        let (results, ()) = tokio::join!(store.commit(vec![one("a")]), async {
            while store.waiting() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(
                revision(&store).await,
                Revision(0),
                "nothing is written yet"
            );
            store.release();
        });
        assert_eq!(results, [Ok(Revision(1))]);
    });
}

#[test]
fn a_read_only_store_says_why() {
    run(async {
        let store = store();
        store.set_read_only(Some("the disk failed"));
        assert_eq!(store.read_only().as_deref(), Some("the disk failed"));
        let refused = store.commit(vec![one("a")]).await;
        assert_eq!(
            refused,
            [Err(CommitError::Unavailable("the disk failed".to_owned()))]
        );
        store.set_read_only(None);
        assert_eq!(store.commit(vec![one("a")]).await, [Ok(Revision(1))]);
    });
}
