//! Every route of every adapter has a decision; a registry's file is compared with its journal.

use std::sync::Arc;

use waypost_config::{Loaded, Loader};
use waypost_core::{
    Author, Clock, Dialect, JournalEntry, JournalFilter, JournalRecord, Registry, Revision,
    SystemClock, text,
};

use super::{damage, open, open_storage, parts};
use crate::config::Config;
use crate::supervision::Inherited;

/// What each route asks for; `tests/it/access.rs` asks the real binary whether that holds.
const ROUTES: &str = include_str!("../../../../tests/access/routes.txt");
const DECISIONS: [&str; 7] = [
    "open",
    "read",
    "register",
    "operate",
    "configure",
    "admin",
    "operation",
];

#[tokio::test]
async fn every_route_has_a_decision_about_who_may_use_it() {
    let loaded: Loaded<Config> = Loader::new()
        .flag("--http", "http.listen", Some("127.0.0.1:0".to_owned()))
        .flag("--dns", "dns.listen", Some("off".to_owned()))
        .flag("store", "core.store", Some("memory".to_owned()))
        .load()
        .unwrap();
    let waypost = open(&loaded, Inherited::default())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let routes = waypost.service.routes();
    let mut decided: Vec<(&str, &str, &str)> = ROUTES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words.len(), 3, "{line}");
            (words[1], words[0], words[2])
        })
        .collect();
    decided.sort_unstable();
    let listed: Vec<(&str, &str)> = routes
        .iter()
        .map(|route| (route.pattern.as_str(), route.method.as_str()))
        .collect();
    let written: Vec<(&str, &str)> = decided.iter().map(|it| (it.0, it.1)).collect();
    let missing: Vec<_> = listed.iter().filter(|it| !written.contains(it)).collect();
    let gone: Vec<_> = written.iter().filter(|it| !listed.contains(it)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "tests/access/routes.txt: nobody decided on {missing:?}; there is no {gone:?}"
    );
    for route in &routes {
        let key = (route.pattern.as_str(), route.method.as_str());
        let decision = decided.iter().find(|it| (it.0, it.1) == key).unwrap().2;
        assert!(DECISIONS.contains(&decision), "{key:?} {decision}");
        assert_eq!(route.is_open, decision == "open", "{key:?}");
    }
}

fn line(revision: u64, record: JournalRecord) -> JournalEntry {
    JournalEntry {
        at: SystemClock::new().wall(),
        revision: Revision(revision),
        author: Author {
            subject: text("tester"),
            address: None,
            dialect: Dialect::Rest,
        },
        record,
    }
}

#[tokio::test]
async fn a_change_that_the_file_lacks_is_told_however_many_refusals_came_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let loaded: Loaded<Config> = Loader::new()
        .flag("--data-dir", "store_sqlite.data_dir", Some(data))
        .load()
        .unwrap();
    let config = loaded.value;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let storage = open_storage(&config, &clock).unwrap_or_else(|error| panic!("{error}"));
    let objects = serde_json::from_value(serde_json::json!(["instance web-1"])).unwrap();
    let changed = JournalRecord::Changed {
        cause: text("register"),
        objects,
    };
    storage.journal.append(vec![line(10, changed)]);
    for _ in 0..45 {
        let refused = || JournalRecord::Refused {
            request: text("DELETE /v1/tokens/{id}"),
            kind: text("denied"),
            why: text("because"),
        };
        let lines = (0..1_000).map(|_| line(9, refused()));
        storage.journal.append(lines.collect());
        // So many wait at most: the reader sees to it that they are written.
        let newest = storage.journal.read(JournalFilter::default(), 1);
        assert_eq!(newest.await.unwrap().lines.len(), 1);
    }
    let parts = parts(&config, storage.store, storage.journal, clock);
    let opened = Registry::open(parts).await.unwrap();
    let told = damage(Vec::new(), &storage.engine, &opened.registry).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("the journal knows of revision 10, the registry's file ends at 0"),
        "{told:?}"
    );
}
