//! What every server is to answer with: registered with Waypost, and as zone files for the others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use crate::server::Server;

pub(super) const ZONE: &str = "svc.internal";
/// A zone within the other one.
pub(super) const INNER: &str = "eu.svc.internal";
pub(super) const REVERSE: [&str; 2] = ["10.in-addr.arpa", "d.f.ip6.arpa"];
/// What the server takes of any time to live.
const TTL_MAX: u32 = 86_400;
const TTL: u32 = 10;

/// A service as it is registered.
struct Service {
    zone: &'static str,
    name: String,
    dns: Option<(&'static str, Vec<(&'static str, u32)>)>,
    note: Option<&'static str>,
    instances: Vec<Instance>,
}

struct Instance {
    id: String,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    host: Option<&'static str>,
    ports: Vec<(&'static str, u16, &'static str)>,
}

fn at(id: &str, v4: &str) -> Instance {
    Instance {
        id: id.to_owned(),
        v4: Some(v4.parse().unwrap()),
        v6: None,
        host: None,
        ports: vec![("http", 80, "http")],
    }
}

fn at6(id: &str, v6: &str) -> Instance {
    Instance {
        v4: None,
        v6: Some(v6.parse().unwrap()),
        ..at(id, "0.0.0.0")
    }
}

fn service(name: &str, instances: Vec<Instance>) -> Service {
    Service {
        zone: ZONE,
        name: name.to_owned(),
        dns: None,
        note: None,
        instances,
    }
}

fn alias(name: &str, host: &'static str) -> Service {
    let instance = Instance {
        v4: None,
        host: Some(host),
        ..at("a", "0.0.0.0")
    };
    Service {
        dns: Some(("Weighted", vec![("CNAME", 7)])),
        ..service(name, vec![instance])
    }
}

fn all() -> Vec<Service> {
    let numbered = |count: u8, third: u8| {
        let one = |number| at(&format!("i{number}"), &format!("10.0.{third}.{number}"));
        (1..=count).map(one).collect()
    };
    let mut dual = at("a", "10.0.0.3");
    dual.v6 = Some("fd00::3".parse().unwrap());
    let mut udp = at("a", "10.0.0.8");
    udp.ports = vec![("http", 80, "http"), ("stats", 8_125, "udp")];
    let huge = |number| {
        let id = format!("{number:03}{}", "x".repeat(60));
        at(
            &id,
            &format!("10.0.{}.{}", 20 + number / 250, 1 + number % 250),
        )
    };
    vec![
        Service {
            note: Some("shop"),
            ..service("web", vec![at("a", "10.0.0.1"), at("b", "10.0.0.2")])
        },
        service("shared", vec![at("a", "10.0.0.1")]),
        service("six", vec![at6("a", "fd00::1")]),
        service("dual", vec![dual]),
        Service {
            dns: Some(("Multivalue", vec![("A", 0)])),
            ..service("zero", vec![at("a", "10.0.0.4")])
        },
        Service {
            dns: Some(("Multivalue", vec![("A", 1_000_000)])),
            ..service("long", vec![at("a", "10.0.0.9")])
        },
        Service {
            note: Some("nobody"),
            ..service("empty", Vec::new())
        },
        service("udp", vec![udp]),
        service("many", numbered(100, 9)),
        service("few", numbered(20, 7)),
        Service {
            dns: Some(("Multivalue", vec![("A", 3)])),
            ..service("ten", numbered(10, 8))
        },
        service("huge", (0..700).map(huge).collect()),
        alias("a1", "a2.svc.internal"),
        alias("a2", "web.svc.internal"),
        alias("outside", "www.example.org"),
        alias("nowhere", "missing.svc.internal"),
        alias("loop-a", "loop-b.svc.internal"),
        alias("loop-b", "loop-a.svc.internal"),
        service(&"l".repeat(63), vec![at("a", "10.0.0.5")]),
        service("under_score", vec![at("a", "10.0.0.6")]),
        service("deep.er", vec![at("a", "10.0.0.10")]),
        Service {
            zone: INNER,
            ..service("web", vec![at("a", "10.0.0.7")])
        },
    ]
}

/// Registers everything over HTTP.
pub(super) fn register(server: &Server) {
    let mut connection = server.connect();
    let mut put = |path: &str, body: &Value| {
        let answer = connection.ask("PUT", path, body).unwrap();
        assert!(answer.is_success(), "{path}: {}", answer.text());
    };
    for service in all() {
        let path = format!("/v1/namespaces/{}/services/{}", service.zone, service.name);
        let mut settings = json!({});
        if let Some((routing, records)) = &service.dns {
            let record = |(kind, ttl): &(&str, u32)| json!({"type": kind, "ttl_seconds": ttl});
            let records: Vec<Value> = records.iter().map(record).collect();
            settings["dns"] = json!({"routing": routing, "records": records});
        }
        if let Some(note) = service.note {
            settings["attributes"] = json!({ "note": note });
        }
        put(&path, &settings);
        for instance in &service.instances {
            let port = |(name, number, protocol): &(&str, u16, &str)| json!({"name": name, "number": number, "protocol": protocol});
            let ports: Vec<Value> = instance.ports.iter().map(port).collect();
            let mut body = json!({ "ports": ports });
            if let Some(v4) = instance.v4 {
                body["ipv4"] = json!(v4);
            }
            if let Some(v6) = instance.v6 {
                body["ipv6"] = json!(v6);
            }
            if let Some(host) = instance.host {
                body["hostname"] = json!(host);
            }
            put(&format!("{path}/instances/{}", instance.id), &body);
        }
    }
}

/// Writes the same as zone files: the zone's name and its lines.
pub(super) fn zones() -> BTreeMap<&'static str, String> {
    let mut zones: BTreeMap<&str, String> = [ZONE, INNER]
        .into_iter()
        .chain(REVERSE)
        .map(|zone| (zone, head(zone)))
        .collect();
    for service in all() {
        write(&mut zones, &service);
    }
    // The inner zone is reached through the outer one.
    let outer = zones.get_mut(ZONE).unwrap();
    writeln!(outer, "{INNER}. 60 IN NS waypost-ns.{INNER}.").unwrap();
    writeln!(outer, "waypost-ns.{INNER}. 60 IN A 127.0.0.1").unwrap();
    zones
}

fn head(zone: &str) -> String {
    format!(
        "{zone}. 60 IN SOA waypost-ns.{zone}. hostmaster.{zone}. 1 60 15 86400 5\n\
         {zone}. 60 IN NS waypost-ns.{zone}.\n\
         waypost-ns.{zone}. 60 IN A 127.0.0.1\n"
    )
}

fn write(zones: &mut BTreeMap<&'static str, String>, service: &Service) {
    let name = format!("{}.{}.", service.name, service.zone);
    let ttl_of = |kind: &str| match &service.dns {
        None => (kind != "CNAME").then_some(TTL),
        Some((_, records)) => {
            let found = records.iter().find(|(it, _)| *it == kind);
            found.map(|(_, ttl)| (*ttl).min(TTL_MAX))
        }
    };
    let any = ["A", "AAAA", "SRV", "CNAME"]
        .iter()
        .find_map(|kind| ttl_of(kind));
    let any = any.unwrap();
    let mut lines = String::new();
    let mut line = |owner: &str, ttl: u32, rest: String| {
        writeln!(lines, "{owner} {ttl} IN {rest}").unwrap();
    };
    if let Some(note) = service.note {
        line(&name, any, format!("TXT \"note={note}\""));
    }
    for instance in &service.instances {
        let own = format!("{}.{name}", instance.id);
        if let (Some(host), Some(ttl)) = (instance.host, ttl_of("CNAME")) {
            line(&name, ttl, format!("CNAME {host}."));
            continue;
        }
        for (kind, address) in [
            ("A", instance.v4.map(|v4| v4.to_string())),
            ("AAAA", instance.v6.map(|v6| v6.to_string())),
        ] {
            let Some(address) = address else { continue };
            if let Some(ttl) = ttl_of(kind) {
                line(&name, ttl, format!("{kind} {address}"));
            }
            line(
                &own,
                ttl_of(kind).unwrap_or(any),
                format!("{kind} {address}"),
            );
        }
        if let Some(ttl) = ttl_of("SRV") {
            let srv = |port: u16| format!("SRV 1 1 {port} {own}");
            let transport = |protocol: &str| if protocol == "udp" { "_udp" } else { "_tcp" };
            for (at, (port, number, protocol)) in instance.ports.iter().enumerate() {
                let label = transport(protocol);
                line(&format!("_{port}.{label}.{name}"), ttl, srv(*number));
                if at == 0 {
                    line(&name, ttl, srv(*number));
                    if !service.name.contains('.') && service.name.len() < 63 {
                        let owner = format!("_{}.{label}.{}.", service.name, service.zone);
                        line(&owner, ttl, srv(*number));
                    }
                }
            }
        }
    }
    zones.get_mut(service.zone).unwrap().push_str(&lines);
    for instance in &service.instances {
        reverse(zones, instance, &name);
    }
}

fn reverse(zones: &mut BTreeMap<&'static str, String>, instance: &Instance, name: &str) {
    let [four, six] = REVERSE;
    if let Some(v4) = instance.v4 {
        let [a, b, c, d] = v4.octets();
        let lines = zones.get_mut(four).unwrap();
        writeln!(
            lines,
            "{d}.{c}.{b}.{a}.in-addr.arpa. {TTL} IN PTR {}.{name}",
            instance.id
        )
        .unwrap();
    }
    if let Some(v6) = instance.v6 {
        let digits = format!("{:032x}", v6.to_bits());
        let nibbles: Vec<String> = digits.chars().rev().map(String::from).collect();
        let lines = zones.get_mut(six).unwrap();
        writeln!(
            lines,
            "{}.ip6.arpa. {TTL} IN PTR {}.{name}",
            nibbles.join("."),
            instance.id
        )
        .unwrap();
    }
}
