use super::*;

fn refused(change: impl FnOnce(&mut DnsConfig)) -> InvalidSetting {
    let mut config = DnsConfig::default();
    change(&mut config);
    config.validate().unwrap_err()
}

#[test]
fn the_defaults_are_legal_and_on_loopback() {
    let config = DnsConfig::default();
    config.validate().unwrap();
    assert!(
        config
            .addresses()
            .unwrap()
            .iter()
            .all(|address| address.ip().is_loopback())
    );
    assert_eq!(config.reverse.len(), 5);
}

#[test]
fn off_is_no_address() {
    let config = DnsConfig {
        listen: vec!["off".to_owned()],
        ..DnsConfig::default()
    };
    config.validate().unwrap();
    assert!(config.addresses().unwrap().is_empty());
}

#[test]
fn what_is_out_of_range_is_named_with_its_value_and_rule() {
    let error = refused(|config| config.udp_bytes_max = 100);
    assert_eq!(
        (error.field, error.to_string().as_str()),
        ("udp_bytes_max", "\"100\" must be 512 to 4096")
    );
    assert_eq!(
        refused(|config| config.listen = vec!["127.0.0.1".to_owned()]).field,
        "listen"
    );
    assert_eq!(refused(|config| config.workers = 65).field, "workers");
    assert_eq!(
        refused(|config| config.ttl_seconds = u32::MAX).field,
        "ttl_seconds"
    );
    assert_eq!(
        refused(|config| config.tcp_idle_seconds = 0).field,
        "tcp_idle_seconds"
    );
}

#[test]
fn beyond_loopback_it_must_be_said_who_may_ask() {
    let error = refused(|config| config.listen = vec!["0.0.0.0:53".to_owned()]);
    assert_eq!(error.field, "allow");
    assert!(error.to_string().contains("0.0.0.0:53"), "{error}");
    let config = DnsConfig {
        listen: vec!["0.0.0.0:53".to_owned()],
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        ..DnsConfig::default()
    };
    config.validate().unwrap();
}
