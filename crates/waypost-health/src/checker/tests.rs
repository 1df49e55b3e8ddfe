//! The checker with a real registry, real sockets and a clock that the test moves.

use waypost_core::{CheckState, Health, Tier};

use crate::testing::{Target, World, answer, at, hangs, http, http_within, nobody};

mod change;
mod limits;
mod reports;

const PASSES: &str = "check http passing: HTTP status 200";
const FAILS: &str = "check http failing: HTTP status 503, expected 200-299";

/// A world with one healthy instance `a`.
async fn healthy() -> (World, Target) {
    let world = World::new(&[http()]).await;
    let target = Target::new(answer(200, "")).await;
    world.register("a", at(target.address)).await;
    world.has_reason("a", PASSES).await;
    (world, target)
}

#[tokio::test]
async fn the_first_pass_makes_a_new_instance_healthy_at_once() {
    let (world, target) = healthy().await;
    let instance = world.instance("a");
    assert_eq!(
        (instance.health(), instance.tier()),
        (Health::Healthy, Tier::Fit)
    );
    assert_eq!(target.connections(), 1);
    let answer = instance.vitals().last_answer().unwrap();
    assert_eq!(
        (&*answer.reason, answer.status),
        ("HTTP status 200", Some(200))
    );
    assert_eq!(instance.vitals().last_failure(), None);
    assert_eq!(
        world.metric(r#"health_checks_total{type="http",result="passing"}"#),
        1
    );
}

#[tokio::test]
async fn three_failures_make_it_unhealthy_and_two_passes_bring_it_back() {
    let (world, target) = healthy().await;
    target.turns_to(answer(503, "busy"));
    world.pass(29);
    world.settled().await;
    assert_eq!(target.connections(), 1, "it was probed before its interval");
    for (wait, failures) in [(1, 1), (5, 2)] {
        world.pass(wait);
        world.was_probed("a").await;
        world.settled().await;
        let instance = world.instance("a");
        assert_eq!(instance.health(), Health::Healthy, "after {failures}");
        let failure = instance.vitals().last_failure().unwrap();
        assert_eq!(&*failure.reason, "HTTP status 503, expected 200-299");
        assert_eq!(
            (failure.status, failure.body.as_deref()),
            (Some(503), Some("busy"))
        );
    }
    world.pass(5);
    world.has_reason("a", FAILS).await;
    let instance = world.instance("a");
    assert_eq!(
        (instance.health(), instance.tier()),
        (Health::Unhealthy, Tier::FailOpen)
    );

    target.turns_to(answer(200, ""));
    world.pass(5);
    world.was_probed("a").await;
    world.settled().await;
    assert_eq!(world.instance("a").health(), Health::Unhealthy);
    world.pass(5);
    world.has_reason("a", PASSES).await;
    assert_eq!(world.instance("a").health(), Health::Healthy);
    assert_eq!(target.connections(), 6);
}

#[tokio::test]
async fn one_that_never_passes_is_probed_every_second_for_30_s_and_its_reason_shows_at_once() {
    let world = World::new(&[http()]).await;
    let target = Target::new(answer(503, "")).await;
    world.register("a", at(target.address)).await;
    let unknown = "check http has not passed yet: HTTP status 503, expected 200-299";
    world.has_reason("a", unknown).await;
    assert_eq!(world.instance("a").health(), Health::Unknown);
    for second in 1..=30 {
        world.pass(1);
        world.was_probed("a").await;
        assert_eq!(target.connections(), second + 1);
    }
    world.has_reason("a", FAILS).await;
    assert_eq!(world.instance("a").tier(), Tier::Out);
    world.pass(4);
    world.settled().await;
    assert_eq!(target.connections(), 31);
    world.pass(1);
    world.was_probed("a").await;
    assert_eq!(target.connections(), 32);
}

#[tokio::test]
async fn a_service_that_starts_late_is_healthy_with_its_first_pass() {
    let world = World::new(&[http()]).await;
    let address = nobody().await;
    world.register("a", at(address)).await;
    let refused = format!("connection refused by {address}");
    let unknown = format!("check http has not passed yet: {refused}");
    world.has_reason("a", &unknown).await;
    for _ in 0..9 {
        world.pass(1);
        world.was_probed("a").await;
    }
    let failing = format!("check http failing: {refused}");
    world.has_reason("a", &failing).await;
    assert_eq!(world.instance("a").health(), Health::Unhealthy);
    let target = Target::at(address, answer(200, "")).await;
    world.pass(1);
    world.has_reason("a", PASSES).await;
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn warnings_keep_an_instance_in_rotation_and_end_with_the_next_good_answer() {
    let (world, target) = healthy().await;
    target.turns_to(answer(
        200,
        r#"{"status": "degraded", "load_percentage": 0.75}"#,
    ));
    world.pass(30);
    world
        .has_reason("a", "check http warning: body says degraded")
        .await;
    let instance = world.instance("a");
    assert_eq!(
        (instance.health(), instance.tier()),
        (Health::Warning, Tier::Fit)
    );
    assert_eq!(instance.vitals().load(), Some(0.75));
    target.turns_to(answer(200, ""));
    world.pass(30);
    world.has_reason("a", PASSES).await;
}

#[tokio::test]
async fn a_server_that_hangs_holds_its_own_place_and_no_other() {
    let world = World::new(&[http_within(60_000)]).await;
    let mut stuck = Target::new(hangs()).await;
    world.register("stuck", at(stuck.address)).await;
    stuck.has_connections(1).await;
    let target = Target::new(answer(200, "")).await;
    for id in ["a", "b", "c"] {
        world.register(id, at(target.address)).await;
        world.has_reason(id, PASSES).await;
    }
    assert_eq!(world.instance("stuck").health(), Health::Unknown);
    assert_eq!(stuck.connections(), 1);
}

#[tokio::test]
async fn a_probe_that_is_still_under_way_is_not_joined_by_a_second_one() {
    let world = World::new(&[http_within(60_000)]).await;
    let mut stuck = Target::new(hangs()).await;
    world.register("a", at(stuck.address)).await;
    stuck.has_connections(1).await;
    for late in 1..=3 {
        world.pass(1);
        world
            .until("a late turn", |world| {
                world.metric(r#"health_checks_skipped_total{reason="late"}"#) == late
            })
            .await;
    }
    assert_eq!(stuck.connections(), 1);
    assert_eq!(world.metric("health_checks_in_flight"), 1);
}

#[tokio::test]
async fn a_hanging_server_is_unhealthy_after_three_timeouts() {
    let world = World::new(&[http_within(100)]).await;
    let stuck = Target::new(hangs()).await;
    world.register("a", at(stuck.address)).await;
    let said = format!(
        "{} accepted the connection and sent no answer within 100 ms",
        stuck.address
    );
    world
        .has_reason("a", &format!("check http has not passed yet: {said}"))
        .await;
    for _ in 0..2 {
        world.pass(1);
        world.was_probed("a").await;
    }
    world
        .has_reason("a", &format!("check http failing: {said}"))
        .await;
    let instance = world.instance("a");
    assert_eq!(instance.verdict().checks[0].state, CheckState::Failing);
}

#[tokio::test]
async fn stopping_drops_the_probes_under_way() {
    let world = World::new(&[http_within(60_000)]).await;
    let mut stuck = Target::new(hangs()).await;
    world.register("a", at(stuck.address)).await;
    stuck.has_connections(1).await;
    world.stop().await;
    stuck.was_left().await;
}
