use std::time::Duration;

use super::Histogram;

fn quantile_of(times: impl IntoIterator<Item = u64>, share: f64) -> u64 {
    let mut histogram = Histogram::default();
    for time in times {
        histogram.add(Duration::from_nanos(time));
    }
    u64::try_from(histogram.quantile(share).as_nanos()).unwrap()
}

#[test]
fn a_time_is_kept_within_one_part_in_thirty_two() {
    for time in [
        1,
        40,
        63,
        64,
        65,
        1000,
        123_456,
        987_654_321,
        60_000_000_000,
    ] {
        let kept = quantile_of([time], 0.5);
        assert!(kept >= time && kept - time <= time / 32, "{time} is {kept}");
    }
}

#[test]
fn percentiles_are_of_the_sorted_times() {
    let median = quantile_of((1..=1000).map(|n| n * 1000), 0.5);
    assert!((500_000..=516_000).contains(&median), "{median}");
    let high = quantile_of((1..=1000).map(|n| n * 1000), 0.99);
    assert!((990_000..=1_021_000).contains(&high), "{high}");
}

#[test]
fn merged_histograms_hold_both() {
    let mut histogram = Histogram::default();
    let mut other = Histogram::default();
    histogram.add(Duration::from_millis(1));
    other.add(Duration::from_millis(9));
    histogram.merge(&other);
    assert_eq!(histogram.count(), 2);
    assert!(histogram.quantile(1.0) >= Duration::from_millis(9));
    assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
}
