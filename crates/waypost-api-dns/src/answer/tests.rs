use super::*;
use crate::testing::{World, question};

#[test]
fn smoke() {
    let mut world = World::new();
    world.register("web.svc.internal", "a", "10.0.0.1", 80);
    world.register("web.svc.internal", "b", "10.0.0.2", 80);
    world.register("web.svc.internal", "c:1", "10.0.0.2", 81);
    for (name, qtype) in [
        ("web.svc.internal", 1),
        ("web.svc.internal", 33),
        ("WeB.svc.internal", 28),
        ("svc.internal", 6),
        ("svc.internal", 2),
        ("nope.svc.internal", 1),
        ("a.web.svc.internal", 1),
        ("_web._tcp.svc.internal", 33),
        ("_tcp.svc.internal", 33),
        ("_default._tcp.web.svc.internal", 33),
        ("example.org", 1),
        ("1.0.0.10.in-addr.arpa", 12),
        ("2.0.0.10.in-addr.arpa", 12),
        ("9.0.0.10.in-addr.arpa", 12),
        ("waypost-ns.svc.internal", 1),
    ] {
        println!("{name} {qtype} {:#?}", world.ask(name, qtype));
    }
    let _ = question;
}
