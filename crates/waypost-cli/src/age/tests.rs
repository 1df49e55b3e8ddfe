//! Ages in words.

use std::time::{Duration, SystemTime};

use super::{Ages, seconds};

#[test]
fn an_age_has_one_unit() {
    let ages = Ages::new(Some(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
    ));
    for (time, short, ago) in [
        ("1970-01-12T13:46:40Z", "0s", "0 s ago"),
        ("1970-01-12T13:46:41.5Z", "0s", "0 s ago"),
        ("1970-01-12T13:44:41Z", "119s", "119 s ago"),
        ("1970-01-12T13:44:40Z", "2m", "2 min ago"),
        ("1970-01-12T11:46:40Z", "2h", "2 h ago"),
        ("1970-01-10T13:46:40Z", "2d", "2 d ago"),
        ("1970-01-12T14:46:40+01:00", "0s", "0 s ago"),
    ] {
        assert_eq!(ages.short(Some(time)), short, "{time}");
        assert_eq!(ages.ago(Some(time)), ago, "{time}");
    }
    assert_eq!(
        (ages.short(None).as_str(), ages.ago(None).as_str()),
        ("-", "never")
    );
}

#[test]
fn without_a_clock_or_a_time_the_text_is_shown() {
    let unknown = Ages::new(None);
    assert_eq!(
        unknown.ago(Some("1970-01-12T13:46:40Z")),
        "at 1970-01-12T13:46:40Z"
    );
    let known = Ages::new(Some(SystemTime::UNIX_EPOCH));
    assert_eq!(known.short(Some("yesterday")), "yesterday");
}

#[test]
fn seconds_have_one_decimal_at_most() {
    assert_eq!(seconds(300.0), "300 s");
    assert_eq!(seconds(12.34), "12.3 s");
}
