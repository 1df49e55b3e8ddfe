//! What operators do by the command line, and what outlives what.

use serde_json::{Value, json};

use crate::server::{Server, eventually};

const WEB: &str = "/v1/namespaces/svc.internal/services/web/instances/a";

fn registered(server: &Server) {
    let body = json!({"address": "127.0.0.1", "port": 80, "weight": 3});
    assert!(server.put(WEB, &body).is_success());
}

fn run(server: &Server, arguments: &str) -> (i32, String, String) {
    let output = server.cli(&arguments.split(' ').collect::<Vec<_>>());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn ok(server: &Server, arguments: &str) -> String {
    let (code, out, err) = run(server, arguments);
    assert_eq!(code, 0, "{arguments:?} {out} {err}");
    out
}

fn shown(server: &Server) -> Value {
    server.get(WEB).expect(200).json()
}

/// Says what has to hold while the drain, the weight and the health do.
fn holds(server: &Server, when: &str) {
    let it = shown(server);
    let said = (
        &it["mode"],
        &it["weight"],
        &it["health"],
        &it["in_rotation"],
    );
    assert_eq!(
        said,
        (
            &json!("Draining"),
            &json!(9),
            &json!("Unhealthy"),
            &json!(false)
        ),
        "{when}: {it}"
    );
    let (_, explained, _) = run(server, "explain web/a");
    for part in [
        "Draining by ann",
        "new-disks",
        "9 by bob",
        "Unhealthy by bob",
        "checks say",
    ] {
        assert!(explained.contains(part), "{when}: {part}: {explained}");
    }
}

#[test]
fn a_drain_a_weight_and_a_health_outlive_updates_registrations_kills_and_restarts() {
    let mut server = Server::start();
    registered(&server);
    let out = ok(
        &server,
        "drain web/a --for 1h --reason new-disks --author ann",
    );
    assert!(
        out.contains("Draining by ann since") && out.contains(": new-disks"),
        "{out}"
    );
    let out = ok(
        &server,
        "override web/a --weight 9 --health unhealthy --author bob",
    );
    assert!(
        out.contains("9 by bob") && out.contains("Unhealthy by bob"),
        "{out}"
    );
    holds(&server, "at once");
    registered(&server);
    let patch = server.request(
        "PATCH",
        WEB,
        &[("content-type", "application/json")],
        br#"{"tags": ["x"]}"#,
    );
    assert_eq!(patch.status, 200);
    holds(&server, "after an update");
    server.kill9();
    server.restart();
    holds(&server, "after a kill");
    assert!(server.terminate().success());
    server.restart();
    holds(&server, "after a restart");
    assert_eq!(server.delete(WEB).status, 204);
    registered(&server);
    holds(&server, "after it went and came back");
    ok(&server, "resume web/a");
    let it = shown(&server);
    assert_eq!((&it["mode"], &it["weight"]), (&json!("Active"), &json!(9)));
    ok(&server, "override web/a --weight none --health none");
    let it = shown(&server);
    assert_eq!(
        (&it["weight"], &it["health"], &it["in_rotation"]),
        (&json!(3), &json!("Healthy"), &json!(true))
    );
}

#[test]
fn what_is_said_for_a_time_ends_with_it_also_when_the_server_was_away_then() {
    let mut server = Server::start();
    registered(&server);
    ok(&server, "maintenance web/a --for 1s");
    ok(&server, "override web/a --weight 9 --for 1s");
    eventually("both are over", || {
        let it = shown(&server);
        (it["mode"] == "Active" && it["weight"] == 3).then_some(())
    });
    ok(&server, "override web/a --health unhealthy --for 1s");
    server.kill9();
    server.restart();
    eventually("it is over", || {
        (shown(&server)["health"] == "Healthy").then_some(())
    });
    let out = ok(&server, "drain web/a --for 1s -o json");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["overrides"]["mode"]["mode"], "Draining");
    // A drain that is over is no reason to send traffic again.
    eventually("the drain is over", || {
        (shown(&server)["mode"] == "Maintenance").then_some(())
    });
}

#[test]
fn a_block_refuses_the_id_in_every_dialect_until_it_is_lifted() {
    let mut server = Server::start();
    registered(&server);
    ok(
        &server,
        "deregister web/a --block 10m --reason it-leaks --author ann",
    );
    server.kill9();
    server.restart();
    let body = json!({"address": "127.0.0.1", "port": 80});
    let refused = server.put(WEB, &body).expect(409).json();
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!("blocked"), &json!("it-leaks"))
    );
    assert!(refused["until"].is_string(), "{refused}");
    let theirs =
        json!({"service_name": "web", "instance_id": "a", "host": "127.0.0.1", "port": 80});
    server.post("/v1/discovery/register", &theirs).expect(409);
    let (code, _, err) = run(&server, "register web a --address 127.0.0.1");
    assert_eq!(code, 7, "{err}");
    assert!(err.contains("it-leaks") && err.contains("until"), "{err}");
    assert!(server.put(&WEB.replace("/a", "/b"), &body).is_success());
    let (code, _, err) = run(&server, "drain web/a");
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("nothing to drain") && err.contains("it-leaks"),
        "{err}"
    );
    ok(&server, "resume web/a --all");
    assert!(server.put(WEB, &body).is_success());
}

#[test]
fn a_check_that_somebody_reports_decides_and_fails_when_nobody_reports_again() {
    let server = Server::start();
    let body = json!({"address": "127.0.0.1", "port": 80, "checks": [{"id": "smoke", "kind": "reported"}]});
    assert!(server.put(WEB, &body).is_success());
    assert_eq!(shown(&server)["in_rotation"], false);
    let out = ok(&server, "report web/a smoke passing --note 42-passed");
    assert_eq!(out, "smoke is passing\n");
    eventually("it is in", || {
        (shown(&server)["in_rotation"] == true).then_some(())
    });
    ok(&server, "report web/a smoke passing --for 1s");
    eventually("it is out", || {
        (shown(&server)["health"] == "Unhealthy").then_some(())
    });
    let (_, explained, _) = run(&server, "explain web/a");
    assert!(explained.contains("smoke (reported)"), "{explained}");
    let (code, _, err) = run(&server, "report web/a none passing");
    assert_eq!(code, 3, "{err}");
}

#[test]
fn namespaces_and_services_are_made_changed_and_removed() {
    let server = Server::start();
    let out = ok(
        &server,
        "namespace create shop.internal --description the-shop --soa-ttl 30s",
    );
    assert!(out.contains("the-shop") && out.contains("30 s"), "{out}");
    let (code, _, err) = run(&server, "namespace create shop.internal");
    assert_eq!(code, 7, "{err}");
    ok(&server, "namespace set shop.internal --description another");
    let out = ok(&server, "namespace get shop.internal -o json");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&out["description"], &out["soa_ttl_seconds"]),
        (&json!("another"), &json!(30))
    );
    let out = ok(&server, "namespace ls");
    assert!(
        out.starts_with("NAMESPACE ") && out.contains("shop.internal"),
        "{out}"
    );
    let create = "service create cart -n shop.internal --fail-open true --lease 1m --tag blue --record A:5s --attribute team=x";
    let out = ok(&server, create);
    for part in ["fails open      yes", "60 s", "blue", "A for 5 s", "team=x"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    ok(
        &server,
        "service set cart -n shop.internal --fail-open false",
    );
    let out = ok(&server, "service get cart -n shop.internal -o json");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&out["fail_open"], &out["lease_seconds"]),
        (&json!(false), &json!(60))
    );
    let out = ok(&server, "service ls -n shop.internal");
    assert!(out.contains("cart"), "{out}");
    let (code, _, err) = run(&server, "namespace rm shop.internal");
    assert_eq!(code, 7, "{err}");
    ok(&server, "service rm cart -n shop.internal");
    ok(&server, "namespace rm shop.internal");
    let (code, _, _) = run(&server, "namespace get shop.internal");
    assert_eq!(code, 3);
}
