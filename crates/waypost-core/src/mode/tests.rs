use super::*;
use crate::id::RegistrationId;

fn note(author: &str, until: Option<u64>) -> Note {
    Note {
        reason: text("why"),
        author: text(author),
        since: Timestamp(1),
        until: until.map(Timestamp),
    }
}

fn change(mode: Option<Mode>, weight: Option<u32>, until: Option<u64>) -> ModeChange {
    ModeChange {
        mode: mode.map(|mode| (mode, note("ann", until))),
        weight: weight.map(|weight| Some((weight, note("bob", until)))),
        ..ModeChange::default()
    }
}

#[test]
fn each_part_ends_at_its_own_time_and_a_drain_goes_on_as_maintenance() {
    let now = Timestamp(1);
    let drained = change(Some(Mode::Draining), None, Some(10)).over(None, now);
    let both = change(None, Some(5), Some(20))
        .over(drained.as_ref(), now)
        .unwrap();
    assert_eq!(both.ends_at(), Some(Timestamp(10)));
    assert_eq!(both.after(Timestamp(9)).as_ref(), Some(&both));
    let later = both.after(Timestamp(10)).unwrap();
    assert_eq!((later.mode, later.weight), (Mode::Maintenance, Some(5)));
    let latest = later.after(Timestamp(20)).unwrap();
    assert_eq!((latest.mode, latest.weight), (Mode::Maintenance, None));
    assert_eq!(latest.ends_at(), None);
}

#[test]
fn a_weight_that_came_with_the_mode_ends_with_it_unless_it_is_a_drain() {
    let old = |mode| ModeSetting {
        weight: Some(7),
        ..ModeSetting::new(mode, note("ann", Some(10)))
    };
    assert_eq!(old(Mode::Maintenance).after(Timestamp(10)), None);
    assert_eq!(old(Mode::Active).after(Timestamp(10)), None);
    let drained = old(Mode::Draining).after(Timestamp(10)).unwrap();
    assert_eq!((drained.mode, drained.weight), (Mode::Maintenance, Some(7)));
}

#[test]
fn what_an_operator_set_beside_the_mode_stays_when_the_process_goes() {
    let now = Timestamp(1);
    let weighed = change(None, Some(5), None).over(None, now).unwrap();
    let id = RegistrationId(4);
    let said = ModeSetting {
        process: Some(id),
        ..ModeSetting::new(Mode::Draining, note("the process", None))
    };
    let draining = weighed.with_process(&said);
    assert_eq!((draining.mode, draining.weight), (Mode::Draining, Some(5)));
    let left = draining.after_registration(id, now).unwrap();
    assert_eq!((left.mode, left.weight), (Mode::Active, Some(5)));
    assert_eq!(left.process, None);
}

#[test]
fn nothing_is_left_of_what_is_taken_back() {
    let now = Timestamp(1);
    let set = change(Some(Mode::Maintenance), Some(5), None).over(None, now);
    assert_eq!(ModeChange::to_plain(now).over(set.as_ref(), now), None);
    assert!(
        set.unwrap().says_the_same(
            &change(Some(Mode::Maintenance), Some(5), None)
                .over(None, Timestamp(9))
                .unwrap()
        )
    );
}

#[test]
fn a_setting_of_before_there_were_notes_is_read_and_written_as_it_was() {
    let old =
        r#"{"mode":"Draining","reason":"why","author":"ann","since":1,"until":10,"weight":7}"#;
    let read: ModeSetting = serde_json::from_str(old).unwrap();
    assert_eq!(read.weight_override(), Some((7, note("ann", Some(10)))));
    assert_eq!(serde_json::to_string(&read).unwrap(), old);
}
