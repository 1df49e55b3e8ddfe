use super::*;

fn limits(in_all: usize, per_host: usize) -> Limits {
    Limits::new(&DialConfig {
        max_in_flight: in_all,
        max_in_flight_per_host: per_host,
        ..DialConfig::default()
    })
}

fn host(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

#[test]
fn the_ninth_call_to_one_address_is_refused_and_other_addresses_are_not() {
    let limits = Limits::new(&DialConfig::default());
    let held: Vec<Permit> = (0..8)
        .map(|_| limits.try_acquire(host(1)).unwrap())
        .collect();
    let full = limits.try_acquire(host(1)).unwrap_err();
    assert_eq!(
        full,
        Full::Host {
            host: host(1),
            limit: 8
        }
    );
    assert!(limits.try_acquire(host(2)).is_ok());
    drop(held);
}

#[test]
fn the_limit_over_all_targets_holds_even_when_every_host_has_room() {
    let limits = limits(3, 8);
    let held: Vec<Permit> = (0..3)
        .map(|n| limits.try_acquire(host(n)).unwrap())
        .collect();
    assert_eq!(
        limits.try_acquire(host(9)).unwrap_err(),
        Full::InAll { limit: 3 }
    );
    drop(held);
    assert!(limits.try_acquire(host(9)).is_ok());
}

#[test]
fn a_dropped_permit_makes_room_and_leaves_nothing_behind() {
    let limits = limits(8, 1);
    let permit = limits.try_acquire(host(1)).unwrap();
    assert_eq!(limits.in_flight(), 1);
    drop(permit);
    assert_eq!(limits.in_flight(), 0);
    assert!(limits.shared.lock().hosts.is_empty());
    assert!(limits.try_acquire(host(1)).is_ok());
}

#[test]
fn a_mapped_address_counts_as_the_address_it_means() {
    let limits = limits(8, 1);
    let _held = limits.try_acquire(host(1)).unwrap();
    assert!(
        limits
            .try_acquire("::ffff:10.0.0.1".parse().unwrap())
            .is_err()
    );
}

#[test]
fn a_full_limit_names_its_setting() {
    assert_eq!(
        Full::Host {
            host: host(1),
            limit: 8
        }
        .to_string(),
        "8 calls to 10.0.0.1 are under way (dial.max_in_flight_per_host)"
    );
}
