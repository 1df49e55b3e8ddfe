//! What changed lately: the index behind `changed_since`, with the tombstones of what is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;

use crate::id::Revision;
use crate::name::{InstanceKey, NamespaceName, ServiceKey};
use crate::time::Timestamp;

/// Most batches kept.
pub const RECENT_BATCHES_MAX: usize = 65_536;
/// How long a batch is kept.
pub const RECENT_AGE_MAX: Duration = Duration::from_mins(10);

/// Something shown that a batch changed; whether it is still there, the snapshot says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// A namespace.
    Namespace(NamespaceName),
    /// A service itself.
    Service(ServiceKey),
    /// An instance.
    Instance(InstanceKey),
}

#[derive(Clone, Debug)]
struct Entry {
    at: Timestamp,
    touched: Arc<[Touched]>,
}

/// The recent batches by revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    entries: OrdMap<Revision, Entry>,
    /// Changes up to here are no longer known.
    floor: Revision,
}

impl Recent {
    pub(crate) fn after(floor: Revision) -> Self {
        Self {
            entries: OrdMap::new(),
            floor,
        }
    }

    /// Returns up to where changes are no longer known.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// Records a batch and drops what is too old or too much. Returns the new floor.
    pub(crate) fn record(
        &mut self,
        revision: Revision,
        at: Timestamp,
        touched: Arc<[Touched]>,
    ) -> Revision {
        self.entries.insert(revision, Entry { at, touched });
        while let Some((oldest, entry)) = self.entries.get_min() {
            let stale = at.since(entry.at) > RECENT_AGE_MAX;
            if self.entries.len() <= RECENT_BATCHES_MAX && !stale {
                break;
            }
            let oldest = *oldest;
            self.entries.remove(&oldest);
            self.floor = oldest;
        }
        self.floor
    }

    /// Returns what was touched after `since`, each thing once; `None` when that is no longer known.
    pub(crate) fn touched_after(&self, since: Revision) -> Option<BTreeSet<Touched>> {
        if since < self.floor {
            return None;
        }
        let after = (std::ops::Bound::Excluded(since), std::ops::Bound::Unbounded);
        let entries = self.entries.range::<_, Revision>(after);
        Some(
            entries
                .flat_map(|(_, entry)| entry.touched.iter().cloned())
                .collect(),
        )
    }
}
