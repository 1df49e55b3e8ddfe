//! Counting tests from what `cargo test` prints.

use std::collections::BTreeMap;
use std::fmt;

/// How many tests passed, failed and were skipped, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
    skips: BTreeMap<String, String>,
    /// The last test of a binary that has begun to run and has given no result yet.
    running: Option<String>,
}

impl Tally {
    /// Takes in one line of the output; lines that tell nothing about a test are left alone.
    pub fn read_line(&mut self, line: &str) {
        if is_start_of_binary(line) {
            self.end_of_binary();
            self.running = Some("no test of it".to_owned());
            return;
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.running = None;
            self.passed += count_of(counts, "passed");
            self.failed += count_of(counts, "failed");
            return;
        }
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            return;
        };
        if let Some(last) = &mut self.running {
            name.clone_into(last);
        }
        if result == "FAILED" {
            self.failures.push(name.to_owned());
        } else if let Some(reason) = result.strip_prefix("ignored") {
            let reason = reason.trim_start_matches(", ");
            let reason = if reason.is_empty() {
                "it is marked as ignored"
            } else {
                reason
            };
            self.skips.insert(name.to_owned(), reason.to_owned());
        }
    }

    /// Takes in that no more output comes: a binary without a result died of an abort, a signal or a full stack.
    pub fn end_of_binary(&mut self) {
        if let Some(last) = self.running.take() {
            self.fail(format!(
                "a test binary died without a result; {last} had ended last"
            ));
        }
    }

    /// Takes in the file into which tests write that they skipped themselves: `name: why`, one line per test.
    ///
    /// The harness counted each of them as passed, so each is moved.
    pub fn read_skips(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, why) = line.split_once(": ").unwrap_or((line, "no reason given"));
            if self.skips.insert(name.to_owned(), why.to_owned()).is_none() {
                self.passed = self.passed.saturating_sub(1);
            }
        }
    }

    /// Notes something outside of the test harness that failed.
    pub fn fail(&mut self, name: impl Into<String>) {
        self.failed += 1;
        self.failures.push(name.into());
    }

    /// Notes something outside of the test harness that was skipped.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skips.insert(name.to_owned(), why.to_owned());
    }

    /// Gives how many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Gives what failed, by name.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Gives what was skipped, with reasons.
    pub fn skips(&self) -> impl Iterator<Item = (&str, &str)> {
        self.skips
            .iter()
            .map(|(name, why)| (name.as_str(), why.as_str()))
    }
}

/// The closing line: `N passed, N failed, N skipped`.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed,
            self.skips.len()
        )
    }
}

// "running 1 test", "running 12 tests"
fn is_start_of_binary(line: &str) -> bool {
    let number = line
        .strip_prefix("running ")
        .and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")));
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

// "ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s"
fn count_of(counts: &str, what: &str) -> usize {
    counts
        .split(['.', ';'])
        .filter_map(|part| part.trim().split_once(' '))
        .find(|(_, word)| *word == what)
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
