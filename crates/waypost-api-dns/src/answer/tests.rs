mod flood;
mod message;
mod oracle;
mod picks;
mod random;
mod reading;
mod reversed;

use domain::base::iana::Rcode;
use waypost_core::{
    Addresses, Check, CheckId, CheckKind, Dialect, DnsRecordKind, Mode, NamespaceKind,
    ProbeProtocol, ProbeSpec, Projection as _, RegistrationSpec, RoutingPolicy, ServiceChange,
};

use super::*;
use crate::testing::{World, question, take_apart, with_ports};

const A: u16 = rtype::A;

fn web() -> World {
    let mut world = World::new();
    world.register("web.svc.internal", "a", "10.0.0.1", 80);
    world.register("web.svc.internal", "b", "10.0.0.2", 80);
    world
}

fn addresses(answers: &[String]) -> Vec<String> {
    let last = |line: &String| line.rsplit(' ').next().unwrap_or_default().to_owned();
    let mut list: Vec<String> = answers.iter().map(last).collect();
    list.sort();
    list
}

#[test]
fn a_service_answers_with_its_rotation_and_the_default_time_to_live() {
    let world = web();
    let answered = world.ask("WeB.svc.internal", A);
    assert_eq!(answered.rcode, Rcode::NOERROR);
    assert!(answered.is_authoritative && !answered.is_truncated);
    assert_eq!(addresses(&answered.answers), ["10.0.0.1", "10.0.0.2"]);
    // The name is echoed as it was asked, and answers point to it.
    assert!(
        answered
            .answers
            .iter()
            .all(|line| line.starts_with("WeB.svc.internal. 10 IN A "))
    );
}

#[test]
fn who_leaves_the_rotation_leaves_the_answer_and_the_empty_name_stays_with_a_reason() {
    let mut world = web();
    world.mode("web.svc.internal", "a", Mode::Draining, None);
    assert_eq!(
        addresses(&world.ask("web.svc.internal", A).answers),
        ["10.0.0.2"]
    );
    world.deregister("web.svc.internal", "b");
    let nobody = world.ask("web.svc.internal", A);
    assert_eq!((nobody.rcode, nobody.answers.len()), (Rcode::NOERROR, 0));
    assert!(
        nobody.authority[0].starts_with("svc.internal. 5 IN SOA "),
        "{nobody:?}"
    );
    let text = NOBODY.as_bytes();
    assert!(nobody.bytes.windows(text.len()).any(|part| part == text));
    // Who asks for the instance by name means it.
    assert_eq!(
        addresses(&world.ask("a.web.svc.internal", A).answers),
        ["10.0.0.1"]
    );
}

#[test]
fn names_that_are_not_there_do_not_exist_and_those_above_others_do() {
    let world = web();
    for (name, rcode) in [
        ("nope.svc.internal", Rcode::NXDOMAIN),
        ("x.y.web.svc.internal", Rcode::NXDOMAIN),
        ("_udp.svc.internal", Rcode::NXDOMAIN),
        ("_tcp.svc.internal", Rcode::NOERROR),
        ("_tcp.web.svc.internal", Rcode::NOERROR),
        ("svc.internal", Rcode::NOERROR),
    ] {
        let answered = world.ask(name, A);
        assert_eq!(
            (answered.rcode, answered.answers.len()),
            (rcode, 0),
            "{name}"
        );
        assert_eq!(answered.authority.len(), 1, "{name}");
    }
    let foreign = world.ask("www.example.org", A);
    assert_eq!(foreign.rcode, Rcode::REFUSED);
    assert!(!foreign.is_authoritative);
}

#[test]
fn srv_names_show_ports_with_the_addresses_of_their_targets() {
    let mut world = World::new();
    let spec = with_ports("10.0.0.1", &[("http", 80, "http"), ("stats", 8125, "udp")]);
    world.register_spec("web.svc.internal", "a", spec);
    for (name, port) in [
        ("web.svc.internal", 80),
        ("_web._tcp.svc.internal", 80),
        ("_http._tcp.web.svc.internal", 80),
        ("_stats._udp.web.svc.internal", 8125),
    ] {
        let answered = world.ask(name, rtype::SRV);
        let expected = format!("{name}. 10 IN SRV 1 1 {port} a.web.svc.internal");
        assert_eq!(answered.answers, [expected]);
        assert_eq!(
            answered.additional[0],
            "a.web.svc.internal. 10 IN A 10.0.0.1"
        );
    }
    assert_eq!(
        world.ask("_stats._tcp.web.svc.internal", rtype::SRV).rcode,
        Rcode::NXDOMAIN
    );
}

#[test]
fn routing_policies_limit_and_weigh_answers() {
    let mut world = World::new();
    for number in 0..10 {
        world.register(
            "web.svc.internal",
            &format!("i{number}"),
            &format!("10.0.0.{number}"),
            80,
        );
    }
    world.dns(
        "web.svc.internal",
        RoutingPolicy::Multivalue,
        &[(DnsRecordKind::A, 3)],
    );
    let query = question("web.svc.internal", A, None);
    let mut seen = std::collections::BTreeSet::new();
    for at in 0..64_u64 {
        let answered = world.ask_with(&query, Transport::Udp, at << 58);
        assert_eq!(answered.answers.len(), 8);
        seen.extend(addresses(&answered.answers));
    }
    assert_eq!(seen.len(), 10, "every instance is answered at some time");
    world.dns(
        "web.svc.internal",
        RoutingPolicy::Weighted,
        &[(DnsRecordKind::A, 0)],
    );
    for number in 1..10 {
        world.mode(
            "web.svc.internal",
            &format!("i{number}"),
            Mode::Active,
            Some(0),
        );
    }
    for at in 0..64_u64 {
        let answered = world.ask_with(&query, Transport::Udp, at << 58);
        assert_eq!(
            answered.answers,
            ["web.svc.internal. 0 IN A 10.0.0.0"],
            "weight 0 gets nothing"
        );
    }
    for (id, weight) in [("i0", 0), ("i3", 3), ("i5", 1)] {
        world.mode("web.svc.internal", id, Mode::Active, Some(weight));
    }
    let mut counts = std::collections::BTreeMap::new();
    for at in 0..64_u64 {
        let answered = world.ask_with(&query, Transport::Udp, at << 58);
        let address = addresses(&answered.answers).remove(0);
        *counts.entry(address).or_insert(0) += 1;
    }
    let expected = [("10.0.0.3", 48), ("10.0.0.5", 16)];
    assert_eq!(counts, expected.map(|(ip, n)| (ip.to_owned(), n)).into());
}

#[test]
fn an_instance_known_by_name_is_an_alias_that_is_followed_inside_our_zones() {
    let mut world = web();
    world.register("db.other.internal", "x", "web.svc.internal", 5432);
    world.register("db.other.internal", "y", "db.example.org", 5432);
    let followed = world.ask("x.db.other.internal", A);
    assert_eq!(
        followed.answers[0],
        "x.db.other.internal. 10 IN CNAME web.svc.internal."
    );
    assert_eq!(followed.answers.len(), 3);
    let outside = world.ask("y.db.other.internal", A);
    assert_eq!((outside.rcode, outside.answers.len()), (Rcode::NOERROR, 1));
    let srv = world.ask("db.other.internal", rtype::SRV);
    assert!(
        srv.answers
            .iter()
            .any(|line| line.ends_with("SRV 1 1 5432 db.example.org")),
        "{srv:?}"
    );
    for (id, host) in [
        ("a", "A.loop.other.internal"),
        ("b", "c.loop.other.internal"),
        ("c", "b.loop.other.internal"),
    ] {
        world.register("loop.other.internal", id, host, 1);
    }
    for (id, aliases) in [("a", 1), ("b", 2)] {
        let looped = world.ask(&format!("{id}.loop.other.internal"), A);
        assert_eq!(
            (looped.rcode, looped.answers.len()),
            (Rcode::NOERROR, aliases)
        );
    }
    for number in 0..20 {
        let host = format!("n{}.chain.other.internal", number + 1);
        world.register("chain.other.internal", &format!("n{number}"), &host, 1);
    }
    let chain = world.ask("n0.chain.other.internal", A);
    assert_eq!(chain.answers.len(), ALIASES_MAX + 1);
}

#[test]
fn a_service_has_the_addresses_that_the_host_names_of_its_instances_had_when_they_were_probed() {
    let mut world = web();
    let addresses = Addresses::parse("address", "db.example.org").unwrap();
    let mut spec = RegistrationSpec::new(addresses, 5432, Dialect::Rest);
    let probe = CheckKind::Probe(ProbeSpec::new(ProbeProtocol::Tcp));
    spec.checks = [Check::new(CheckId::new("up").unwrap(), probe)].into();
    world.register_spec("db.other.internal", "y", spec);
    world.resolved("db.other.internal", "y", &[]);
    assert_eq!(world.ask("db.other.internal", A).answers, [""; 0]);
    world.resolved("db.other.internal", "y", &["192.0.2.7", "2001:db8::7"]);
    assert_eq!(
        world.ask("db.other.internal", A).answers,
        ["db.other.internal. 10 IN A 192.0.2.7"]
    );
    assert_eq!(
        world.ask("db.other.internal", rtype::AAAA).answers,
        ["db.other.internal. 10 IN AAAA 2001:db8::7"]
    );
    assert_eq!(
        world.ask("y.db.other.internal", A).answers,
        ["y.db.other.internal. 10 IN CNAME db.example.org."]
    );
    world.mode("db.other.internal", "y", Mode::Draining, None);
    assert_eq!(world.ask("db.other.internal", A).answers, [""; 0]);
}

#[test]
fn a_name_of_the_server_itself_has_the_address_that_was_asked() {
    let mut world = web();
    let config = world.config.clone();
    let table = std::mem::replace(&mut world.table, Table::new(&config));
    world.table = table.with_own_name("cloudmap.example");
    let asked = world.ask("CloudMap.example", A);
    assert_eq!(asked.answers, ["CloudMap.example. 60 IN A 127.0.0.9"]);
    let none = world.ask("cloudmap.example", rtype::AAAA);
    assert_eq!(
        (none.rcode, none.answers.len(), none.authority.len()),
        (Rcode::NOERROR, 0, 1)
    );
    assert_eq!(world.ask("cloudmap.example", rtype::SOA).answers.len(), 1);
    assert_eq!(world.ask("other.cloudmap.example", A).rcode, Rcode::REFUSED);
}

#[test]
fn an_answer_that_does_not_fit_is_cut_at_a_record_and_says_so() {
    let mut world = World::new();
    for number in 0..100 {
        world.register(
            "web.svc.internal",
            &format!("i{number}"),
            &format!("10.0.1.{number}"),
            80,
        );
    }
    for (payload, most) in [
        (None, 512),
        (Some(100), 512),
        (Some(1_232), 1_232),
        (Some(4_096), 1_232),
    ] {
        let answered = world.ask_with(&question("web.svc.internal", A, payload), Transport::Udp, 1);
        assert!(
            answered.is_truncated && answered.bytes.len() <= most,
            "{payload:?}"
        );
        assert!(answered.answers.len() > 20);
    }
    let whole = world.ask_with(&question("web.svc.internal", A, None), Transport::Tcp, 1);
    assert!(!whole.is_truncated);
    assert_eq!(whole.answers.len(), 100);
}

#[test]
fn edns_is_answered_in_its_version_and_never_unasked() {
    let world = web();
    let plain = world.ask_with(&question("web.svc.internal", A, None), Transport::Udp, 1);
    assert!(plain.additional.is_empty());
    let mut newer = question("web.svc.internal", A, Some(1_232));
    let version = newer.len() - 5;
    newer[version] = 1;
    let bytes = world.bytes(&newer, Transport::Udp, 1);
    assert_eq!(
        (bytes[3] & 0xf, bytes[bytes.len() - 6]),
        (0, 1),
        "BADVERS is 16"
    );
    assert!(take_apart(&bytes).answers.is_empty());
}

#[test]
fn what_is_no_question_for_this_server_is_refused_or_met_with_silence() {
    let world = web();
    let good = question("web.svc.internal", A, None);
    let with = |at: usize, value: u8| {
        let mut query = good.clone();
        query[at] = value;
        world.bytes(&query, Transport::Udp, 1)
    };
    assert!(with(2, 0x80).is_empty(), "an answer");
    assert!(world.bytes(&good[..11], Transport::Udp, 1).is_empty());
    assert_eq!(with(2, 0x28)[3] & 0xf, 4, "UPDATE");
    assert_eq!(with(5, 2)[3] & 0xf, 1, "two questions");
    assert_eq!(with(good.len() - 1, 3)[3] & 0xf, 5, "class CH");
}

#[test]
fn only_those_who_may_ask_are_answered_and_nobody_before_the_first_snapshot() {
    let config = DnsConfig {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        ..DnsConfig::default()
    };
    let mut world = World::with(config);
    world.register("web.svc.internal", "a", "10.0.0.1", 80);
    assert_eq!(world.ask("web.svc.internal", A).rcode, Rcode::REFUSED);
    let mut empty = World::new();
    empty.table = Table::new(&empty.config);
    assert_eq!(empty.ask("web.svc.internal", A).rcode, Rcode::SERVFAIL);
}

#[test]
fn an_inner_namespace_answers_for_all_below_it_and_gives_it_back_when_it_goes() {
    let mut world = World::new();
    world.register("eu.svc.internal", "a", "10.0.0.1", 80);
    world.register_spec(
        "b.eu|svc.internal",
        "x",
        with_ports("10.0.0.2", &[("p", 1, "tcp")]),
    );
    assert_eq!(world.ask("b.eu.svc.internal", A).answers.len(), 1);
    world.namespace("eu.svc.internal", NamespaceKind::PublicDns, Some(30));
    let inner = world.ask("eu.svc.internal", A);
    assert_eq!(inner.answers.len(), 0);
    assert!(
        inner.authority[0].starts_with("eu.svc.internal. 30 IN SOA"),
        "{inner:?}"
    );
    assert_eq!(world.ask("b.eu.svc.internal", A).rcode, Rcode::NXDOMAIN);
    let name = waypost_core::NamespaceName::new("eu.svc.internal").unwrap();
    world.run(&waypost_core::Command::DeleteNamespace(name));
    assert_eq!(world.ask("eu.svc.internal", A).answers.len(), 1);
    assert_eq!(world.ask("b.eu.svc.internal", A).answers.len(), 1);
}

#[test]
fn attributes_are_texts_and_the_serial_rises_with_every_change() {
    let mut world = web();
    let serial = |world: &World| -> u32 {
        let soa = &world.ask("svc.internal", rtype::SOA).answers[0];
        soa.split(' ').nth(6).unwrap().parse().unwrap()
    };
    let before = serial(&world);
    world.attributes("web.svc.internal", &[("team", "shop")]);
    assert!(serial(&world) > before);
    let texts = world.ask("web.svc.internal", rtype::TXT).answers;
    assert!(texts[0].contains("team=shop"), "{texts:?}");
    world.change(
        "web.svc.internal",
        ServiceChange {
            fail_open: Some(true),
            ..ServiceChange::default()
        },
    );
}

#[test]
fn an_alias_to_nothing_says_that_there_is_nothing() {
    let mut world = web();
    for (id, host) in [
        ("a", "nope.svc.internal"),
        ("b", "_tcp.svc.internal"),
        ("c", "10.in-addr.arpa"),
        ("d", "9.9.9.10.in-addr.arpa"),
        ("e", "_default._tcp.web.svc.internal"),
    ] {
        world.register("db.other.internal", id, host, 5432);
    }
    for (id, rcode, zone) in [
        ("a", Rcode::NXDOMAIN, "svc.internal."),
        ("b", Rcode::NOERROR, "svc.internal."),
        ("c", Rcode::NOERROR, "10.in-addr.arpa."),
        ("d", Rcode::NXDOMAIN, "10.in-addr.arpa."),
        ("e", Rcode::NOERROR, "svc.internal."),
    ] {
        let answered = world.ask(&format!("{id}.db.other.internal"), A);
        assert_eq!((answered.rcode, answered.answers.len()), (rcode, 1), "{id}");
        let soa = format!("{zone} 5 IN SOA ");
        assert!(answered.authority[0].starts_with(&soa), "{answered:?}");
    }
}

#[test]
fn zones_of_addresses_have_their_name_server_and_apex_also_where_an_instance_is() {
    let config = DnsConfig {
        reverse: vec![
            "10.0.0.0/8".parse().unwrap(),
            "192.0.2.1/32".parse().unwrap(),
        ],
        ttl_seconds: 100,
        ttl_seconds_max: 50,
        ..DnsConfig::default()
    };
    let mut world = World::with(config);
    world.register("web.svc.internal", "a", "192.0.2.1", 80);
    let server = world.ask("waypost-ns.10.in-addr.arpa", A);
    assert_eq!(
        server.answers,
        ["waypost-ns.10.in-addr.arpa. 50 IN A 127.0.0.9"]
    );
    let nothing = world.ask("waypost-ns.10.in-addr.arpa", rtype::TXT);
    assert_eq!(
        (nothing.rcode, nothing.authority.len()),
        (Rcode::NOERROR, 1)
    );
    let apex = "1.2.0.192.in-addr.arpa";
    assert_eq!(world.ask(apex, rtype::SOA).answers.len(), 1);
    // No time to live is above the maximum.
    let names = world.ask(apex, rtype::PTR).answers;
    assert_eq!(names, [format!("{apex}. 50 IN PTR a.web.svc.internal.")]);
}

#[test]
fn a_port_whose_name_is_no_label_has_no_name() {
    let mut world = World::new();
    let spec = with_ports("10.0.0.1", &[("http", 80, "http"), ("_odd", 81, "http")]);
    world.register_spec("web.svc.internal", "a", spec);
    let good = world.ask("_http._tcp.web.svc.internal", rtype::SRV);
    assert_eq!(good.answers.len(), 1);
    let odd = world.ask("__odd._tcp.web.svc.internal", rtype::SRV);
    assert_eq!((odd.rcode, odd.answers.len()), (Rcode::NXDOMAIN, 0));
}

#[test]
fn an_instance_that_several_owners_keep_is_one_record() {
    let mut world = World::new();
    for (id, host, owner) in [
        ("a", "10.0.0.1", ""),
        ("a", "10.0.0.1", "node/1"),
        ("b", "db.example.org", ""),
        ("c", "DB.example.org", ""),
        ("d", "10.0.0.2", ""),
        ("e", "D.web.svc.internal", ""),
    ] {
        world.run(&waypost_core::Command::Register {
            service: crate::testing::key("web.svc.internal"),
            id: waypost_core::InstanceId::new(id).unwrap(),
            owner: Some(waypost_core::Owner::new(owner).unwrap()),
            spec: std::sync::Arc::new(with_ports(host, &[("http", 80, "http")])),
            defaults: ServiceChange::default(),
        });
    }
    for name in ["web.svc.internal", "_http._tcp.web.svc.internal"] {
        let answered = world.ask(name, rtype::SRV);
        assert_eq!(answered.answers.len(), 3, "{answered:?}");
    }
    assert_eq!(world.ask("web.svc.internal", A).answers.len(), 2);
}

#[test]
fn what_was_missed_is_there_after_everything_was_read_again() {
    let mut world = web();
    // Compiled, and then put off once: neither may outlive what is read.
    world.ask("web.svc.internal", A);
    world.register("web.svc.internal", "old", "10.0.9.9", 80);
    let mut other = World::new();
    other.register("web.svc.internal", "new", "10.0.7.7", 80);
    other.register("later.svc.internal", "a", "10.0.8.8", 80);
    world.reload_from(other);
    assert_eq!(
        addresses(&world.ask("web.svc.internal", A).answers),
        ["10.0.7.7"]
    );
    assert_eq!(
        addresses(&world.ask("later.svc.internal", A).answers),
        ["10.0.8.8"]
    );
    assert_eq!(world.ask("old.web.svc.internal", A).rcode, Rcode::NXDOMAIN);
    assert_eq!(
        world.ask("9.9.0.10.in-addr.arpa", rtype::PTR).rcode,
        Rcode::NXDOMAIN
    );
    assert_eq!(
        world.ask("7.7.0.10.in-addr.arpa", rtype::PTR).answers.len(),
        1
    );
}

#[test]
fn over_tcp_as_much_as_fits_is_answered_also_when_datagrams_are_emptied() {
    let mut world = World::with(DnsConfig {
        truncate_to_nothing: true,
        ..DnsConfig::default()
    });
    for at in 0..5_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + at).to_string();
        world.register("web.svc.internal", &format!("i{at}"), &address, 80);
    }
    let query = question("web.svc.internal", A, Some(1_232));
    let datagram = world.ask_with(&query, Transport::Udp, 1);
    assert!(datagram.is_truncated && datagram.answers.is_empty());
    let stream = world.ask_with(&query, Transport::Tcp, 1);
    assert!(stream.is_truncated && stream.answers.len() > 4_000);
}

#[test]
fn of_an_address_outside_the_zones_only_its_names_are_told() {
    let mut world = web();
    world.register("web.svc.internal", "far", "54.1.2.3", 80);
    let names = world.ask("3.2.1.54.in-addr.arpa", rtype::PTR);
    assert!(names.is_authoritative && names.answers.len() == 1);
    let texts = world.ask("3.2.1.54.in-addr.arpa", rtype::TXT);
    assert_eq!(
        (texts.rcode, texts.is_authoritative),
        (Rcode::REFUSED, false)
    );
}

#[test]
fn of_zones_within_each_other_the_inner_one_has_the_name() {
    let world = World::with(DnsConfig {
        reverse: vec![
            "10.0.0.0/8".parse().unwrap(),
            "10.1.0.0/16".parse().unwrap(),
        ],
        ..DnsConfig::default()
    });
    let inner = world.ask("1.10.in-addr.arpa", rtype::SOA);
    assert_eq!(inner.answers.len(), 1);
    let below = world.ask("1.1.10.in-addr.arpa", rtype::PTR);
    assert!(
        below.authority[0].starts_with("1.10.in-addr.arpa. "),
        "{below:?}"
    );
}

#[test]
fn a_port_that_only_somebody_out_of_rotation_has_is_explained() {
    let mut world = World::new();
    world.register_spec(
        "web.svc.internal",
        "a",
        with_ports("10.0.0.1", &[("http", 80, "http")]),
    );
    world.register_spec(
        "web.svc.internal",
        "b",
        with_ports("10.0.0.2", &[("http", 80, "http"), ("admin", 81, "http")]),
    );
    world.mode("web.svc.internal", "b", Mode::Maintenance, None);
    let ports = world.ask("_admin._tcp.web.svc.internal", rtype::SRV);
    assert_eq!((ports.rcode, ports.answers.len()), (Rcode::NOERROR, 0));
    let has_reason =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("no instance in rotation");
    assert!(has_reason(&ports.bytes));
    assert!(!has_reason(
        &world.ask("_http._tcp.web.svc.internal", rtype::SRV).bytes
    ));
}

#[test]
fn serials_of_zones_of_addresses_do_not_fall_when_the_last_address_is_gone_at_a_restart() {
    let mut world = web();
    let ids: Vec<String> = world
        .snapshot
        .services()
        .flat_map(|state| state.instances().iter())
        .map(|instance| instance.key().id.to_string())
        .collect();
    for id in ids {
        world.deregister("web.svc.internal", &id);
    }
    let before = world.ask("10.in-addr.arpa", rtype::SOA).answers;
    let mut after = World::new();
    after.reload_from(world);
    let table = Table::new(&after.config);
    drop(table.project(&after.snapshot, None));
    after.table = table;
    assert_eq!(after.ask("10.in-addr.arpa", rtype::SOA).answers, before);
}
