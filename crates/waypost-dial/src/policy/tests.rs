use super::*;

fn policy(allow: &[&str], deny: &[&str], allow_loopback: bool) -> AddressPolicy {
    let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
    let config = DialConfig {
        allow: nets(allow),
        deny: nets(deny),
        allow_loopback,
        ..DialConfig::default()
    };
    AddressPolicy::new(&config, false)
}

fn judge(policy: &AddressPolicy, ip: &str) -> Result<(), Rule> {
    policy
        .check(ip.parse().unwrap())
        .map_err(|refused| refused.rule)
}

#[test]
fn some_addresses_are_refused_whatever_is_configured() {
    let everything = policy(&["0.0.0.0/0", "::/0"], &[], true);
    let table = [
        ("169.254.169.254", Rule::Metadata),
        ("169.254.170.2", Rule::Metadata),
        ("100.100.100.200", Rule::Metadata),
        ("192.0.0.192", Rule::Metadata),
        ("168.63.129.16", Rule::Metadata),
        ("fd00:ec2::254", Rule::Metadata),
        ("fd00:ec2::23", Rule::Metadata),
        ("fd20:ce::254", Rule::Metadata),
        ("fd00:42::42", Rule::Metadata),
        ("169.254.0.1", Rule::LinkLocal),
        ("169.254.255.255", Rule::LinkLocal),
        ("fe80::1", Rule::LinkLocal),
        ("febf::1", Rule::LinkLocal),
        ("0.0.0.0", Rule::Unspecified),
        ("0.1.2.3", Rule::Unspecified),
        ("::", Rule::Unspecified),
        ("224.0.0.1", Rule::Multicast),
        ("239.255.255.255", Rule::Multicast),
        ("ff02::1", Rule::Multicast),
        ("240.0.0.1", Rule::Reserved),
        ("255.255.255.255", Rule::Reserved),
        ("64:ff9b:1::1", Rule::Opaque),
    ];
    for (ip, rule) in table {
        assert_eq!(judge(&everything, ip), Err(rule), "{ip}");
    }
}

#[test]
fn an_ipv4_address_inside_of_an_ipv6_address_is_judged_too() {
    let everything = policy(&[], &[], true);
    let hidden = [
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        // Teredo turns every bit of the client's address.
        "2001:0:808:808:0:0:5601:5601",
        "2001:db8::5efe:a9fe:a9fe",
        "2001:db8::200:5efe:a9fe:a9fe",
    ];
    for ip in hidden {
        assert_eq!(judge(&everything, ip), Err(Rule::Metadata), "{ip}");
    }
}

#[test]
fn ordinary_addresses_pass_without_any_configuration() {
    let default = policy(&[], &[], false);
    for ip in [
        "10.0.0.1",
        "192.168.1.1",
        "8.8.8.8",
        "169.253.1.1",
        "fd12::1",
        "2001:db8::1",
    ] {
        assert_eq!(judge(&default, ip), Ok(()), "{ip}");
    }
}

#[test]
fn loopback_passes_only_when_it_is_allowed_or_the_server_is_there_too() {
    for ip in [
        "127.0.0.1",
        "127.255.0.9",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
    ] {
        assert_eq!(
            judge(&policy(&[], &[], false), ip),
            Err(Rule::Loopback),
            "{ip}"
        );
        assert_eq!(judge(&policy(&[], &[], true), ip), Ok(()), "{ip}");
        let beside = AddressPolicy::new(&DialConfig::default(), true);
        assert_eq!(judge(&beside, ip), Ok(()), "{ip}");
    }
}

#[test]
fn a_network_that_is_allowed_does_not_open_loopback() {
    assert_eq!(
        judge(&policy(&["127.0.0.0/8"], &[], false), "127.0.0.1"),
        Err(Rule::Loopback)
    );
}

#[test]
fn deny_wins_over_allow() {
    let policy = policy(&["10.0.0.0/8"], &["10.1.0.0/16"], false);
    assert_eq!(judge(&policy, "10.2.0.1"), Ok(()));
    let net = "10.1.0.0/16".parse().unwrap();
    for ip in [
        "10.1.0.1",
        "::ffff:10.1.0.1",
        "2002:0a01:0001::1",
        "64:ff9b::10.1.0.1",
    ] {
        assert_eq!(judge(&policy, ip), Err(Rule::Denied(net)), "{ip}");
    }
}

#[test]
fn a_denied_network_in_mapped_form_means_the_ipv4_network() {
    let policy = policy(&[], &["::ffff:10.1.0.0/112"], false);
    let net = "10.1.0.0/16".parse().unwrap();
    assert_eq!(judge(&policy, "10.1.0.1"), Err(Rule::Denied(net)));
    assert_eq!(judge(&policy, "10.2.0.1"), Ok(()));
}

#[test]
fn a_list_of_allowed_networks_means_only_these() {
    let policy = policy(&["10.0.0.0/8", "fd00:1::/32"], &[], false);
    for ip in ["10.9.9.9", "::ffff:10.9.9.9", "fd00:1::7"] {
        assert_eq!(judge(&policy, ip), Ok(()), "{ip}");
    }
    for ip in [
        "192.168.0.1",
        "fd00:2::7",
        "2002:0a09:0909::1",
        "64:ff9b::10.9.9.9",
    ] {
        assert_eq!(judge(&policy, ip), Err(Rule::NotAllowed), "{ip}");
    }
}

#[test]
fn a_refusal_names_the_address_and_the_rule() {
    let policy = policy(&[], &["10.0.0.0/8"], false);
    let sentence = |ip: &str| policy.check(ip.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(
        sentence("169.254.169.254"),
        "address 169.254.169.254 refused: cloud metadata addresses are always refused"
    );
    assert_eq!(
        sentence("10.0.0.7"),
        "address 10.0.0.7 refused: dial.deny contains 10.0.0.0/8"
    );
    assert_eq!(
        sentence("::1"),
        "address ::1 refused: loopback is refused unless dial.allow_loopback is set"
    );
}
