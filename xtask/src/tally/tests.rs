use super::Tally;

const OUTPUT: &str = "\
running 4 tests
test the_first ... ok
test the_second ... FAILED
test the_third ... ignored, takes a day
test the_fourth ... ok
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test alone - should panic ... ok
test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s
";

fn tally() -> Tally {
    let mut tally = Tally::default();
    OUTPUT.lines().for_each(|line| tally.read_line(line));
    tally
}

#[test]
fn results_of_several_binaries_are_added_up() {
    let tally = tally();
    assert_eq!(tally.to_string(), "12 passed, 1 failed, 1 skipped");
    assert_eq!(tally.failures(), ["the_second"]);
    assert_eq!(
        tally.skips().collect::<Vec<_>>(),
        [("the_third", "takes a day")]
    );
}

#[test]
fn a_test_that_skipped_itself_is_not_counted_as_passed() {
    let mut tally = tally();
    tally.read_skips(
        "prometheus_scrapes: no prometheus: apt-get said no\n\nprometheus_scrapes: again\n",
    );
    assert_eq!(tally.to_string(), "11 passed, 1 failed, 2 skipped");
    assert!(
        tally
            .skips()
            .any(|skip| skip == ("prometheus_scrapes", "again"))
    );
}

#[test]
fn a_failed_stage_counts_as_one_failure() {
    let mut tally = tally();
    tally.fail("clippy");
    assert_eq!(tally.to_string(), "12 passed, 2 failed, 1 skipped");
    assert_eq!(tally.failed(), 2);
}

#[test]
fn a_binary_that_dies_counts_as_one_failure() {
    let mut tally = tally();
    tally.read_line("running 3 tests");
    tally.read_line("test the_last_seen ... ok");
    tally.read_line("running 1 test");
    tally.read_line("running away is no test");
    tally.read_line(
        "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s",
    );
    tally.end_of_binary();
    assert_eq!(tally.to_string(), "13 passed, 2 failed, 1 skipped");
    assert!(tally.failures()[1].contains("the_last_seen"));
}
