use crate::{Mutator, mutations};

fn inputs(seed: u64) -> Vec<Vec<u8>> {
    let mut mutator = Mutator::new(seed, &[b"{\"a\": 1}", b"[1, 2, 3]"], &["word"]);
    (0..2_000).map(|_| mutator.input()).collect()
}

#[test]
fn a_seed_always_makes_the_same_inputs_and_another_makes_others() {
    assert_eq!(inputs(3), inputs(3));
    assert_ne!(inputs(3), inputs(4));
}

#[test]
fn inputs_are_good_ones_words_long_ones_and_everything_between() {
    let inputs = inputs(5);
    let count = |is: fn(&[u8]) -> bool| inputs.iter().filter(|input| is(input)).count();
    assert!(count(|input| input == b"[1, 2, 3]") > 20);
    assert!(count(|input| input.windows(4).any(|part| part == b"word")) > 20);
    assert!(count(|input| input.len() > 500) > 2);
    assert!(count(<[u8]>::is_empty) > 2);
    assert!(inputs.iter().all(|input| input.len() <= 64 * 1_024));
}

#[test]
#[should_panic(expected = "panics: b\"")]
fn a_decoder_that_panics_is_shown_with_the_input() {
    mutations(&[b"good"], &[], |input| {
        assert!(!input.contains(&b'%'), "a decoder");
        input == b"good"
    });
}

#[test]
#[should_panic(expected = "the inputs try nothing")]
fn a_decoder_that_takes_everything_is_not_looked_at() {
    mutations(&[b"good"], &[], |_| true);
}
