//! The process stands still for longer than every lease (SIGSTOP, a paused machine): that nobody could say that they live is
//! no sign that they are dead.

use std::thread;
use std::time::Duration;

use super::{beat, metric, register, rotation};
use crate::server::{Server, eventually};

const LEASE_SECONDS: u32 = 4;

#[test]
fn nothing_ends_because_the_server_stood_still_for_longer_than_every_lease() {
    let server = Server::start();
    let (alive, dead) = (["a", "b", "c"], ["x", "y", "z"]);
    for id in alive.iter().chain(&dead) {
        register(&server, id, Some(LEASE_SECONDS));
    }
    register(&server, "without", None);
    server.signal("-STOP");
    // The fault itself: time passes, and the process does not see it.
    thread::sleep(Duration::from_secs(u64::from(LEASE_SECONDS) + 3));
    server.signal("-CONT");

    // Nobody is out, and whoever beats in the time that a lease gives is as if nothing had been.
    let everybody = ["a", "b", "c", "without", "x", "y", "z"];
    let explained = |id: &str| {
        let explanation = server.get(&format!("/v1/explain/web/{id}")).expect(200);
        explanation.json()["lease"]["state"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    };
    for id in everybody {
        assert_ne!(explained(id), "over", "{id}");
    }
    for id in alive {
        beat(&server, id);
    }
    let (_, tier) = rotation(&server);
    assert_eq!(tier, 0, "somebody is surely there");
    eventually("the pause is noticed", || {
        (metric(&server, "waypost_timekeeper_stalls_total") > 0).then_some(())
    });
    // Whoever is silent for a whole lease more is dead after all; the others beat on.
    eventually("the silent ones are out", || {
        for id in alive {
            beat(&server, id);
        }
        let over = dead.iter().filter(|id| explained(id) == "over").count();
        (over == dead.len()).then_some(())
    });
    let (ids, tier) = rotation(&server);
    assert_eq!(
        (ids, tier),
        (
            ["a", "b", "c", "without"].map(str::to_owned).to_vec(),
            0.into()
        )
    );
}
