use std::fs;
use std::path::Path;

use super::{long_forms, note, peer, skipped, variable};

#[test]
fn every_skip_is_one_line() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skips-one-line");
    fs::write(&file, "").unwrap();
    note(&file, "the_first", "no kernel feature\nsaid it").unwrap();
    note(&file, "the_second", "no program").unwrap();
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        "the_first: no kernel feature said it\nthe_second: no program\n"
    );
}

#[test]
fn a_peer_that_is_not_there_is_named_in_the_reason_to_skip() {
    let why = peer("WAYPOST_PEER_NO_SUCH_PROGRAM").unwrap_err();
    assert!(why.starts_with("no_such_program is not here"), "{why}");
}

#[test]
fn long_forms_run_only_when_they_are_asked_for() {
    assert_eq!(long_forms(), variable("WAYPOST_LONG").is_some());
    // Outside of `cargo xtask test` a skip is only printed; inside of it, the test below would count as one.
    if variable("WAYPOST_SKIPS").is_none() {
        skipped("an_example", "nothing is missing");
    }
}
