//! An instance: its four parts together, and its place in the rotation.

use std::sync::Arc;

use crate::id::{RegistrationId, Revision};
use crate::mode::{HealthOverride, Mode, ModeSetting};
use crate::name::InstanceKey;
use crate::registration::Registration;
use crate::text::{Text, text};
use crate::time::Timestamp;
use crate::verdict::{Health, LeaseState, Verdict};
use crate::vitals::Vitals;

/// Most edges kept in memory with an instance; older ones are in the journal.
pub const EDGES_MAX: usize = 4;

/// One change of an instance's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub from: Health,
    /// What it became.
    pub to: Health,
    /// Why.
    pub reason: Text,
}

/// An instance as one snapshot shows it. Nothing in it changes, but for the vitals.
#[derive(Clone, Debug)]
pub struct Instance {
    pub(crate) registration: Arc<Registration>,
    pub(crate) verdict: Verdict,
    pub(crate) mode: Option<Arc<ModeSetting>>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) edges: Option<Arc<[Edge]>>,
    pub(crate) registered: Revision,
    pub(crate) judged: Revision,
    pub(crate) modified: Revision,
}

impl Instance {
    /// Names the instance.
    pub fn key(&self) -> &InstanceKey {
        self.vitals.key()
    }

    /// Returns what its owner said.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Returns which registration this is.
    pub fn registration_id(&self) -> RegistrationId {
        self.registration.id
    }

    /// Returns what the checks and the lease say.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Returns the health in one word: the verdict's, unless an operator says otherwise.
    pub fn health(&self) -> Health {
        self.health_override()
            .map_or(self.verdict.health, |said| said.health)
    }

    /// Returns why that word, in one sentence without a full stop.
    pub fn health_reason(&self) -> Text {
        let Some(said) = self.health_override() else {
            return Text::clone(&self.verdict.reason);
        };
        let mut reason = format!("{} says {}", said.note.author, said.health.as_str());
        if !said.note.reason.is_empty() {
            reason.push_str(&format!(": {}", said.note.reason));
        }
        text(&reason)
    }

    /// Returns the health that an operator says it has, where that counts: a lease that is over is no check's word, and
    /// nothing is in its place.
    pub fn health_override(&self) -> Option<&HealthOverride> {
        let over = matches!(self.verdict.lease, LeaseState::Over { .. });
        let said = self.mode.as_ref()?.health.as_deref();
        said.filter(|_| !over)
    }

    /// Returns the mode with who set it and why, unless it is plainly Active.
    pub fn mode_setting(&self) -> Option<&ModeSetting> {
        self.mode.as_deref()
    }

    /// Returns the mode.
    pub fn mode(&self) -> Mode {
        self.mode
            .as_ref()
            .map_or(Mode::Active, |setting| setting.mode)
    }

    /// Returns the weight that counts: the mode's in place of the registration's.
    pub fn weight(&self) -> u32 {
        let overridden = self.mode.as_ref().and_then(|setting| setting.weight);
        overridden.unwrap_or(self.registration.spec.weight)
    }

    /// Returns the signs of life.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Lists the latest changes of health, oldest first; at most four.
    pub fn edges(&self) -> &[Edge] {
        self.edges.as_deref().unwrap_or_default()
    }

    /// Returns when anything shown of it last changed.
    pub fn modified(&self) -> Revision {
        self.modified
    }

    /// Returns when its registration was last written.
    pub fn registered(&self) -> Revision {
        self.registered
    }

    /// Returns its place in the rotation: the one definition of who may be sent traffic.
    pub fn tier(&self) -> Tier {
        if self.mode() != Mode::Active {
            return Tier::Out;
        }
        let verdict = &self.verdict;
        match (self.health(), verdict.lease) {
            (Health::Unhealthy, _) if verdict.ever_healthy => Tier::FailOpen,
            (Health::Unhealthy | Health::Unknown, _) => Tier::Out,
            (Health::Healthy | Health::Warning, LeaseState::Suspect { .. }) => Tier::Suspect,
            (Health::Healthy | Health::Warning, _) => Tier::Fit,
        }
    }

    pub(crate) fn with_verdict(&self, verdict: Verdict, revision: Revision, at: Timestamp) -> Self {
        let mut next = self.clone();
        next.verdict = verdict;
        next.judged = revision;
        next.modified = revision;
        next.note_edge(self.health(), at);
        next
    }

    pub(crate) fn with_mode(
        &self,
        mode: Option<Arc<ModeSetting>>,
        revision: Revision,
        at: Timestamp,
    ) -> Self {
        let mut next = self.clone();
        next.mode = mode;
        next.modified = revision;
        next.note_edge(self.health(), at);
        next
    }

    fn note_edge(&mut self, from: Health, at: Timestamp) {
        let to = self.health();
        if from == to {
            return;
        }
        let reason = self.health_reason();
        let edge = Edge {
            at,
            from,
            to,
            reason,
        };
        let kept = self.edges();
        let skipped = (kept.len() + 1).saturating_sub(EDGES_MAX);
        self.edges = Some(kept.iter().skip(skipped).cloned().chain([edge]).collect());
    }
}

/// A place in the rotation, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Tier 0: Healthy, Warning or not checked.
    Fit,
    /// Tier 1: a healthy copy of a live peer.
    Peer,
    /// Tier 2: held by protection, or a copy of a stale peer.
    Suspect,
    /// Served only when the tiers before are empty and the service says `fail_open`.
    FailOpen,
    /// Never served.
    Out,
}

impl Tier {
    /// Every tier, in order of preference.
    pub(crate) const ALL: [Self; 5] = [
        Self::Fit,
        Self::Peer,
        Self::Suspect,
        Self::FailOpen,
        Self::Out,
    ];

    /// Says whether a rotation can be made of it.
    pub(crate) fn may_be_served(self, fail_open: bool) -> bool {
        self <= Self::Suspect || (fail_open && self == Self::FailOpen)
    }

    /// Returns the tier as our own dialect shows it: `0`, `1`, `2`, `fail_open` or `out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fit => "0",
            Self::Peer => "1",
            Self::Suspect => "2",
            Self::FailOpen => "fail_open",
            Self::Out => "out",
        }
    }
}

/// Who may be sent traffic for one service.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    tier: Option<Tier>,
    instances: Box<[Arc<Instance>]>,
}

impl Rotation {
    /// Chooses the first tier that is not empty; fail-open counts only when the service says so.
    pub fn choose(instances: &[Arc<Instance>], fail_open: bool) -> Self {
        let tier = instances
            .iter()
            .map(|instance| instance.tier())
            .filter(|tier| tier.may_be_served(fail_open))
            .min();
        let Some(tier) = tier else {
            return Self::default();
        };
        let chosen = instances
            .iter()
            .filter(|instance| instance.tier() == tier)
            .cloned()
            .collect();
        Self {
            tier: Some(tier),
            instances: chosen,
        }
    }

    /// Returns the tier that is served; none when nobody may be sent traffic.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// Lists who may be sent traffic, by id.
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// Says whether the instance may be sent traffic.
    pub fn contains(&self, key: &InstanceKey) -> bool {
        // Chosen in the order of the service: by id, then owner.
        let found = self.instances.binary_search_by(|instance| {
            let other = instance.key();
            other
                .id
                .cmp(&key.id)
                .then_with(|| other.owner.cmp(&key.owner))
        });
        found.is_ok()
    }
}
