//! The schedules of every instance and probe check: which turn is next, in O(log n).

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tokio::task::Id;
use waypost_core::{CheckId, InstanceKey, Monotonic, Tally, Timestamp, Vitals};

use crate::pace::Turn;

#[cfg(test)]
mod tests;

/// Which slot of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId(u32);

/// The end of the list of an instance's slots.
const NONE: u32 = u32::MAX;

/// One check of one instance. There may be a million of them: every field counts.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Names the instance and the registration; the snapshot holds the same.
    pub(crate) vitals: Arc<Vitals>,
    /// Another value means that the instance is reached otherwise: what was counted no longer holds.
    pub(crate) judged_from: Timestamp,
    pub(crate) check: CheckId,
    /// Of the check's definition, the addresses and the ports.
    pub(crate) fingerprint: u32,
    pub(crate) tally: Tally,
    pub(crate) turn: Turn,
    /// The probe under way.
    pub(crate) flight: Option<Id>,
    stamp: u32,
    next: u32,
}

impl Slot {
    pub(crate) fn new(
        vitals: Arc<Vitals>,
        judged_from: Timestamp,
        (check, fingerprint): (CheckId, u32),
        turn: Turn,
    ) -> Self {
        Self {
            vitals,
            judged_from,
            check,
            fingerprint,
            tally: Tally::default(),
            turn,
            flight: None,
            stamp: 0,
            next: NONE,
        }
    }
}

/// An instance by its key, without a second copy of the key.
#[derive(Debug)]
struct ByKey(Arc<Vitals>);

impl Borrow<InstanceKey> for ByKey {
    fn borrow(&self) -> &InstanceKey {
        self.0.key()
    }
}
impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}
impl Eq for ByKey {}
impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

type Entry = Reverse<(Monotonic, u32, u32)>;

/// Every schedule.
///
/// A slot that is armed has one live entry in the heap; entries that a later arming replaced are dropped when they come
/// up, and all at once when they outnumber the live ones.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    first: HashMap<ByKey, u32>,
    heap: BinaryHeap<Entry>,
    stamp: u32,
}

impl Schedule {
    /// Returns how many checks are scheduled.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(index(id.0))?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.slots.get_mut(index(id.0))?.as_mut()
    }

    /// Adds a slot; it has no turn until it is armed. None when there are 2^32 already.
    pub(crate) fn add(&mut self, mut slot: Slot) -> Option<SlotId> {
        let at = match self.free.pop() {
            Some(at) => at,
            None => u32::try_from(self.slots.len())
                .ok()
                .filter(|at| *at != NONE)?,
        };
        let key = ByKey(Arc::clone(&slot.vitals));
        slot.next = self.first.insert(key, at).unwrap_or(NONE);
        match self.slots.get_mut(index(at)) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        Some(SlotId(at))
    }

    /// Removes a slot.
    pub(crate) fn remove(&mut self, id: SlotId) -> Option<Slot> {
        let removed = self.slots.get_mut(index(id.0))?.take()?;
        self.free.push(id.0);
        let key = removed.vitals.key();
        match self.first.get(key).copied() {
            Some(first) if first == id.0 && removed.next == NONE => {
                self.first.remove(key);
            }
            Some(first) if first == id.0 => {
                if let Some(place) = self.first.get_mut(key) {
                    *place = removed.next;
                }
            }
            Some(first) => self.unlink(first, id.0, removed.next),
            None => {}
        }
        self.drop_stale();
        Some(removed)
    }

    fn unlink(&mut self, first: u32, gone: u32, next: u32) {
        let mut at = first;
        while let Some(slot) = self.get_mut(SlotId(at)) {
            if slot.next == gone {
                slot.next = next;
                return;
            }
            at = slot.next;
        }
    }

    /// Lists the slots of an instance.
    pub(crate) fn of(&self, key: &InstanceKey) -> Vec<SlotId> {
        let mut found = Vec::new();
        let mut at = self.first.get(key).copied().unwrap_or(NONE);
        while let Some(slot) = self.get(SlotId(at)) {
            found.push(SlotId(at));
            at = slot.next;
        }
        found
    }

    /// Gives the slots of an instance the signs of life of its latest registration.
    pub(crate) fn renew(&mut self, vitals: &Arc<Vitals>) {
        let Some((old, first)) = self.first.remove_entry(vitals.key()) else {
            return;
        };
        drop(old);
        self.first.insert(ByKey(Arc::clone(vitals)), first);
        let mut at = first;
        while let Some(slot) = self.get_mut(SlotId(at)) {
            slot.vitals = Arc::clone(vitals);
            at = slot.next;
        }
    }

    /// Lists every instance that has a slot.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &InstanceKey> {
        self.first.keys().map(Borrow::borrow)
    }

    /// Puts the turn of a slot where its timing says, instead of where it was.
    pub(crate) fn arm(&mut self, id: SlotId) {
        self.stamp = self.stamp.wrapping_add(1);
        let stamp = self.stamp;
        let Some(slot) = self.get_mut(id) else {
            return;
        };
        slot.stamp = stamp;
        let entry = Reverse((slot.turn.due(), id.0, stamp));
        self.heap.push(entry);
        self.drop_stale();
    }

    fn drop_stale(&mut self) {
        if self.heap.len() > 2 * self.len() + 64 {
            let mut entries = std::mem::take(&mut self.heap).into_vec();
            entries.retain(|entry| self.is_live(entry));
            self.heap = entries.into();
        }
    }

    /// Returns when the next turn is.
    pub(crate) fn next_due(&mut self) -> Option<Monotonic> {
        while let Some(entry) = self.heap.peek() {
            if self.is_live(entry) {
                return Some(entry.0.0);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the first slot whose turn is by now. It has no other turn until it is armed again.
    pub(crate) fn take_due(&mut self, now: Monotonic) -> Option<SlotId> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, slot, _))| SlotId(slot))
    }

    fn is_live(&self, Reverse((due, at, stamp)): &Entry) -> bool {
        self.get(SlotId(*at))
            .is_some_and(|slot| slot.stamp == *stamp && slot.turn.due() == *due)
    }
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
