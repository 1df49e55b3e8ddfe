//! Times in a fixed amount of memory, each kept within one part in 32.

use std::time::Duration;

/// Steps per width; from the second width on the lower half of them stays empty.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 6;
const BUCKETS: usize = 64 << STEP_BITS;

/// How often each time was seen.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
        }
    }
}

impl Histogram {
    /// Adds one time.
    pub fn add(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanoseconds)) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// Adds all times of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    /// Gives how many times were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Gives the time that the share `share` (0 to 1) of all times does not exceed; zero when there is none.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, number) in self.buckets.iter().enumerate() {
            seen += number;
            if seen >= wanted {
                return Duration::from_nanos(highest_in(bucket as u64));
            }
        }
        Duration::ZERO
    }
}

fn bucket_of(nanoseconds: u64) -> usize {
    let width = 63 - (nanoseconds | (STEPS - 1)).leading_zeros() - (STEP_BITS - 1);
    let index = (u64::from(width) << STEP_BITS) + (nanoseconds >> width);
    // Below 64 nanoseconds the index is the time itself; above, each power of two has its upper 32 steps.
    usize::try_from(index).unwrap_or(BUCKETS)
}

fn highest_in(bucket: u64) -> u64 {
    let width = bucket >> STEP_BITS;
    (((bucket & (STEPS - 1)) + 1) << width).wrapping_sub(1)
}

#[cfg(test)]
mod tests;
