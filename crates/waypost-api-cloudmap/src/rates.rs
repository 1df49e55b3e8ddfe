//! Requests per second, as AWS limits them: a bucket of tokens for each operation and account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use waypost_core::Monotonic;

use crate::settings::{CloudMapConfig, Rate};

/// What a token counts as: thousandths, so that milliseconds and requests per second need no fractions.
const TOKEN: u64 = 1_000;
/// Accounts whose rates are known at once. A key has one account, so that only as many as there are keys matter.
const ACCOUNTS_MAX: usize = 10_000;

/// The buckets of all operations that have a rate.
#[derive(Debug)]
pub(crate) struct Rates(Vec<Limit>);

#[derive(Debug)]
struct Limit {
    operation: String,
    rate: Rate,
    accounts: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    at: Monotonic,
}

impl Rates {
    pub(crate) fn new(config: &CloudMapConfig) -> Self {
        let limits = config.rates.iter().map(|(operation, rate)| Limit {
            operation: operation.clone(),
            rate: *rate,
            accounts: Mutex::default(),
        });
        Self(limits.collect())
    }

    /// Takes a token for a request; says whether there was one. An operation without a rate has as many as it wants.
    pub(crate) fn take(&self, operation: &str, account: &str, now: Monotonic) -> bool {
        let limit = self.0.iter().find(|limit| limit.operation == operation);
        limit.is_none_or(|limit| limit.take(account, now))
    }
}

impl Limit {
    fn take(&self, account: &str, now: Monotonic) -> bool {
        let full = u64::from(self.rate.burst()) * TOKEN;
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(account) {
            // Those that are full again have nothing to remember.
            accounts.retain(|_, bucket| bucket.filled(self.rate, now) < full);
        }
        let fresh = Bucket {
            tokens: full,
            at: now,
        };
        let bucket = match accounts.get_mut(account) {
            Some(bucket) => bucket,
            None => accounts.entry(account.to_owned()).or_insert(fresh),
        };
        let tokens = bucket.filled(self.rate, now);
        let left = tokens.checked_sub(TOKEN);
        *bucket = Bucket {
            tokens: left.unwrap_or(tokens),
            at: now,
        };
        left.is_some()
    }
}

impl Bucket {
    /// Returns how many tokens it has now: so many per second came since it was last looked at, up to the burst.
    fn filled(&self, rate: Rate, now: Monotonic) -> u64 {
        let milliseconds = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let came = milliseconds.saturating_mul(rate.per_second.get().into());
        let full = u64::from(rate.burst()) * TOKEN;
        self.tokens.saturating_add(came).min(full)
    }
}

#[cfg(test)]
mod tests;
