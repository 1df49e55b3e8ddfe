use std::mem::size_of;

use waypost_core::Prefix;

use crate::index::{Index, NUMBER_MAX, Place};

#[test]
fn a_million_objects_take_at_most_64_mib_of_index() {
    // A table of 2^21 places, seven eighths of which may be used: name and place, and one byte of the table's own.
    let bytes = (1usize << 21) * (size_of::<([u32; 4], Place)>() + 1);
    assert!(bytes <= 64 * 1_024 * 1_024, "{bytes} bytes");
}

#[test]
fn a_place_keeps_both_numbers() {
    for (row, revision) in [(0, 0), (1, NUMBER_MAX), (NUMBER_MAX, 1), (1 << 47, 1 << 33)] {
        let place = Place::new(row, revision);
        assert_eq!((place.row(), place.revision()), (row, revision));
    }
}

#[test]
fn a_name_is_found_under_its_own_kind_only() {
    let mut index = Index::new();
    let place = Place::new(1, 2);
    assert_eq!(index.set("registration", "ns web a ", Some(place)), None);
    assert_eq!(index.get("registration", "ns web a "), Some(place));
    assert_eq!(index.get("verdict", "ns web a "), None);
    assert_eq!(index.get("registration", "ns web a"), None);
    assert_eq!(index.set("registration", "ns web a ", None), Some(place));
    assert_eq!(index.len(), 0);
}

#[test]
fn going_back_leaves_the_counts_as_they_were() {
    let mut index = Index::new();
    let prefix = Prefix::Instances(waypost_core::ServiceKey::new("ns", "web").unwrap());
    let before = index.set("registration", "ns web a ", Some(Place::new(1, 1)));
    assert!(!index.is_empty_under(&prefix));
    index.set("registration", "ns web a ", before);
    assert!(index.is_empty_under(&prefix));
}
