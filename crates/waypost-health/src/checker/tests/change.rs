//! What the checker does when the registry changes under it.

use std::sync::Arc;

use waypost_core::{CheckId, Health, Ownership, ProbeProtocol, SoleOwner, Term};

use super::{PASSES, healthy};
use crate::HealthConfig;
use crate::testing::{Setup, Target, World, answer, at, check_of, hangs, http, http_within};

#[tokio::test]
async fn a_deregistered_instance_is_no_longer_probed() {
    let (world, target) = healthy().await;
    world.deregister("a").await;
    for _ in 0..3 {
        world.pass(30);
        world.settled().await;
    }
    assert_eq!(target.connections(), 1);
    assert_eq!(world.metric("health_checks_scheduled"), 0);
}

#[tokio::test]
async fn deregistering_ends_the_probe_under_way() {
    let world = World::new(&[http_within(60_000)]).await;
    let mut stuck = Target::new(hangs()).await;
    world.register("a", at(stuck.address)).await;
    stuck.has_connections(1).await;
    world.deregister("a").await;
    stuck.was_left().await;
    world
        .until("an empty flight list", |world| {
            world.metric("health_checks_in_flight") == 0
        })
        .await;
}

#[tokio::test]
async fn a_changed_address_drops_the_old_schedule_and_is_probed_at_once() {
    let world = World::new(&[http_within(60_000)]).await;
    let mut old = Target::new(hangs()).await;
    world.register("a", at(old.address)).await;
    old.has_connections(1).await;
    let new = Target::new(answer(200, "")).await;
    world.register("a", at(new.address)).await;
    world.has_reason("a", PASSES).await;
    old.was_left().await;
    world.pass(30);
    world.was_probed("a").await;
    assert_eq!((old.connections(), new.connections()), (1, 2));
}

#[tokio::test]
async fn changed_tags_neither_hurry_nor_forget_the_schedule() {
    let (world, target) = healthy().await;
    let mut changed = at(target.address);
    changed.weight = 5;
    world.register("a", changed).await;
    world.settled().await;
    assert_eq!(target.connections(), 1);
    assert_eq!(world.instance("a").health(), Health::Healthy);
    world.pass(30);
    world.was_probed("a").await;
    assert_eq!(target.connections(), 2);
}

#[tokio::test]
async fn a_check_removed_from_the_service_stops() {
    let (world, target) = healthy().await;
    world.configure(&[]).await;
    world.pass(60);
    world.settled().await;
    assert_eq!(target.connections(), 1);
    assert_eq!(
        &*world.instance("a").verdict().reason,
        "no check configured"
    );
}

#[tokio::test]
async fn a_check_added_to_the_service_runs_at_once() {
    let (world, target) = healthy().await;
    world
        .configure(&[http(), check_of("tcp", ProbeProtocol::Tcp)])
        .await;
    let tcp = CheckId::new("tcp").unwrap();
    world
        .until("the new check", |world| {
            let instance = world.instance("a");
            instance
                .verdict()
                .check(&tcp)
                .is_some_and(|check| &*check.reason == "connected")
        })
        .await;
    assert_eq!(target.connections(), 2);
    assert_eq!(world.instance("a").health(), Health::Healthy);
}

/// Owns every instance but `theirs`.
struct NotTheirs;

impl Ownership for NotTheirs {
    fn owns(&self, key: &waypost_core::InstanceKey) -> Option<Term> {
        (key.id.as_str() != "theirs")
            .then(|| SoleOwner.owns(key))
            .flatten()
    }
}

#[tokio::test]
async fn an_instance_that_another_node_owns_is_left_to_it() {
    let setup = Setup {
        ownership: Arc::new(NotTheirs),
        ..Setup::default()
    };
    let world = World::with(setup, &[http()]).await;
    let theirs = Target::new(answer(200, "")).await;
    world.register("theirs", at(theirs.address)).await;
    let ours = Target::new(answer(200, "")).await;
    world.register("ours", at(ours.address)).await;
    world.has_reason("ours", PASSES).await;
    world.pass(60);
    world.settled().await;
    assert_eq!(theirs.connections(), 0);
    assert_eq!(world.instance("theirs").health(), Health::Unknown);
}

#[tokio::test]
async fn a_checker_that_is_switched_off_probes_nothing() {
    let setup = Setup {
        config: HealthConfig {
            enabled: false,
            ..HealthConfig::default()
        },
        ..Setup::default()
    };
    let world = World::with(setup, &[http()]).await;
    let target = Target::new(answer(200, "")).await;
    world.register("a", at(target.address)).await;
    world.pass(60);
    world.stop().await;
    assert_eq!(target.connections(), 0);
}
