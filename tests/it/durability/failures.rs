//! The disk fails: the request that met it is not acknowledged, nothing is written any more, reading goes on.

use serde_json::{Value, json};

use super::{Controlled, instance, registration};
use crate::record::Control;
use crate::server::{Server, eventually};
use crate::target::{Reply, Target};

#[test]
fn a_sync_that_fails_makes_the_server_read_only() {
    let fault = Fault {
        begin: |control| control.fail_syncs().unwrap(),
        end: |control| control.mend_syncs().unwrap(),
        words: "the disk failed",
    };
    a_fault_makes_the_server_read_only("a_sync_that_fails_makes_the_server_read_only", &fault);
}

#[test]
fn a_full_disk_makes_the_server_read_only() {
    let fault = Fault {
        begin: |control| control.fill_disk().unwrap(),
        end: |control| control.free_disk().unwrap(),
        words: "the disk is full",
    };
    a_fault_makes_the_server_read_only("a_full_disk_makes_the_server_read_only", &fault);
}

struct Fault {
    begin: fn(&Control),
    end: fn(&Control),
    words: &'static str,
}

fn a_fault_makes_the_server_read_only(test: &str, fault: &Fault) {
    let Some(controlled) = Controlled::new(test) else {
        return;
    };
    let target = Target::start();
    let mut server = controlled.start("full");
    let acknowledged: Vec<String> = (0..5).map(|number| format!("kept-{number}")).collect();
    for id in &acknowledged {
        server.put(&instance(id), &registration("1")).expect(201);
    }
    server
        .put(&instance("checked"), &checked(&target))
        .expect(201);
    reaches(&server, "Healthy");
    server.get("/readyz").expect(200);

    (fault.begin)(&controlled.control);
    let failed = server.put(&instance("failed"), &registration("1"));
    assert!((500..600).contains(&failed.status), "{}", failed.text());
    is_read_only(&server, fault.words);
    all_are_there(&server, &acknowledged);

    target.reply(Reply::Answer(500, "broken".to_owned()));
    reaches(&server, "Unhealthy");
    let rotation = server.get("/v1/discover/web").expect(200).text();
    assert!(!rotation.contains(r#""checked""#), "{rotation}");

    // A fault that is over changes nothing: what is in the file is not known before it is read again.
    (fault.end)(&controlled.control);
    is_read_only(&server, fault.words);
    target.reply(Reply::Answer(200, "ok".to_owned()));
    server.restart();
    server.get("/readyz").expect(200);
    all_are_there(&server, &acknowledged);
    reaches(&server, "Healthy");
    server
        .put(&instance("later"), &registration("1"))
        .expect(201);
}

fn checked(target: &Target) -> Value {
    let check = json!({
        "id": "http", "kind": "http", "path": "/", "interval_seconds": 1,
        "unhealthy_interval_seconds": 1, "unhealthy_after": 1, "healthy_after": 1,
    });
    json!({"address": "127.0.0.1", "port": target.port(), "checks": [check]})
}

fn reaches(server: &Server, health: &str) {
    let found = || server.get(&instance("checked")).expect(200).json()["health"] == health;
    eventually(&format!("checked becomes {health}"), || {
        found().then_some(())
    });
}

fn is_read_only(server: &Server, words: &str) {
    let ready = server.get("/readyz").expect(503).text();
    assert!(ready.contains("[-]store-writes failed"), "{ready}");
    assert!(ready.contains(words), "{ready}");
    server.get("/livez").expect(200);
    let changes = [
        server.put(&instance("refused"), &registration("1")),
        server.put(&instance("kept-0"), &registration("2")),
        server.delete(&instance("kept-1")),
    ];
    for answer in changes {
        let answer = answer.expect(503);
        assert!(answer.header("retry-after").is_some());
        let problem = answer.json();
        assert_eq!(problem["code"], "unavailable", "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
        assert!(detail.contains("restart"), "{detail}");
    }
    server.get(&instance("refused")).expect(404);
}

fn all_are_there(server: &Server, ids: &[String]) {
    for id in ids {
        let found = server.get(&instance(id)).expect(200).json();
        assert_eq!(found["attributes"]["version"], "1", "{found}");
    }
}
