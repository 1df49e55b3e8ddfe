//! Round robin: whose turn it is, for each service.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Services share so many counters. Two that share one take turns less evenly, and nothing grows with their number.
const COUNTERS: usize = 4_096;

/// The counters of all services.
#[derive(Debug)]
pub(crate) struct Turns {
    counters: Box<[AtomicUsize]>,
    hasher: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            counters: (0..COUNTERS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Picks the next of `choices` for the service.
    pub(crate) fn next<'a, T>(&self, service: &str, choices: &'a [T]) -> Option<&'a T> {
        // A turn that nobody gets must not be counted: the caller asks again with other choices at once.
        if choices.is_empty() {
            return None;
        }
        let slot = self.hasher.hash_one(service) % (COUNTERS as u64);
        let counter = self
            .counters
            .get(usize::try_from(slot).unwrap_or_default())?;
        let turn = counter.fetch_add(1, Ordering::Relaxed);
        choices.get(turn.checked_rem(choices.len())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_gets_its_turn() {
        let turns = Turns::new();
        let picked: Vec<_> = (0..6)
            .map(|_| *turns.next("web", &['a', 'b', 'c']).unwrap())
            .collect();
        assert_eq!(picked, ['a', 'b', 'c', 'a', 'b', 'c']);
        assert_eq!(turns.next("web", &[] as &[char]), None);
    }

    #[test]
    fn asking_for_nobody_takes_no_turn() {
        let turns = Turns::new();
        let mut seen = Vec::new();
        for _ in 0..2 {
            assert_eq!(turns.next("web", &[] as &[char]), None);
            seen.push(*turns.next("web", &['a', 'b']).unwrap());
        }
        assert_eq!(seen, ['a', 'b']);
    }

    #[test]
    fn services_that_are_asked_in_turn_do_not_starve_each_other() {
        let turns = Turns::new();
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(*turns.next("a", &[1, 2]).unwrap());
            turns.next("b", &[1, 2]).unwrap();
        }
        // The two may share a counter, in one of 4,096 runs; then "a" is picked twice alike.
        let shared = turns.hasher.hash_one("a") % 4_096 == turns.hasher.hash_one("b") % 4_096;
        assert!(shared || seen == [1, 2]);
    }
}
