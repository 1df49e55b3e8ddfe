//! The cap on service labels.

use std::thread;

use super::CappedLabels;

#[test]
fn services_beyond_the_cap_share_the_label_other() {
    let capped = CappedLabels::default();
    for number in 0..1_000 {
        assert_eq!(
            &*capped.labels("svc.internal", &format!("s{number}")).service,
            format!("s{number}")
        );
    }
    let labels = capped.labels("svc.internal", "one-more");
    assert_eq!((&*labels.namespace, &*labels.service), ("other", "other"));
    assert_eq!(&*capped.labels("svc.internal", "s999").service, "s999");
}

#[test]
fn one_name_in_two_namespaces_is_two_services() {
    let capped = CappedLabels::with_limit(2);
    assert_eq!(&*capped.labels("a", "web").namespace, "a");
    assert_eq!(&*capped.labels("b", "web").namespace, "b");
    assert_eq!(&*capped.labels("c", "web").namespace, "other");
}

#[test]
fn a_forgotten_service_gives_its_room_back() {
    let capped = CappedLabels::with_limit(1);
    let first = capped.labels("a", "web");
    assert_eq!(&*capped.labels("a", "api").service, "other");
    assert_eq!(capped.forget("a", "web"), Some(first));
    assert_eq!(capped.forget("a", "web"), None);
    assert_eq!(&*capped.labels("a", "api").service, "api");
}

#[test]
fn threads_together_never_pass_the_cap() {
    let capped = CappedLabels::with_limit(10);
    let own: usize = thread::scope(|scope| {
        let capped = &capped;
        let count = move |thread: usize| {
            (0..50)
                .filter(|number| {
                    &*capped.labels("a", &format!("{thread}-{number}")).service != "other"
                })
                .count()
        };
        let threads: Vec<_> = (0..4)
            .map(|thread| scope.spawn(move || count(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(own, 10);
}
