use super::*;
use crate::name::to_wire;

fn name(dotted: &str) -> Arc<[u8]> {
    to_wire(dotted).unwrap().into()
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn replacement(before: &[IpAddr], after: &[IpAddr]) -> Replacement {
    Replacement {
        before: before.to_vec(),
        after: after.to_vec(),
    }
}

fn table() -> Reverse {
    let reverse = Reverse::new(&DnsConfig::default());
    let mut web = addresses(&["10.0.1.45", "54.1.2.3", "fd00::1"]);
    web.sort();
    reverse.replace(&name("web.svc"), &replacement(&[], &web));
    let one = addresses(&["10.0.1.45"]);
    reverse.replace(&name("db.svc"), &replacement(&[], &one));
    assert_eq!(
        find(&reverse, "45.1.0.10.in-addr.arpa"),
        "missing in \u{2}10\u{7}in-addr\u{4}arpa\0"
    );
    reverse.publish(Revision(2));
    reverse
}

fn find(table: &Reverse, dotted: &str) -> String {
    let zone = |zone: &Zone| String::from_utf8_lossy(zone.apex()).into_owned();
    match table.find(&to_wire(dotted).unwrap()) {
        Reversed::Foreign => "foreign".to_owned(),
        Reversed::Services(names, ..) => format!("{} names", each_name(&names).count()),
        Reversed::Empty(at, _) => format!("empty in {}", zone(&at)),
        Reversed::Missing(at) => format!("missing in {}", zone(&at)),
    }
}

#[test]
fn an_address_has_the_names_of_its_instances() {
    let table = table();
    assert_eq!(find(&table, "45.1.0.10.in-addr.arpa"), "2 names");
    assert_eq!(find(&table, "3.2.1.54.in-addr.arpa"), "1 names");
    let v6 = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
    assert_eq!(find(&table, &v6), "1 names");
}

#[test]
fn what_lies_above_an_address_is_there_and_what_does_not_is_missing() {
    let table = table();
    let ten = "\u{2}10\u{7}in-addr\u{4}arpa\u{0}";
    for above in [
        "10.in-addr.arpa",
        "0.10.in-addr.arpa",
        "1.0.10.in-addr.arpa",
    ] {
        assert_eq!(find(&table, above), format!("empty in {ten}"));
    }
    for missing in [
        "46.1.0.10.in-addr.arpa",
        "2.0.10.in-addr.arpa",
        "x.10.in-addr.arpa",
        "1.45.1.0.10.in-addr.arpa",
        "045.1.0.10.in-addr.arpa",
        "256.10.in-addr.arpa",
    ] {
        assert_eq!(
            find(&table, missing),
            format!("missing in {ten}"),
            "{missing}"
        );
    }
    let seventeen = "\u{2}17\u{3}172\u{7}in-addr\u{4}arpa\u{0}";
    assert_eq!(
        find(&table, "1.17.172.in-addr.arpa"),
        format!("missing in {seventeen}")
    );
}

#[test]
fn addresses_outside_the_zones_are_foreign_unless_an_instance_has_them() {
    let table = table();
    for foreign in [
        "4.2.1.54.in-addr.arpa",
        "in-addr.arpa",
        "32.172.in-addr.arpa",
        "ip6.arpa",
        "example.org",
    ] {
        assert_eq!(find(&table, foreign), "foreign", "{foreign}");
    }
}

#[test]
fn names_leave_one_by_one() {
    let table = table();
    let one = addresses(&["10.0.1.45"]);
    table.replace(&name("web.svc"), &replacement(&one, &[]));
    table.publish(Revision(3));
    assert_eq!(find(&table, "45.1.0.10.in-addr.arpa"), "1 names");
    table.replace(&name("db.svc"), &replacement(&one, &[]));
    table.publish(Revision(4));
    assert!(find(&table, "45.1.0.10.in-addr.arpa").starts_with("missing"));
    assert!(find(&table, "0.10.in-addr.arpa").starts_with("missing"));
}
