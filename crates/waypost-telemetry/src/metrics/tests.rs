//! What a new registry shows.

use super::{BuildLabels, encode, new_registry};
use crate::lint::lint_metric_names;

#[test]
fn a_new_registry_shows_the_build_and_passes_the_lint() {
    let build = BuildLabels {
        version: "1.2.3".to_owned(),
        commit: "abc".to_owned(),
    };
    let text = encode(&new_registry(build));
    assert!(
        text.contains("waypost_build_info{version=\"1.2.3\",commit=\"abc\"} 1\n"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(lint_metric_names(&text), Vec::<String>::new());
}
