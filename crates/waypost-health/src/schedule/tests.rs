use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use waypost_core::{CheckId, InstanceKey, LeaseCell, Monotonic, RegistrationId, Timestamp, Vitals};

use super::{Entry, Schedule, Slot, SlotId};
use crate::pace::Turn;

fn key(instance: u8) -> InstanceKey {
    InstanceKey::new("svc.internal", "web", &format!("i-{instance}")).unwrap()
}

fn vitals(instance: u8) -> Arc<Vitals> {
    Arc::new(Vitals::new(
        key(instance),
        RegistrationId(1),
        LeaseCell::None,
        0,
    ))
}

fn slot(instance: u8, check: u8, due: u64) -> Slot {
    let id = CheckId::new(&format!("c-{check}")).unwrap();
    let turn = Turn::new(Monotonic(due), Duration::ZERO, false);
    Slot::new(vitals(instance), Timestamp(0), (id, 0), turn)
}

#[test]
fn a_check_needs_less_than_150_bytes() {
    // In the vector that doubles, with its heap entry and its share of the map at their fullest.
    let slot = size_of::<Option<Slot>>();
    let entry = size_of::<Entry>();
    assert!(slot <= 88, "a slot has {slot} bytes");
    assert!(
        slot + 2 * entry + 18 <= 150,
        "{slot} + 2 x {entry} + 18 bytes"
    );
}

#[test]
fn the_slots_of_an_instance_share_one_entry_and_leave_it_one_by_one() {
    let mut schedule = Schedule::default();
    let ids: Vec<SlotId> = (0..3)
        .map(|check| schedule.add(slot(1, check, 0)).unwrap())
        .collect();
    let other = schedule.add(slot(2, 0, 0)).unwrap();
    assert_eq!((schedule.len(), schedule.of(&key(1)).len()), (4, 3));
    for (gone, left) in [(ids[1], 2), (ids[2], 1), (ids[0], 0)] {
        schedule.remove(gone).unwrap();
        assert!(schedule.remove(gone).is_none());
        assert_eq!(schedule.of(&key(1)).len(), left);
    }
    assert_eq!(schedule.of(&key(2)), [other]);
    assert_eq!(schedule.instances().collect::<Vec<_>>(), [&key(2)]);
}

#[test]
fn arming_again_moves_the_turn() {
    let mut schedule = Schedule::default();
    let id = schedule.add(slot(1, 0, 50)).unwrap();
    schedule.arm(id);
    assert_eq!(schedule.next_due(), Some(Monotonic(50)));
    let later = Duration::from_millis(10);
    schedule.get_mut(id).unwrap().turn.spread(later);
    schedule.arm(id);
    assert_eq!(schedule.take_due(Monotonic(50)), None);
    assert_eq!(schedule.take_due(Monotonic(60)), Some(id));
    assert_eq!(schedule.next_due(), None);
}

#[test]
fn a_new_registration_takes_over_the_slots() {
    let mut schedule = Schedule::default();
    for check in 0..2 {
        schedule.add(slot(1, check, 0)).unwrap();
    }
    let renewed = vitals(1);
    schedule.renew(&renewed);
    for id in schedule.of(&key(1)) {
        assert!(Arc::ptr_eq(&schedule.get(id).unwrap().vitals, &renewed));
    }
    assert_eq!(schedule.of(&key(1)).len(), 2);
}

#[derive(Debug, Clone)]
enum Step {
    Add { instance: u8, check: u8, due: u64 },
    Remove { instance: u8 },
    PutOff { instance: u8, wait: u64 },
    Take { now: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6u8, 0..3u8, 0..1_000u64).prop_map(|(instance, check, due)| Step::Add {
            instance,
            check,
            due
        }),
        (0..6u8).prop_map(|instance| Step::Remove { instance }),
        (0..6u8, 0..1_000u64).prop_map(|(instance, wait)| Step::PutOff { instance, wait }),
        (0..3_000u64).prop_map(|now| Step::Take { now }),
    ]
}

proptest! {
    /// Against a sorted list of what is armed.
    #[test]
    fn every_armed_slot_comes_up_once_in_the_order_of_time(
        steps in proptest::collection::vec(step(), 1..300),
    ) {
        let mut schedule = Schedule::default();
        let mut armed: BTreeMap<SlotId, Monotonic> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add { instance, check, due } => {
                    let id = schedule.add(slot(instance, check, due)).unwrap();
                    schedule.arm(id);
                    armed.insert(id, Monotonic(due));
                }
                Step::Remove { instance } => {
                    for id in schedule.of(&key(instance)) {
                        schedule.remove(id).unwrap();
                        armed.remove(&id);
                    }
                }
                Step::PutOff { instance, wait } => {
                    for id in schedule.of(&key(instance)) {
                        let turn = &mut schedule.get_mut(id).unwrap().turn;
                        turn.spread(Duration::from_millis(wait));
                        let due = turn.due();
                        schedule.arm(id);
                        armed.insert(id, due);
                    }
                }
                Step::Take { now } => {
                    let first = armed.values().min().copied();
                    prop_assert_eq!(schedule.next_due(), first);
                    let taken = schedule.take_due(Monotonic(now));
                    prop_assert_eq!(taken.is_some(), first.is_some_and(|due| due.0 <= now));
                    if let Some(id) = taken {
                        prop_assert_eq!(armed.remove(&id), first);
                    }
                }
            }
            prop_assert!(schedule.heap.len() <= 2 * schedule.len() + 65);
        }
        for due in armed.values().copied().collect::<std::collections::BTreeSet<_>>() {
            while let Some(id) = schedule.take_due(due) {
                prop_assert_eq!(armed.remove(&id), Some(due));
            }
        }
        prop_assert!(armed.is_empty(), "never came up: {:?}", armed);
    }
}
