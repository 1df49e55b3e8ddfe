//! Every route of every adapter has a decision.

use waypost_config::{Loaded, Loader};

use super::open;
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
