//! Which addresses are accepted.

use super::Address;
use crate::ErrorKind;

#[test]
fn an_address_is_read_with_or_without_its_scheme() {
    for (given, read) in [
        ("http://127.0.0.1:3004", "http://127.0.0.1:3004"),
        ("http://127.0.0.1:3004/", "http://127.0.0.1:3004"),
        ("127.0.0.1:3004", "http://127.0.0.1:3004"),
        ("service-discovery", "http://service-discovery"),
        ("http://[::1]:3004", "http://[::1]:3004"),
        (" http://proxy/registry/ ", "http://proxy/registry"),
        ("HTTP://host:1", "http://host:1"),
        ("https://host/prefix", "https://host/prefix"),
    ] {
        assert_eq!(Address::parse(given).expect(given).to_string(), read);
    }
}

#[test]
fn a_prefix_comes_before_every_path() {
    let address = Address::parse("http://proxy:80/registry").expect("an address");
    let uri = address.join("/v1/namespaces?after=a").expect("a path");
    assert_eq!(
        uri.to_string(),
        "http://proxy:80/registry/v1/namespaces?after=a"
    );
}

#[test]
fn an_address_that_cannot_work_says_why() {
    for (given, rule) in [
        ("ftp://host", "scheme must be http or https"),
        ("", "expected http://host:port"),
        ("http://", "expected http://host:port"),
        ("http://host:99999", "the port must be 1 to 65535"),
        ("http://host:0", "the port must be 1 to 65535"),
        ("host:", "the port must be 1 to 65535"),
        ("http://host?x=1", "query"),
        ("http://a b", "expected http://host:port"),
    ] {
        let error = Address::parse(given).expect_err(given);
        assert_eq!(error.kind(), ErrorKind::Usage, "{given}");
        assert!(error.to_string().contains(rule), "{given}: {error}");
    }
}

#[test]
fn a_password_in_an_address_is_refused_without_repeating_it() {
    let error = Address::parse("http://user:hunter2@host").expect_err("it has a password");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(error.to_string().contains("token"), "{error}");
}
