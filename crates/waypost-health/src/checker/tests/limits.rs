//! Bounds and refusals: how much at once, and where to.

use waypost_core::{Health, ProbeProtocol, text};
use waypost_dial::DialConfig;

use super::PASSES;
use crate::checker::attempt::LOOKUPS_MAX;
use crate::testing::{
    Setup, Target, World, answer, at, at_host, check_of, dial, hangs, http, http_within,
};

async fn world_with(dial: DialConfig) -> World {
    let setup = Setup {
        dial,
        ..Setup::default()
    };
    World::with(setup, &[http_within(60_000)]).await
}

/// With one place, which a hanging server holds, the second instance waits for it, is counted, and gets it.
async fn the_place_is_waited_for(dial: DialConfig, reason: &str, second: &str) {
    let world = world_with(dial).await;
    let mut stuck = Target::new(hangs()).await;
    world.register("stuck", at(stuck.address)).await;
    stuck.has_connections(1).await;
    let target = Target::new(answer(200, "")).await;
    world
        .register("a", at_host(second, target.address.port()))
        .await;
    let sample = format!("health_checks_skipped_total{{reason=\"{reason}\"}}");
    for turns in 1..=3 {
        world
            .until("a skipped turn", |world| world.metric(&sample) >= turns)
            .await;
        world.pass(1);
    }
    assert_eq!(target.connections(), 0);
    world.deregister("stuck").await;
    stuck.was_left().await;
    world
        .until("the free place", |world| {
            world.pass(1);
            &*world.instance("a").verdict().reason == PASSES
        })
        .await;
}

#[tokio::test]
async fn a_place_at_the_host_is_waited_for() {
    let dial = DialConfig {
        max_in_flight_per_host: 1,
        ..dial()
    };
    the_place_is_waited_for(dial, "host_limit", "127.0.0.1").await;
}

#[tokio::test]
async fn a_place_among_all_probes_is_waited_for() {
    let dial = DialConfig {
        max_in_flight: 1,
        ..dial()
    };
    the_place_is_waited_for(dial, "global_limit", "127.0.0.1").await;
}

#[tokio::test]
async fn a_place_is_waited_for_also_when_the_address_is_known_only_after_a_lookup() {
    let dial = DialConfig {
        max_in_flight: 1,
        ..dial()
    };
    the_place_is_waited_for(dial, "global_limit", "localhost").await;
}

#[tokio::test]
async fn a_host_name_is_looked_up_and_probed() {
    let world = World::new(&[http()]).await;
    let target = Target::new(answer(200, "")).await;
    world
        .register("a", at_host("localhost", target.address.port()))
        .await;
    world.has_reason("a", PASSES).await;
    let instance = world.instance("a");
    let resolved = &instance.verdict().resolved;
    assert!(resolved.contains(&target.address.ip()), "{resolved:?}");
}

#[tokio::test]
async fn servers_that_hang_do_not_hold_the_places_for_lookups() {
    let dial = DialConfig {
        max_in_flight_per_host: 100,
        ..dial()
    };
    let world = world_with(dial).await;
    let mut stuck = Target::new(hangs()).await;
    for n in 1..=LOOKUPS_MAX {
        let spec = at_host("localhost", stuck.address.port());
        world.register(&format!("stuck-{n}"), spec).await;
        stuck.has_connections(n).await;
    }
    let target = Target::new(answer(200, "")).await;
    let spec = at_host("localhost", target.address.port());
    world.register("a", spec).await;
    world.has_reason("a", PASSES).await;
}

#[tokio::test]
async fn a_host_name_without_an_address_is_a_failed_report() {
    let world = World::new(&[http()]).await;
    world
        .register("a", at_host("no-such-host.invalid", 80))
        .await;
    let start = "check http has not passed yet: host name no-such-host.invalid ";
    world
        .until("the reason", |world| {
            world.instance("a").verdict().reason.starts_with(start)
        })
        .await;
}

#[tokio::test]
async fn a_metadata_address_is_refused_from_the_first_probe_on_and_counted_as_a_failure() {
    let world = World::new(&[http()]).await;
    world.register("a", at_host("169.254.169.254", 80)).await;
    let said = "address 169.254.169.254 refused: cloud metadata addresses are always refused";
    world
        .has_reason("a", &format!("check http has not passed yet: {said}"))
        .await;
    let failure = world.instance("a").vitals().last_failure().unwrap();
    assert_eq!((&*failure.reason, failure.status), (said, None));
    for _ in 0..2 {
        world.pass(1);
        world.was_probed("a").await;
    }
    world
        .has_reason("a", &format!("check http failing: {said}"))
        .await;
    assert_eq!(world.instance("a").health(), Health::Unhealthy);
    let sample = r#"health_checks_total{type="http",result="refused_by_policy"}"#;
    assert_eq!(world.metric(sample), 3);
}

#[tokio::test]
async fn a_host_name_that_resolves_to_a_refused_address_is_not_connected_to() {
    let world = world_with(DialConfig::default()).await;
    let target = Target::new(answer(200, "")).await;
    world
        .register("a", at_host("localhost", target.address.port()))
        .await;
    let start = "check http has not passed yet: host name localhost has no address that may be connected to: ";
    world
        .until("the refusal", |world| {
            world.instance("a").verdict().reason.starts_with(start)
        })
        .await;
    assert!(
        world
            .instance("a")
            .verdict()
            .reason
            .contains("loopback is refused")
    );
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_check_of_a_port_that_the_instance_does_not_have_says_so() {
    let mut check = check_of("admin", ProbeProtocol::Tcp);
    if let waypost_core::CheckKind::Probe(probe) = &mut check.kind {
        probe.port = Some(text("admin"));
    }
    let world = World::new(&[check]).await;
    world.register("a", at_host("127.0.0.1", 80)).await;
    world
        .has_reason(
            "a",
            "check admin has not passed yet: the instance has no port named admin",
        )
        .await;
}
