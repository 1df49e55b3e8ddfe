use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use waypost_core::Monotonic;

use super::{METERS_MAX, Meter, Meters, RequestRate, SHARDS, party};

#[test]
fn a_burst_is_answered_at_once_and_then_so_many_a_second() {
    let meter = Meter::default();
    let rate = RequestRate::new(10, 5);
    let start = Monotonic(1_000);
    for _ in 0..5 {
        assert_eq!(meter.take(rate, start), Ok(()));
    }
    assert_eq!(meter.take(rate, start), Err(Duration::from_millis(100)));
    assert_eq!(
        meter.take(rate, Monotonic(1_099)),
        Err(Duration::from_millis(1))
    );
    assert_eq!(meter.take(rate, Monotonic(1_100)), Ok(()));
    assert!(meter.take(rate, Monotonic(1_100)).is_err());
}

#[test]
fn a_rate_of_zero_is_no_bound() {
    let meter = Meter::default();
    for _ in 0..10_000 {
        assert_eq!(meter.take(RequestRate::default(), Monotonic(0)), Ok(()));
    }
}

#[test]
fn a_host_gains_nothing_by_the_addresses_of_its_network() {
    let addresses = Meters::<IpAddr>::default();
    let rate = RequestRate::new(1, 2);
    let of = |host: u16| {
        party(IpAddr::V6(Ipv6Addr::new(
            0x2001, 0xdb8, 0, 1, 0, 0, 0, host,
        )))
    };
    assert!(addresses.take(&of(1), rate, Monotonic(0)).is_ok());
    assert!(addresses.take(&of(2), rate, Monotonic(0)).is_ok());
    assert!(addresses.take(&of(3), rate, Monotonic(0)).is_err());
    let other = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1));
    assert!(addresses.take(&party(other), rate, Monotonic(0)).is_ok());
}

#[test]
fn an_address_written_as_ipv6_is_the_same_address() {
    let addresses = Meters::<IpAddr>::default();
    let rate = RequestRate::new(1, 1);
    let four = Ipv4Addr::new(192, 0, 2, 1);
    assert!(
        addresses
            .take(&party(IpAddr::V4(four)), rate, Monotonic(0))
            .is_ok()
    );
    let mapped = IpAddr::V6(four.to_ipv6_mapped());
    assert!(addresses.take(&party(mapped), rate, Monotonic(0)).is_err());
}

#[test]
fn a_million_addresses_are_bounded_and_still_limited() {
    let addresses = Meters::<IpAddr>::default();
    let rate = RequestRate::new(1, 1);
    let mut taken = 0;
    for number in 0..200_000u32 {
        let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        taken += u32::from(addresses.take(&address, rate, Monotonic(0)).is_ok());
    }
    let places = u32::try_from(METERS_MAX * SHARDS + SHARDS).unwrap();
    assert!(taken <= places, "{taken}");
    // Whoever is known keeps what is known of him, and later there is room again.
    let first = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0));
    assert!(addresses.take(&first, rate, Monotonic(0)).is_err());
    let new = IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1));
    assert!(addresses.take(&new, rate, Monotonic(10_000)).is_ok());
}

proptest! {
    /// Whatever comes when: over any time no more is answered than the burst and what the rate allows.
    #[test]
    fn no_more_is_answered_than_the_rate_allows(
        per_second in 1u32..5_000,
        burst in 1u32..100,
        waits in prop::collection::vec(0u64..50, 1..400),
    ) {
        let meter = Meter::default();
        let rate = RequestRate::new(per_second, burst);
        let (mut now, mut answered) = (0u64, 0u64);
        for wait in waits {
            now += wait;
            answered += u64::from(meter.take(rate, Monotonic(now)).is_ok());
        }
        // One millisecond's worth comes together, since the clock counts those.
        let least = u64::from(burst).max(u64::from(per_second) / 1_000 + 1);
        // The interval is cut to whole microseconds: a rate may be exceeded by that.
        let interval = 1_000_000 / u64::from(per_second);
        let allowed = least + now * 1_000 / interval + 1;
        prop_assert!(answered <= allowed, "{answered} of {allowed}");
    }
}
