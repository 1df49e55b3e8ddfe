//! Random numbers for spreading and jitter: cheap, seeded, and of no use for secrets.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A sequence of random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Makes a sequence that nobody can repeat.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0u8))
    }

    /// Makes the sequence of a seed, so that a test can repeat it.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives a whole number of milliseconds from zero to below `most`; zero when `most` is.
    pub(crate) fn below(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.next().checked_rem(most).unwrap_or(0))
    }

    /// Gives `duration` more or less by at most so many percent of it.
    pub(crate) fn around(&mut self, duration: Duration, percent: u8) -> Duration {
        let width = duration * u32::from(percent) / 100;
        (duration + self.below(width * 2 + Duration::from_millis(1))).saturating_sub(width)
    }
}
