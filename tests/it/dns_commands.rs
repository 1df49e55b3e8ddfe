//! `waypost resolve`, `waypost export` and the names in `waypost explain`, against the real server.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::process::Output;

use serde_json::{Value, json};

use crate::server::{Server, Setup, eventually};
use crate::target::Target;

const WEB: &str = "/v1/namespaces/svc.internal/services/web/instances";

fn register(server: &Server, id: &str, body: &Value) {
    server.put(&format!("{WEB}/{id}"), body).expect(201);
}

fn tcp_check() -> Value {
    json!([{ "id": "up", "kind": "tcp", "interval_seconds": 1 }])
}

/// Registers `a`, which is in rotation, and `b`, which never passes its check.
fn two(server: &Server) {
    register(
        server,
        "a",
        &json!({ "address": "127.0.0.1", "port": 8080 }),
    );
    let failing = json!({ "address": "127.0.0.2", "port": 1, "checks": tcp_check() });
    register(server, "b", &failing);
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn resolved(server: &Server, arguments: &[&str]) -> Value {
    let whole = [&["resolve"], arguments, &["-o", "json"]].concat();
    json_of(&server.cli(&whole))
}

#[test]
fn resolve_asks_over_the_wire_and_shows_who_is_left_out_and_why() {
    let server = Setup::new().start();
    two(&server);
    let asked = resolved(&server, &["web", "--explain"]);
    assert_eq!(asked["name"], "web.svc.internal");
    assert_eq!(asked["server"], server.dns().to_string());
    assert_eq!(asked["transport"], "udp");
    assert_eq!(asked["rcode"], "NOERROR");
    assert_eq!(asked["authoritative"], true);
    let answer =
        json!([{ "name": "web.svc.internal", "ttl": 10, "type": "A", "data": "127.0.0.1" }]);
    assert_eq!(asked["answers"], answer);
    let instances = asked["instances"].as_array().unwrap();
    let shown = |id: &str| instances.iter().find(|one| one["id"] == id).unwrap();
    assert_eq!(shown("a")["answered"], true);
    assert_eq!(shown("b")["answered"], false);
    let reason = shown("b")["reason"].as_str().unwrap();
    assert!(reason.contains("check up has not passed yet"), "{reason}");

    let table = printed(&server.cli(&["resolve", "web", "--type", "srv", "--explain"]));
    assert!(table.contains("1 1 8080 a.web.svc.internal"), "{table}");
    let left_out = table.lines().find(|line| line.starts_with("web/b"));
    let left_out = left_out.unwrap();
    assert!(left_out.contains("has not passed yet"), "{left_out}");
    let over_tcp = resolved(
        &server,
        &["_web._tcp.svc.internal.", "--type", "SRV", "--tcp"],
    );
    assert_eq!(over_tcp["transport"], "tcp");
    assert_eq!(over_tcp["additional"][0]["data"], "127.0.0.1");
    let named = resolved(&server, &["127.0.0.2"]);
    assert_eq!(named["answers"][0]["data"], "b.web.svc.internal.");
}

#[test]
fn resolve_says_what_is_missing_with_an_exit_code_of_its_own() {
    let server = Setup::new().start();
    two(&server);
    let ends = |arguments: &[&str], code: i32, words: &str| {
        let output = server.cli(arguments);
        let why = said(&output);
        assert_eq!(output.status.code(), Some(code), "{why}");
        assert!(why.contains(words), "{why}");
    };
    ends(
        &["resolve", "nobody"],
        3,
        "there is no name nobody.svc.internal",
    );
    ends(
        &["resolve", "web", "--type", "AAAA"],
        3,
        "has no AAAA records",
    );
    let foreign = "answers for no zone of www.example.org";
    ends(&["resolve", "www.example.org"], 3, foreign);
    ends(&["resolve", "web..internal"], 2, "is no DNS name");
    server.delete(&format!("{WEB}/a")).expect(204);
    ends(&["resolve", "web"], 4, "no instance in rotation");
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = nobody.local_addr().unwrap().to_string();
    let silent = ["resolve", "web", "--dns", &silent, "--timeout", "1"];
    ends(&silent, 8, "no answer in time");
}

#[test]
fn a_host_name_that_was_probed_gives_its_addresses_to_the_service() {
    let server = Setup::new().start();
    let target = Target::start();
    let body = json!({ "address": "localhost", "port": target.port(), "checks": tcp_check() });
    register(&server, "a", &body);
    let found = eventually("localhost was looked up", || {
        let found = resolved(&server, &["web"]);
        (found["answers"] != json!([])).then_some(found)
    });
    let known: Vec<IpAddr> = ("localhost", 0)
        .to_socket_addrs()
        .unwrap()
        .map(|address| address.ip())
        .collect();
    for answer in found["answers"].as_array().unwrap() {
        let address = answer["data"].as_str().unwrap().parse().unwrap();
        assert!(known.contains(&address), "{answer}");
    }
    let own = resolved(&server, &["a.web.svc.internal", "--type", "CNAME"]);
    assert_eq!(own["answers"][0]["data"], "localhost.");
}

#[test]
fn explain_names_everything_under_which_an_instance_is_found() {
    let server = Setup::new().start();
    two(&server);
    let rows = |id: &str| -> Vec<(String, bool)> {
        let explanation = server.get(&format!("/v1/explain/web/{id}"));
        let explanation = explanation.expect(200).json();
        let rows = explanation["visible"].as_array().unwrap().iter();
        rows.filter(|row| row["dialect"] == "dns")
            .map(|row| {
                (
                    row["where"].as_str().unwrap().to_owned(),
                    row["visible"] == true,
                )
            })
            .collect()
    };
    let names = |id: &str, end: u8, is_in: bool| {
        vec![
            ("web.svc.internal A SRV".to_owned(), is_in),
            ("_web._tcp.svc.internal SRV".to_owned(), is_in),
            ("_default._tcp.web.svc.internal SRV".to_owned(), is_in),
            (format!("{id}.web.svc.internal A"), true),
            (format!("{end}.0.0.127.in-addr.arpa PTR"), true),
        ]
    };
    assert_eq!(rows("a"), names("a", 1, true));
    assert_eq!(rows("b"), names("b", 2, false));
    for (place, _) in rows("a") {
        let (name, kinds) = place.split_once(' ').unwrap();
        for kind in kinds.split(' ') {
            let found = resolved(&server, &[name, "--type", kind]);
            let answers = found["answers"].as_array().unwrap();
            assert_eq!(answers.len(), 1, "{name} {kind}: {found}");
        }
    }
}

#[test]
fn export_names_every_zone_and_where_to_ask() {
    let server = Setup::new().start();
    two(&server);
    let (ip, port) = (server.dns().ip(), server.dns().port());
    let text = |arguments: &[&str]| {
        let output = server.cli(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        printed(&output)
    };
    let coredns = text(&["export", "coredns"]);
    assert!(coredns.starts_with("svc.internal {\n"), "{coredns}");
    let forward = format!("forward . {ip}:{port}\n");
    assert!(coredns.contains(&forward), "{coredns}");
    let unbound = text(&["export", "unbound"]);
    let stub = format!("stub-addr: {ip}@{port}\n");
    assert!(unbound.contains(&stub), "{unbound}");
    assert!(!unbound.contains("arpa"), "{unbound}");
    let reverse = text(&["export", "unbound", "--reverse"]);
    assert!(reverse.contains("name: \"10.in-addr.arpa\"\n"), "{reverse}");
    let dnsmasq = text(&["export", "dnsmasq", "--dns", "192.0.2.1"]);
    let server_line = "server=/svc.internal/192.0.2.1#53\n";
    assert!(dnsmasq.contains(server_line), "{dnsmasq}");
}
