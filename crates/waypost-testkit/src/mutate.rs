//! Inputs that were good once: seeded mutation, so that decoders are tried as ordinary functions on stable Rust.

use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe};

/// Inputs of the short form of each decoder, and of the long one: with the 19 decoders there are, more than ten million.
const INPUTS: [u64; 2] = [20_000, 600_000];
/// Inputs of one that takes longer, because it opens files or goes through many parts.
const INPUTS_OF_A_SLOW_ONE: [u64; 2] = [4_000, 60_000];
/// Longest input that mutations make.
const BYTES_MAX: usize = 64 * 1_024;
/// Numbers and signs on which decoders stumble.
const EXTREMES: [&str; 22] = [
    "0",
    "-1",
    "-0",
    "1e999",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "%",
    "%00",
    "%c0%af",
    "\u{feff}",
    "\u{202e}",
    "\0",
];

/// Small numbers and mutated inputs, the same for the same seed.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

/// What became of the inputs of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Those that the decoder took.
    pub accepted: u64,
}

impl Mutator {
    /// Makes one over inputs that are good, with words that mean something to the decoder.
    #[must_use]
    pub fn new(seed: u64, corpus: &[&[u8]], words: &[&str]) -> Self {
        let corpus: Vec<_> = corpus.iter().map(|sample| sample.to_vec()).collect();
        assert!(!corpus.is_empty(), "mutations need a good input");
        let words = words.iter().chain(&EXTREMES);
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            corpus,
            words: words.map(|word| word.as_bytes().to_vec()).collect(),
        }
    }

    /// Returns a number below `end`, which is at least 1 (xorshift).
    pub fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }

    fn sample(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        self.corpus.get(at).cloned().unwrap_or_default()
    }

    fn word(&mut self) -> Vec<u8> {
        let at = self.below(self.words.len());
        self.words.get(at).cloned().unwrap_or_default()
    }

    /// Two places of an input, in order.
    fn span(&mut self, bytes: &[u8]) -> (usize, usize) {
        let (one, other) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
        (one.min(other), one.max(other))
    }

    /// Makes the next input: one in sixteen as it was, one in sixteen of random bytes, the others changed in 1 to 6 places.
    pub fn input(&mut self) -> Vec<u8> {
        match self.below(16) {
            0 => self.sample(),
            1 => {
                let length = self.below(200);
                (0..length).map(|_| self.byte()).collect()
            }
            _ => {
                let mut bytes = self.sample();
                for _ in 0..=self.below(6) {
                    self.change(&mut bytes);
                }
                bytes.truncate(BYTES_MAX);
                bytes
            }
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len().max(1));
        match self.below(9) {
            0 => {
                let bit = 1 << self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
            1 => {
                let value = self.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            2 => {
                let value = self.byte();
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), [value]);
            }
            3 => {
                let (from, to) = self.span(bytes);
                bytes.drain(from..to.min(from + 1 + bytes.len() / 8));
            }
            4 => {
                // The same again, now and then so often that it is long.
                let (from, to) = self.span(bytes);
                let part: Vec<u8> = bytes.get(from..to).unwrap_or_default().to_vec();
                let times = if self.below(50) == 0 { 200 } else { 1 };
                let more = part.repeat(times);
                bytes.splice(to..to, more.into_iter().take(BYTES_MAX));
            }
            5 => {
                let other = self.sample();
                let (from, to) = self.span(&other);
                bytes.truncate(at);
                bytes.extend(other.get(from..to).unwrap_or_default());
            }
            6 => bytes.truncate(at),
            7 => {
                let word = self.word();
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), word);
            }
            _ => {
                // In place of a number or a word.
                let word = self.word();
                let rest = bytes.get(at..).unwrap_or_default();
                let is_inside = |byte: &u8| byte.is_ascii_alphanumeric();
                let length = rest.iter().take_while(|byte| is_inside(byte)).count();
                bytes.splice(at.min(bytes.len())..(at + length).min(bytes.len()), word);
            }
        }
    }
}

/// Tries a decoder with 20,000 inputs, or 600,000 in the long form; `one` says whether it took the input.
///
/// Fails when `one` panics, and shows the input; also when nothing was taken or everything was, because then the test
/// would not look at the decoder.
pub fn mutations(corpus: &[&[u8]], words: &[&str], one: impl FnMut(&[u8]) -> bool) -> Tried {
    tried(INPUTS, corpus, words, one)
}

/// The same with 4,000 inputs, or 60,000, for what takes longer.
pub fn slow_mutations(corpus: &[&[u8]], words: &[&str], one: impl FnMut(&[u8]) -> bool) -> Tried {
    tried(INPUTS_OF_A_SLOW_ONE, corpus, words, one)
}

#[expect(clippy::panic, reason = "a broken expectation is how a test fails")]
#[expect(clippy::print_stdout, reason = "the record of a long form")]
fn tried(
    [short, long]: [u64; 2],
    corpus: &[&[u8]],
    words: &[&str],
    mut one: impl FnMut(&[u8]) -> bool,
) -> Tried {
    let mut tried = Tried::default();
    for sample in corpus {
        assert!(one(sample), "it is good: {}", shown(sample));
    }
    let inputs = if is_long() { long } else { short };
    let mut mutator = Mutator::new(7, corpus, words);
    for number in 0..inputs {
        let input = mutator.input();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| one(&input)));
        let Ok(is_accepted) = outcome else {
            panic!("input {number} panics: {}", shown(&input));
        };
        tried.inputs += 1;
        tried.accepted += u64::from(is_accepted);
    }
    assert!(
        tried.accepted > 0 && tried.accepted < tried.inputs,
        "the inputs try nothing: {tried:?}"
    );
    println!("{} inputs, {} taken", tried.inputs, tried.accepted);
    tried
}

/// Shows an input as a byte string of Rust.
fn shown(input: &[u8]) -> String {
    let mut text = String::from("b\"");
    for byte in input {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", byte.escape_ascii());
    }
    text.push('"');
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "the runner asks for the long forms through the environment"
)]
fn is_long() -> bool {
    std::env::var("WAYPOST_LONG").is_ok_and(|value| !value.is_empty())
}
