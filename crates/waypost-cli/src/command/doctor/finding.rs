//! What a check found.

/// Most findings of one check that are shown; what is beyond is counted.
const FINDINGS_MAX: usize = 50;

/// How it is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It is as it should be.
    Ok,
    /// It could not be looked at.
    Skipped,
    /// It works, and somebody should look.
    Warning,
    /// It does not work.
    Failure,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that was found. Whatever is not well has a hint what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) detail: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, detail, None)
    }

    /// It could not be looked at, and why.
    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, why, None)
    }

    pub(super) fn warning(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Outcome::Warning, detail, Some(hint.into()))
    }

    pub(super) fn failure(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Outcome::Failure, detail, Some(hint.into()))
    }

    fn new(outcome: Outcome, detail: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            hint,
        }
    }
}

/// Gives what was found, or when that is nothing, that all is well.
pub(super) fn or_ok(found: Vec<Finding>, well: impl Into<String>) -> Vec<Finding> {
    if found.is_empty() {
        return vec![Finding::ok(well)];
    }
    found
}

/// Leaves a bounded number of findings; the last one stands for all others and is as bad as the worst of them.
pub(super) fn bounded(mut found: Vec<Finding>) -> Vec<Finding> {
    if found.len() <= FINDINGS_MAX {
        return found;
    }
    // The sort is stable: within one outcome they stay in their order.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.outcome));
    let beyond = found.split_off(FINDINGS_MAX - 1);
    let outcome = beyond.iter().map(|finding| finding.outcome).max();
    found.push(Finding {
        outcome: outcome.unwrap_or(Outcome::Ok),
        detail: format!("{} more like these", beyond.len()),
        hint: Some("--service NAME looks at one service alone".to_owned()),
    });
    found
}
