use std::num::NonZeroU32;

use super::*;

fn rates(per_second: u32, burst: Option<u32>) -> Rates {
    let rate = Rate {
        per_second: NonZeroU32::new(per_second).unwrap(),
        burst: burst.and_then(NonZeroU32::new),
    };
    Rates::new(&CloudMapConfig {
        rates: [("DiscoverInstances".to_owned(), rate)].into(),
        ..CloudMapConfig::default()
    })
}

fn taken(rates: &Rates, account: &str, at: u64, tries: u32) -> usize {
    let takes = (0..tries).filter(|_| rates.take("DiscoverInstances", account, Monotonic(at)));
    takes.count()
}

#[test]
fn a_burst_is_let_through_and_then_so_many_a_second() {
    let rates = rates(1_000, Some(2_000));
    assert_eq!(taken(&rates, "1", 0, 5_000), 2_000);
    assert_eq!(taken(&rates, "1", 1, 5_000), 1);
    assert_eq!(taken(&rates, "1", 501, 5_000), 500);
    assert_eq!(taken(&rates, "1", 60_501, 5_000), 2_000);
}

#[test]
fn without_a_burst_a_second_s_worth_is_one() {
    let rates = rates(50, None);
    assert_eq!(taken(&rates, "1", 0, 100), 50);
    assert_eq!(taken(&rates, "1", 20, 100), 1);
}

#[test]
fn accounts_and_operations_do_not_take_from_each_other() {
    let rates = rates(1, None);
    assert_eq!(taken(&rates, "1", 0, 10), 1);
    assert_eq!(taken(&rates, "2", 0, 10), 1);
    assert!((0..100).all(|_| rates.take("ListInstances", "1", Monotonic(0))));
}

#[test]
fn accounts_that_have_rested_are_forgotten_when_there_are_too_many() {
    let rates = rates(1, None);
    for account in 0..ACCOUNTS_MAX {
        assert_eq!(taken(&rates, &account.to_string(), 0, 2), 1);
    }
    assert_eq!(taken(&rates, "another", 5_000, 2), 1);
    assert_eq!(rates.0[0].accounts.lock().unwrap().len(), 1);
}
