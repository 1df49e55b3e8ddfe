//! What DNS answers as the registry changes, and what becomes of connections that only wait.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::dns_server::Asker;
use crate::server::{Server, Setup, eventually_within};
use crate::target::{Reply, Target};

const SERVICE: &str = "/v1/namespaces/svc.internal/services/web";
/// Longest wait for the other end to close.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_service_of_which_nobody_is_well_is_empty_and_with_fail_open_it_is_whole() {
    let server = Server::start();
    let target = Target::start();
    server
        .put(SERVICE, &json!({"fail_open": false}))
        .expect(201);
    let check = json!({
        "id": "http", "kind": "http", "path": "/", "interval_seconds": 1, "unhealthy_interval_seconds": 1,
        "unhealthy_after": 1,
    });
    for id in ["a", "b"] {
        let body = json!({"address": "127.0.0.1", "port": target.port(), "checks": [check]});
        server
            .put(&format!("{SERVICE}/instances/{id}"), &body)
            .expect(201);
    }
    let wait_for = |health: &str| {
        eventually_within(PATIENCE, health, || {
            let counts = server.get(SERVICE).json()["instances"].clone();
            (counts[health] == 2).then_some(())
        });
    };
    let asker = Asker::new(server.dns());
    wait_for("healthy");
    assert_eq!(asker.ask("web.svc.internal"), (0, 1), "one address, twice");
    target.reply(Reply::Answer(503, String::new()));
    wait_for("unhealthy");
    assert_eq!(asker.ask("web.svc.internal"), (0, 0));
    server.put(SERVICE, &json!({"fail_open": true})).expect(200);
    assert_eq!(asker.ask("web.svc.internal"), (0, 1), "one address, twice");
    server
        .put(SERVICE, &json!({"fail_open": false}))
        .expect(200);
    assert_eq!(asker.ask("web.svc.internal"), (0, 0));
}

#[test]
fn what_lay_above_the_last_name_goes_with_it() {
    let server = Server::start();
    let asker = Asker::new(server.dns());
    let services = "/v1/namespaces/svc.internal/services";
    for service in ["one.ent", "two.ent"] {
        let body = json!({"address": "127.0.0.1", "port": 80});
        server
            .put(&format!("{services}/{service}/instances/a"), &body)
            .expect(201);
    }
    let body = json!({"address": "127.0.0.1", "port": 80});
    server
        .put(&format!("{SERVICE}/instances/a"), &body)
        .expect(201);
    for above in [
        "ent.svc.internal",
        "_tcp.svc.internal",
        "_tcp.web.svc.internal",
    ] {
        assert_eq!(asker.ask(above), (0, 0), "{above}");
    }
    let remove = |service: &str| {
        server
            .delete(&format!("{services}/{service}/instances/a"))
            .expect(204);
        server.delete(&format!("{services}/{service}")).expect(204);
    };
    remove("one.ent");
    assert_eq!(asker.ask("ent.svc.internal"), (0, 0), "two.ent is left");
    remove("two.ent");
    assert_eq!(asker.ask("ent.svc.internal"), (3, 0));
    assert_eq!(asker.ask("_tcp.svc.internal"), (0, 0), "web is left");
    server.delete(&format!("{SERVICE}/instances/a")).expect(204);
    assert_eq!(asker.ask("_tcp.svc.internal"), (3, 0));
    assert_eq!(asker.ask("_tcp.web.svc.internal"), (3, 0));
    assert_eq!(
        asker.ask("web.svc.internal"),
        (0, 0),
        "the service itself stays"
    );
}

#[test]
fn a_connection_that_idles_or_asks_too_slowly_is_closed() {
    let server = Setup::new()
        .env("WAYPOST__DNS__TCP_IDLE_SECONDS", "1")
        .start();
    let mut idle = TcpStream::connect(server.dns()).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    // 600 bytes at 5 bytes a second.
    let mut slow = TcpStream::connect(server.dns()).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    slow.write_all(&600_u16.to_be_bytes()).unwrap();
    let closed = (0..600).any(|_| {
        let is_gone =
            |kind: ErrorKind| !matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        if let Err(error) = slow.write_all(&[0]) {
            return is_gone(error.kind());
        }
        match slow.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => is_gone(error.kind()),
        }
    });
    assert!(closed, "a byte now and then holds a connection");
}
