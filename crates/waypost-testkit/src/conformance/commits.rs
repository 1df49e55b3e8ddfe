//! A batch is written whole or not at all, and only if its preconditions hold.

use waypost_core::{Change, NamespaceName, Precondition};
use waypost_core::{CommitError, Prefix, Revision};

use super::{Engine, commit, commit_one, keys, load, try_commit};
use crate::model::{
    batch, document, key, put, registration, remove, service, service_key, verdict,
};

fn is_conflict(result: Option<&Result<Revision, CommitError>>) -> bool {
    matches!(result, Some(Err(CommitError::Conflict(_))))
}

async fn is_refused(engine: &dyn Engine, precondition: Precondition) -> bool {
    let probe = batch([precondition], [put(document("probe", b"", None))]);
    is_conflict(try_commit(engine, vec![probe]).await.first())
}

/// `At` speaks of the last write, also after reopening.
pub async fn at_holds_only_for_the_revision_that_wrote_last(engine: &mut dyn Engine) {
    let object = registration("web", "a", 1);
    let at = |revision| Precondition::At(key(&object), revision);
    assert!(is_refused(engine, at(Revision(1))).await, "there is none");
    let first = commit_one(engine, batch([], [put(object.clone())])).await;
    let second = commit_one(engine, batch([at(first)], [put(object.clone())])).await;
    assert!(is_refused(engine, at(first)).await, "it was written since");
    assert!(!is_refused(engine, at(second)).await);
    engine.reopen().await;
    assert!(is_refused(engine, at(first)).await, "it was written since");
    assert!(!is_refused(engine, at(second)).await);
    commit_one(engine, batch([], [remove(&object)])).await;
    assert!(is_refused(engine, at(second)).await, "it is gone");
}

/// `Absent` is about one kind of object of a name.
pub async fn absent_holds_only_while_there_is_no_such_object(engine: &mut dyn Engine) {
    let object = registration("web", "a", 1);
    let absent = || Precondition::Absent(key(&object));
    assert!(!is_refused(engine, absent()).await);
    commit_one(engine, batch([absent()], [put(object.clone())])).await;
    assert!(is_refused(engine, absent()).await);
    let other = verdict("web", "a", waypost_core::Health::Healthy);
    assert!(!is_refused(engine, Precondition::Absent(key(&other))).await);
    engine.reopen().await;
    assert!(is_refused(engine, absent()).await);
    commit_one(engine, batch([], [remove(&object)])).await;
    assert!(!is_refused(engine, absent()).await);
}

fn no_instances() -> Precondition {
    Precondition::Empty(Prefix::Instances(service_key("web")))
}

fn no_services() -> Precondition {
    let name = NamespaceName::new("svc.internal").expect("the name is legal");
    Precondition::Empty(Prefix::Services(name))
}

/// Returns whether the store takes there to be instances of the service, and services of the namespace.
async fn filled(engine: &dyn Engine) -> (bool, bool) {
    let instances = is_refused(engine, no_instances()).await;
    (instances, is_refused(engine, no_services()).await)
}

/// `Empty` counts registrations of a service and services of a namespace.
pub async fn empty_holds_only_while_nothing_lies_under_the_prefix(engine: &mut dyn Engine) {
    let (one, two) = (registration("web", "a", 3), registration("web", "b", 4));
    assert_eq!(filled(engine).await, (false, false));
    let all = [put(one.clone()), put(two.clone()), put(service("web"))];
    commit_one(engine, batch([], all)).await;
    assert_eq!(filled(engine).await, (true, true));
    commit_one(engine, batch([], [remove(&one), put(two.clone())])).await;
    assert_eq!(filled(engine).await, (true, true), "one is left");
    engine.reopen().await;
    assert_eq!(filled(engine).await, (true, true), "one is left");
    commit_one(engine, batch([], [remove(&two), remove(&service("web"))])).await;
    assert_eq!(filled(engine).await, (false, false));
}

/// `Empty` is not about names that begin alike, nor about other kinds of objects.
pub async fn neighbours_of_a_prefix_do_not_fill_it(engine: &mut dyn Engine) {
    let neighbours: Vec<Change> = vec![
        put(registration("web2", "a", 1)),
        put(registration("we", "b", 2)),
        put(verdict("web", "a", waypost_core::Health::Healthy)),
    ];
    commit_one(engine, batch([], neighbours)).await;
    assert_eq!(filled(engine).await, (false, false));
}

/// Names of the model differ in more than case.
pub async fn names_compare_in_lower_case(engine: &mut dyn Engine) {
    commit_one(engine, batch([], [put(registration("Web", "A", 1))])).await;
    let other = registration("wEB", "a", 2);
    assert!(is_refused(engine, Precondition::Absent(key(&other))).await);
    let prefix = Prefix::Instances(service_key("WEB"));
    assert!(is_refused(engine, Precondition::Empty(prefix)).await);
    let revision = commit_one(engine, batch([], [put(other.clone())])).await;
    assert_eq!(load(engine).await.objects, [(other, revision)]);
}

/// Within one call, each batch meets the state that the batches before it left.
pub async fn preconditions_see_the_batches_before_them(engine: &mut dyn Engine) {
    let object = registration("web", "a", 1);
    let empty = || Precondition::Empty(Prefix::Instances(service_key("web")));
    let absent = || Precondition::Absent(key(&object));
    let results = try_commit(
        engine,
        vec![
            batch([absent(), empty()], [put(object.clone())]),
            batch([absent()], [put(document("no", b"", None))]),
            batch([empty()], [put(document("no", b"", None))]),
            batch([], [remove(&object)]),
            batch([absent(), empty()], [put(document("yes", b"", None))]),
        ],
    )
    .await;
    let taken: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false, true, true], "{results:?}");
    let last = results.last().and_then(|result| result.clone().ok());
    let expected = (key(&document("yes", b"", None)), last.unwrap_or_default());
    assert_eq!(keys(engine).await, [expected]);
}

/// A batch that is refused takes no other of its call with it.
pub async fn a_conflict_fails_alone(engine: &mut dyn Engine) {
    let object = registration("web", "a", 1);
    let wrong = Precondition::At(key(&object), Revision(77));
    let results = try_commit(
        engine,
        vec![
            batch([], [put(registration("web", "before", 1))]),
            batch([wrong], [put(object.clone())]),
            batch([], [put(registration("web", "after", 2))]),
        ],
    )
    .await;
    assert!(is_conflict(results.get(1)), "{results:?}");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    let names: Vec<_> = keys(engine).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(names.len(), 2);
    assert!(!names.contains(&key(&object)));
}

/// One precondition that fails keeps every change of the batch out, whichever place it has.
pub async fn a_refused_batch_writes_nothing(engine: &mut dyn Engine) {
    let kept = registration("web", "kept", 1);
    let revision = commit_one(engine, batch([], [put(kept.clone())])).await;
    let refused = batch(
        [
            Precondition::At(key(&kept), revision),
            Precondition::Absent(key(&kept)),
        ],
        [put(registration("web", "new", 2)), remove(&kept)],
    );
    assert!(is_conflict(try_commit(engine, vec![refused]).await.first()));
    assert_eq!(keys(engine).await, [(key(&kept), revision)]);
    engine.reopen().await;
    assert_eq!(keys(engine).await, [(key(&kept), revision)]);
}

/// Every committed batch has a revision of its own, higher than all before it, also after reopening.
pub async fn revisions_rise_and_never_come_again(engine: &mut dyn Engine) {
    let mut last = Revision::ZERO;
    for _ in 0..3 {
        for round in 0..3u8 {
            let one = || batch([], [put(document("one", &[round], None))]);
            for revision in commit(engine, vec![one(), one(), one()]).await {
                assert!(revision > last, "{revision} comes after {last}");
                last = revision;
            }
        }
        engine.reopen().await;
        let loaded = load(engine).await;
        assert!(loaded.revision >= last, "the history went back");
        last = loaded.revision;
    }
}
