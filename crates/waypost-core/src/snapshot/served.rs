//! Which tier of a service is served, and since when: counted with each change, since choosing a rotation looks at every
//! instance.

use crate::id::Revision;
use crate::instance::Tier;

/// How many instances a service has in each tier.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    counts: [u32; Tier::ALL.len()],
    /// When the tier that is served last became another. What the service itself changes of it is not counted.
    pub(super) since: Revision,
}

impl Served {
    /// Counts that an instance left one tier and came to another.
    pub(super) fn count(
        &mut self,
        from: Option<Tier>,
        to: Option<Tier>,
        fail_open: bool,
        revision: Revision,
    ) {
        if from == to {
            return;
        }
        let served = self.tier(fail_open);
        if let Some(count) = from.and_then(|tier| self.counts.get_mut(tier as usize)) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = to.and_then(|tier| self.counts.get_mut(tier as usize)) {
            *count += 1;
        }
        if self.tier(fail_open) != served {
            self.since = revision;
        }
    }

    /// Returns the first tier that is not empty and may be served.
    pub(super) fn tier(&self, fail_open: bool) -> Option<Tier> {
        let counted = Tier::ALL.into_iter().zip(self.counts);
        counted
            .filter(|(tier, count)| *count > 0 && tier.may_be_served(fail_open))
            .map(|(tier, _)| tier)
            .next()
    }
}
