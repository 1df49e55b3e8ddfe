//! The second part of an instance: what the checks and the lease say.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::attributes::Extra;
use crate::check::{Check, CheckState};
use crate::name::CheckId;
use crate::registration::{LeaseStart, RegistrationSpec};
use crate::text::{Text, text};
use crate::time::Timestamp;

/// Most addresses of a host name that are kept.
pub const RESOLVED_MAX: usize = 16;

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Health {
    /// Nothing is known yet.
    Unknown,
    /// All is well, or nothing is checked.
    Healthy,
    /// It works, but not well.
    Warning,
    /// It does not work, or its lease ended.
    Unhealthy,
}

impl Health {
    /// Every value, in the order of the design's table.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Healthy, Self::Warning, Self::Unhealthy];

    /// Returns the word of our own dialect.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Healthy => "Healthy",
            Self::Warning => "Warning",
            Self::Unhealthy => "Unhealthy",
        }
    }
}

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseState {
    /// There is none.
    None,
    /// It begins with the first heartbeat.
    NotStarted,
    /// It runs.
    Running,
    /// It ran out, but protection holds the instance for one more lease.
    Suspect {
        /// Since when.
        since: Timestamp,
    },
    /// It ended.
    Over {
        /// Since when.
        since: Timestamp,
    },
}

impl LeaseState {
    /// Returns the word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NotStarted => "not_started",
            Self::Running => "running",
            Self::Suspect { .. } => "suspect",
            Self::Over { .. } => "over",
        }
    }
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckVerdict {
    /// Which check.
    pub id: CheckId,
    /// What it says.
    pub state: CheckState,
    /// Since when.
    pub since: Timestamp,
    /// Why, in one sentence without a full stop.
    pub reason: Text,
    /// It fails when nobody reports again within so many seconds; only for what somebody reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u32>,
}

/// What is known of an instance's health. An instance without a stored verdict has the initial one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// All of it in one word.
    pub health: Health,
    /// Since when that word holds.
    pub since: Timestamp,
    /// Why that word, in one sentence without a full stop.
    pub reason: Text,
    /// Whether this registration has ever been Healthy or Warning.
    pub ever_healthy: bool,
    /// Where the lease stands.
    pub lease: LeaseState,
    /// The checks that have said something.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub checks: Box<[CheckVerdict]>,
    /// The addresses that the host name of an instance without an address had at its last probe, sorted.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub resolved: Box<[IpAddr]>,
    /// Fields of a newer writer, kept.
    #[serde(skip)]
    pub extra: Extra,
}

/// Returns the checks that hold for an instance: the service's, with the instance's own added or put in their place.
pub fn effective_checks<'a>(
    service: &'a [Check],
    instance: &'a [Check],
) -> impl Iterator<Item = &'a Check> + Clone {
    let inherited = service
        .iter()
        .filter(|check| !instance.iter().any(|own| own.id == check.id));
    inherited.chain(instance.iter())
}

impl Verdict {
    /// Returns the verdict on a new registration, before any report.
    pub fn initial<'a>(
        spec: &RegistrationSpec,
        checks: impl Iterator<Item = &'a Check> + Clone,
        at: Timestamp,
    ) -> Self {
        let lease = match spec.lease.map(|lease| lease.start) {
            None => LeaseState::None,
            Some(LeaseStart::Registration) => LeaseState::Running,
            Some(LeaseStart::FirstHeartbeat) => LeaseState::NotStarted,
        };
        let mut verdict = Self {
            health: Health::Unknown,
            since: at,
            reason: text(""),
            ever_healthy: false,
            lease,
            checks: Box::default(),
            resolved: Box::default(),
            extra: Extra::default(),
        };
        verdict.conclude(checks, at);
        verdict.since = at;
        verdict
    }

    /// Returns what the check says, or what it is taken to say before its first report.
    pub fn state_of(&self, check: &Check) -> CheckState {
        self.check(&check.id)
            .map_or(check.initial, |found| found.state)
    }

    /// Returns the verdict of the check.
    pub fn check(&self, id: &CheckId) -> Option<&CheckVerdict> {
        self.checks.iter().find(|check| check.id == *id)
    }

    /// Returns the verdict after a check changed its state, or `None` when it says the same as before.
    #[must_use]
    pub fn with_check<'a>(
        &self,
        id: &CheckId,
        state: CheckState,
        reason: &Text,
        at: Timestamp,
        checks: impl Iterator<Item = &'a Check> + Clone,
    ) -> Option<Self> {
        if self.check(id).is_some_and(|known| known.state == state) {
            return None;
        }
        let said = CheckVerdict {
            id: id.clone(),
            state,
            since: at,
            reason: Text::clone(reason),
            for_seconds: None,
        };
        self.with_said(said, checks)
    }

    /// Returns the verdict after somebody reported, or `None` when the report is the same but for its time: a state
    /// that holds has since when it does.
    #[must_use]
    pub fn with_said<'a>(
        &self,
        mut said: CheckVerdict,
        checks: impl Iterator<Item = &'a Check> + Clone,
    ) -> Option<Self> {
        let at = said.since;
        if let Some(known) = self
            .check(&said.id)
            .filter(|known| known.state == said.state)
        {
            said.since = known.since;
            if *known == said {
                return None;
            }
        }
        let mut next = self.clone();
        let mut list = std::mem::take(&mut next.checks).into_vec();
        // Verdicts of checks that are configured no longer go with the first change after.
        list.retain(|known| {
            known.id != said.id && checks.clone().any(|check| check.id == known.id)
        });
        list.push(said);
        list.sort_by(|left, right| left.id.cmp(&right.id));
        next.checks = list.into_boxed_slice();
        next.conclude(checks, at);
        Some(next)
    }

    /// Returns the verdict after the host name of the instance was looked up, or `None` when it has the addresses that
    /// it had.
    #[must_use]
    pub fn with_resolved(&self, resolved: &[IpAddr]) -> Option<Self> {
        let kept = resolved.get(..RESOLVED_MAX).unwrap_or(resolved);
        (*self.resolved != *kept).then(|| Self {
            resolved: kept.into(),
            ..self.clone()
        })
    }

    /// Returns the verdict after the lease moved.
    #[must_use]
    pub fn with_lease<'a>(
        &self,
        lease: LeaseState,
        at: Timestamp,
        checks: impl Iterator<Item = &'a Check> + Clone,
    ) -> Self {
        let mut next = self.clone();
        next.lease = lease;
        next.conclude(checks, at);
        next
    }

    /// Returns the verdict under other checks, or `None` when nothing changes. What the `redefined` ones said is dropped.
    #[must_use]
    pub fn under<'a>(
        &self,
        at: Timestamp,
        checks: impl Iterator<Item = &'a Check> + Clone,
        redefined: &[CheckId],
    ) -> Option<Self> {
        let mut next = self.clone();
        let mut list = std::mem::take(&mut next.checks).into_vec();
        list.retain(|known| {
            let configured = checks.clone().any(|check| check.id == known.id);
            configured && !redefined.contains(&known.id)
        });
        next.checks = list.into_boxed_slice();
        if !checks.clone().any(|check| check.is_probe()) {
            // Nobody looks the name up any more.
            next.resolved = Box::default();
        }
        next.conclude(checks, at);
        (next != *self).then_some(next)
    }

    /// Draws the word and its reason from the lease and the checks: the worst counts.
    fn conclude<'a>(&mut self, checks: impl Iterator<Item = &'a Check> + Clone, at: Timestamp) {
        let (health, reason) = self.worst(checks);
        if health != self.health {
            self.health = health;
            self.since = at;
        }
        self.reason = reason;
        self.ever_healthy |= matches!(health, Health::Healthy | Health::Warning);
    }

    fn worst<'a>(&self, checks: impl Iterator<Item = &'a Check>) -> (Health, Text) {
        if let LeaseState::Over { .. } = self.lease {
            return (Health::Unhealthy, text("lease ended"));
        }
        let worst = checks.max_by_key(|check| self.weighed_state(check));
        let Some(worst) = worst else {
            return (Health::Healthy, text("no check configured"));
        };
        let said = self.check(&worst.id).map(|check| &check.reason);
        let (health, word) = match self.weighed_state(worst) {
            CheckState::Passing => (Health::Healthy, "passing"),
            CheckState::Warning => (Health::Warning, "warning"),
            CheckState::Unknown => (Health::Unknown, "has not passed yet"),
            CheckState::Failing => (Health::Unhealthy, "failing"),
        };
        match said {
            Some(said) if !said.is_empty() => {
                (health, text(&format!("check {} {word}: {said}", worst.id)))
            }
            _ => (health, text(&format!("check {} {word}", worst.id))),
        }
    }

    /// Traffic alone makes Warning at most, whatever it reports.
    fn weighed_state(&self, check: &Check) -> CheckState {
        let state = self.state_of(check);
        match (&check.kind, state) {
            (crate::check::CheckKind::Observed, CheckState::Failing) => CheckState::Warning,
            (crate::check::CheckKind::Observed, CheckState::Unknown) => CheckState::Passing,
            _ => state,
        }
    }
}
