//! What is written comes back as it was written.

use waypost_core::{Change, Extra, Health, Mode, Object, Revision, Timestamp, Unknown};

use super::{Engine, commit, commit_one, keys, load};
use crate::model::{
    batch, document, key, mode, namespace, put, registration, remove, service, verdict,
};

/// A store without a history is at revision zero and holds nothing.
pub async fn a_new_store_is_empty(engine: &mut dyn Engine) {
    let loaded = load(engine).await;
    assert_eq!(loaded.objects, Vec::new());
    assert_eq!(loaded.revision, Revision::ZERO);
    assert_eq!(engine.store().read_only(), None);
}

fn one_of_each() -> Vec<Object> {
    vec![
        namespace("svc.internal"),
        service("web"),
        registration("web", "web-1", 1),
        verdict("web", "web-1", Health::Warning),
        mode("web", "web-1", Mode::Draining),
        document("one", b"bytes", None),
    ]
}

/// Every kind of object comes back equal, with the revision that wrote it.
pub async fn every_kind_of_object_comes_back(engine: &mut dyn Engine) {
    let objects = one_of_each();
    let revision = commit_one(engine, batch([], objects.iter().cloned().map(put))).await;
    let loaded = load(engine).await;
    assert_eq!(loaded.revision, revision);
    assert_eq!(loaded.objects.len(), objects.len());
    for object in objects {
        assert!(
            loaded.objects.contains(&(object.clone(), revision)),
            "{object:?} is not in {:?}",
            loaded.objects
        );
    }
}

/// Documents may hold any bytes, also line feeds and what is not UTF-8.
pub async fn documents_keep_their_bytes_and_expiry(engine: &mut dyn Engine) {
    let all: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = all.iter().copied().cycle().take(64 * 1_024).collect();
    let documents = [
        document("all", &all, Some(Timestamp(123))),
        document("large", &large, None),
        document("empty", b"", Some(Timestamp(0))),
        document("line-feeds", b"\n\n{}\n", None),
    ];
    commit_one(engine, batch([], documents.iter().cloned().map(put))).await;
    let loaded = load(engine).await;
    for document in documents {
        assert!(
            loaded.objects.iter().any(|(object, _)| *object == document),
            "{document:?}"
        );
    }
}

/// What was removed is gone, and removing it again changes nothing.
pub async fn a_removed_object_stays_removed(engine: &mut dyn Engine) {
    let (gone, kept) = (
        registration("web", "gone", 1),
        registration("web", "kept", 2),
    );
    let first = commit_one(engine, batch([], [put(gone.clone()), put(kept.clone())])).await;
    commit(
        engine,
        vec![batch([], [remove(&gone)]), batch([], [remove(&gone)])],
    )
    .await;
    assert_eq!(keys(engine).await, [(key(&kept), first)]);
    engine.reopen().await;
    assert_eq!(keys(engine).await, [(key(&kept), first)]);
}

/// The last change of an object within a batch is the one that counts.
pub async fn changes_within_a_batch_apply_in_order(engine: &mut dyn Engine) {
    let (early, late) = (registration("web", "a", 1), registration("web", "a", 2));
    let gone = registration("web", "b", 3);
    let changes = vec![
        put(early),
        put(late.clone()),
        put(gone.clone()),
        remove(&gone),
    ];
    let revision = commit_one(engine, batch([], changes)).await;
    assert_eq!(load(engine).await.objects, [(late, revision)]);
}

/// What was committed is there after the store is opened again, at the same revisions.
pub async fn what_was_committed_outlives_the_store(engine: &mut dyn Engine) {
    let mut expected = Vec::new();
    for object in one_of_each() {
        let revision = commit_one(engine, batch([], [put(object.clone())])).await;
        expected.push((object.key(), revision));
    }
    expected.sort();
    let before = load(engine).await.revision;
    engine.reopen().await;
    assert_eq!(keys(engine).await, expected);
    assert!(
        load(engine).await.revision >= before,
        "the history went back"
    );
}

/// It stays the same history.
pub async fn the_epoch_stays(engine: &mut dyn Engine) {
    let epoch = load(engine).await.epoch;
    commit_one(engine, batch([], [put(document("one", b"1", None))])).await;
    assert_eq!(load(engine).await.epoch, epoch);
    engine.reopen().await;
    assert_eq!(load(engine).await.epoch, epoch);
}

/// Members that this version does not know are written again as they were.
pub async fn fields_of_a_newer_writer_are_kept(engine: &mut dyn Engine) {
    let Object::Verdict(key, mut verdict) = verdict("web", "web-1", Health::Healthy) else {
        return;
    };
    verdict.extra = Extra(Some(Box::new(Unknown {
        format: 7,
        members: vec![("confidence".to_owned(), r#"{"of":[1,2]}"#.to_owned())],
    })));
    let object = Object::Verdict(key, verdict);
    let revision = commit_one(engine, batch([], [Change::Put(object.clone())])).await;
    assert_eq!(load(engine).await.objects, [(object.clone(), revision)]);
    engine.reopen().await;
    assert_eq!(load(engine).await.objects, [(object, revision)]);
}
